//! Kept snapshots that were changed, and those that have outlived their time.

use std::fs;

use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use serde_json::Value;

use dash::publish::sha256;

use crate::archive::{ENTRY, MOMENT, assert_whole, site, snapshot};
use crate::tools::{Folder, dash, files_below};

const ID: &str = "20260125T130000Z";

/// What `dash verify` says, on standard output.
fn differences(folder: &Folder) -> String {
    let run = dash(folder).arg("verify").assert().code(1).stderr(contains("restore"));
    String::from_utf8(run.get_output().stdout.clone()).expect("text")
}

#[test]
fn whatever_was_changed_by_hand_is_told_with_its_file() {
    let folder = site();
    snapshot(&folder, MOMENT);
    snapshot(&folder, "2026-01-25T14:00:00Z");
    dash(&folder).arg("verify").assert().success().stdout("").stderr(contains("2 snapshots"));
    let shared =
        files_below(&folder.path("output/archive/assets")).into_keys().next().expect("styles and scripts");
    let shared = format!("output/archive/assets/{shared}");
    let (page, csv) = (format!("{ENTRY}/index.html"), format!("{ENTRY}/exports/metrics.csv"));
    let changed = folder.read(&page).replacen("Overview", "0verview", 1);
    let cut = folder.read(&format!("{ENTRY}/manifest.json"))[..300].to_owned();
    let cases: [(&str, Option<String>, &str); 6] = [
        (&page, Some(changed), "other content, of the same size"),
        (&page, None, "is missing"),
        (&csv, Some(String::new()), "has 0 bytes instead of"),
        (&shared, Some("x".to_owned()), "has 1 bytes instead of"),
        (&format!("{ENTRY}/added.html"), Some("x".to_owned()), "is not in the manifest"),
        (&format!("{ENTRY}/manifest.json"), Some(cut), "is damaged"),
    ];
    for (path, content, expected) in cases {
        let before = fs::read(folder.path(path)).ok();
        match content {
            Some(content) => folder.write(path, content),
            None => fs::remove_file(folder.path(path)).expect("it is there"),
        }
        let found = differences(&folder);
        let told = |line: &str| line.contains(path.trim_start_matches("output/")) && line.contains(expected);
        assert!(found.lines().any(told), "{path}: {found}");
        match before {
            Some(before) => folder.write(path, before),
            None => fs::remove_file(folder.path(path)).expect("it was written"),
        }
        dash(&folder).arg("verify").assert().success();
    }
    dash(&folder).args(["verify", "../.."]).assert().code(1).stderr(contains("there is no snapshot"));
    dash(&folder).args(["verify", ID]).assert().success().stderr(contains("1 snapshot,"));
}

/// Changes a file of the entry and what the manifest says of it: only its numbers tell.
fn forge(folder: &Folder, path: &str, change: impl Fn(&str) -> String) {
    let text = change(&folder.read(&format!("{ENTRY}/{path}")));
    let mut manifest = folder.json(&format!("{ENTRY}/manifest.json"));
    manifest["files"][path] = serde_json::json!({"size": text.len(), "sha256": sha256(text.as_bytes())});
    folder.write(&format!("{ENTRY}/{path}"), text);
    folder.write(&format!("{ENTRY}/manifest.json"), serde_json::to_vec_pretty(&manifest).expect("JSON"));
}

#[test]
fn numbers_that_do_not_agree_are_told() {
    let folder = site();
    snapshot(&folder, MOMENT);
    let total = folder.json(&format!("{ENTRY}/summary.json"))["wrappers"][0]["window"]["total_operations"]
        .to_string();
    let shown = format!("data-label=\"Operations\" data-value=\"{total}\"");
    forge(&folder, "index.html", |html| {
        html.replacen(&shown, "data-label=\"Operations\" data-value=\"1000000\"", 1)
    });
    forge(&folder, "exports/metrics.json", |json| json.replacen("\"error_count\":0", "\"error_count\":5", 1));
    let found = differences(&folder);
    assert!(found.contains("shows 1000000 as Operations") && found.contains(&total), "{found}");
    assert!(found.contains("metrics.json: adds up to") && found.contains(" errors of "), "{found}");
    assert!(found.contains("manifest.json: differs from what the index"), "{found}");
    assert!(!found.contains("metrics.csv"), "{found}");
}

