//! The built binary, as a person or cron runs it.

use std::fs;

use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use serde_json::Value;

use crate::tools::{Folder, dash, files_below};

const MOMENT: &str = "2026-01-25T13:00:00Z";

/// A new site with one log of these lines.
fn site(lines: &str) -> Folder {
    let folder = Folder::new();
    dash(&folder).arg("init").assert().success();
    folder.write("content/operations/a.jsonl", lines);
    folder
}

fn operation(wrapper: &str, minute: u32, status: &str) -> String {
    let record = serde_json::json!({
        "wrapper_name": wrapper,
        "end_time": format!("2026-01-25T12:{minute:02}:00Z"),
        "duration_ms": 100,
        "status": status,
    });
    format!("{record}\n")
}

fn build(folder: &Folder) -> Value {
    let output =
        dash(folder).args(["build", "--json", "--now", MOMENT]).assert().success().get_output().clone();
    serde_json::from_slice(&output.stdout).expect("the answer is JSON")
}

fn total(folder: &Folder) -> u64 {
    folder.json("output/api/system/health.json")["data"]["total_operations"].as_u64().expect("a number")
}

#[test]
fn a_new_site_builds_at_once_and_says_what_to_do() {
    let folder = Folder::new();
    dash(&folder).args(["init", "mysite"]).assert().success();
    let config = "mysite/dash.toml";
    dash(&folder)
        .args(["build", "--config", config])
        .assert()
        .success()
        .stderr(contains("content/operations/"));
    assert!(folder.read("mysite/output/index.html").contains("content/operations"));
    dash(&folder).args(["init", "mysite"]).assert().code(1).stderr(contains("there already"));
}

#[test]
fn without_settings_the_error_names_the_next_step() {
    dash(&Folder::new()).arg("build").assert().code(1).stderr(contains("`dash init`"));
}

#[test]
fn wrong_usage_is_exit_code_two() {
    let folder = Folder::new();
    dash(&folder).args(["build", "--now", "yesterday"]).assert().code(2).stderr(contains("RFC 3339"));
    dash(&folder).args(["export", "--hours", "721"]).assert().code(2).stderr(contains("720"));
    dash(&folder).args(["sample", "--rate", "5/week"]).assert().code(2).stderr(contains("`min`"));
}

#[test]
fn settings_that_are_wrong_are_named_with_their_line() {
    let cases = [
        ("[site]\ntitel = 'x'\n", "did you mean `title`"),
        ("[health]\nrecent_factor = 'much'\n", "recent_factor"),
        ("[serve]\nbind = \"nowhere\"\n", "line 2"),
        ("[[source]]\npath = 'x'\nfields = { wraper = 'y' }\n", "wrapper_name"),
        ("not toml", "line 1"),
    ];
    for (text, expected) in cases {
        let folder = site("");
        folder.write("dash.toml", text);
        let found = dash(&folder).arg("build").assert().code(1).get_output().stderr.clone();
        let found = String::from_utf8_lossy(&found).into_owned();
        assert!(found.contains("dash.toml") && found.contains(expected), "{text:?} gave {found}");
    }
}

#[test]
fn appends_add_up_and_nothing_is_read_twice() {
    let folder = site(&operation("a", 10, "success"));
    assert_eq!(build(&folder)["records"], 1);
    folder.append("content/operations/a.jsonl", &operation("a", 11, "error"));
    assert_eq!(build(&folder)["records"], 1);
    assert_eq!(build(&folder)["records"], 0);
    assert_eq!(total(&folder), 2);
}

#[test]
fn a_build_without_news_writes_nothing() {
    let folder = site(&operation("a", 10, "success"));
    let first = build(&folder);
    let second = build(&folder);
    assert_eq!(second["written"], 0);
    assert_eq!(first["snapshot"], second["snapshot"]);
}

#[test]
fn a_wrong_clock_loses_nothing() {
    let folder = site(&operation("a", 10, "success"));
    build(&folder);
    folder.append("content/operations/a.jsonl", &operation("a", 11, "error"));
    // As old as what is in it, as logs are: that is what tells a wrong clock from a late build.
    let log = fs::File::options()
        .append(true)
        .open(folder.path("content/operations/a.jsonl"))
        .expect("it is there");
    let moment = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_769_346_000);
    log.set_modified(moment).expect("its time can be set");
    for wrong in ["2026-02-25T13:00:00Z", "2028-01-01T00:00:00Z"] {
        dash(&folder).args(["export", "--now", wrong]).assert().success();
        dash(&folder).args(["build", "--now", wrong]).assert().success();
    }
    folder.append("content/operations/a.jsonl", &operation("a", 12, "success"));
    build(&folder);
    let day = folder.json("output/api/wrappers/a/metrics.json");
    let minutes: u64 =
        day["data"].as_array().expect("rows").iter().filter_map(|row| row["total_operations"].as_u64()).sum();
    let export =
        dash(&folder).args(["export", "--hours", "720", "--format", "json", "--now", MOMENT]).output();
    let rows: Value = serde_json::from_slice(&export.expect("it runs").stdout).expect("JSON");
    let total: u64 =
        rows.as_array().expect("rows").iter().filter_map(|row| row["total_operations"].as_u64()).sum();
    assert_eq!(total, 3);
    assert_eq!(minutes, 3, "{day}");
}

