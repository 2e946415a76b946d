//! Log files in real folders: each operation counts once, whatever happens to its file.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use dash::model::names::Known;
use dash::model::quality::{FileState, Problem, ProblemKind};
use dash::model::rollup::{InFlight, Limits, Retention, Rollup};
use dash::sources::settings::SourceSettings;
use dash::sources::{Progress, Read, Reading, read};

/// 2025-01-24T12:00:00Z, when all builds of these tests happen.
const NOW_MS: i64 = 1_737_720_000_000;

const LIMITS: Limits = Limits { wrappers: 100, series: 100 };

/// A site's folder, and what is stored between its builds.
pub struct Site {
    folder: tempfile::TempDir,
    pub sources: Vec<SourceSettings>,
    pub ledger: Vec<FileState>,
    in_flight: Vec<InFlight>,
    pub rollup: Rollup,
    pub now_ms: i64,
}

impl Site {
    pub fn new(settings: &str) -> Site {
        Site {
            folder: tempfile::tempdir().expect("a folder"),
            sources: vec![toml::from_str(settings).expect("settings")],
            ledger: Vec::new(),
            in_flight: Vec::new(),
            rollup: Rollup::default(),
            now_ms: NOW_MS,
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::create_dir_all(self.path(name).parent().expect("inside")).expect("a folder");
        fs::write(self.path(name), content).expect("written");
    }

    pub fn append(&self, name: &str, content: &str) {
        let mut file = File::options().append(true).open(self.path(name)).expect("there");
        file.write_all(content.as_bytes()).expect("written");
    }

    pub fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).expect("renamed");
    }

    /// Sets the time of the last change, in seconds before now.
    pub fn age(&self, name: &str, seconds: u64) {
        let file = File::options().write(true).open(self.path(name)).expect("there");
        let at = UNIX_EPOCH + Duration::from_millis(NOW_MS as u64) - Duration::from_secs(seconds);
        file.set_modified(at).expect("set");
    }

    fn read_on(&self, threads: usize) -> Read {
        self.read_while(threads, &|_| {})
    }

    /// Something else goes on after the first block of each file.
    pub fn read_while(&self, threads: usize, progress: &(dyn Fn(Progress) + Sync)) -> Read {
        read(&Reading {
            root: self.folder.path(),
            sources: &self.sources,
            ledger: &self.ledger,
            in_flight: &self.in_flight,
            retention: Retention { first_minute: 0, first_hour: 0, first_note_day: 0 },
            limits: LIMITS,
            known: &Known::default(),
            max_line_bytes: 1 << 20,
            now_ms: self.now_ms,
            threads,
            progress,
        })
    }

    /// A build: reads what is new, and stores it.
    pub fn build(&mut self) -> Read {
        let read = self.read_on(2);
        self.store(read)
    }

    pub fn store(&mut self, read: Read) -> Read {
        self.ledger.retain(|entry| !read.forgotten.contains(&entry.path));
        for file in &read.files {
            self.ledger.retain(|entry| entry.path != file.path);
            self.ledger.push(file.clone());
        }
        self.in_flight = read.in_flight.clone();
        self.rollup.merge(read.rollup.clone());
        read
    }

    pub fn entry(&self, path: &str) -> &FileState {
        self.ledger.iter().find(|entry| entry.path == path).expect("in the ledger")
    }

    pub fn problem(&self, path: &str, kind: ProblemKind) -> &Problem {
        let problems = &self.entry(path).problems;
        problems.iter().find(|problem| problem.kind == kind).unwrap_or_else(|| panic!("{problems:?}"))
    }

    /// Operations of all builds so far.
    pub fn total(&self) -> u64 {
        let wrappers = self.rollup.wrappers.values();
        wrappers.flat_map(|wrapper| wrapper.hours.values()).map(|bucket| bucket.total()).sum()
    }
}

/// Some operations, no two alike.
pub fn lines(ids: std::ops::Range<u64>) -> String {
    ids.map(line).collect()
}

pub fn line(id: u64) -> String {
    let (minute, second) = (id / 60 % 60, id % 60);
    format!(
        "{{\"operation_id\":\"op-{id}\",\"wrapper_name\":\"w\",\"end_time\":\"2025-01-24T09:{minute:02}:{second:02}Z\",\
         \"duration_ms\":{id},\"status\":\"success\"}}\n"
    )
}

