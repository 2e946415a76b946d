//! Builders that die: killed at random moments while their log grows and rotates. Nothing may be read twice
//! or lost, and `output/` must be a whole snapshot at any of these moments.
//!
//! `DASH_KILLS` says how many are killed, `DASH_SEED` which log and which moments.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use dash::model::time::rfc3339;
use dash::publish::{JOURNAL, SNAPSHOT_SCRIPT, manifest, sha256, snapshot_script};
use dash::report::datasets::{system_health, wrappers_health};
use dash::sample::random::Random;
use dash::serve::state::Current;
use dash::store::Store;

use serde_json::{Value, json};

use crate::tools::{Folder, dash, files_below, process};

/// When the last build happens; those before it a minute or more earlier.
const MOMENT_MS: i64 = 1_769_346_000_000;
const MINUTE_MS: i64 = 60_000;

/// No build takes longer unless it hangs.
const LIMIT: Duration = Duration::from_secs(60);

/// Of files that are not whole yet.
const UNFINISHED: &str = ".dash-new-";

const LOG: &str = "content/operations/app.jsonl";

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().expect("it is a whole number"))
}

/// A log that is written and rotated, and everything that was ever written to it.
struct Log<'a> {
    folder: &'a Folder,
    random: Random,
    all: String,
    operations: u64,
    begun: Vec<String>,
    /// The end of a line whose beginning is in the log.
    owed: String,
    rotated: u64,
}

impl Log<'_> {
    fn line(&mut self) -> String {
        let random = &mut self.random;
        let back = if random.chance(0.7) { 2.0 * 60.0 } else { 12.0 * 24.0 * 60.0 };
        let end_ms = MOMENT_MS - (random.unit() * back * MINUTE_MS as f64) as i64;
        if random.chance(0.1) {
            let id = format!("flight-{}", self.all.len());
            let line = json!({
                "operation_id": id, "wrapper_name": "RouteLLM", "status": "started", "start_time": end_ms / 1000,
            });
            self.begun.push(id);
            return format!("{line}\n");
        }
        self.operations += 1;
        let ends = if random.chance(0.1) { self.begun.pop() } else { None };
        let failed = random.chance(0.2);
        let line = json!({
            "operation_id": ends.unwrap_or_else(|| self.operations.to_string()),
            "wrapper_name": random.pick(&["RouteLLM", "POML", "Ünï <b>", "quiet"]),
            "operation_type": random.pick(&["chat", "embedding"]),
            "model": random.pick(&["small", "large"]),
            "end_time": rfc3339(end_ms),
            "duration_ms": (random.unit() * 1e6).round() / 1e3,
            "status": if failed { random.pick(&["error", "timeout", "cancelled"]) } else { "success" },
            "error_code": failed.then(|| *random.pick(&["429", "500", "overloaded"])),
            "cost_estimate": self.operations,
            "total_tokens": self.operations * self.operations,
        });
        format!("{line}\n")
    }

    fn append(&mut self, text: &str) {
        self.folder.append(LOG, text);
        self.all.push_str(text);
    }

    /// The rest of a line that was begun, some lines, and perhaps the beginning of another.
    fn grow(&mut self) {
        let mut text = std::mem::take(&mut self.owed);
        for _ in 0..self.random.poisson(8.0) {
            text += &self.line();
        }
        self.append(&text);
        if self.random.chance(0.3) {
            let line = self.line();
            let (begin, owed) = line.split_at(line.len() / 3);
            self.append(begin);
            self.owed = owed.to_owned();
        }
    }

    /// Renames the log, or copies and truncates it; sometimes what was rotated before is compressed.
    fn rotate(&mut self) {
        let owed = std::mem::take(&mut self.owed);
        self.append(&owed);
        self.rotated += 1;
        let (log, rotated) = (self.folder.path(LOG), self.folder.path(&format!("{LOG}.{}", self.rotated)));
        if self.random.chance(0.5) {
            fs::rename(&log, rotated).expect("it is there");
            self.folder.write(LOG, "");
        } else {
            fs::copy(&log, rotated).expect("it is there");
            File::options().write(true).truncate(true).open(&log).expect("it is there");
        }
        if self.random.chance(0.7) {
            self.compress(self.rotated - 1);
        }
    }

    /// As gzip does: under another name, with the time of the original, which then goes.
    fn compress(&self, number: u64) {
        let plain = self.folder.path(&format!("{LOG}.{number}"));
        let Ok(content) = fs::read(&plain) else { return };
        let modified = fs::metadata(&plain).and_then(|metadata| metadata.modified()).expect("it was read");
        let file = File::create(self.folder.path(&format!("{LOG}.{number}.gz"))).expect("the name is free");
        let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        encoder.write_all(&content).expect("there is room");
        encoder.finish().and_then(|file| file.set_modified(modified)).expect("there is room");
        fs::remove_file(plain).expect("it was read");
    }
}

