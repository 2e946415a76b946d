//! Snapshots that are kept: whole, as they were, and never written to again.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use serde_json::Value;

use dash::publish::sha256;
use dash::sample::random::Random;
use dash::store::Store;

use crate::tools::{Folder, dash, files_below, process};

pub const MOMENT: &str = "2026-01-25T13:00:00Z";
pub const ENTRY: &str = "output/archive/20260125T130000Z";

/// A site with a day of sample operations.
pub fn site() -> Folder {
    let folder = Folder::new();
    dash(&folder).arg("init").assert().success();
    folder.sample(&["--days", "1", "--rate", "2/min", "--now", MOMENT]);
    folder
}

pub fn snapshot(folder: &Folder, moment: &str) -> Value {
    let run = dash(folder).args(["snapshot", "--json", "--now", moment]).assert().success();
    serde_json::from_slice(&run.get_output().stdout).expect("the answer is JSON")
}

/// Every file of every entry is as its manifest says, nothing else is there, and what entries share is there.
pub fn assert_whole(archive: &Path, context: &str) {
    let files = files_below(archive);
    let mut expected: BTreeMap<String, (u64, String)> = BTreeMap::new();
    for (path, bytes) in files.iter().filter(|(path, _)| path.ends_with("/manifest.json")) {
        let entry = path.trim_end_matches("/manifest.json");
        if entry.starts_with('.') {
            continue;
        }
        let manifest: Value = serde_json::from_slice(bytes).expect("a manifest is never half written");
        assert_eq!(manifest["id"], entry, "{context}");
        let listed = |list: &str| manifest[list].as_object().expect("a list of files").clone();
        let own = listed("files").into_iter().map(|(path, file)| (format!("{entry}/{path}"), file));
        for (path, file) in own.chain(listed("assets")) {
            let hash = file["sha256"].as_str().expect("a hash").to_owned();
            expected.insert(path, (file["size"].as_u64().expect("a size"), hash));
        }
    }
    for (path, expected) in &expected {
        let found = files.get(path).map(|bytes| (bytes.len() as u64, sha256(bytes)));
        assert_eq!(found.as_ref(), Some(expected), "{path} {context}");
    }
    let is_entry = |path: &str| path.starts_with("20") && !path.ends_with("/manifest.json");
    let stray: Vec<_> = files.keys().filter(|path| is_entry(path) && !expected.contains_key(*path)).collect();
    assert!(stray.is_empty(), "{stray:?} {context}");
}

/// What the attributes of a page refer to.
fn links(html: &str) -> Vec<String> {
    let mut links = Vec::new();
    for attribute in [" href=\"", " src=\""] {
        links.extend(html.split(attribute).skip(1).map(|rest| {
            let link = rest.split('"').next().unwrap_or_default();
            link.split(['#', '?']).next().unwrap_or_default().to_owned()
        }));
    }
    links.retain(|link| !link.is_empty());
    links
}

#[test]
fn a_kept_snapshot_is_whole_and_leads_nowhere_else() {
    let folder = site();
    assert_eq!(snapshot(&folder, MOMENT)["id"], "20260125T130000Z");
    let archive = folder.path("output/archive");
    assert_whole(&archive, "");
    let entry = folder.path(ENTRY);
    let pages: Vec<_> = files_below(&entry).into_keys().filter(|path| path.ends_with(".html")).collect();
    assert!(pages.len() > 7, "{pages:?}");
    for page in pages.iter().filter(|page| *page != "report.html") {
        let html = folder.read(&format!("{ENTRY}/{page}"));
        assert!(html.contains("id=\"kept\"") && html.contains("data-refresh-seconds=\"0\""), "{page}");
        let at = entry.join(page);
        let (own, out): (Vec<_>, Vec<_>) = links(&html).into_iter().partition(|link| {
            let target = at.parent().expect("a page is in a folder").join(link);
            target.canonicalize().is_ok_and(|target| target.starts_with(&archive))
        });
        assert!(own.len() > 10, "{page} links {own:?}");
        let back = |link: &String| link.ends_with("../index.html");
        assert!(out.iter().all(back), "{page} links {out:?}");
    }
}

