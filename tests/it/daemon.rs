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
        folder.write("dash.toml", settings);
        let log = fs::File::create(folder.path("log")).expect("the file can be written");
        let mut command = process(&folder);
        command.env("DASH_LOG", "dash=debug");
        let child = command.args(["serve", "--bind", "127.0.0.1:0"]).stderr(log).spawn().expect("it starts");
        let mut daemon = Daemon { child, address: String::new(), folder };
        let address = until("the address", || {
            let log = daemon.folder.read("log");
            let line = log.lines().find_map(|line| line.strip_prefix("serving http"))?;
            let address = line.trim_start_matches("s").trim_start_matches("://");
            Some(address.split('/').next().unwrap_or_default().to_owned())
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
