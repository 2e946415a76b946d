//! What the data-quality page is told of records and files that are not as they should be.

use dash::model::quality::{Problem, ProblemKind};

use crate::sources::{Site, folder, line, lines};

const END: &str = "\"end_time\":\"2025-01-24T09:00:00Z\"";

fn record(fields: &str) -> String {
    format!("{{\"wrapper_name\":\"w\",{fields}}}\n")
}

fn reasons(site: &Site, path: &str) -> Vec<(String, u64, u64)> {
    let row = |problem: &Problem| (problem.reason.clone(), problem.line, problem.count);
    site.entry(path).problems.iter().map(row).collect()
}

#[test]
fn each_reason_has_a_row_of_its_own() {
    let mut site = folder();
    let nameless = format!("{{{END}}}\n");
    let late = record("\"end_time\":\"yesterday\"");
    let odd = record(&format!("{END},\"status\":\"maybe\""));
    site.write("logs/a.jsonl", [&nameless, &late, &odd, &late, &odd, &odd].map(String::as_str).concat());
    site.build();
    let found = reasons(&site, "logs/a.jsonl");
    let row = |name: &str| found.iter().find(|row| row.0.contains(name)).map(|row| (row.1, row.2));
    assert_eq!(row("`wrapper_name` is missing"), Some((1, 1)));
    assert_eq!(row("`end_time` is not a time"), Some((2, 2)));
    assert_eq!(row("`status` is not one of"), Some((3, 3)));
    let status = site.entry("logs/a.jsonl").problems.iter().find(|problem| problem.line == 3);
    assert_eq!(status.map(|problem| problem.example.as_str()), Some("`maybe`"));
}

#[test]
fn what_ends_far_ahead_is_counted_and_told() {
    let mut site = folder();
    // A build of these tests is for 2025-01-24T12:00:00Z.
    let ends =
        ["2025-01-24T09:00:00Z", "2025-01-25T12:00:00Z", "2025-01-25T12:00:01Z", "2099-01-01T00:00:00Z"];
    let records: Vec<_> = ends.iter().map(|end| record(&format!("\"end_time\":\"{end}\""))).collect();
    site.write("logs/a.jsonl", records.concat());
    let read = site.build();
    assert_eq!((read.records, read.skipped), (4, 0));
    let found = reasons(&site, "logs/a.jsonl");
    assert!(found[0].0.contains("a day ahead"), "{found:?}");
    assert_eq!((found.len(), found[0].1, found[0].2), (1, 3, 2));
    let last = site.entry("logs/a.jsonl").last_end_ms;
    assert_eq!(last, 1_737_806_400_000, "a wrong clock does not make data look fresh");
}

#[test]
fn nothing_of_a_record_is_told_but_times_numbers_and_status() {
    let mut site = folder();
    let secret = "ann@example.org";
    site.write(
        "logs/a.csv",
        format!(
            "wrapper_name,end_time,user_id\nw,1,{secret},x\nw,1,\"{secret}\nw,1,\"{secret}\"x\n{secret}\n"
        ),
    );
    let mut content = format!(
        "{{\"user_id\":\"{secret}\",oops\n\"{secret}\"\n{{\"x\":\"{secret}\"\n{}",
        record(&format!("{END},\"success\":\"{secret}\""))
    )
    .into_bytes();
    content.extend_from_slice(&[secret.as_bytes(), b"\xff\n"].concat());
    site.write("logs/b.jsonl", content);
    assert_eq!(site.build().skipped, 8);
    let told = format!("{:?}", site.ledger.iter().map(|entry| &entry.problems).collect::<Vec<_>>());
    assert!(!told.contains("ann"), "{told}");
}

#[test]
fn absurd_numbers_are_refused_with_their_bound() {
    let mut site = folder();
    let with = |field: &str| record(&format!("{END},{field}"));
    let bad = [
        with("\"duration_ms\":1000000000001"),
        with("\"cost_estimate\":1e13"),
        with("\"custom_metrics\":{\"cost_estimate\":\"1000000000001\"}"),
        with("\"total_tokens\":1000000000000001"),
        with("\"prompt_tokens\":\"1e16\""),
    ];
    let good =
        [with("\"duration_ms\":1000000000000,\"cost_estimate\":1e12,\"total_tokens\":1000000000000000")];
    site.write("logs/a.jsonl", bad.concat() + &good.concat());
    let read = site.build();
    assert_eq!((read.records, read.skipped), (1, 5));
    let found = reasons(&site, "logs/a.jsonl");
    for (row, bound) in
        [("`duration_ms`", "10^12"), ("`cost_estimate`", "10^12"), ("`total_tokens`", "10^15")]
    {
        let reason = format!("{row} is more than {bound}");
        assert!(found.iter().any(|(found, ..)| *found == reason), "{reason}: {found:?}");
    }
}

#[test]
fn long_names_that_begin_alike_stay_apart() {
    let mut site = folder();
    let name = "x".repeat(200);
    let content = ["", "a", "b"].map(|end| format!("{{\"wrapper_name\":\"{name}{end}\",{END}}}\n"));
    site.write("logs/a.jsonl", content.concat());
    site.build();
    assert_eq!(site.rollup.wrappers.len(), 3);
    assert!(site.rollup.wrappers.contains_key(name.as_str()));
    assert!(site.rollup.wrappers.keys().all(|name| name.chars().count() <= 200));
}