#[test]
fn the_overview_is_also_one_file_that_links_nothing() {
    let folder = site();
    snapshot(&folder, MOMENT);
    let html = folder.read(&format!("{ENTRY}/report.html"));
    assert_eq!(links(&html.replace("<script>", "\n<script>")), Vec::<String>::new());
    assert!(html.contains("window.dashSnapshot=") && html.contains("--bs-body-color"));
    assert!(html.len() < 3_000_000, "{} bytes", html.len());
    dash(&folder)
        .args(["snapshot", "--now", "2026-01-25T13:05:00Z", "--base-url", "https://x.org/d"])
        .assert()
        .success();
    let html = folder.read("output/archive/20260125T130500Z/report.html");
    assert!(html.contains("href=\"https://x.org/d/activity.html\""));
}

#[test]
fn what_is_kept_is_never_written_to_again() {
    let folder = site();
    let first = snapshot(&folder, MOMENT);
    let kept = files_below(&folder.path(ENTRY));
    assert_eq!(snapshot(&folder, MOMENT)["is_new"], false);
    folder.append(
        "content/operations/sample.jsonl",
        "{\"wrapper_name\":\"late\",\"end_time\":\"2026-01-25T12:30:00Z\",\"status\":\"error\"}\n",
    );
    let second = snapshot(&folder, MOMENT);
    assert_eq!((second["is_new"].as_bool(), second["id"].as_str()), (Some(true), Some("20260125T130000Z-2")));
    assert_ne!(first["snapshot"], second["snapshot"]);
    snapshot(&folder, "2026-01-25T14:00:00Z");
    // A clock that was set back.
    assert_eq!(snapshot(&folder, "2026-01-25T12:00:00Z")["id"], "20260125T120000Z");
    assert!(kept == files_below(&folder.path(ENTRY)));
    assert_whole(&folder.path("output/archive"), "");
    let ids: Vec<_> = folder.json("output/archive/index.json")["snapshots"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|row| row["id"].as_str().expect("an id").to_owned())
        .collect();
    assert_eq!(ids, ["20260125T120000Z", "20260125T130000Z", "20260125T130000Z-2", "20260125T140000Z"]);
}

#[test]
fn the_same_logs_settings_and_moment_give_the_same_archive() {
    let archive = || {
        let folder = site();
        snapshot(&folder, MOMENT);
        snapshot(&folder, "2026-01-25T14:00:00Z");
        files_below(&folder.path("output/archive"))
    };
    let (one, other) = (archive(), archive());
    assert_eq!(one.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>());
    for (path, bytes) in &one {
        assert!(other[path] == *bytes, "{path} differs");
    }
}

#[test]
fn a_late_or_missed_run_is_told_as_such() {
    let folder = site();
    folder.write("dash.toml", "[archive]\nevery = '1h'\n");
    snapshot(&folder, MOMENT);
    snapshot(&folder, "2026-01-25T17:20:00Z");
    let entry = folder.json("output/archive/20260125T172000Z/manifest.json");
    assert_eq!(entry["scheduled_at"], "2026-01-25T17:00:00Z");
    assert_eq!(entry["started_at"], "2026-01-25T17:20:00Z");
    assert_eq!(
        (entry["missed"].as_u64(), entry["missed_since"].as_str()),
        (Some(3), Some("2026-01-25T14:00:00Z"))
    );
    assert_eq!(entry["previous"], "20260125T130000Z");
    folder.write("dash.toml", "[archive]\nevery = '7h'\n");
    dash(&folder).arg("snapshot").assert().code(1).stderr(contains("`[archive]`").and(contains("every")));
}

