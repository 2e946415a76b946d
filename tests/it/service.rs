//! The service level of a month, as a manager reads it and as a spreadsheet does.

use std::collections::BTreeMap;

use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use proptest::prelude::*;
use serde_json::json;

use dash::analysis::service::Month;
use dash::store::settings::{LEAST_HOURS_DAYS, StoreSettings};

use crate::archive::{MOMENT, snapshot};
use crate::tools::{Folder, dash};

fn lines(wrapper: &str, hour: &str, status: &str, count: usize) -> String {
    let line = json!({"wrapper_name": wrapper, "end_time": format!("{hour}:30:00Z"), "duration_ms": 100, "status": status});
    format!("{line}\n").repeat(count)
}

/// wrapper → column → cell.
fn rows(csv: &str) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let headers = reader.headers().expect("a header").clone();
    let cells = |row: csv::StringRecord| {
        headers.iter().zip(row.iter()).map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
    };
    reader.records().map(|row| row.expect("a row")).map(|row| (row[0].to_owned(), cells(row))).collect()
}

#[test]
fn a_month_tells_what_held_and_what_did_not() {
    let folder = Folder::new();
    dash(&folder).arg("init").assert().success();
    folder.write("dash.toml", "[service]\nobjective = 0.95\n");
    let mut log = lines("=bad", "2026-01-10T08", "success", 90) + &lines("=bad", "2026-01-10T08", "error", 6);
    log += &(lines("=bad", "2026-01-10T09", "error", 4) + &lines("=bad", "2026-01-10T11", "timeout", 2));
    log +=
        &(lines("<b>good", "2026-01-20T08", "success", 40) + &lines("<b>good", "2025-12-20T08", "error", 1));
    folder.write("content/operations/a.jsonl", log);
    snapshot(&folder, MOMENT);

    let january = rows(&folder.read("output/archive/service/2026-01.csv"));
    let cell = |name: &str, column: &str| january[name][column].clone();
    assert_eq!(
        (cell("'=bad", "total_operations"), cell("'=bad", "error_count")),
        ("102".to_owned(), "12".to_owned())
    );
    assert_eq!(
        (cell("'=bad", "objective_held"), cell("<b>good", "objective_held")),
        ("false".to_owned(), "true".to_owned())
    );
    let used: f64 = cell("'=bad", "error_budget_used").parse().expect("a number");
    assert!((used - 12.0 / 102.0 / 0.05).abs() < 1e-9, "{used}");
    assert_eq!(
        (cell("'=bad", "hours_with_data"), cell("<b>good", "availability")),
        ("3".to_owned(), "1".to_owned())
    );
    let december = rows(&folder.read("output/archive/service/2025-12.csv"));
    assert_eq!(
        (&december["<b>good"]["error_count"], &december["'=bad"]["availability"]),
        (&"1".to_owned(), &String::new())
    );

    let page = folder.read("output/archive/service/2026-01.html");
    for text in
        ["January 2026", "not held", "235 %", "&lt;b&gt;good", "2026-01-10 09:00 UTC", "2026-01-10 11:00 UTC"]
    {
        assert!(page.contains(text), "{text}");
    }
    assert!(
        page.contains("href=\"../../index.html\"") && !page.contains("<b>good") && !page.contains("src=\"")
    );
    let archive = folder.read("output/archive/index.html");
    assert!(archive.contains("service/2026-01.html") && archive.contains("service/2025-12.csv"));

    folder.write("dash.toml", "[service]\nobjective = 99.5\n");
    dash(&folder).arg("snapshot").assert().code(1).stderr(contains("`[service]`").and(contains("objective")));
}

proptest! {
    #[test]
    fn a_month_is_never_written_from_hours_of_which_some_are_gone(moment_ms in 0i64..4_102_444_800_000) {
        let store = StoreSettings { hours_days: LEAST_HOURS_DAYS, ..StoreSettings::default() };
        prop_assert_eq!(store.validate(), Ok(()));
        let earliest = Month::of(moment_ms).before().first_hour();
        prop_assert!(store.retention(moment_ms).first_hour <= earliest);
    }
}

#[test]
fn hours_are_kept_for_two_months_at_least() {
    let store = StoreSettings { hours_days: LEAST_HOURS_DAYS - 1, ..StoreSettings::default() };
    assert!(store.validate().is_err_and(|problem| problem.contains("`hours_days = 61`")));
    // The last hour of two months of 31 days.
    let last_ms = 1_788_220_799_999;
    let earliest = Month::of(last_ms).before().first_hour();
    assert_eq!(Month::of(last_ms).key(), "2026-08");
    assert!(store.retention(last_ms).first_hour > earliest, "a day less is not enough");
}