#[test]
fn a_source_without_logs_is_named_in_the_summary() {
    let folder = site("");
    folder.write("dash.toml", "[[source]]\npath = 'nowhere/*.jsonl'\n");
    dash(&folder).arg("build").assert().success().stderr(contains("nowhere/*.jsonl"));
}

#[test]
fn history_outlives_its_logs() {
    let folder = site(&operation("a", 10, "success"));
    build(&folder);
    fs::remove_file(folder.path("content/operations/a.jsonl")).expect("it is there");
    build(&folder);
    assert_eq!(total(&folder), 1);
}

#[test]
fn bad_lines_are_counted_shown_and_cost_nothing_good() {
    let mut lines = String::new();
    for minute in 0..20 {
        lines += &operation("good", minute, "success");
        lines += ["{\"wrapper_name\": \n", "not json\n", "[]\n", "{}\n"][minute as usize % 4];
    }
    let folder = site(&lines);
    folder.write("content/operations/b.jsonl", b"\xff\xfe{\n".repeat(3));
    folder.write("content/operations/long.jsonl", "x".repeat(10 << 20) + "\n");
    folder.write("content/operations/empty.jsonl", "");
    let built = build(&folder);
    assert_eq!((built["records"].as_u64(), total(&folder)), (Some(20), 20));
    assert!(built["skipped"].as_u64().is_some_and(|skipped| skipped >= 24), "{built}");
    let page = folder.read("output/data-quality.html");
    for file in ["a.jsonl", "b.jsonl", "long.jsonl"] {
        assert!(page.contains(file), "{file} is not on the data-quality page");
    }
}

#[test]
fn hostile_names_stay_names() {
    let long = "n".repeat(200);
    let names =
        ["<script>alert(1)</script>", "../..", "=cmd|' /C calc'!A0", &long, "😀", "a/b", "A/B", "Ünï", "ünï"];
    let folder = site(&names.iter().map(|name| operation(name, 30, "error")).collect::<String>());
    build(&folder);
    let pages: Vec<_> = files_below(&folder.path("output"))
        .into_keys()
        .filter(|path| path.starts_with("wrappers/"))
        .collect();
    assert_eq!(pages.len(), names.len());
    for path in pages.iter().map(|page| format!("output/{page}")).chain(["output/index.html".to_owned()]) {
        assert!(!folder.read(&path).contains("<script>alert"), "{path}");
    }
    let csv = folder.read("output/exports/metrics.csv");
    assert!(csv.contains("'=cmd") && !csv.contains("\n=cmd"), "{csv}");
}

#[test]
fn an_output_that_is_a_file_or_holds_foreign_files_is_left_alone() {
    let folder = site(&operation("a", 10, "success"));
    folder.write("taken", "a file");
    for inside in [".", "content/operations", "content/operations/site"] {
        dash(&folder)
            .args(["build", "--output", inside])
            .assert()
            .code(1)
            .stderr(contains("another `--output`"));
    }
    dash(&folder).args(["build", "--output", "taken"]).assert().code(1).stderr(contains("is not a folder"));
    folder.write("mine/index.html", "my page");
    folder.write("mine/notes.txt", "my notes");
    dash(&folder)
        .args(["build", "--output", "mine"])
        .assert()
        .code(1)
        .stderr(contains("was not written by dash"));
    assert_eq!(folder.read("mine/index.html"), "my page");
    fs::remove_file(folder.path("mine/index.html")).expect("it is there");
    dash(&folder).args(["build", "--output", "mine"]).assert().success();
    assert_eq!(folder.read("mine/notes.txt"), "my notes");
}

#[test]
fn two_builders_do_not_meet() {
    let folder = site(&operation("a", 10, "success"));
    build(&folder);
    let store = dash::store::Store::open(&folder.path("")).expect("the store is free");
    dash(&folder).arg("build").assert().code(1).stderr(contains("another `dash`"));
    drop(store);
    build(&folder);
}