#[test]
fn what_has_outlived_its_time_goes_and_nothing_else() {
    let folder = site();
    folder.write("dash.toml", "[archive]\nkeep = { hourly = '2h', daily = '7d' }\n");
    let moments = ["24T10:00", "24T20:00", "25T09:00", "25T11:10", "25T11:50", "25T12:00"];
    for moment in moments {
        folder.write("dash.toml", "[archive]\nkeep = { all = 'forever' }\n");
        snapshot(&folder, &format!("2026-01-{moment}:00Z"));
    }
    folder.write("dash.toml", "[archive]\nkeep = { hourly = '2h', daily = '7d' }\n");
    folder.write("output/archive/assets/unused.12345678.css", "not in any manifest");
    let before = files_below(&folder.path("output/archive"));
    let dry = dash(&folder).args(["prune", "--dry-run", "--json", "--now", MOMENT]).assert().success();
    let dry: Value = serde_json::from_slice(&dry.get_output().stdout).expect("JSON");
    assert!(before == files_below(&folder.path("output/archive")));
    let expected = ["20260124T100000Z", "20260125T090000Z", "20260125T111000Z"];
    assert_eq!(dry["removed"], serde_json::json!(expected));
    // A further snapshot prunes on its own.
    assert_eq!(snapshot(&folder, MOMENT)["removed"], serde_json::json!(expected));
    let left = folder.json("output/archive/index.json");
    let left: Vec<_> =
        left["snapshots"].as_array().expect("a list").iter().map(|row| row["id"].clone()).collect();
    assert_eq!(left, ["20260124T200000Z", "20260125T115000Z", "20260125T120000Z", ID]);
    assert_whole(&folder.path("output/archive"), "");
    assert!(folder.path("output/archive/assets/unused.12345678.css").exists(), "dash did not write it");
    let page = folder.read("output/archive/index.html");
    assert!(page.contains("20260125T115000Z") && !page.contains("20260125T111000Z"));
    // A clock that is years ahead: age counts from the newest data.
    let far = snapshot(&folder, "2036-01-25T13:00:00Z");
    assert_eq!(far["removed"], serde_json::json!([]));
    dash(&folder).args(["verify", "--quiet"]).assert().success();
}

#[test]
fn an_index_that_leads_out_of_the_archive_removes_nothing_there() {
    let folder = site();
    snapshot(&folder, MOMENT);
    snapshot(&folder, "2026-01-25T14:00:00Z");
    folder.write("victim.txt", "mine");
    let mut index = folder.json("output/archive/index.json");
    index["assets"]["../../victim.txt"] = serde_json::json!({"size": 4, "sha256": sha256(b"mine")});
    folder.write("output/archive/index.json", index.to_string());
    folder.write("dash.toml", "[archive]\nkeep = {}\n");
    dash(&folder).args(["prune", "--now", "2026-01-25T14:00:00Z"]).assert().success().stderr(contains(ID));
    assert_eq!(folder.read("victim.txt"), "mine");
}

#[test]
fn what_only_pruned_snapshots_shared_goes_with_them() {
    let folder = site();
    snapshot(&folder, MOMENT);
    // As if the first had been made by another theme.
    let manifest = format!("{ENTRY}/manifest.json");
    folder.write("output/archive/assets/old.12345678.css", "old");
    let mut entry = folder.json(&manifest);
    entry["assets"]["assets/old.12345678.css"] = serde_json::json!({"size": 3, "sha256": sha256(b"old")});
    folder.write(&manifest, entry.to_string());
    fs::remove_file(folder.path("output/archive/index.json")).expect("it was written");
    snapshot(&folder, "2026-01-25T14:00:00Z");
    folder.write("dash.toml", "[archive]\nkeep = {}\n");
    dash(&folder).args(["prune", "--now", "2026-01-25T14:00:00Z"]).assert().success().stderr(contains(ID));
    assert!(!folder.path("output/archive/assets/old.12345678.css").exists());
    assert_whole(&folder.path("output/archive"), "");
    assert!(folder.path("output/archive/20260125T140000Z").exists(), "the newest stays");
    dash(&folder).args(["prune"]).assert().success().stderr(contains("no snapshot"));
}

#[test]
fn the_newest_whole_snapshot_stays_whatever_the_index_says() {
    let folder = site();
    snapshot(&folder, MOMENT);
    for hour in [14, 15] {
        folder.write("dash.toml", "[archive]\nkeep = { all = 'forever' }\n");
        snapshot(&folder, &format!("2026-01-25T{hour}:00:00Z"));
    }
    let newest = "output/archive/20260125T150000Z";
    folder.write(&format!("{newest}/manifest.json"), "{");
    folder.write("dash.toml", "[archive]\nkeep = {}\n");
    dash(&folder).args(["prune", "--now", "2026-01-25T15:00:00Z"]).assert().success().stderr(contains(ID));
    assert!(folder.path("output/archive/20260125T140000Z").exists(), "it is the newest that is whole");
    assert!(folder.path(newest).exists(), "it may be restored");
}

#[test]
fn a_site_without_snapshots_has_an_archive_page_that_says_so() {
    let folder = site();
    dash(&folder).args(["build", "--now", MOMENT]).assert().success();
    assert!(folder.read("output/archive/index.html").contains("No snapshots yet"));
    dash(&folder).arg("verify").assert().success().stderr(contains("0 snapshots"));
    folder.write("dash.toml", "[site]\ntitle = 'Renamed'\n");
    dash(&folder).args(["build", "--now", MOMENT]).assert().success();
    assert!(folder.read("output/archive/index.html").contains("Renamed"));
    snapshot(&folder, MOMENT);
    let page = folder.read("output/archive/index.html");
    let listed =
        contains("January 2026").and(contains(format!("{ID}/index.html"))).and(contains("report.html"));
    assert!(predicates::Predicate::eval(&listed, &page), "{page}");
}
