//! Rules of the house that a compiler does not know.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Room → rooms that it may use besides itself. The same table is in ARCHITECTURE.md.
const ROOMS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("sources", &["model"]),
    ("store", &["model"]),
    ("analysis", &["model"]),
    ("report", &["model", "analysis"]),
    ("publish", &["model", "report"]),
    ("archive", &["model", "analysis", "report", "publish"]),
    ("send", &["model", "analysis", "report", "publish", "archive"]),
    ("sample", &["model"]),
    ("pipeline", &["model", "sources", "store", "analysis", "report", "publish"]),
    ("access", &[]),
    ("serve", &["model", "sources", "access", "analysis", "report", "publish", "pipeline"]),
    ("config", &["sources", "store", "analysis", "report", "publish", "archive", "send", "serve"]),
    (
        "cli",
        &[
            "model", "sources", "store", "analysis", "report", "publish", "archive", "send", "sample",
            "pipeline", "access", "serve", "config",
        ],
    ),
];

const MOST_LINES: usize = 600;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the source folder is there").flatten() {
        let path = entry.path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn sources() -> BTreeMap<String, String> {
    let mut files = Vec::new();
    rust_files(&root().join("src"), &mut files);
    rust_files(&root().join("tests"), &mut files);
    let named = |path: PathBuf| {
        let name = path.strip_prefix(root()).expect("found below it").to_string_lossy().into_owned();
        (name, fs::read_to_string(path).expect("a source file is text"))
    };
    files.into_iter().map(named).collect()
}

/// `src/store/mod.rs` and `src/pipeline/mod.rs` → `store` and `pipeline`.
fn room(path: &str) -> Option<&str> {
    let inside = path.strip_prefix("src/")?;
    let room = inside.split('/').next()?.trim_end_matches(".rs");
    (!matches!(room, "main" | "lib")).then_some(room)
}

/// Rooms named after `crate::` anywhere in a file, `use crate::{a, b}` included.
fn used(text: &str) -> Vec<String> {
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut rooms = Vec::new();
    for part in text.split("crate::").skip(1) {
        match part.strip_prefix('{') {
            Some(list) => {
                let list = list.split('}').next().unwrap_or_default();
                rooms.extend(list.split(',').map(|item| word(item.trim())));
            }
            None => rooms.push(word(part)),
        }
    }
    rooms.into_iter().filter(|room| !room.is_empty()).collect()
}

#[test]
fn rooms_use_only_the_rooms_below_them() {
    let allowed: BTreeMap<_, _> = ROOMS.iter().copied().collect();
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let Some(room) = room(&path) else { continue };
        let Some(below) = allowed.get(room) else {
            wrong.push(format!("{path}: the room `{room}` is not in the table of tests/it/tidy.rs"));
            continue;
        };
        for other in used(&text) {
            let is_room = allowed.contains_key(other.as_str());
            if is_room && other != room && !below.contains(&other.as_str()) {
                wrong.push(format!("{path}: `{room}` may not use `{other}`"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_table_of_rooms_is_the_one_in_the_document() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md is there");
    for (room, below) in ROOMS {
        let below = if below.is_empty() { "–".to_owned() } else { below.join(", ") };
        let row = text.lines().find(|line| {
            let mut cells = line.split('|').map(str::trim).skip(1);
            let name = cells
                .next()
                .unwrap_or_default()
                .trim_matches('`')
                .trim_end_matches('/')
                .trim_end_matches(".rs");
            name == *room && cells.nth(1) == Some(&below)
        });
        assert!(row.is_some(), "ARCHITECTURE.md has no row that says `{room}` may use {below}");
    }
}

#[test]
fn files_are_short_and_say_what_they_are() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let lines = text.lines().count();
        if lines > MOST_LINES {
            wrong.push(format!("{path}: {lines} lines; look for the simpler shape"));
        }
        let inside = path.starts_with("src/") && path != "src/main.rs" && !path.ends_with("tests.rs");
        if inside && !text.starts_with("//!") {
            wrong.push(format!("{path}: begins without a line on what it is"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_path_climbs_two_rooms() {
    let climb = ["super", "super"].join("::");
    let climbers: Vec<_> =
        sources().into_iter().filter(|(_, text)| text.contains(&climb)).map(|file| file.0).collect();
    assert!(climbers.is_empty(), "use `crate::` in {climbers:?}");
}

#[test]
fn the_clock_is_read_at_the_edges_only() {
    let clocks = ["Utc::now", "SystemTime::now", "Local::now"];
    let edges = ["src/cli/", "src/serve/"];
    let is_test = |path: &str| path.starts_with("tests/") || path.ends_with("/tests.rs");
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let edge = is_test(&path) || edges.iter().any(|edge| path.starts_with(edge));
        if !edge && clocks.iter().any(|clock| text.contains(clock)) {
            wrong.push(path);
        }
    }
    assert!(wrong.is_empty(), "time is an argument in {wrong:?}");
}