pub fn gzip(content: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content.as_bytes()).expect("in memory");
    encoder.finish().expect("in memory")
}

pub fn folder() -> Site {
    Site::new("path = 'logs'")
}

#[test]
fn what_is_appended_is_read_and_nothing_else() {
    let mut site = folder();
    site.write("logs/app.log", lines(0..100));
    assert_eq!(site.build().records, 100);
    assert_eq!(site.build(), Read { sources: site.build().sources, ..Read::default() });
    site.append("logs/app.log", &lines(100..130));
    let read = site.build();
    assert_eq!((read.records, read.bytes), (30, lines(100..130).len() as u64));
    assert_eq!(site.total(), 130);
    assert_eq!(site.entry("logs/app.log").lines, 130);
    assert_eq!((read.sources[0].files, read.sources[0].operations), (1, 130));
}

#[test]
fn a_renamed_log_goes_on_under_its_new_name() {
    let mut site = folder();
    site.write("logs/app.log", lines(0..10));
    site.build();
    site.append("logs/app.log", &lines(10..12));
    site.rename("logs/app.log", "logs/app.log.1");
    site.write("logs/app.log", lines(12..15));
    site.build();
    assert_eq!(site.total(), 15);
    assert_eq!(site.entry("logs/app.log.1").operations, 12);
    assert_eq!(site.entry("logs/app.log").operations, 3);
}

#[test]
fn a_renamed_log_that_did_not_change_is_not_opened() {
    let mut site = folder();
    site.write("logs/app.log", lines(0..10));
    site.build();
    site.rename("logs/app.log", "logs/app.log.1");
    let read = site.build();
    assert_eq!(read.bytes, 0);
    assert!(site.entry("logs/app.log.1").present);
    assert!(!site.entry("logs/app.log").present);
    assert_eq!(read.sources[0].operations, 10);
}

#[test]
fn a_log_that_is_copied_and_truncated_is_read_once() {
    let mut site = folder();
    site.write("logs/app.log", lines(0..10));
    site.build();
    site.append("logs/app.log", &lines(10..15));
    fs::copy(site.path("logs/app.log"), site.path("logs/app.log.1")).expect("copied");
    site.write("logs/app.log", lines(15..17));
    site.build();
    assert_eq!(site.total(), 17);
    site.append("logs/app.log", &lines(17..40));
    site.build();
    assert_eq!(site.total(), 40);
}

#[test]
fn a_copy_in_the_making_adds_nothing() {
    let mut site = folder();
    let content = lines(0..100);
    site.write("logs/app.log", &content);
    site.build();
    site.write("logs/app.log.1", &content[..content.len() / 2]);
    site.build();
    assert_eq!(site.total(), 100);
    site.write("logs/app.log.1", &content);
    site.write("logs/app.log", lines(100..101));
    site.build();
    assert_eq!(site.total(), 101);
}

#[test]
fn a_log_compressed_later_is_known() {
    for (name, compressed) in [
        ("app.log.1.gz", gzip(&lines(0..14))),
        ("app.log.1.zst", zstd::encode_all(lines(0..14).as_bytes(), 3).expect("in memory")),
    ] {
        let mut site = folder();
        site.write("logs/app.log", lines(0..10));
        site.build();
        fs::remove_file(site.path("logs/app.log")).expect("removed");
        site.write(&format!("logs/{name}"), &compressed);
        site.write("logs/app.log", lines(14..20));
        site.build();
        assert_eq!(site.total(), 20, "{name}");
        assert_eq!(site.build().bytes, 0);
    }
}

#[test]
fn a_log_that_vanished_is_known_when_it_comes_back_compressed() {
    let mut site = folder();
    site.write("logs/app.log", lines(0..10));
    site.build();
    fs::remove_file(site.path("logs/app.log")).expect("removed");
    let read = site.build();
    assert!(!site.entry("logs/app.log").present);
    assert_eq!((read.sources[0].files, read.sources[0].problems[0].kind), (0, ProblemKind::NoMatch));
    site.write("logs/app.log.gz", gzip(&lines(0..11)));
    assert_eq!(site.build().records, 1);
}

