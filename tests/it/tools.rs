//! What the tests of this crate share: a site in a temporary folder, and the built binary.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;

/// A folder of its own, gone with the value.
pub struct Folder(tempfile::TempDir);

impl Folder {
    pub fn new() -> Folder {
        Folder(tempfile::tempdir().expect("a temporary folder can be made"))
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    pub fn read(&self, path: &str) -> String {
        let path = self.path(path);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("reading {}: {error}", path.display()))
    }

    pub fn write(&self, path: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("it is in a folder")).expect("the folder can be made");
        fs::write(path, bytes).expect("the file can be written");
    }

    pub fn append(&self, path: &str, text: &str) {
        use std::io::Write;
        let mut file = fs::OpenOptions::new().append(true).open(self.path(path)).expect("the file is there");
        file.write_all(text.as_bytes()).expect("the file can be written");
    }

    /// Copies a file or a folder into this one.
    pub fn copy(&self, from: &Path, to: &str) {
        if from.is_file() {
            return self.write(to, fs::read(from).expect("the file can be read"));
        }
        for (path, bytes) in files_below(from) {
            self.write(&format!("{to}/{path}"), bytes);
        }
    }

    /// Sample operations in `content/operations/sample.jsonl`.
    pub fn sample(&self, arguments: &[&str]) {
        let log = self.path("content/operations/sample.jsonl");
        dash(self).arg("sample").args(arguments).arg("--to").arg(log).assert().success();
    }

    /// A JSON file of the built site.
    pub fn json(&self, path: &str) -> serde_json::Value {
        serde_json::from_str(&self.read(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }
}

/// The built binary, run in a folder, with no settings from outside.
pub fn dash(folder: &Folder) -> Command {
    let mut command = Command::from_std(process(folder));
    command.timeout(std::time::Duration::from_secs(60));
    command
}

/// The same for a test that goes on while it runs.
pub fn process(folder: &Folder) -> std::process::Command {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_dash"));
    command.current_dir(folder.path(""));
    for variable in ["DASH_CONFIG", "DASH_OUTPUT", "DASH_BIND", "DASH_LOG", "DASH_LOG_FORMAT"] {
        command.env_remove(variable);
    }
    command
}

/// Runs a command, and returns the most memory that it had, in bytes: the kernel keeps the peak, so it is enough
/// to look now and then.
pub fn peak(mut command: std::process::Command) -> u64 {
    let mut child = command.spawn().expect("the binary is there");
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    loop {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        peak = peak.max(kilobytes.unwrap_or(0) * 1024);
        if let Some(status) = child.try_wait().expect("it is ours to wait for") {
            assert!(status.success());
            return peak;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

/// Path → bytes of every file below a folder, with `/` between segments.
pub fn files_below(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).expect("the folder can be read").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name =
                path.strip_prefix(folder).expect("found below it").to_string_lossy().replace('\\', "/");
            files.insert(name, fs::read(&path).expect("the file can be read"));
        }
    }
    files
}
