//! Stores that are damaged: recognised wherever they are met, set aside, and made anew from the logs that remain.

use std::fs;
use std::path::Path;

use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use rusqlite::Connection;

use dash::sample::random::Random;

use crate::archive::{MOMENT, site, snapshot};
use crate::tools::{Folder, dash, files_below};

const LATER: &str = "2026-01-25T13:05:00Z";
const STORE: &str = ".dash/store.db";
const ASIDE: &str = ".dash/store.db.damaged-20260125T130500Z";

/// A site that was built, with all of its store in one file.
fn built() -> Folder {
    let folder = Folder::new();
    dash(&folder).arg("init").assert().success();
    // Minutes that the pages show, and older ones that only the API can be asked for.
    folder.sample(&["--days", "2", "--rate", "2/min", "--now", MOMENT]);
    dash(&folder).args(["build", "--now", MOMENT]).assert().success();
    let connection = Connection::open(folder.path(STORE)).expect("it is a database");
    let all = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
    assert_eq!(all, Ok(0));
    folder
}

fn rows(folder: &Folder) -> Vec<u8> {
    let export = dash(folder).args(["export", "--hours", "720", "--now", LATER]).assert().success();
    export.get_output().stdout.clone()
}

fn sql(folder: &Folder, statement: &str) {
    let connection = Connection::open(folder.path(STORE)).expect("it is a database");
    connection.execute_batch(statement).unwrap_or_else(|error| panic!("{statement}: {error}"));
}

/// In a count, which stays one; of the first chunk in this `order`.
fn turn_a_bit(folder: &Folder, order: &str) {
    let connection = Connection::open(folder.path(STORE)).expect("it is a database");
    let first = format!("FROM chunk WHERE {order} LIMIT 1");
    let mut data: Vec<u8> =
        connection.query_row(&format!("SELECT data {first}"), [], |row| row.get(0)).expect("it is stored");
    *data.last_mut().expect("it is not empty") ^= 1;
    let update = format!("UPDATE chunk SET data = ?1 WHERE key = (SELECT key {first})");
    connection.execute(&update, [data]).expect("it can be written");
}

fn overwrite(path: &Path, from: usize, bytes: &[u8]) {
    let mut content = fs::read(path).expect("it is there");
    let to = (from + bytes.len()).min(content.len());
    content[from..to].copy_from_slice(&bytes[..to - from]);
    fs::write(path, content).expect("it can be written");
}

fn cut(folder: &Folder, bytes: usize) {
    let content = fs::read(folder.path(STORE)).expect("it is there");
    folder.write(STORE, &content[..bytes]);
}

type Damage = fn(&Folder);

const DAMAGES: [(&str, Damage); 13] = [
    ("the header is garbage", |folder| overwrite(&folder.path(STORE), 0, &[0xa5; 100])),
    ("it is text", |folder| folder.write(STORE, "not a database, only text")),
    ("only the first page is left", |folder| cut(folder, 4096)),
    ("half a page is left", |folder| cut(folder, 2048)),
    ("half is left", |folder| {
        let length = fs::metadata(folder.path(STORE)).expect("it is there").len() as usize;
        cut(folder, length / 2);
    }),
    ("all pages but the first are garbage", |folder| overwrite(&folder.path(STORE), 4096, &[0x5a; 1 << 24])),
    ("only its log is left", |folder| {
        folder.write(STORE, "");
        folder.write(&format!("{STORE}-wal"), [7; 5000]);
    }),
    ("a table is gone", |folder| sql(folder, "DROP TABLE in_flight")),
    ("a row is gone", |folder| sql(folder, "DELETE FROM revision")),
    ("the ledger is not what was written", |folder| sql(folder, "UPDATE file SET state = '{\"source\": 5'")),
    ("chunks are not what was written", |folder| sql(folder, "UPDATE chunk SET data = x'ffffffffffff'")),
    ("a bit of a number in the newest hours has turned", |folder| {
        turn_a_bit(folder, "key >> 32 & 7 = 1 ORDER BY key DESC");
    }),
    ("a bit of a number in the oldest minutes has turned", |folder| {
        turn_a_bit(folder, "key >> 32 & 7 = 0 ORDER BY key");
    }),
];