#[test]
fn a_compressed_log_in_the_making_is_read_once() {
    let mut site = folder();
    site.write("logs/app.log.1", lines(0..3000));
    site.build();
    let compressed = gzip(&lines(0..3000));
    site.write("logs/app.log.1.gz", &compressed[..compressed.len() / 2]);
    site.build();
    assert_eq!(site.total(), 3000);
    site.write("logs/app.log.1.gz", &compressed);
    fs::remove_file(site.path("logs/app.log.1")).expect("removed");
    site.build();
    assert_eq!(site.total(), 3000);
}

#[test]
fn a_damaged_log_gives_what_is_whole() {
    let mut site = folder();
    let compressed = gzip(&lines(0..3000));
    site.write("logs/app.log.gz", &compressed[..compressed.len() / 2]);
    let read = site.build();
    assert!((1..3000).contains(&read.records), "{}", read.records);
    assert_eq!(site.problem("logs/app.log.gz", ProblemKind::Damaged).line, 0);
    site.write("logs/app.log.gz", &compressed);
    site.build();
    assert_eq!(site.total(), 3000);
    assert_eq!(site.entry("logs/app.log.gz").problems, []);
}

#[test]
fn a_log_replaced_by_another_is_read_from_its_beginning() {
    let mut site = folder();
    site.write("logs/app.log", lines(0..10));
    site.build();
    site.write("logs/app.log", lines(100..150));
    site.build();
    assert_eq!(site.total(), 60);
    assert_eq!(site.entry("logs/app.log").operations, 50);
}

#[test]
fn copies_and_links_count_once_even_at_first_sight() {
    let mut site = folder();
    site.write("logs/a.log", lines(0..10));
    site.write("logs/b.log", lines(0..10));
    site.write("logs/old/c.log.gz", gzip(&lines(0..12)));
    fs::hard_link(site.path("logs/a.log"), site.path("logs/d.log")).expect("linked");
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("a.log", site.path("logs/e.log")).expect("linked");
        std::os::unix::fs::symlink("..", site.path("logs/old/up")).expect("linked");
    }
    site.build();
    assert_eq!(site.total(), 12);
}

#[test]
fn an_unfinished_line_waits_for_its_end() {
    let mut site = folder();
    let third = line(2);
    site.write("logs/app.jsonl", lines(0..2) + &third[..20]);
    let read = site.build();
    assert_eq!((read.records, read.skipped), (2, 0));
    assert_eq!(site.problem("logs/app.jsonl", ProblemKind::Unfinished).line, 3);
    site.append("logs/app.jsonl", &third[20..]);
    assert_eq!(site.build().records, 1);
    assert_eq!(site.entry("logs/app.jsonl").problems, []);
}

#[test]
fn a_whole_object_needs_no_newline() {
    let mut site = folder();
    site.write("logs/app.jsonl", lines(0..2).trim_end());
    assert_eq!(site.build().records, 2);
    site.append("logs/app.jsonl", "\r\nnonsense\n");
    site.build();
    assert_eq!(site.problem("logs/app.jsonl", ProblemKind::NotJson).line, 3);
    assert_eq!((site.total(), site.entry("logs/app.jsonl").lines), (2, 3));
}

#[test]
fn the_last_row_of_a_csv_file_waits_until_the_file_is_at_rest() {
    let mut site = folder();
    site.write(
        "logs/app.csv",
        "wrapper_name,end_time,status\nw,2025-01-24T09:00:00Z,success\nw,2025-01-24T09:0",
    );
    site.age("logs/app.csv", 1);
    assert_eq!(site.build().records, 1);
    assert_eq!(site.problem("logs/app.csv", ProblemKind::Unfinished).line, 3);
    site.append("logs/app.csv", "1:00Z,error");
    site.age("logs/app.csv", 60);
    assert_eq!(site.build().records, 1);
    assert_eq!(site.entry("logs/app.csv").problems, []);
    assert_eq!(site.build().bytes, 0);
}

#[test]
fn a_csv_file_goes_on_with_its_header() {
    let mut site = folder();
    site.write("logs/app.csv", "\u{feff}status,wrapper_name,end_time\r\n");
    site.build();
    site.append("logs/app.csv", "error,w,2025-01-24T09:00:00Z\r\n");
    site.build();
    site.append("logs/app.csv", "error,\"w\",2025-01-24T09:00:01Z\r\nerror,\"w\nx\n");
    site.append("logs/app.csv", "\",2025-01-24T09:00:01Z\r\nerror\n");
    site.build();
    assert_eq!(site.total(), 3);
    assert_eq!(site.problem("logs/app.csv", ProblemKind::BadRow).line, 7);
    assert_eq!(site.rollup.wrappers.len(), 2);
}