#[test]
fn what_says_started_is_in_flight_whatever_its_duration() {
    let mut site = folder();
    let started = format!(
        "\"operation_id\":\"a\",\"status\":\"started\",\"start_time\":{},\"duration_ms\":5",
        site.now_ms - 1000
    );
    site.write("logs/a.jsonl", record(&started));
    assert_eq!((site.build().in_flight.len(), site.total()), (1, 0));
    site.append("logs/a.jsonl", &record(&format!("{started},\"end_time\":{}", site.now_ms)));
    assert_eq!((site.build().in_flight.len(), site.total()), (0, 1));
}

#[test]
fn a_file_that_is_laid_out_otherwise_says_so() {
    let row = "w,2025-01-24T09:00:00Z";
    for (name, content, expected) in [
        ("a.csv", format!("wrapper_name,end_time\r{row}\r{row}\r"), "end in CR"),
        ("a.csv", format!("service,end_time\n{row}\n"), "no `wrapper_name` column"),
        ("a.csv", format!("wrapper_name;end_time\n{}\n", row.replace(',', ";")), "separated by `;`"),
        ("a.csv", format!("wrapper_name\tend_time\n{}\n", row.replace(',', "\t")), "separated by tabs"),
    ] {
        let mut site = folder();
        site.write(&format!("logs/{name}"), &content);
        site.build();
        let problems = &site.entry(&format!("logs/{name}")).problems;
        let found = problems.iter().filter(|problem| problem.kind == ProblemKind::Layout);
        let found: Vec<_> = found.map(|problem| problem.reason.as_str()).collect();
        assert!(found.len() == 1 && found[0].contains(expected), "{content}: {problems:?}");
        assert!(problems.iter().all(|problem| problem.kind != ProblemKind::Unfinished), "{content}");
    }
    let mut site = Site::new("path = 'logs'\ndefaults = { wrapper_name = 'w' }");
    site.write("logs/a.csv", "end_time\n2025-01-24T09:00:00Z\n");
    site.build();
    assert_eq!((site.total(), reasons(&site, "logs/a.csv")), (1, Vec::new()));
}

#[test]
fn a_corrected_mapping_reads_a_file_that_gave_nothing_anew() {
    let mut site = folder();
    let line = format!("{{\"svc\":\"w\",{END}}}\n");
    site.write("logs/a.jsonl", line.repeat(3));
    assert_eq!(site.build().skipped, 3);
    site.sources[0].fields.insert("wrapper_name".to_owned(), "svc".to_owned());
    assert_eq!((site.build().records, site.total()), (3, 3));
    assert_eq!((reasons(&site, "logs/a.jsonl"), site.entry("logs/a.jsonl").skipped), (Vec::new(), 0));
    assert_eq!(site.build().bytes, 0);
}

#[test]
fn a_changed_mapping_holds_for_new_lines_of_a_file_that_gave_operations() {
    let mut site = folder();
    site.write("logs/a.jsonl", lines(0..3));
    site.build();
    site.sources[0].defaults.insert("model".to_owned(), "m".to_owned());
    assert_eq!(site.build().bytes, 0);
    assert!(site.problem("logs/a.jsonl", ProblemKind::Remapped).reason.contains("delete `.dash`"));
    site.append("logs/a.jsonl", &lines(3..5));
    assert_eq!((site.build().records, site.total()), (2, 5));
    assert_eq!(site.problem("logs/a.jsonl", ProblemKind::Remapped).count, 1);
    site.sources[0].defaults.clear();
    site.build();
    assert_eq!(reasons(&site, "logs/a.jsonl"), Vec::new());
}

#[test]
fn one_bad_line_in_a_thousand_costs_that_line_alone() {
    let mut site = folder();
    let bad: [&[u8]; 5] = [
        b"{\"wrapper_name\":\"w\",\"end_time\":\"2025-",
        b"{\"wrapper_name\":\"\xff\"}",
        b"{\"wrapper_name\":\"w\"}",
        b"{\"wrapper_name\":\"w\",\"end_time\":\"1999-12-31T00:00:00Z\"}",
        b"plain text, \"quoted",
    ];
    let mut log = Vec::new();
    for id in 0..50_000_u64 {
        match id % 1000 {
            499 => log.extend_from_slice(bad[(id / 1000) as usize % bad.len()]),
            _ => log.extend_from_slice(line(id).trim_end().as_bytes()),
        }
        log.push(b'\n');
    }
    site.write("logs/a.jsonl", &log);
    let read = site.build();
    assert_eq!((read.records, read.skipped, site.entry("logs/a.jsonl").lines), (49_950, 50, 50_000));
    assert_eq!(site.total(), 49_950);
    let problems = &site.entry("logs/a.jsonl").problems;
    let mut first: Vec<_> = problems.iter().map(|problem| (problem.line, problem.count)).collect();
    first.sort();
    assert_eq!(first, [(500, 10), (1500, 10), (2500, 10), (3500, 10), (4500, 10)], "{problems:?}");
}
