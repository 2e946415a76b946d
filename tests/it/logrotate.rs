//! A log that `logrotate` rotates while it is written and read: each operation counts once.

use std::fs::{self, File};
use std::io::Write;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::tools::{Folder, dash};

const MOMENT: &str = "2026-01-25T13:00:00Z";

/// Nothing here takes this long unless it hangs.
const LIMIT: Duration = Duration::from_secs(60);

/// How logs are rotated.
struct Mode {
    directives: &'static str,
    /// Whether the writer waits while `logrotate` runs, and opens the log anew. Otherwise `logrotate` itself
    /// loses what is written between its copying and its truncating, or to a file that it compresses.
    writer_waits: bool,
}

fn log_line(id: u64) -> String {
    let line = serde_json::json!({
        "operation_id": id.to_string(),
        "wrapper_name": "w",
        "end_time": "2026-01-25T12:30:00Z",
        "status": "success",
        "prompt_tokens": id,
        "completion_tokens": id * id,
    });
    format!("{line}\n")
}

/// A site whose log is written, rotated and read at the same time.
struct Rotation {
    folder: Folder,
    mode: Mode,
    writing: Mutex<()>,
    written: AtomicU64,
    builds: AtomicU64,
    stop: AtomicBool,
}

/// Stops all threads when one of them ends, by a panic too.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Rotation {
    fn new(mode: Mode) -> Rotation {
        let folder = Folder::new();
        dash(&folder).arg("init").assert().success();
        folder.write("content/operations/app.jsonl", "");
        let log = folder.path("content/operations/app.jsonl");
        let conf = format!("{} {{\nrotate 100\nmissingok\n{}\n}}\n", log.display(), mode.directives);
        folder.write("logrotate.conf", conf);
        Rotation {
            folder,
            mode,
            writing: Mutex::new(()),
            written: AtomicU64::new(0),
            builds: AtomicU64::new(0),
            stop: AtomicBool::new(false),
        }
    }

    /// Writes operations, numbered from 0, and like a logger opens the log anew only now and then.
    fn write(&self) {
        let path = self.folder.path("content/operations/app.jsonl");
        let open = || File::options().append(true).open(&path);
        let mut log = open().expect("it is there at first");
        for id in 0.. {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            {
                let _turn = self.writing.lock().expect("nobody panics with it");
                if id % 10 == 0 || self.mode.writer_waits {
                    // Between its renaming and its creation, writing goes on where it was.
                    log = open().unwrap_or(log);
                }
                log.write_all(log_line(id).as_bytes()).expect("there is room");
                self.written.store(id + 1, Ordering::Relaxed);
            }
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    fn build(&self) {
        let build = ["build", "--quiet", "--now", MOMENT];
        dash(&self.folder).args(build).assert().success();
        self.builds.fetch_add(1, Ordering::Relaxed);
    }

    fn rotate(&self) {
        let turn = self.mode.writer_waits.then(|| self.writing.lock().expect("nobody panics with it"));
        let mut logrotate = Command::new("logrotate");
        logrotate.arg("--force").arg("--state").arg(self.folder.path("logrotate.state"));
        let run = logrotate.arg(self.folder.path("logrotate.conf")).output();
        let run = run.expect("`logrotate` is installed; `tests/run` does that");
        drop(turn);
        let complaint = String::from_utf8_lossy(&run.stderr);
        // With dates in their names, there is one rotated log a second.
        assert!(run.status.success() || complaint.contains("already exists"), "{complaint}");
    }

    /// Waits until a count has grown by so much.
    fn wait(&self, count: &AtomicU64, more: u64) {
        let (from, end) = (count.load(Ordering::Relaxed), Instant::now() + LIMIT);
        while count.load(Ordering::Relaxed) < from + more {
            assert!(Instant::now() < end && !self.stop.load(Ordering::Relaxed), "it goes on");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn rotated(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path("content/operations")).expect("it is there").flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.filter(|name| name.starts_with("app.jsonl") && name != "app.jsonl").collect()
    }

    /// Rotates until there are so many rotated logs, some of them while a build is under way.
    fn run(&self, rotations: usize) {
        std::thread::scope(|scope| {
            let _stop = Stop(&self.stop);
            scope.spawn(|| self.write());
            scope.spawn(|| {
                let _stop = Stop(&self.stop);
                while !self.stop.load(Ordering::Relaxed) {
                    self.build();
                }
            });
            let end = Instant::now() + LIMIT;
            for round in 0.. {
                self.wait(&self.written, 50);
                self.wait(&self.builds, round % 3);
                self.rotate();
                if self.rotated().len() >= rotations || Instant::now() > end {
                    break;
                }
            }
            self.wait(&self.builds, 1);
        });
        self.build();
    }
}

fn every_operation_counts_once(mode: Mode) {
    let rotation = Rotation::new(mode);
    rotation.run(5);
    let export = ["export", "--format", "json", "--now", MOMENT];
    let output = dash(&rotation.folder).args(export).assert().success().get_output().stdout.clone();
    let rows: serde_json::Value = serde_json::from_slice(&output).expect("an export is JSON");
    let sum = |key: &str| rows[0][key].as_u64().expect("one wrapper and hour");
    let count = rotation.written.load(Ordering::Relaxed);
    let expected = (count, (0..count).sum::<u64>(), (0..count).map(|id| id * id).sum::<u64>());
    let found = (sum("total_operations"), sum("prompt_tokens"), sum("completion_tokens"));
    assert_eq!(found, expected, "{:?}", rotation.rotated());
    assert!(rotation.rotated().len() >= 5, "{:?}", rotation.rotated());
}

#[test]
fn logrotate_renames() {
    every_operation_counts_once(Mode { directives: "create", writer_waits: false });
}

#[test]
fn logrotate_copies_and_truncates() {
    every_operation_counts_once(Mode { directives: "copytruncate", writer_waits: true });
}

#[test]
fn logrotate_copies_truncates_and_compresses() {
    every_operation_counts_once(Mode { directives: "copytruncate\ncompress", writer_waits: true });
}

#[test]
fn logrotate_compresses() {
    every_operation_counts_once(Mode { directives: "create\ncompress", writer_waits: true });
}

#[test]
fn logrotate_compresses_later() {
    let directives = "create\ncompress\ndelaycompress";
    every_operation_counts_once(Mode { directives, writer_waits: false });
}

#[test]
fn logrotate_adds_dates() {
    let directives = "create\ncompress\ndelaycompress\ndateext\ndateformat -%Y-%m-%d-%s";
    every_operation_counts_once(Mode { directives, writer_waits: false });
}
