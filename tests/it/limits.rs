//! Logs that would make us keep more than is good: memory and site stay bounded, and sums exact.

use std::fs;

use dash::model::names::Known;
use dash::model::rollup::{Limits, Retention};
use dash::sources::{self, Reading};
use dash::store::{self, FOLDER, Store};
use serde_json::json;

use crate::tools::{Folder, dash, files_below, peak, process};

const MOMENT: &str = "2026-01-25T13:00:00Z";

/// Megabytes.
const MB: u64 = 1 << 20;

fn site(lines: impl Iterator<Item = serde_json::Value>) -> Folder {
    let folder = Folder::new();
    dash(&folder).arg("init").assert().success();
    let text: String = lines.map(|line| format!("{line}\n")).collect();
    folder.write("content/operations/app.jsonl", text);
    folder
}

/// Operations of one wrapper, each with other names for everything that a caller can name.
fn of_many_names(ids: std::ops::Range<u64>) -> impl Iterator<Item = serde_json::Value> {
    ids.map(|id| {
        json!({
            "wrapper_name": "busy",
            "operation_type": format!("type-{}", id % 7),
            "model": format!("model-{id}-{}", "m".repeat(500)),
            "end_time": format!("2026-01-25T12:{:02}:00Z", id % 60),
            "duration_ms": id,
            "status": if id % 2 == 0 { "error" } else { "timeout" },
            "error_code": (id % 4 == 0).then(|| format!("code {} {}", letters(id), "c".repeat(500))),
            "error_message": format!("text {} {}", letters(id), "e".repeat(5_000)),
            "total_tokens": id,
        })
    })
}

/// A number in letters, since kinds of errors do not differ by digits.
fn letters(number: u64) -> String {
    number.to_string().bytes().map(|digit| char::from(b'a' + digit - b'0')).collect()
}

/// Builds, and returns the most memory that the builder had, in bytes.
fn build(folder: &Folder) -> u64 {
    let mut build = process(folder);
    build.args(["build", "--quiet", "--now", MOMENT]);
    peak(build)
}

fn sum(folder: &Folder, key: &str) -> u64 {
    let export = ["export", "--format", "json", "--hours", "720", "--now", MOMENT];
    let output = dash(folder).args(export).assert().success().get_output().stdout.clone();
    let rows: Vec<serde_json::Value> = serde_json::from_slice(&output).expect("an export is JSON");
    rows.iter().map(|row| row[key].as_u64().expect("a count")).sum()
}

fn size(folder: &Folder, path: &str) -> u64 {
    files_below(&folder.path(path)).values().map(|bytes| bytes.len() as u64).sum()
}

#[test]
fn too_many_wrappers_are_summed_as_other() {
    let operation = |id: u64| {
        json!({
            "wrapper_name": format!("wrapper {}", id % 5000),
            "end_time": format!("2026-01-25T12:{:02}:00Z", id % 60),
            "status": "success",
            "total_tokens": id,
        })
    };
    let folder = site((0..10_000).map(operation));
    let memory = build(&folder);
    assert_eq!(sum(&folder, "total_operations"), 10_000);
    assert_eq!(sum(&folder, "total_tokens"), (0..10_000).sum::<u64>());
    let pages = fs::read_dir(folder.path("output/wrappers")).expect("it is there").count();
    assert!((2000..=2001).contains(&pages), "{pages}");
    assert!(folder.path("output/wrappers/other.html").exists());
    let quality = folder.read("output/data-quality.html");
    assert!(quality.contains("reached-wrappers") && quality.contains("<code>max_wrappers</code>"));
    assert!(quality.contains("6,000 operations of any other"), "{quality}");
    let (store, output) = (size(&folder, ".dash"), size(&folder, "output"));
    assert!(memory < 400 * MB && store < 2 * MB && output < 180 * MB, "{memory} {store} {output}");
}

