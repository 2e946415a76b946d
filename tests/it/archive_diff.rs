//! Two kept snapshots side by side.

use std::time::Instant;

use predicates::str::contains;
use serde_json::{Value, json};

use crate::archive::{assert_whole, site, snapshot};
use crate::tools::{Folder, dash};

fn lines(wrapper: &str, day: u32, status: &str, count: usize) -> String {
    let line = json!({
        "wrapper_name": wrapper,
        "end_time": format!("2026-01-{day}T12:30:00Z"),
        "duration_ms": 100,
        "status": status,
        "error_code": (status == "error").then_some("429"),
    });
    format!("{line}\n").repeat(count)
}

/// Three days: `<b>gone` disappears from the logs, `new` appears, `turns` fails.
fn changing() -> Folder {
    let folder = Folder::new();
    dash(&folder).arg("init").assert().success();
    let mut log = String::new();
    for (day, failures) in [(18, 0), (24, 0), (25, 9)] {
        log += &(lines("turns", day, "success", 10) + &lines("turns", day, "error", failures));
        log += &lines("steady", day, "success", 5);
    }
    folder.write("content/operations/a.jsonl", log + &lines("<b>new", 25, "success", 3));
    for day in [18, 24, 25] {
        snapshot(&folder, &format!("2026-01-{day}T13:00:00Z"));
    }
    folder
}

#[test]
fn what_changed_is_told_with_what_matters_first() {
    let folder = changing();
    let run = dash(&folder).args(["diff", "previous", "--json"]).assert().success();
    let diff: Value = serde_json::from_slice(&run.get_output().stdout).expect("JSON");
    let names: Vec<_> =
        diff["changes"].as_array().expect("a list").iter().map(|change| &change["name"]).collect();
    assert_eq!(names, ["turns", "<b>new"], "{diff}");
    let turns = &diff["changes"][0];
    assert_eq!((&turns["kind"], &turns["after"]["status"]), (&json!("worse"), &json!("Critical")));
    assert_eq!(turns["errors"], json!([["429", 0, 9]]));
    assert_eq!(
        (&diff["unchanged"], &diff["before"]["errors"], &diff["after"]["errors"]),
        (&json!(1), &json!(0), &json!(9))
    );

    let text = dash(&folder).args(["diff", "20260118T130000Z", "20260125T130000Z"]).assert().success();
    let text = String::from_utf8(text.get_output().stdout.clone()).expect("text");
    assert!(text.contains("worse turns") && text.contains("Healthy → Critical"), "{text}");
    assert!(text.contains("429: 0 → 9") && text.contains("1 wrapper is the same"), "{text}");
    dash(&folder)
        .args(["diff", "20200101T000000Z"])
        .assert()
        .code(1)
        .stderr(contains("there is no snapshot"));
    dash(&folder).args(["diff", "../x"]).assert().code(1).stderr(contains("there is no snapshot"));
}

#[test]
fn a_snapshot_has_a_page_of_its_changes() {
    let folder = changing();
    assert!(!folder.path("output/archive/20260118T130000Z/changes.html").exists());
    let page = folder.read("output/archive/20260125T130000Z/changes.html");
    for text in ["The snapshot before · A day before: ", "A week before: ", "turns", "429"] {
        assert!(page.contains(text), "{text}");
    }
    assert_eq!(page.matches("class=\"comparison\"").count(), 2, "none is told twice");
    assert!(page.contains("&lt;b&gt;new") && !page.contains("<b>new"));
    let list = folder.read("output/archive/index.html");
    assert!(
        list.contains("20260125T130000Z/changes.html") && !list.contains("20260118T130000Z/changes.html")
    );
    assert_whole(&folder.path("output/archive"), "");
    dash(&folder).args(["diff", "previous", "latest", "--html", "changes.html"]).assert().success();
    let page = folder.read("changes.html");
    assert!(page.contains("turns") && !page.contains("href=\"./") && !page.contains("src=\""));
}

#[test]
fn without_two_snapshots_there_is_nothing_to_compare() {
    let folder = site();
    dash(&folder).args(["diff", "previous"]).assert().code(1).stderr(contains("`dash snapshot`"));
}

#[test]
fn a_thousand_wrappers_are_compared_at_once() {
    let folder = Folder::new();
    dash(&folder).arg("init").assert().success();
    let log: String = (0..1000).map(|at| lines(&format!("w{at}"), 25, "success", 1 + at % 3)).collect();
    folder.write("content/operations/a.jsonl", &log);
    snapshot(&folder, "2026-01-25T12:40:00Z");
    folder.append("content/operations/a.jsonl", &log.replace("success", "error"));
    snapshot(&folder, "2026-01-25T12:50:00Z");
    let begun = Instant::now();
    let run = dash(&folder).args(["diff", "previous", "--json"]).assert().success();
    println!("comparing took {:?}", begun.elapsed());
    let diff: Value = serde_json::from_slice(&run.get_output().stdout).expect("JSON");
    assert_eq!(diff["changes"].as_array().map(Vec::len), Some(1000));
}