#[test]
fn two_csv_files_of_one_header_are_two_files() {
    let mut site = folder();
    for name in ["logs/a.csv", "logs/b.csv"] {
        site.write(name, "wrapper_name,end_time\n");
    }
    site.build();
    for (name, second) in [("logs/a.csv", 1), ("logs/b.csv", 2)] {
        site.append(name, &format!("w,2025-01-24T09:00:0{second}Z\n"));
    }
    site.build();
    assert_eq!(site.total(), 2);
}

#[test]
fn what_cannot_be_read_is_counted_with_its_line() {
    let mut site = Site::new("path = 'app.jsonl'");
    let field = |text: &str| format!("{{\"wrapper_name\":\"w\",{text}}}\n");
    let end = "\"end_time\":\"2025-01-24T09:00:00Z\"";
    let mut content = line(0).into_bytes();
    for bad in [
        "not json\n",
        "[1]\n",
        &format!("{{{end}}}\n"),
        &field(&format!("{end},\"duration_ms\":-1")),
        &field(&format!("{end},\"duration_ms\":1e999")),
        &field(&format!("{end},\"cost_estimate\":\"NaN\"")),
        &field(&format!("{end},\"status\":\"maybe\"")),
        &field(&format!("{end},\"start_time\":\"2025-01-24T10:00:00Z\"")),
        &field("\"end_time\":0"),
        &field("\"end_time\":\"2100-01-01T00:00:00Z\""),
        &field("\"duration_ms\":5"),
        &field("\"start_time\":\"2025-01-24T10:00:00Z\",\"status\":\"started\""),
        "\n",
    ] {
        content.extend_from_slice(bad.as_bytes());
    }
    content.extend_from_slice(b"\xff\xfe\n");
    content.extend(std::iter::repeat_n(b'x', 10 << 20));
    content.push(b'\n');
    content
        .extend_from_slice(field(&format!("{end},\"status\":\"error\",\"status\":\"success\"")).as_bytes());
    site.write("app.jsonl", &content);
    let read = site.build();
    assert_eq!((read.records, read.skipped), (2, 14));
    let mut found: std::collections::BTreeMap<_, (u64, u64)> = std::collections::BTreeMap::new();
    for problem in &site.entry("app.jsonl").problems {
        let (line, count) = found.entry(problem.kind).or_insert((u64::MAX, 0));
        (*line, *count) = (problem.line.min(*line), *count + problem.count);
    }
    let found: Vec<_> = found.into_iter().map(|(kind, (line, count))| (kind, line, count)).collect();
    let expected = [
        (ProblemKind::NotJson, 2, 2),
        (ProblemKind::NotUtf8, 15, 1),
        (ProblemKind::TooLong, 16, 1),
        (ProblemKind::BadField, 4, 8),
        (ProblemKind::ImplausibleTime, 10, 2),
    ];
    assert_eq!(found, expected);
    let total: u64 = site.rollup.wrappers["w"].hours.values().map(|bucket| bucket.success).sum();
    assert_eq!((total, site.entry("app.jsonl").lines), (2, 17));
}

#[test]
fn what_began_is_in_flight_until_it_ends() {
    let mut site = folder();
    let started = |id| {
        format!(
            "{{\"operation_id\":\"op-{id}\",\"wrapper_name\":\"w\",\"start_time\":{NOW_MS},\"status\":\"started\"}}\n"
        )
    };
    site.write("logs/a.log", started(1) + &started(2) + &line(2));
    let read = site.build();
    assert_eq!((read.records, site.total(), read.in_flight.len()), (3, 1, 1));
    site.append("logs/a.log", &line(1));
    assert_eq!(site.build().in_flight, []);
    assert_eq!(site.total(), 2);
}