#[test]
fn too_many_models_and_errors_are_summed_as_other() {
    let small = site(of_many_names(0..500));
    let small_memory = build(&small);
    let folder = site(of_many_names(0..20_000));
    let memory = build(&folder);
    assert_eq!(sum(&folder, "error_count"), 20_000);
    assert_eq!(sum(&folder, "total_tokens"), (0..20_000).sum::<u64>());
    let quality = folder.read("output/data-quality.html");
    assert!(quality.contains("reached-series") && quality.contains("<bdi>busy</bdi> (19,800)"), "{quality}");
    // Forty times the names do not make a site, a store or a builder twice as large.
    for path in ["output/wrappers", "output/data", ".dash"] {
        let (small, size) = (size(&small, path), size(&folder, path));
        assert!(size < 2 * small + MB, "{path}: {small} became {size} bytes");
    }
    assert!(memory < 2 * small_memory + 100 * MB, "{small_memory} became {memory} bytes");
    let page = folder.read("output/wrappers/busy.html");
    assert!(page.contains("other") && page.len() < 2 << 20, "{}", page.len());
}

#[test]
fn thousands_of_small_files_are_read_once() {
    let folder = site(std::iter::empty());
    let line = |id: u64| {
        let end = format!("2026-01-25T12:{:02}:00Z", id % 60);
        format!(
            "{}\n",
            json!({"wrapper_name": "w", "end_time": end, "status": "success", "total_tokens": id})
        )
    };
    let name = |id: u64| format!("content/operations/{}/{id}.jsonl", id % 20);
    (0..2_000).for_each(|id| folder.write(&name(id), line(id)));
    let read = || {
        let build = ["build", "--json", "--now", MOMENT];
        let output = dash(&folder).args(build).assert().success().get_output().stdout.clone();
        let answer: serde_json::Value = serde_json::from_slice(&output).expect("the answer is JSON");
        (answer["records"].as_u64(), answer["bytes"].as_u64())
    };
    assert_eq!(read().0, Some(2_000));
    assert_eq!(sum(&folder, "total_tokens"), (0..2_000).sum::<u64>());
    assert_eq!(read(), (Some(0), Some(0)));
    folder.append(&name(1_234), &line(5_000));
    assert_eq!(read(), (Some(1), Some(line(5_000).len() as u64)));
    assert_eq!(sum(&folder, "total_tokens"), (0..2_000).sum::<u64>() + 5_000);
}

#[test]
fn a_site_below_its_limits_says_nothing_of_them() {
    let folder = site(of_many_names(0..50));
    build(&folder);
    assert!(!folder.read("output/data-quality.html").contains("reached-"));
}

/// Reads `content/operations` with so many threads, and returns the bytes of the store.
fn stored(folder: &Folder, threads: usize) -> Vec<u8> {
    let store_folder = tempfile::tempdir().expect("a temporary folder");
    let mut store = Store::open(store_folder.path()).expect("the store opens");
    let limits = Limits { wrappers: 20, series: 10 };
    let read = sources::read(&Reading {
        root: &folder.path(""),
        sources: &[toml::from_str("path = 'content/operations'").expect("settings")],
        ledger: &[],
        in_flight: &[],
        retention: Retention { first_minute: 0, first_hour: 0, first_note_day: 0 },
        limits,
        known: &Known::default(),
        max_line_bytes: 1 << 20,
        now_ms: 1_769_346_000_000,
        threads,
        progress: &|_| {},
    });
    assert_eq!(read.records, 20_000);
    let sources::Read { rollup, files, forgotten, in_flight, .. } = read;
    store.apply(store::Reading { rollup, files, forgotten, in_flight }).expect("it is stored");
    drop(store);
    fs::read(store_folder.path().join(FOLDER).join("store.db")).expect("it is there")
}

#[test]
fn what_is_kept_does_not_depend_on_the_threads() {
    let operation = |id: u64| {
        json!({
            "wrapper_name": format!("wrapper {}", id * 7 % 50),
            "model": format!("model {}", id * 11 % 90),
            "end_time": format!("2026-01-25T12:{:02}:00Z", id % 60),
            "status": "error",
            "error_message": format!("no {}: {}", letters(id * 13 % 900), "m".repeat(100)),
        })
    };
    let folder = site((0..20_000).map(operation));
    let one = stored(&folder, 1);
    for threads in [2, 5] {
        assert!(stored(&folder, threads) == one, "{threads} threads");
    }
}