#[test]
fn a_damaged_store_is_set_aside_and_made_anew() {
    let expected = rows(&built());
    for (what, damage) in DAMAGES {
        let folder = built();
        damage(&folder);
        let damaged = fs::read(folder.path(STORE)).expect("it is there");
        let said = contains("was damaged").and(contains("store.db.damaged-20260125T130500Z"));
        dash(&folder).args(["build", "--quiet", "--now", LATER]).assert().success().stderr(said);
        assert_eq!(rows(&folder), expected, "{what}");
        let mut aside = fs::read(folder.path(ASIDE)).expect("nothing is thrown away");
        // Opening a database may count that in its header.
        aside.truncate(damaged.len());
        let differ = aside.iter().zip(&damaged).filter(|(a, b)| a != b).count();
        assert!(aside.len() == damaged.len() && differ < 16, "{what}: {differ} bytes differ");
        assert!(folder.read("output/data-quality.html").contains("The store was found damaged on"), "{what}");
        // The notice stays until someone has seen to it.
        let build = |moment: &str| {
            dash(&folder)
                .args(["build", "--quiet", "--now", moment])
                .assert()
                .success()
                .stderr("")
                .stdout("");
            folder.read("output/data-quality.html")
        };
        assert!(build("2026-01-25T13:06:00Z").contains("found damaged"), "{what}");
        fs::remove_file(folder.path(ASIDE)).expect("it is there");
        assert!(!build("2026-01-25T13:06:00Z").contains("found damaged"), "{what}");
    }
}

#[test]
fn exports_and_snapshots_recover_as_builds_do() {
    let folder = built();
    cut(&folder, 5000);
    let export = dash(&folder).args(["export", "--quiet", "--now", LATER]).assert().success();
    export.stderr(contains("was damaged"));
    // Hours that only the service level is made of.
    sql(&folder, "UPDATE chunk SET data = x'ffffffffffff' WHERE key >> 32 & 7 = 1");
    let said =
        dash(&folder).args(["snapshot", "--now", LATER]).assert().success().stderr(contains("was damaged"));
    drop(said);
    assert_eq!(snapshot(&folder, LATER)["is_new"], false);
    assert!(files_below(&folder.path(".dash")).keys().filter(|name| name.contains("damaged")).count() >= 2);
}

#[test]
fn random_damage_never_stops_a_build() {
    let whole = built();
    let content = fs::read(whole.path(STORE)).expect("it is there");
    let mut random = Random::of(&[3]);
    let mut set_aside = 0;
    for round in 0..25 {
        let folder = site();
        folder.copy(&whole.path(".dash"), ".dash");
        let mut damaged = content.clone();
        for _ in 0..3 {
            let at = (random.unit() * damaged.len() as f64) as usize;
            let length = (random.unit() * 600.0) as usize;
            damaged.iter_mut().skip(at).take(length).for_each(|byte| *byte = (random.unit() * 256.0) as u8);
        }
        folder.write(STORE, damaged);
        let run = dash(&folder).args(["build", "--now", LATER]).output().expect("the binary is there");
        let said = String::from_utf8_lossy(&run.stderr);
        // A version that is not ours is left to whoever knows it.
        assert!(run.status.success() || said.contains("it has version"), "round {round}: {said}");
        assert!(!said.contains("panicked"), "round {round}: {said}");
        set_aside += usize::from(said.contains("was damaged"));
    }
    assert!(set_aside > 3, "{set_aside}");
}

#[test]
fn a_disk_that_damages_store_after_store_is_told() {
    let folder = built();
    for day in 10..20 {
        folder.write(&format!(".dash/store.db.damaged-202601{day}T000000Z"), "");
    }
    folder.write(STORE, "not a database, only text");
    let build = dash(&folder).args(["build", "--now", LATER]).assert();
    build.code(1).stderr(contains("10 damaged stores").and(contains("disk may be failing")));
    assert_eq!(folder.read(STORE), "not a database, only text");
}
