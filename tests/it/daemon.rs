//! The built binary as a daemon: with its own builds, its settings, signals, and proxies before it.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Child;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use dash::store::lock::Lock;

use crate::tools::{Folder, process};

/// Nothing here takes this long unless it hangs.
const LIMIT: Duration = Duration::from_secs(30);

/// A daemon on a free port, ended with the test, whatever comes of it.
struct Daemon {
    child: Child,
    address: String,
    folder: Folder,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until something holds.
fn until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(begun.elapsed() < LIMIT, "{what} does not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl Daemon {
    /// Serves the site in a folder, of which `settings` are the settings.
    fn start(folder: Folder, settings: &str) -> Daemon {
        Daemon::logging(folder, settings, "text")
    }

    /// The same with a log in another format.
    fn logging(folder: Folder, settings: &str, format: &str) -> Daemon {
        folder.write("dash.toml", settings);
        let log = fs::File::create(folder.path("log")).expect("the file can be written");
        let mut command = process(&folder);
        // What a test waits for may be said at that level; as JSON, nothing but what people read is looked at.
        if format == "text" {
            command.env("DASH_LOG", "dash=debug");
        }
        let child = command
            .args(["serve", "--bind", "127.0.0.1:0", "--log-format", format])
            .stderr(log)
            .spawn()
            .expect("it starts");
        let mut daemon = Daemon { child, address: String::new(), folder };
        let address = until("the address", || {
            let log = daemon.folder.read("log");
            let (_, url) = log.split_once("serving http")?;
            let address = url.trim_start_matches("s").trim_start_matches("://");
            Some(address.split_once('/')?.0.to_owned())
        });
        daemon.address = address;
        daemon
    }

    fn get(&self, target: &str) -> (u16, String) {
        exchange(&self.address, format!("GET {target} {HEAD}\r\n").as_bytes())
    }

    fn post(&self, target: &str, body: &str) -> (u16, String) {
        let head = format!("POST {target} {HEAD}content-type: application/json\r\n");
        exchange(&self.address, format!("{head}content-length: {}\r\n\r\n{body}", body.len()).as_bytes())
    }

    fn json(&self, target: &str) -> Value {
        serde_json::from_str(&self.get(target).1).expect("JSON")
    }

    fn signal(&self, name: &str) {
        let process = self.child.id().to_string();
        let sent = std::process::Command::new("kill").args(["-s", name, &process]).status();
        assert!(sent.expect("kill is there").success());
    }
}

const HEAD: &str = "HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n";

/// Status and body.
fn exchange(address: &str, request: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(LIMIT)).expect("supported");
    stream.write_all(request).expect("it reads");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, body.to_owned())
}

fn operation(name: &str, ago_seconds: i64) -> Value {
    let end = chrono::Utc::now() - chrono::Duration::seconds(ago_seconds);
    json!({"wrapper_name": name, "end_time": end.to_rfc3339(), "duration_ms": 12.5, "status": "success"})
}

#[test]
fn what_is_reported_reaches_the_pages_and_outlives_a_crash() {
    let mut daemon = Daemon::start(Folder::new(), "");
    let report = |daemon: &Daemon, body: &Value| {
        let (status, body) = daemon.post("/api/v1/operations", &body.to_string());
        assert_eq!(status, 202, "{body}");
    };
    report(&daemon, &operation("Reporter", 100));
    report(&daemon, &json!([operation("Reporter", 90), operation("Other", 80)]));
    let total =
        |daemon: &Daemon| daemon.json("/api/system/health?hours=1")["data"]["total_operations"].clone();
    until("the count", || (total(&daemon) == json!(3)).then_some(()));
    assert!(daemon.get("/").1.contains("Reporter"));
    until("the page", || (daemon.get("/wrappers/reporter").0 == 200).then_some(()));

    // What was accepted just before the end is there after it.
    report(&daemon, &operation("Last", 70));
    daemon.child.kill().expect("it runs");
    daemon.child.wait().expect("it ended");
    let folder = std::mem::replace(&mut daemon.folder, Folder::new());
    let daemon = Daemon::start(folder, "");
    until("all of it", || (total(&daemon) == json!(4)).then_some(()));
    let files = fs::read_dir(daemon.folder.path("inbox")).expect("the inbox").count();
    assert_eq!(files, 1, "nothing was reported since");
}

#[test]
fn a_terminated_daemon_ends_at_once_and_well() {
    let mut daemon = Daemon::start(Folder::new(), "");
    assert_eq!(daemon.get("/").0, 200);
    let begun = Instant::now();
    daemon.signal("TERM");
    let ended = until("the end", || daemon.child.try_wait().expect("it can be asked"));
    assert!(ended.success() && begun.elapsed() < Duration::from_secs(5), "{ended} {:?}", begun.elapsed());
}

