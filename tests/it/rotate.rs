//! Logs that rotate while they are read: each operation counts once.

use std::fs;

use crate::sources::{folder, gzip, lines};

#[test]
fn a_log_renamed_while_it_is_being_compressed_is_read_once() {
    let mut site = folder();
    site.write("logs/app.log", lines(0..3000));
    site.build();
    site.rename("logs/app.log", "logs/app.log.1");
    site.write("logs/app.log", lines(3000..3010));
    let compressed = gzip(&lines(0..3000));
    site.write("logs/app.log.1.gz", &compressed[..compressed.len() / 2]);
    site.build();
    assert_eq!(site.total(), 3010);
    site.write("logs/app.log.1.gz", &compressed);
    fs::remove_file(site.path("logs/app.log.1")).expect("removed");
    site.build();
    assert_eq!(site.total(), 3010);
}

#[test]
fn a_log_that_is_rotated_while_it_is_found_is_read_once() {
    let mut site = folder();
    site.write("logs/app.log", lines(0..10));
    site.build();
    site.write("logs/0.log", lines(10..20));
    site.age("logs/0.log", 500);
    site.append("logs/app.log", &lines(20..30));
    let rotated = std::sync::Once::new();
    let rotate = || {
        site.rename("logs/app.log", "logs/app.log.1");
        site.write("logs/app.log", lines(30..40));
    };
    let read = site.read_while(1, &|_| rotated.call_once(rotate));
    site.store(read);
    site.build();
    assert_eq!(site.total(), 40);
}

#[test]
fn a_log_that_was_replaced_is_known_when_it_comes_back_compressed() {
    let mut site = folder();
    site.write("logs/app.log", lines(0..10));
    site.build();
    fs::remove_file(site.path("logs/app.log")).expect("removed");
    site.write("logs/app.log", lines(10..20));
    site.build();
    site.write("logs/app.log.1.gz", gzip(&lines(0..12)));
    site.build();
    assert_eq!(site.total(), 22);
}

#[test]
fn a_log_that_is_truncated_and_written_while_it_is_read_is_not_mixed_up() {
    let mut site = folder();
    site.write("logs/app.log", lines(0..10_000));
    let truncated = std::sync::Once::new();
    let truncate = || site.write("logs/app.log", lines(10_000..19_000));
    let read = site.read_while(1, &|_| truncated.call_once(truncate));
    let longest = read.rollup.wrappers["w"].hours.values().map(|bucket| bucket.duration_max_ns).max();
    assert!(longest < Some(10_000_000_000), "of both contents: {longest:?}");
    let before = site.store(read).records;
    assert_eq!(site.build().records, 9_000);
    assert_eq!(site.total(), before + 9_000);
}

#[test]
fn what_is_known_of_a_deleted_log_is_forgotten_after_a_month() {
    let mut site = folder();
    site.write("logs/app.log", lines(0..10));
    site.build();
    fs::remove_file(site.path("logs/app.log")).expect("removed");
    for (days, known) in [(0, 1), (29, 1), (31, 0)] {
        site.now_ms += days * 24 * 60 * 60 * 1000;
        site.build();
        site.now_ms -= days * 24 * 60 * 60 * 1000;
        assert_eq!(site.ledger.len(), known, "after {days} days");
    }
    assert_eq!(site.total(), 10);
}

#[test]
fn a_log_that_is_cut_and_begins_the_same_way_is_another() {
    let mut site = folder();
    let banner = "{\"event\":\"logger started\"}\n";
    let rows = |seconds: std::ops::Range<u64>| {
        let row = |at: u64| format!("w,{}\n", 1_737_700_000 + at);
        format!("wrapper_name,end_time\nw,1737600000\n{}", seconds.map(row).collect::<String>())
    };
    site.write("logs/app.jsonl", banner.to_owned() + &lines(0..100));
    site.write("logs/app.csv", rows(0..300));
    site.build();
    site.write("logs/app.jsonl", banner.to_owned() + &lines(100..150));
    site.write("logs/app.csv", rows(300..400));
    site.build();
    assert_eq!(site.total(), 150 + 301 + 101);
}

#[test]
fn a_log_that_was_away_is_known_when_it_returns() {
    let mut site = folder();
    site.write("logs/app.jsonl", lines(0..100));
    site.build();
    site.rename("logs/app.jsonl", "elsewhere");
    site.write("logs/app.jsonl", lines(100..101));
    site.build();
    site.write("logs/app.jsonl.1.gz", gzip(&lines(0..100)));
    site.build();
    assert_eq!(site.total(), 101);
}

#[test]
fn a_copy_in_the_making_of_a_renamed_log_adds_nothing() {
    let mut site = folder();
    let content = lines(0..3000);
    site.write("logs/app.jsonl", &content);
    site.build();
    site.rename("logs/app.jsonl", "logs/app.jsonl.1");
    site.write("logs/app.jsonl.2", &content[..content.len() / 2]);
    site.build();
    site.write("logs/app.jsonl.2", &content);
    site.build();
    assert_eq!(site.total(), 3000);
}

#[test]
fn what_a_source_gave_counts_once_however_many_copies_there_are() {
    let mut site = folder();
    let content = lines(0..100) + "nonsense\n";
    site.write("logs/a.jsonl", &content);
    site.build();
    site.write("logs/b.jsonl", &content);
    site.write("logs/c.jsonl.gz", gzip(&content));
    let counts = |read: dash::sources::Read| (read.sources[0].operations, read.sources[0].skipped);
    assert_eq!(counts(site.build()), (100, 1));
    site.append("logs/a.jsonl", &lines(100..110));
    site.append("logs/b.jsonl", &lines(200..220));
    assert_eq!((counts(site.build()), site.total()), ((130, 1), 130));
    fs::remove_file(site.path("logs/a.jsonl")).expect("removed");
    assert_eq!(counts(site.build()), (120, 1));
    site.rename("logs/b.jsonl", "logs/d.jsonl");
    fs::remove_file(site.path("logs/c.jsonl.gz")).expect("removed");
    assert_eq!(counts(site.build()), (120, 1));
}

#[test]
fn a_log_that_begins_like_its_successor_is_known_when_it_returns() {
    let mut site = folder();
    let banner = "{\"event\":\"logger started\"}\n".to_owned();
    let old = banner.clone() + &lines(0..10);
    site.write("logs/app.jsonl", &old);
    site.build();
    site.rename("logs/app.jsonl", "elsewhere");
    site.write("logs/app.jsonl", banner + &lines(10..30));
    site.build();
    site.write("logs/app.jsonl.1.gz", gzip(&old));
    site.build();
    assert_eq!(site.total(), 30);
}
