//! A folder in, a folder out: whole sites, byte by byte, with a fixed clock.
//!
//! `DASH_BLESS=1` writes the expected folders anew. Assets and datasets are compared by their path only:
//! the first carry their hash in it, the second are read back by the tests of their own room.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::tools::{Folder, dash, files_below};

const MOMENT: &str = "2026-01-25T13:00:00Z";

fn expected_text(path: &str, bytes: &[u8]) -> String {
    let opaque = path.starts_with("assets/")
        || path.starts_with("data/")
        || path == "snapshot.json"
        || path == "archive/page.txt";
    match std::str::from_utf8(bytes) {
        Ok(text) if !opaque => text.to_owned(),
        _ => String::new(),
    }
}

fn golden(name: &str) {
    let case = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    let folder = Folder::new();
    folder.copy(&case.join("content"), "content");
    folder.copy(&case.join("dash.toml"), "dash.toml");
    dash(&folder).args(["build", "--now", MOMENT]).assert().success();
    let expected = case.join("expected");
    let built: BTreeMap<String, String> = files_below(&folder.path("output"))
        .into_iter()
        .map(|(path, bytes)| (path.clone(), expected_text(&path, &bytes)))
        // The hash of the binary's version does not belong to the site's content.
        .filter(|(path, _)| path != "snapshot.js")
        .collect();
    if std::env::var_os("DASH_BLESS").is_some() {
        bless(&expected, &built);
    }
    let index: String = built.keys().map(|path| format!("{}\n", unhashed(path))).collect();
    let expected_index = fs::read_to_string(expected.join("files.txt")).expect("bless the site first");
    assert_eq!(index, expected_index, "the site has other files than tests/golden/{name}/expected/files.txt");
    for (path, text) in built.iter().filter(|(_, text)| !text.is_empty()) {
        let expected = fs::read_to_string(expected.join(path)).unwrap_or_default();
        let (text, expected) = (unhashed(text), unhashed(&expected));
        let differs = text.lines().zip(expected.lines()).find(|(new, old)| new != old);
        assert!(text == expected, "{name}/{path} differs, first in (new, old): {differs:?}");
    }
}

/// Without the hashes in the names of assets, which change with every line of a style.
fn unhashed(text: &str) -> String {
    let mut out = String::new();
    for (at, part) in text.split('.').enumerate() {
        let is_hash = part.len() >= 8 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
        out.push_str(if at == 0 { "" } else { "." });
        out.push_str(if is_hash { "HASH" } else { part });
    }
    out
}

fn bless(expected: &Path, built: &BTreeMap<String, String>) {
    let _ = fs::remove_dir_all(expected);
    let write = |path: &str, text: &str| {
        let target = expected.join(path);
        fs::create_dir_all(target.parent().expect("it is in a folder")).expect("the folder can be made");
        fs::write(target, text).expect("the file can be written");
    };
    write("files.txt", &built.keys().map(|path| format!("{}\n", unhashed(path))).collect::<String>());
    for (path, text) in built.iter().filter(|(_, text)| !text.is_empty()) {
        write(path, &unhashed(text));
    }
}

#[test]
fn a_small_site_with_hostile_names_and_bad_lines() {
    golden("small");
}

#[test]
fn the_same_logs_and_moment_give_the_same_bytes() {
    let site = || {
        let folder = Folder::new();
        dash(&folder).args(["init"]).assert().success();
        folder.sample(&["--days", "1", "--now", MOMENT]);
        dash(&folder).args(["build", "--now", MOMENT]).assert().success();
        files_below(&folder.path("output"))
    };
    let (one, other) = (site(), site());
    assert_eq!(one.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>());
    for (path, bytes) in &one {
        assert!(other[path] == *bytes, "{path} differs");
    }
}

#[test]
fn a_site_built_in_steps_is_the_site_built_at_once() {
    let log = Folder::new();
    log.sample(&["--days", "2", "--wrappers", "20", "--rate", "3/min", "--now", MOMENT]);
    let lines = log.read("content/operations/sample.jsonl");
    let of_one = |line: &&str| line.contains("\"Service-017\"");
    let (late, early): (Vec<&str>, Vec<&str>) = lines.lines().rev().partition(|line| of_one(line));
    // All of one quiet wrapper's operations but the oldest come last: its pages change, the others' do not.
    let (late, oldest) = late.split_at(late.len() - 1);
    let text = |lines: &[&str]| lines.iter().rev().map(|line| format!("{line}\n")).collect::<String>();
    let steps = [text(&early) + &text(oldest), text(late)];

    let [stepwise, whole] = [Folder::new(), Folder::new()];
    for folder in [&stepwise, &whole] {
        dash(folder).arg("init").assert().success();
    }
    stepwise.write("content/operations/a.jsonl", "");
    for step in &steps {
        stepwise.append("content/operations/a.jsonl", step);
        dash(&stepwise).args(["build", "--now", MOMENT]).assert().success();
    }
    whole.write("content/operations/a.jsonl", steps.concat());
    dash(&whole).args(["build", "--now", MOMENT]).assert().success();

    let (mut one, mut other) = (files_below(&stepwise.path("output")), files_below(&whole.path("output")));
    let manifest: serde_json::Value = serde_json::from_slice(&one["snapshot.json"]).expect("JSON");
    let changed = manifest["changed"].as_array().expect("a list");
    assert!(changed.iter().any(|page| page == "wrappers/service-017.html"), "{changed:?}");
    assert!(!changed.iter().any(|page| page == "wrappers/service-018.html"), "{changed:?}");
    // The manifests differ in what came before.
    for files in [&mut one, &mut other] {
        files.remove("snapshot.json");
    }
    assert_eq!(one.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>());
    for (path, bytes) in &one {
        assert!(other[path] == *bytes, "{path} differs");
    }
}