#[test]
fn the_index_is_made_anew_from_the_entries() {
    let folder = site();
    snapshot(&folder, MOMENT);
    snapshot(&folder, "2026-01-25T14:00:00Z");
    let index = folder.json("output/archive/index.json");
    for damage in ["", "{\"snapshots\": [", "[]"] {
        folder.write("output/archive/index.json", damage);
        snapshot(&folder, "2026-01-25T14:00:00Z");
        snapshot(&folder, "2026-01-25T15:00:00Z");
        fs::remove_dir_all(folder.path("output/archive/20260125T150000Z")).expect("it was kept");
        snapshot(&folder, "2026-01-25T16:00:00Z");
        fs::remove_dir_all(folder.path("output/archive/20260125T160000Z")).expect("it was kept");
        let found = folder.json("output/archive/index.json");
        assert_eq!(
            found["snapshots"].as_array().expect("a list")[..2],
            index["snapshots"].as_array().expect("a list")[..]
        );
        assert_eq!(found["assets"], index["assets"]);
    }
}

#[test]
fn one_run_at_a_time_and_none_for_ever() {
    let folder = site();
    let store = Store::open(&folder.path("")).expect("the store is free");
    let begun = Instant::now();
    dash(&folder).args(["snapshot", "--timeout", "1s"]).assert().code(1).stderr(contains("error:"));
    assert!(begun.elapsed() < Duration::from_secs(20));
    dash(&folder).args(["snapshot", "--quiet"]).assert().code(1).stderr(contains("another `dash`"));
    drop(store);
    dash(&folder).args(["snapshot", "--quiet", "--timeout", "1m"]).assert().success().stderr("").stdout("");
    dash(&folder).args(["snapshot", "--timeout", "soon"]).assert().code(2).stderr(contains("`10m`"));
}

#[test]
fn a_file_that_was_changed_by_hand_is_not_kept() {
    let folder = site();
    dash(&folder).args(["build", "--now", MOMENT]).assert().success();
    let page = folder.path("output/index.html");
    let modified = fs::metadata(&page).and_then(|metadata| metadata.modified()).expect("it was built");
    let html = folder.read("output/index.html").replace("Overview", "0verview");
    folder.write("output/index.html", html);
    // As a copy that keeps times would: nothing but the content tells.
    let file = fs::File::options().append(true).open(&page).expect("it is there");
    file.set_modified(modified).expect("its time can be set");
    dash(&folder).args(["snapshot", "--now", MOMENT]).assert().code(1).stderr(contains("index.html"));
    assert!(!folder.path(ENTRY).exists());
}

#[test]
fn a_killed_run_leaves_no_half_entry_and_the_next_one_clears_up() {
    let folder = site();
    let mut random = Random::of(&[6]);
    let begun = Instant::now();
    snapshot(&folder, MOMENT);
    let whole_run = begun.elapsed();
    let archive = folder.path("output/archive");
    let (mut killed, mut finished) = (0, 1);
    for minute in 1..=25 {
        let moment = format!("2026-01-25T13:{minute:02}:00Z");
        let mut command = process(&folder);
        command.args(["snapshot", "--quiet", "--now", &moment]).stderr(Stdio::null());
        let mut run = command.spawn().expect("the binary is there");
        let end = Instant::now() + whole_run.mul_f64(random.unit());
        while Instant::now() < end && run.try_wait().expect("it is ours to wait for").is_none() {
            std::thread::sleep(Duration::from_micros(300));
        }
        let _ = run.kill();
        let status = run.wait().expect("it is ours to wait for");
        if status.success() {
            finished += 1
        } else {
            killed += 1
        }
        assert_whole(&archive, &format!("after run {minute}"));
    }
    println!("{killed} runs were killed, {finished} finished, the first in {whole_run:?}");
    snapshot(&folder, "2026-01-25T14:00:00Z");
    assert_whole(&archive, "at the end");
    let left: Vec<_> = files_below(&archive).into_keys().filter(|path| path.contains(".dash-")).collect();
    assert!(left.is_empty(), "{left:?}");
}