#[test]
fn a_folder_is_read_with_all_below_it() {
    let mut site = folder();
    for (at, name) in
        ["a.jsonl", "b/c.ndjson", "b/d/e.log.2", "f.json", ".hidden.log", ".git/x.log", "readme.txt"]
            .iter()
            .enumerate()
    {
        site.write(&format!("logs/{name}"), line(at as u64));
    }
    site.write("logs/empty.log", "");
    let read = site.build();
    assert_eq!((read.records, read.sources[0].files), (4, 5));
    assert_eq!(read.sources[0].problems, []);
}

#[test]
fn a_glob_names_files_whatever_they_are_called() {
    let mut site = Site::new("path = 'logs/**/*.txt'");
    site.write("logs/a.txt", line(0));
    site.write("logs/b/c.txt", line(1));
    site.write("logs/b/d.log", line(2));
    assert_eq!(site.build().records, 2);
}

#[test]
fn a_path_that_names_nothing_is_a_problem_unless_it_is_optional() {
    for (settings, expected) in
        [("path = 'a.log'", 1), ("path = '*.log'", 1), ("path = 'a.log'\noptional = true", 0)]
    {
        let read = Site::new(settings).build();
        assert_eq!(read.sources[0].problems.len(), expected, "{settings}");
    }
}

#[test]
fn a_folder_called_like_a_log_does_not_stop_the_others() {
    let mut site = Site::new("path = 'logs/*.log'");
    site.write("logs/a.log", line(0));
    fs::create_dir(site.path("logs/b.log")).expect("a folder");
    let read = site.build();
    assert_eq!(read.records, 1);
    assert_eq!(read.sources[0].problems[0].kind, ProblemKind::Unreadable);
}

#[cfg(unix)]
#[test]
fn a_pipe_is_not_waited_for() {
    let mut site = folder();
    site.write("logs/a.log", line(0));
    std::os::unix::net::UnixListener::bind(site.path("logs/b.log")).expect("a socket");
    let read = site.build();
    assert_eq!((read.records, read.sources[0].problems.len()), (1, 1));
}

#[test]
fn names_and_defaults_are_the_sites_own() {
    let mut site = Site::new(
        "path = 'a.jsonl'\n[fields]\nend_time = 'at.end'\nmodel = 'llm'\n[defaults]\nwrapper_name = 'RouteLLM'",
    );
    site.write("a.jsonl", "{\"at\":{\"end\":\"2025-01-24 09:00:00\"},\"llm\":\"m\"}\n");
    site.build();
    let wrapper = &site.rollup.wrappers["RouteLLM"];
    assert_eq!(
        (wrapper.series[0].operation_type.as_str(), wrapper.series[0].model.as_str()),
        ("default", "m")
    );
}

#[test]
fn thousands_of_small_files_are_told_apart() {
    let mut site = folder();
    for id in 0..3000 {
        site.write(&format!("logs/{id}.jsonl"), line(id));
    }
    assert_eq!(site.build().records, 3000);
    let again = site.build();
    assert_eq!((again.bytes, again.files.len(), again.sources[0].files), (0, 0, 3000));
    for id in 0..3000 {
        site.rename(&format!("logs/{id}.jsonl"), &format!("logs/{id}.jsonl.1"));
    }
    site.build();
    assert_eq!(site.total(), 3000);
}

#[test]
fn threads_do_not_change_the_result() {
    let site = folder();
    let content: String =
        (0..20_000).map(|id| if id % 97 == 0 { "bad\n".to_owned() } else { line(id) }).collect();
    site.write("logs/a.jsonl", &content);
    site.write("logs/b.jsonl.gz", gzip(&lines(20_000..40_000)));
    let one = site.read_on(1);
    assert_eq!(one.records, 20_000 - 207 + 20_000);
    for threads in [2, 3, 8] {
        assert_eq!(site.read_on(threads), one);
    }
}

#[test]
fn a_file_that_goes_while_it_is_found_is_no_harm() {
    let site = folder();
    site.write("logs/a.log", lines(0..10));
    let missing: &Path = &site.path("logs/a.log");
    let removed = std::sync::Once::new();
    site.write("logs/0.log", lines(10..20));
    site.age("logs/0.log", 500);
    let read = site.read_while(1, &|_| removed.call_once(|| fs::remove_file(missing).expect("removed")));
    assert_eq!(read.records, 10);
    let entry = read.files.iter().find(|file| file.path == "logs/a.log").expect("known");
    assert_eq!(entry.problems[0].kind, ProblemKind::Unreadable);
}