#[test]
fn settings_apply_as_they_are_edited_and_bad_ones_do_not() {
    let daemon = Daemon::start(Folder::new(), "");
    let asks = |host: &str| {
        let head = format!("GET /about.html HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        exchange(&daemon.address, head.as_bytes()).0
    };
    assert_eq!(asks("dash.example"), 421);
    daemon.folder.write("dash.toml", "[serve]\nhosts = ['dash.example']\n");
    until("the host", || (asks("dash.example") != 421).then_some(()));
    daemon.folder.write("dash.toml", "[serve]\nhosts = ['a b']\n");
    until("the refusal", || daemon.folder.read("log").contains("is not a name alone").then_some(()));
    assert_ne!(asks("dash.example"), 421, "what was wrong has changed nothing");
}

#[test]
fn a_certificate_that_is_missing_is_named_while_the_daemon_runs() {
    let daemon = Daemon::start(Folder::new(), "");
    daemon.folder.write("dash.toml", "[serve]\ntls_certificate = 'none.pem'\ntls_key = 'none.key'\n");
    until("the file", || daemon.folder.read("log").contains("none.pem").then_some(()));
    assert_eq!(daemon.get("/").0, 200);
}

#[test]
fn a_hangup_has_the_site_built_now() {
    let daemon = Daemon::start(Folder::new(), "");
    let builds = || {
        let metrics = daemon.get("/metrics").1;
        let line = metrics.lines().find_map(|line| line.strip_prefix("dash_builds_total{result=\"ok\"} "));
        line.and_then(|count| count.parse::<u32>().ok()).expect("a count")
    };
    // One build comes by itself, soon after the start.
    until("the first", || (builds() >= 1).then_some(()));
    let before = builds();
    daemon.signal("HUP");
    until("the next", || (builds() > before).then_some(()));
}

#[test]
fn another_builder_is_waited_for_and_is_no_failure() {
    let folder = Folder::new();
    let line = |name: &str| {
        let end = chrono::Utc::now().to_rfc3339();
        format!("{}\n", json!({"wrapper_name": name, "end_time": end, "status": "success"}))
    };
    folder.write("content/operations/app.jsonl", line("first"));
    let daemon = Daemon::start(folder, "");
    let other = until("the lock", || Lock::take(&daemon.folder.path(""), LIMIT).ok());
    daemon.folder.append("content/operations/app.jsonl", &line("second"));
    until("a try", || daemon.folder.read("log").contains("another `dash` is building").then_some(()));
    drop(other);
    until("the second wrapper", || daemon.get("/").1.contains(">second<").then_some(()));
    let metrics = daemon.get("/metrics").1;
    assert!(metrics.contains("dash_builds_total{result=\"failed\"} 0"), "{metrics}");
}

#[test]
fn no_request_writes_a_line_of_its_own_into_the_log() {
    let forged = "ana%0A2026-01-25T12:00:00Z%20ERROR%20forged%1B%5B2K%22%2C%22level%22%3A%22ERROR";
    for format in ["text", "json"] {
        let folder = Folder::new();
        folder.write("dash.toml", "");
        let add = ["user", "add", "ana"];
        crate::tools::dash(&folder).args(add).write_stdin("correct horse\n").assert().success();
        let daemon = Daemon::logging(folder, "", format);
        let body = format!("name={forged}&password=x&to=");
        let head = format!("POST /sign-in {HEAD}content-type: application/x-www-form-urlencoded\r\n");
        let request = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
        assert_eq!(exchange(&daemon.address, request.as_bytes()).0, 401);
        let log =
            until("the line", || Some(daemon.folder.read("log")).filter(|log| log.contains("sign-in as")));
        assert!(!log.contains('\u{1b}'), "{log}");
        let of_it: Vec<_> = log.lines().filter(|line| line.contains("forged")).collect();
        assert_eq!(of_it.len(), 1, "{log}");
        assert!(of_it[0].contains("sign-in as"), "{log}");
        for line in log.lines().filter(|_| format == "json") {
            let Value::Object(event) = serde_json::from_str(line).expect(line) else { panic!("{line}") };
            let fields: Vec<_> = event.keys().map(String::as_str).collect();
            assert_eq!(fields, ["timestamp", "level", "message"], "{line}");
            assert!(["INFO", "WARN"].contains(&event["level"].as_str().expect("text")), "{line}");
        }
    }
}

#[test]
fn errors_are_events_where_the_log_is_json() {
    let folder = Folder::new();
    folder.write("dash.toml", "[site]\ntitel = 'x'\n");
    let build = crate::tools::dash(&folder).arg("build").env("DASH_LOG_FORMAT", "json").assert().code(1);
    let said = String::from_utf8_lossy(&build.get_output().stderr).into_owned();
    let event: Value = serde_json::from_str(&said).expect("one event");
    assert_eq!(event["level"], "ERROR");
    assert!(event["message"].as_str().is_some_and(|message| message.contains("titel")), "{said}");
}

#[test]
fn the_inbox_is_cleaned_of_what_was_read_and_takes_room() {
    let daemon = Daemon::start(Folder::new(), "[serve]\ninbox_max_bytes = 67108864\n");
    let end = chrono::Utc::now().to_rfc3339();
    let reports = 12;
    for report in 0..reports {
        let line = json!({"id": report, "wrapper_name": "a", "end_time": end, "pad": "x".repeat(1000)});
        let body = Value::from(vec![line; 7000]).to_string();
        // All of them are more than there may be: some may have to wait until others are read.
        until("room", || match daemon.post("/api/v1/operations", &body).0 {
            202 => Some(()),
            507 => None,
            status => panic!("answered with {status}"),
        });
    }
    let size = || {
        let files = fs::read_dir(daemon.folder.path("inbox")).expect("the inbox").flatten();
        files.filter_map(|file| Some(file.metadata().ok()?.len())).sum::<u64>()
    };
    until("room", || (size() <= 32 << 20).then_some(()));
    let counted = || daemon.json("/api/system/health?hours=1")["data"]["total_operations"].clone();
    until("all of them", || (counted() == json!(reports * 7000)).then_some(()));
}

#[test]
fn an_output_that_is_deleted_is_built_again_at_once() {
    let daemon = Daemon::start(Folder::new(), "");
    // One build comes by itself, soon after the start, and the next a minute later.
    let built = "dash_builds_total{result=\"ok\"} 1";
    until("the first", || daemon.get("/metrics").1.contains(built).then_some(()));
    let deleted = Instant::now();
    fs::remove_dir_all(daemon.folder.path("output")).expect("ours");
    assert_eq!(daemon.get("/").0, 200);
    until("the site", || daemon.folder.path("output/snapshot.json").exists().then_some(()));
    assert!(deleted.elapsed() < Duration::from_secs(15), "{:?}", deleted.elapsed());
    assert!(daemon.folder.path("output/index.html").exists());
    until("the end of it", || {
        daemon.folder.read("log").contains("loading the site works again").then_some(())
    });
    let log = daemon.folder.read("log");
    assert!(log.contains("is gone; still serving the last snapshot") && !log.contains("dash build"), "{log}");
}

#[test]
fn wrong_settings_stop_no_build() {
    let daemon = Daemon::start(Folder::new(), "[site]\ntitle = 'Ours'\n");
    let total = || daemon.json("/api/system/health?hours=1")["data"]["total_operations"].clone();
    let mut reported = 0;
    let mut report = || {
        reported += 1;
        let (status, body) = daemon.post("/api/v1/operations", &operation("app", 100).to_string());
        assert_eq!(status, 202, "{body}");
        until("the record", || (total() == json!(reported)).then_some(()));
        assert!(daemon.get("/").1.contains("Ours"));
    };
    report();
    daemon.folder.write("dash.toml", "[site]\ntitel = 'x'\n");
    let told = |what: &str| until("the line", || daemon.folder.read("log").contains(what).then_some(()));
    told("the last settings stand: ");
    told("titel");
    report();
    fs::remove_file(daemon.folder.path("dash.toml")).expect("it is there");
    daemon.signal("HUP");
    report();
    daemon.folder.write("dash.toml", "[site]\ntitle = 'Ours again'\n");
    told("reading the settings works again");
    until("the title", || daemon.get("/").1.contains("Ours again").then_some(()));
    let metrics = daemon.get("/metrics").1;
    assert!(metrics.contains("dash_builds_total{result=\"failed\"} 0"), "{metrics}");
}

#[test]
fn corrected_settings_apply_at_once_however_long_builds_have_failed() {
    let daemon = Daemon::start(Folder::new(), "");
    let builds = |result: &str| {
        let metrics = daemon.get("/metrics").1;
        let line = format!("dash_builds_total{{result=\"{result}\"}} ");
        let count = metrics.lines().find_map(|known| known.strip_prefix(&line));
        count.and_then(|count| count.parse::<u32>().ok()).expect("a count")
    };
    until("the first", || (builds("ok") >= 1).then_some(()));
    fs::rename(daemon.folder.path("output"), daemon.folder.path("aside")).expect("ours");
    daemon.folder.write("output", "no folder");
    daemon.signal("HUP");
    // Half a second, one, two, four, and then eight.
    until("failures", || (builds("failed") >= 5).then_some(()));
    let before = builds("ok");
    fs::remove_file(daemon.folder.path("output")).expect("ours");
    let corrected = Instant::now();
    daemon.folder.write("dash.toml", "[site]\ntitle = 'Corrected'\n");
    until("the build", || (builds("ok") > before).then_some(()));
    assert!(corrected.elapsed() < Duration::from_secs(6), "{:?}", corrected.elapsed());
}