#[test]
fn exports_are_data_on_standard_output() {
    let folder = site(&(operation("a", 10, "success") + &operation("b, c", 11, "timeout")));
    let export = |arguments: &[&str]| {
        let run = dash(&folder).args(["export", "--now", MOMENT]).args(arguments).assert().success();
        String::from_utf8(run.get_output().stdout.clone()).expect("an export is text")
    };
    let mut reader = csv::Reader::from_reader(export(&[]).into_bytes().leak() as &[u8]);
    let names: Vec<String> = reader.records().map(|row| row.expect("a row")[1].to_owned()).collect();
    assert_eq!(names, ["a", "b, c"]);
    let json: Value =
        serde_json::from_str(&export(&["--format", "json", "--wrapper", "b, c"])).expect("JSON");
    assert_eq!((json[0]["error_count"].as_u64(), json[0]["timeout_count"].as_u64()), (Some(1), Some(1)));
    dash(&folder).args(["export", "--wrapper", "z"]).assert().code(1).stderr(contains("known are: a, b, c"));
}

#[test]
fn check_finds_what_is_missing_and_writes_nothing() {
    let folder = site("");
    dash(&folder).arg("check").assert().success();
    folder.write("dash.toml", "[[source]]\npath = 'missing/*.jsonl'\n");
    dash(&folder).arg("check").assert().code(1).stderr(contains("optional = true"));
    assert!(!folder.path("output").exists() && !folder.path(".dash").exists());
}

#[test]
fn fields_can_be_renamed_and_defaulted() {
    let folder = site("");
    folder.write(
        "logs/x.ndjson",
        "{\"svc\":\"mine\",\"at\":\"2026-01-25T12:30:00Z\",\"took\":{\"ms\":7},\"ok\":false}\n",
    );
    let source = "[[source]]\npath = 'logs'\nfields = { wrapper_name = 'svc', end_time = 'at', duration_ms = 'took.ms', \
                  success = 'ok' }\ndefaults = { operation_type = 'batch' }\n";
    folder.write("dash.toml", source);
    build(&folder);
    let health = folder.json("output/api/wrappers/health.json");
    assert_eq!(health["data"]["mine"]["error_rate"], 1.0, "{health}");
}

#[test]
fn a_port_in_use_is_told_before_anything_is_built() {
    let folder = site(&operation("a", 10, "success"));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("it is bound").port().to_string();
    dash(&folder).args(["serve", "--bind", &port]).assert().code(1).stderr(contains("is in use"));
    assert!(!folder.path("output").exists());
    dash(&folder).args(["serve", "--bind", "nowhere"]).assert().code(2).stderr(contains("`localhost:5000`"));
}

