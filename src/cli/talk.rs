//! What a person is told while a command works: on standard error, so that standard output is data.

use std::io::{IsTerminal, Write};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use tracing_subscriber::EnvFilter;

use crate::cli::Common;
use crate::sources::Progress;

/// How much to say, and in which form.
#[derive(Debug)]
pub struct Talk {
    pub json: bool,
    quiet: bool,
}

/// Reads shorter than this have no progress bar: it would only flicker.
const PATIENCE: Duration = Duration::from_millis(400);

impl Talk {
    /// Also sets up the log, which is for the daemon's events and for `--verbose`.
    pub fn new(common: &Common) -> Talk {
        let level = match (common.quiet, common.verbose) {
            (true, _) => "dash=error",
            (_, 0) => "dash=info",
            (_, 1) => "dash=debug",
            _ => "trace",
        };
        let filter = EnvFilter::try_from_env("DASH_LOG").unwrap_or_else(|_| EnvFilter::new(level));
        let ansi = std::io::stderr().is_terminal();
        let log =
            tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(ansi);
        // A second call in one process (a test) keeps the first log.
        let _ = log.with_target(false).try_init();
        Talk { json: common.json, quiet: common.quiet }
    }

    /// Says a line, unless told to be quiet.
    pub fn say(&self, line: &str) {
        if !self.quiet {
            // A closed standard error is no reason to fail.
            let _ = writeln!(std::io::stderr(), "{line}");
        }
    }

    /// An error with its chain; always said.
    pub fn error(&self, error: &anyhow::Error) {
        let _ = writeln!(std::io::stderr(), "error: {error:#}");
    }

    /// Something to call while logs are read: a bar on a terminal, once it has taken a while.
    pub fn progress(&self) -> impl Fn(Progress) + Sync + use<> {
        let (begun, shown) = (Instant::now(), !self.quiet && !self.json && std::io::stderr().is_terminal());
        let bar: OnceLock<Bar> = OnceLock::new();
        move |progress| {
            if !shown || begun.elapsed() < PATIENCE {
                return;
            }
            let Bar(bar) = bar.get_or_init(|| Bar::new(progress.bytes_total));
            bar.set_position(progress.bytes_done);
            bar.set_message(format!("{} operations", thousands(progress.records)));
        }
    }
}

/// A bar that leaves nothing behind.
struct Bar(ProgressBar);

impl Bar {
    fn new(bytes: u64) -> Bar {
        let template = "reading {wide_bar} {bytes}/{total_bytes} · {msg} · {eta} left";
        let style = ProgressStyle::with_template(template).expect("the template is valid");
        Bar(ProgressBar::new(bytes).with_style(style))
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// `1234567` → `1,234,567`.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 snapshot`, `1,200 snapshots`.
pub fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", thousands(count as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_no_plural() {
        assert_eq!([0, 1, 1200].map(|count| counted(count, "file")), ["0 files", "1 file", "1,200 files"]);
    }

    #[test]
    fn thousands_are_set_apart() {
        let cases = [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")];
        for (number, text) in cases {
            assert_eq!(thousands(number), text);
        }
    }
}
