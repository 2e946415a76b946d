//! Python: servers that tests send to, `tests/servers`, and peers that read what dash writes.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Python with what `tests/servers/requirements.txt` names.
pub fn python() -> Command {
    let python = Path::new(ROOT).join("target/python/bin/python");
    assert!(python.exists(), "there is no `{}`; `tests/run` installs it", python.display());
    Command::new(python)
}

/// A server of its own, gone with the value.
pub struct Server {
    child: Child,
    /// What it says of itself.
    pub said: Value,
}

impl Server {
    pub fn start(script: &str, arguments: &[&str]) -> Server {
        let mut command = python();
        command.arg(Path::new(ROOT).join("tests/servers").join(script)).args(arguments);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Python can be run");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut line).expect("the server says where it is");
        let said =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{script} said {line:?}: {error}"));
        Server { child, said }
    }

    pub fn text(&self, key: &str) -> &str {
        self.said[key].as_str().unwrap_or_else(|| panic!("the server says its {key}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