/// Ends with the test, whatever comes of it.
struct Daemon(std::process::Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_daemon_takes_in_its_settings_as_they_are_edited() {
    let folder = site(&operation("a", 10, "success"));
    let log = fs::File::create(folder.path("log")).expect("the file can be written");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_dash"));
    command.current_dir(folder.path("")).env_remove("DASH_LOG").stderr(log);
    let daemon = command.args(["serve", "--bind", "127.0.0.1:0"]).spawn().expect("it starts");
    let _daemon = Daemon(daemon);
    let until = |path: &str, text: &str| {
        let begun = std::time::Instant::now();
        while !fs::read_to_string(folder.path(path)).is_ok_and(|found| found.contains(text)) {
            assert!(begun.elapsed().as_secs() < 30, "`{text}` does not come: {}", folder.read("log"));
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    };
    until("log", "serving http://");
    folder.write("dash.toml", "[site]\ntitle = 'First'\n");
    until("output/index.html", "First");
    folder.write("dash.toml", "[site]\ntitel = 'Second'\n");
    until("log", "did you mean `title`");
    assert!(folder.read("output/index.html").contains("First"));
    folder.write("dash.toml", "[site]\ntitle = 'Third'\n[serve]\nbase_path = '/x'\n");
    until("output/index.html", "Third");
    until("log", "start `dash serve` again");
}

#[test]
fn users_and_tokens_come_and_go() {
    let folder = Folder::new();
    dash(&folder).arg("init").assert().success();
    let add = |name: &str, password: &str| {
        dash(&folder)
            .args(["user", "add", name, "--role", "admin"])
            .write_stdin(format!("{password}\n"))
            .assert()
    };
    add("ana", "short").code(1).stderr(contains("8 to 256 characters"));
    add("a b", "correct horse").code(1).stderr(contains("letters, digits"));
    add("ana", "correct horse").success();
    dash(&folder).args(["user", "list"]).assert().success().stdout("ana\tadmin\n");
    assert!(!folder.read("access.toml").contains("correct horse"));
    let made = dash(&folder).args(["token", "add", "ci", "--quiet"]).assert().success();
    let token = String::from_utf8(made.get_output().stdout.clone()).expect("text");
    assert!(token.starts_with("dash_") && !folder.read("access.toml").contains(token.trim()));
    dash(&folder)
        .args(["token", "list", "--json"])
        .assert()
        .success()
        .stdout(contains("\"role\":\"viewer\""));
    dash(&folder).args(["token", "add", "ci"]).assert().code(1).stderr(contains("dash token remove ci"));
    dash(&folder)
        .args(["token", "add", "x", "--role", "root"])
        .assert()
        .code(2)
        .stderr(contains("viewer, operator"));
    let left = "one that is started from now on asks nobody";
    dash(&folder).args(["token", "remove", "ci"]).assert().success().stderr(contains(left).not());
    dash(&folder).args(["user", "remove", "ana"]).assert().success().stderr(contains(left));
    dash(&folder).args(["user", "remove", "ana"]).assert().code(1).stderr(contains("dash user list"));
}

#[test]
fn shells_and_man_know_every_command() {
    let folder = Folder::new();
    for shell in ["bash", "zsh", "fish"] {
        let made = dash(&folder).args(["completions", shell]).assert().success();
        let script = String::from_utf8_lossy(&made.get_output().stdout).into_owned();
        assert!(["serve", "snapshot", "no-build"].iter().all(|word| script.contains(word)), "{shell}");
    }
    dash(&folder).args(["completions", "tcsh"]).assert().code(2);
    dash(&folder).arg("man").assert().success().stdout(contains(".TH dash 1"));
    dash(&folder).args(["man", "--to", "man"]).assert().success();
    for page in ["dash.1", "dash-serve.1", "dash-user-add.1"] {
        assert!(folder.read(&format!("man/{page}")).contains(".TH"), "{page}");
    }
}

#[test]
fn a_log_that_cannot_be_read_is_told_by_every_command_that_reads() {
    let folder = Folder::new();
    folder.write("dash.toml", "");
    folder.write(
        "content/operations/a.jsonl",
        "{\"wrapper_name\":\"a\",\"end_time\":\"2026-01-25T12:00:00Z\"}\n",
    );
    // Opens, and cannot be read, whoever asks.
    std::os::unix::fs::symlink("/proc/self/mem", folder.path("content/operations/b.jsonl")).expect("free");
    for _ in 0..2 {
        let build = dash(&folder).arg("build").assert().success();
        build.stderr(contains("warning: source `content/operations`: `content/operations/b.jsonl`: "));
    }
    let told = dash(&folder).args(["build", "--json"]).assert().success();
    let told: serde_json::Value = serde_json::from_slice(&told.get_output().stdout).expect("JSON");
    assert!(told["troubles"][0].as_str().is_some_and(|trouble| trouble.contains("b.jsonl")), "{told}");
    dash(&folder).arg("check").assert().code(1).stderr(contains("b.jsonl"));
    let told = dash(&folder).args(["check", "--json"]).assert().code(1);
    let told: serde_json::Value = serde_json::from_slice(&told.get_output().stdout).expect("JSON");
    assert!(told[0]["unread"][0].as_str().is_some_and(|trouble| trouble.contains("b.jsonl")), "{told}");
}

#[test]
fn a_reader_that_has_enough_is_no_failure() {
    let folder = Folder::new();
    folder.write("dash.toml", "");
    folder.sample(&["--days", "2", "--rate", "20/min", "--now", "2026-01-25T13:00:00Z"]);
    for format in ["csv", "jsonl"] {
        let mut command = crate::tools::process(&folder);
        command.args([
            "export",
            "--operations",
            "--hours",
            "48",
            "--now",
            "2026-01-25T13:00:00Z",
            "--format",
            format,
        ]);
        let (stdout, stderr) = (std::process::Stdio::piped(), std::process::Stdio::piped());
        let mut export = command.stdout(stdout).stderr(stderr).spawn().expect("it starts");
        let mut line = String::new();
        let out = export.stdout.take().expect("piped");
        std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut line).expect("a line");
        let ended = export.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success() && !said.contains("error"), "{format}: {said}");
    }
}

#[test]
fn a_base_url_is_an_address_wherever_it_is_given() {
    let folder = Folder::new();
    folder.write("dash.toml", "");
    dash(&folder)
        .args(["build", "--base-url", "foo"])
        .assert()
        .code(2)
        .stderr(contains("https://dash.example.org/"));
    folder.write("dash.toml", "[site]\nbase_url = 'foo'\n");
    dash(&folder)
        .arg("build")
        .assert()
        .code(1)
        .stderr(contains("https://dash.example.org/").and(contains("line 2")));
}