fn site() -> Folder {
    let folder = Folder::new();
    dash(&folder).arg("init").assert().success();
    folder.write(LOG, "");
    folder
}

fn start(folder: &Folder, moment_ms: i64) -> Child {
    let mut build = process(folder);
    build.args(["build", "--quiet", "--now", &rfc3339(moment_ms)]);
    build.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary is there")
}

/// Lets the build run, but no longer than this.
fn kill_after(mut build: Child, delay: Duration) -> ExitStatus {
    let end = Instant::now() + delay;
    while Instant::now() < end {
        if let Some(status) = build.try_wait().expect("it is ours to wait for") {
            return status;
        }
        std::thread::sleep(Duration::from_micros(300));
    }
    build.kill().expect("it is ours to kill");
    build.wait().expect("it is ours to wait for")
}

/// What a reader of `output/` relies on: each file is what the manifest says, or the journal names it. And
/// nothing else lies there.
pub fn assert_whole(folder: &Folder, context: &str) {
    let output = folder.path("output");
    if !output.exists() {
        return;
    }
    let files = files_below(&output);
    let text = files.get(JOURNAL).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let journal: BTreeSet<&str> = text.iter().flat_map(|text| text.lines()).collect();
    let manifest = manifest::read(&output).expect("the manifest is never half written");
    let listed = manifest.iter().flat_map(|manifest| &manifest.files);
    for (path, entry) in listed.filter(|(path, _)| !journal.contains(path.as_str())) {
        let found = files.get(path).map(|bytes| (bytes.len() as u64, sha256(bytes)));
        assert_eq!(found, Some((entry.size, entry.sha256.clone())), "{path} {context}");
    }
    let expected = |path: &str| {
        path.starts_with("archive/")
            || [JOURNAL, SNAPSHOT_SCRIPT, manifest::MANIFEST].contains(&path)
            || journal.contains(path)
            || manifest.as_ref().is_some_and(|manifest| manifest.files.contains_key(path))
            || path.rsplit('/').next().is_some_and(|name| name.starts_with(UNFINISHED))
    };
    let stray: Vec<_> = files.keys().filter(|path| !expected(path)).collect();
    assert!(stray.is_empty(), "{stray:?} {context}");
    if text.is_none()
        && let Some(manifest) = &manifest
    {
        let script = files.get(SNAPSHOT_SCRIPT).map(|bytes| String::from_utf8_lossy(bytes));
        assert_eq!(script.as_deref(), Some(snapshot_script(manifest).as_str()), "{context}");
    }
}

pub fn assert_tidy(folder: &Folder) {
    let hidden = |path: &String| path.rsplit('/').next().is_some_and(|name| name.starts_with('.'));
    let left: Vec<_> = files_below(&folder.path("output")).into_keys().filter(hidden).collect();
    assert!(left.is_empty(), "{left:?} is left over");
}

