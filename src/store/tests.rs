use std::fs;

use super::*;
use crate::model::bucket::Bucket;
use crate::model::codec::{from_bytes, take_first};
use crate::model::operation::{Operation, Outcome, Tokens};

const RETENTION: Retention = Retention { first_minute: 0, first_hour: 0, first_note_day: 0 };
const ALL: Span = Span {
    tens: (0, 0),
    first_minute: 0,
    first_hour: 0,
    older_hours: (0, 0),
    first_series_hour: 0,
    first_series_day: 0,
    first_note_day: 0,
};

fn operation<'a>(wrapper: &'a str, model: &'a str, end_ms: i64) -> Operation<'a> {
    Operation {
        id: None,
        wrapper: wrapper.into(),
        operation_type: "chat".into(),
        model: model.into(),
        outcome: Outcome::Success,
        end_ms,
        duration_ns: Some(5_000_000),
        error_code: None,
        error_message: None,
        cost_pico: Some(7),
        tokens: Tokens::default(),
    }
}

fn reading(operations: &[Operation]) -> Reading {
    let mut rollup = Rollup::default();
    for operation in operations {
        rollup.add(operation, &RETENTION);
    }
    Reading { rollup, files: Vec::new(), forgotten: Vec::new(), in_flight: Vec::new() }
}

fn totals(store: &Store) -> Vec<(String, u64, u64, u64)> {
    let sum = |level: &[(i64, crate::model::bucket::Bucket)]| level.iter().map(|(_, b)| b.total()).sum();
    let wrappers = store.wrappers().expect("the store answers");
    let row = |id: WrapperId| {
        let history = history(store, &id);
        (id.name, sum(&history.minutes), sum(&history.hours), sum(&history.days))
    };
    wrappers.into_iter().map(row).collect()
}

fn history(store: &Store, id: &WrapperId) -> History {
    store.histories(std::slice::from_ref(id), |_| ALL).expect("the store answers").remove(0)
}

#[test]
fn readings_add_up_at_every_level_across_openings() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let times = [0, 59_999, 60_000, 3_600_000, 86_400_000, 40 * 86_400_000];
    for at in times {
        let mut store = Store::open(folder.path()).expect("the store opens");
        store.apply(reading(&[operation("a", "m", at)])).expect("the reading is added");
    }
    let store = Store::open(folder.path()).expect("the store opens");
    assert_eq!(totals(&store), [("a".to_owned(), 6, 6, 0)]);
    let ids = store.wrappers().expect("the store answers");
    assert_eq!(history(&store, &ids[0]).minutes.len(), 5);
    // The newest day is loaded where no hours are, and no other.
    let silent = store.histories(&ids, |_| Span::NOTHING).expect("the store answers").remove(0);
    assert_eq!(silent.days.iter().map(|(day, sum)| (*day, sum.total())).collect::<Vec<_>>(), [(40, 1)]);
}

#[test]
fn a_store_of_another_version_is_refused_with_the_next_step() {
    for (version, step) in [(1, "move it away"), (99, "use the dash that wrote it")] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        drop(Store::open(folder.path()).expect("the store opens"));
        let path = folder.path().join(FOLDER).join("store.db");
        let connection = Connection::open(path).expect("the store is a database");
        connection.pragma_update(None, "user_version", version).expect("the store is written");
        drop(connection);
        let error = format!("{:#}", Store::open(folder.path()).expect_err("another version"));
        assert!(error.contains(&format!("it has version {version}")) && error.contains(step), "{error}");
    }
}

#[test]
fn minutes_are_handed_out_by_chunks() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut store = Store::open(folder.path()).expect("the store opens");
    let operations: Vec<_> = (0..800).map(|minute| operation("a", "m", minute * 60_000)).collect();
    store.apply(reading(&operations)).expect("the reading is added");
    let ids = store.wrappers().expect("the store answers");
    let whole = history(&store, &ids[0]).minutes;
    let span = Span { first_minute: 730, ..ALL };
    let history = store.histories(&ids, |_| span).expect("the store answers").remove(0);
    // From the quarter of a day on that the span begins in.
    assert_eq!(history.minutes, whole[720..]);
    let stored = store.minutes(370).of(&ids[0]).expect("the store answers");
    let (mut rest, mut minutes) = (&stored[..], Vec::<(i64, Bucket)>::new());
    while !rest.is_empty() {
        let chunk = take_first(&mut rest).expect("chunks with their lengths");
        minutes.extend(from_bytes::<Vec<_>>(chunk).expect("a whole chunk"));
    }
    assert_eq!(minutes, whole[360..]);
}

