//! `dash export --operations`: the records themselves, each once, without what is private.

use std::path::Path;
use std::process::Stdio;

use predicates::prelude::*;
use predicates::str::contains;
use serde_json::{Value, json};

use crate::python::python;
use crate::tools::{Folder, dash, peak, process};

const MOMENT: &str = "2026-01-25T13:00:00Z";

fn site(settings: &str) -> Folder {
    let folder = Folder::new();
    dash(&folder).arg("init").assert().success();
    folder.write("dash.toml", settings);
    folder
}

fn export(folder: &Folder, arguments: &[&str]) -> String {
    let run = dash(folder).args(["export", "--now", MOMENT]).args(arguments).assert().success();
    String::from_utf8(run.get_output().stdout.clone()).expect("an export is text")
}

fn operations(folder: &Folder, arguments: &[&str]) -> String {
    export(folder, &[&["--operations"], arguments].concat())
}

/// Operations of a wrapper, or of all, in the metrics of so many hours.
fn total(folder: &Folder, arguments: &[&str]) -> u64 {
    let rows: Vec<Value> =
        serde_json::from_str(&export(folder, &[&["--format", "json"], arguments].concat())).expect("JSON");
    rows.iter().map(|row| row["total_operations"].as_u64().expect("a count")).sum()
}

#[test]
fn they_are_as_many_as_the_metrics_count() {
    let folder = Folder::new();
    dash(&folder).arg("init").assert().success();
    folder.sample(&["--days", "4", "--rate", "40/h", "--now", MOMENT]);
    // A rotated log and its compressed copy are one log.
    folder.copy(&folder.path("content/operations/sample.jsonl"), "content/operations/sample.jsonl.1");
    for selection in [&["--hours", "24"][..], &["--hours", "72"], &["--hours", "3", "--wrapper", "RouteLLM"]]
    {
        let lines = operations(&folder, selection);
        let count = lines.lines().count() as u64;
        assert!(count > 0 && lines.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()));
        assert_eq!(count, total(&folder, selection), "{selection:?}");
        let rows = operations(&folder, &[&["--format", "csv"], selection].concat());
        assert_eq!(csv::Reader::from_reader(rows.as_bytes()).records().count() as u64, count);
    }
}

