//! Logs of unusual shapes: JSON that is not one object a line, links, names that are no text.

use std::ops::Range;

use dash::model::quality::ProblemKind;

use crate::sources::{folder, line, lines};

fn array(ids: Range<u64>, between: &str) -> String {
    format!("[{}]\n", lines(ids).trim_end().replace('\n', between))
}

#[test]
fn an_array_written_anew_with_more_in_it_goes_on() {
    let mut site = folder();
    for (name, first, between) in [("logs/a.json", 0, ", "), ("logs/b.jsonl", 100, ",\n  ")] {
        site.write(name, array(first..first + 1, between));
        assert_eq!(site.build().records, 1, "{name}");
        site.write(name, array(first..first + 40, between));
        assert_eq!(site.build().records, 39, "{name}");
        assert_eq!(site.entry(name).problems, [], "{name}");
        assert_eq!(site.build().bytes, 0, "{name}");
    }
}

#[test]
fn objects_over_several_lines_are_read() {
    let mut site = folder();
    let spread = line(0).replace(',', ",\n  ").replacen('{', "{\n  ", 1);
    let bad = "{\n\"operation_id\": 3\n}\n";
    site.write("logs/a.json", [&spread, &spread.replace("op-0", "op-1"), bad].concat());
    let read = site.build();
    assert_eq!((read.records, read.skipped), (2, 1));
    let lines_before = 2 * spread.lines().count() as u64;
    assert_eq!(site.problem("logs/a.json", ProblemKind::BadField).line, lines_before + 1);
    site.append("logs/a.json", &spread.replace("op-0", "op-4"));
    assert_eq!(site.build().records, 1);
}

#[test]
fn an_array_that_is_not_whole_gives_what_is_there() {
    let mut site = folder();
    let whole = array(0..10, ",\n");
    let (begun, rest) = whole.split_at(whole.len() - 20);
    site.write("logs/a.json", begun);
    assert_eq!(site.build().records, 9);
    assert_eq!(site.problem("logs/a.json", ProblemKind::Unfinished).line, 10);
    site.append("logs/a.json", rest);
    assert_eq!(site.build().records, 1);
    assert_eq!(site.entry("logs/a.json").problems, []);
}

#[cfg(unix)]
#[test]
fn links_that_lead_nowhere_are_problems() {
    let mut site = folder();
    site.write("logs/a.log", line(0));
    for (to, name) in [("b.log", "logs/b.log"), ("gone.log", "logs/c.log"), (".", "logs/d")] {
        std::os::unix::fs::symlink(to, site.path(name)).expect("linked");
    }
    let read = site.build();
    assert_eq!(read.records, 1);
    let kinds: Vec<_> = read.sources[0].problems.iter().map(|problem| problem.kind).collect();
    assert_eq!(kinds, [ProblemKind::Unreadable, ProblemKind::Unreadable]);
}

#[cfg(unix)]
#[test]
fn names_that_are_not_text_are_told_apart() {
    use std::os::unix::ffi::OsStrExt;
    let mut site = folder();
    site.write("logs/a.jsonl", "");
    for byte in [0xfe, 0xff] {
        let name = [b"logs/", &[byte][..], b".jsonl"].concat();
        let path = site.path("").join(std::ffi::OsStr::from_bytes(&name));
        std::fs::write(path, line(u64::from(byte))).expect("written");
    }
    assert_eq!(site.build().records, 2);
    assert_eq!(site.build().bytes, 0);
}