#[test]
fn many_histories_are_what_each_is_alone() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut store = Store::open(folder.path()).expect("the store opens");
    // More than are loaded in pieces on any machine that is likely.
    let names: Vec<String> = (0..1100).map(|at| format!("w{at}")).collect();
    let operations = |(at, name)| [1, 700 + at as i64].map(|minute| operation(name, "m", minute * 60_000));
    let operations: Vec<_> = names.iter().map(String::as_str).enumerate().flat_map(operations).collect();
    store.apply(reading(&operations)).expect("the reading is added");
    let ids = store.wrappers().expect("the store answers");
    let span = Span { tens: (0, 720), ..ALL };
    let together = store.histories(&ids, |_| span).expect("the store answers");
    assert_eq!(together.len(), names.len());
    for (id, history) in ids.iter().zip(&together).step_by(100) {
        let alone = store.histories(std::slice::from_ref(id), |_| span).expect("the store answers");
        assert_eq!((&alone[0], alone[0].tens.buckets.is_empty()), (history, false), "{}", id.name);
    }
}

#[test]
fn old_minutes_and_hours_go_and_days_stay() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut store = Store::open(folder.path()).expect("the store opens");
    store.apply(reading(&[operation("a", "m", 0)])).expect("the reading is added");
    let later = Retention { first_minute: 1 << 40, first_hour: 1 << 40, first_note_day: 1 << 40 };
    store.prune(&later).expect("what is old is dropped");
    assert_eq!(totals(&store), [("a".to_owned(), 0, 0, 1)]);
}

#[test]
fn a_name_that_is_another_s_slug_gets_a_slug_of_its_own() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut store = Store::open(folder.path()).expect("the store opens");
    for name in [unique_slug("A!").as_str(), "A!"] {
        store.apply(reading(&[operation(name, "m", 1)])).expect("the reading is added");
    }
    assert_eq!(totals(&store).len(), 2);
}

#[test]
fn one_builder_at_a_time() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let held = Store::open(folder.path()).expect("the store opens");
    let error = Store::open(folder.path()).expect_err("it is held").to_string();
    assert!(error.contains("another `dash`"), "{error}");
    drop(held);
    Store::open(folder.path()).expect("it is free again");
}

#[test]
fn a_store_that_is_no_database_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::create_dir(folder.path().join(FOLDER)).expect("the folder is writable");
    fs::write(folder.path().join(FOLDER).join("store.db"), "not a database, only text").expect("writable");
    let error = format!("{:#}", Store::open(folder.path()).expect_err("it is damaged"));
    assert!(error.contains("store.db") && error.contains("sets it aside"), "{error}");
}

#[test]
fn slugs_are_safe_and_unique_without_regard_to_case() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut store = Store::open(folder.path()).expect("the store opens");
    let long = "x".repeat(200);
    let names = ["A b", "a-b", "A_B", "<script>", "../..", "=cmd", "😀", "con", "日本", " ", &long];
    let operations: Vec<_> = names.iter().map(|name| operation(name, "m", 1)).collect();
    store.apply(reading(&operations)).expect("the reading is added");
    let slugs: Vec<_> = store.wrappers().expect("the store answers").into_iter().map(|id| id.slug).collect();
    let distinct: std::collections::BTreeSet<_> = slugs.iter().collect();
    assert_eq!(distinct.len(), names.len());
    for slug in slugs {
        assert!(
            slug.len() <= 60 && slug.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-')),
            "{slug}"
        );
        assert!(!slug.starts_with('-') && slug != "con", "{slug}");
    }
}