#[test]
fn records_are_as_they_were_written_but_for_what_is_private() {
    let source = "[[source]]\npath = 'logs'\nfields = { user_id = 'meta.who', model = 'meta.llm' }\n\
                  defaults = { wrapper_name = 'd' }\n";
    let folder = site(source);
    let record =
        |second: u32, rest: &str| format!("{{\"end_time\":\"2026-01-25T12:00:{second:02}Z\"{rest}}}\n");
    let log = [
        record(1, r#", "user_id":"ann", "meta":{"who":"ann","llm":"m","a":[{"session_id":1}]}, "x":1.50"#),
        record(2, r#","wrapper_name":"w","who":5"#),
        "bad\n".to_owned(),
        record(3, r#","status":"started""#),
        "{\"wrapper_name\":\"w\",\"end_time\":\"2026-01-23T12:00:00Z\"}\n".to_owned(),
    ];
    folder.write("logs/a.jsonl", log.concat());
    folder.write(
        "logs/b.csv",
        "wrapper_name,end_time,request_id,note\nd,2026-01-25T12:00:04Z,r,\"a \"\"b\"\"\"\n",
    );
    let expected = [
        r#"{"end_time":"2026-01-25T12:00:01Z","meta":{"llm":"m","a":[{}]},"x":1.50,"wrapper_name":"d"}"#,
        r#"{"end_time":"2026-01-25T12:00:02Z","wrapper_name":"w","who":5}"#,
        r#"{"end_time":"2026-01-25T12:00:03Z","status":"started","wrapper_name":"d"}"#,
        r#"{"wrapper_name":"d","end_time":"2026-01-25T12:00:04Z","note":"a \"b\""}"#,
    ];
    assert_eq!(operations(&folder, &[]).lines().collect::<Vec<_>>(), expected);
    let of_d = operations(&folder, &["--wrapper", "d"]);
    assert_eq!(of_d.lines().collect::<Vec<_>>(), [expected[0], expected[2], expected[3]]);
    let rows = operations(&folder, &["--format", "csv"]);
    assert!(rows.contains(",m,") && !rows.contains("ann") && !rows.contains("user_id"), "{rows}");

    folder.write("dash.toml", format!("{source}reveal = [\"user_id\", \"request_id\"]\n"));
    let lines = operations(&folder, &[]);
    assert!(lines.contains(r#""who":"ann""#) && lines.contains(r#""request_id":"r""#), "{lines}");
    assert!(!lines.contains("session_id"));
    let rows = operations(&folder, &["--format", "csv"]);
    assert!(
        rows.lines().next().is_some_and(|names| names.ends_with("user_id,request_id,provider")),
        "{rows}"
    );
    assert!(rows.contains("ann"), "{rows}");
}

#[test]
fn a_table_of_operations_can_be_read_again_and_is_no_program() {
    let folder = site("");
    let names = ["=1+1", "@SUM(A1)", "-x", "a,\"b\"\nc", "plain"];
    let line = |(at, name): (usize, &&str)| {
        let end = format!("2026-01-25T12:0{at}:00Z");
        let metrics = json!({ "tokens_used": 7, "user_id": "ann" });
        format!(
            "{}\n",
            json!({ "wrapper_name": "w", "model": name, "end_time": end, "duration_ms": 1.5,
                    "error_message": name, "success": false, "custom_metrics": metrics })
        )
    };
    folder.write("content/operations/a.jsonl", names.iter().enumerate().map(line).collect::<String>());
    let rows = operations(&folder, &["--format", "csv", "--hours", "48"]);
    assert!(!rows.contains("ann"), "{rows}");
    let mut reader = csv::Reader::from_reader(rows.as_bytes());
    for cell in
        reader.records().flat_map(|row| row.expect("a row").iter().map(str::to_owned).collect::<Vec<_>>())
    {
        assert!(!cell.starts_with(['=', '@', '+', '-', '\t', '\n', '\r']), "{cell}");
    }
    let again = site("");
    again.write("content/operations/a.csv", &rows);
    assert_eq!(total(&again, &[]), 5);
    let tokens =
        |folder: &Folder| export(folder, &["--format", "json"]).matches("\"total_tokens\":35").count();
    assert_eq!((tokens(&folder), tokens(&again)), (1, 1));
}

#[test]
fn what_cannot_be_asked_for_says_what_can() {
    let folder = site("");
    folder.sample(&["--days", "1", "--rate", "5/h", "--now", MOMENT]);
    let ask = |arguments: &[&str]| dash(&folder).args(["export", "--now", MOMENT]).args(arguments).assert();
    ask(&["--operations", "--wrapper", "z"])
        .code(1)
        .stderr(contains("records are of: ").and(contains("RouteLLM")));
    ask(&["--operations", "--format", "json"]).code(2).stderr(contains("`jsonl` or `csv`"));
    ask(&["--format", "jsonl"]).code(2).stderr(contains("`json` or `parquet`"));
    folder.write("dash.toml", "[[source]]\npath = 'x'\nreveal = ['model']\n");
    ask(&["--operations"]).code(1).stderr(contains("`user_id`"));
}

#[test]
fn memory_does_not_follow_the_number_of_operations() {
    let memory = |rate: &str| {
        let folder = site("");
        folder.sample(&["--days", "1", "--rate", rate, "--now", MOMENT]);
        let log =
            std::fs::metadata(folder.path("content/operations/sample.jsonl")).expect("it is there").len();
        let mut export = process(&folder);
        export.args(["export", "--operations", "--hours", "720", "--now", MOMENT]).stdout(Stdio::null());
        (peak(export), log)
    };
    // Most of both is the program itself.
    let ((few, small), (many, large)) = (memory("20/min"), memory("80/min"));
    assert!(
        large > small + 20_000_000 && many < few + 4_000_000,
        "{few} bytes for a log of {small}, {many} for one of {large}"
    );
}

/// What DuckDB, which is not ours, reads in a Parquet file.
fn by_duckdb(path: &Path, query: &str) -> Value {
    let script =
        "import duckdb, json, sys; print(json.dumps(duckdb.sql(sys.argv[1]).fetchall(), default=str))";
    let query = query.replace("FILE", &format!("'{}'", path.display()));
    let run = python().args(["-c", script, &query]).output().expect("Python can be run");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    serde_json::from_slice(&run.stdout).expect("rows as JSON")
}

#[test]
fn parquet_says_what_json_says_with_types() {
    let folder = site("");
    folder.sample(&["--days", "2", "--rate", "30/h", "--now", MOMENT]);
    let name = "=1+1 Ü";
    let lonely = json!({"wrapper_name": name, "end_time": "2026-01-25T12:30:00Z", "status": "cancelled"});
    folder.append("content/operations/sample.jsonl", &format!("{lonely}\n"));
    let path = folder.path("metrics.parquet");
    let to = path.to_str().expect("text");
    export(&folder, &["--format", "parquet", "--hours", "48", "--to", to]);
    let rows: Vec<Value> =
        serde_json::from_str(&export(&folder, &["--format", "json", "--hours", "48"])).expect("JSON");
    let sum = |key: &str| rows.iter().filter_map(|row| row[key].as_f64()).sum::<f64>();
    let some = |key: &str| rows.iter().filter(|row| !row[key].is_null()).count();
    let found = by_duckdb(
        &path,
        "SELECT count(*), sum(total_operations)::BIGINT, sum(total_tokens)::BIGINT, count(p95), count(cost), sum(cost), sum(p95) FROM FILE",
    );
    let exact = json!([
        rows.len(),
        sum("total_operations") as u64,
        sum("total_tokens") as u64,
        some("p95"),
        some("cost")
    ]);
    assert_eq!(found[0].as_array().expect("a row")[..5], exact.as_array().expect("a row")[..]);
    for (at, key) in [(5, "cost"), (6, "p95")] {
        assert!((found[0][at].as_f64().expect("a number") - sum(key)).abs() < 1e-6, "{key}");
    }
    let one = by_duckdb(
        &path,
        "SELECT epoch_ms(timestamp), wrapper_name, p95 FROM FILE WHERE wrapper_name LIKE '=%'",
    );
    assert_eq!(one, json!([[1_769_342_400_000_i64, name, null]]));
    let types = by_duckdb(&path, "SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM FILE)");
    for expected in [
        ["timestamp", "TIMESTAMP WITH TIME ZONE"],
        ["wrapper_name", "VARCHAR"],
        ["cost", "DOUBLE"],
        ["error_count", "BIGINT"],
    ] {
        assert!(types.as_array().expect("rows").contains(&json!(expected)), "{types}");
    }
    dash(&folder).args(["snapshot", "--now", MOMENT]).assert().success();
    let kept = folder.path("output/archive/20260125T130000Z/exports/metrics.parquet");
    let day = by_duckdb(&kept, "SELECT sum(total_operations)::BIGINT FROM FILE");
    assert_eq!(day[0][0].as_u64(), Some(total(&folder, &["--hours", "24"])));
    dash(&folder).arg("verify").assert().success();
    let wrong = dash(&folder).args(["export", "--operations", "--format", "parquet"]).assert().code(2);
    wrong.stderr(contains("`jsonl` or `csv`"));
}