fn assert_opens(folder: &Folder) {
    let store = Store::open(&folder.path("")).expect("the store opens, and its lock died with the builder");
    store.files().expect("the ledger can be read");
    store.in_flight().expect("what is in flight can be read");
    store.wrappers().expect("the wrappers can be read");
}

/// Everything there is to know of the last 720 hours.
fn totals(folder: &Folder) -> (String, Value, Value) {
    let export = ["export", "--hours", "720", "--now", &rfc3339(MOMENT_MS)];
    let rows = dash(folder).args(export).assert().success().get_output().stdout.clone();
    let facts = Current::load(&folder.path("output"), None).expect("a daemon can serve it").facts;
    let system = system_health(&facts, Some(720));
    let wrappers = wrappers_health(&facts, Some(720));
    (String::from_utf8(rows).expect("an export is text"), system, wrappers.into())
}

/// Pages, charts and answers, but for what tells how the sources were found and when which snapshot was made.
fn shown(folder: &Folder) -> BTreeMap<String, Vec<u8>> {
    let of_sources = ["data/site.json", "data-quality.html", "snapshot.json", "snapshot.js"];
    let mut files = files_below(&folder.path("output"));
    files.retain(|path, _| !of_sources.contains(&path.as_str()));
    files
}

#[test]
fn a_killed_builder_repeats_nothing_and_loses_nothing() {
    let (kills, seed) = (number("DASH_KILLS", 100), number("DASH_SEED", 1));
    println!("DASH_KILLS={kills} DASH_SEED={seed}");
    let folder = site();
    let mut log = Log {
        folder: &folder,
        random: Random::of(&[seed]),
        all: String::new(),
        operations: 0,
        begun: Vec::new(),
        owed: String::new(),
        rotated: 0,
    };
    let mut moments = Random::of(&[seed, 1]);
    // How long a build takes; measured anew whenever one ends.
    let mut whole_build = LIMIT;
    let (mut killed, mut publishing, mut finished) = (0, 0, 0);
    while killed < kills {
        log.grow();
        if log.random.chance(0.2) {
            log.rotate();
        }
        // In the same minute as the build before, unless the clock went on.
        let minutes = (kills - killed) / 5;
        let build = start(&folder, MOMENT_MS - minutes as i64 * MINUTE_MS);
        let one_in_ten_ends = finished * 10 <= killed;
        let delay = if one_in_ten_ends { LIMIT } else { whole_build.mul_f64(moments.unit()) };
        let begun = Instant::now();
        let status = kill_after(build, delay);
        let took = begun.elapsed();
        let context = format!("after kill {killed} at {delay:?} of {whole_build:?}");
        assert_whole(&folder, &context);
        assert_opens(&folder);
        if status.signal().is_some() {
            killed += 1;
            publishing += u64::from(folder.path("output").join(JOURNAL).exists());
        } else {
            assert!(status.success(), "{status} {context}");
            assert_tidy(&folder);
            (finished, whole_build) = (finished + 1, took);
        }
    }
    println!(
        "{killed} builds were killed, {publishing} while publishing; {finished} finished in {whole_build:?}"
    );
    let owed = std::mem::take(&mut log.owed);
    log.append(&owed);
    assert!(kill_after(start(&folder, MOMENT_MS), LIMIT).success());
    assert_whole(&folder, "at the end");
    assert_tidy(&folder);

    let fresh = site();
    fresh.write(LOG, &log.all);
    assert!(kill_after(start(&fresh, MOMENT_MS), LIMIT).success());
    let (totals, expected) = (totals(&folder), totals(&fresh));
    assert_eq!(expected.1["total_operations"].as_u64(), Some(log.operations));
    assert_eq!(totals, expected);
    let (shown, expected) = (shown(&folder), shown(&fresh));
    assert_eq!(shown.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (path, bytes) in &shown {
        assert!(*bytes == expected[path], "{path} differs");
    }
}
