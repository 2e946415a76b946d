//! `manifest.json` of an entry: what the snapshot is, what it was made of, and every file of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use chrono::DateTime;
use serde::{Deserialize, Serialize};

use crate::analysis::health::Status;
use crate::publish::manifest::FileEntry;
use crate::report::site::is_plain;

/// The manifest's path in an entry.
pub const MANIFEST: &str = "manifest.json";

/// The overview as one file that needs no other: its path in an entry.
pub const WHOLE: &str = "report.html";

/// The numbers that entries are compared by: their path in an entry.
pub const SUMMARY: &str = "summary.json";

/// How it differs from those before: its path in an entry that has any before it.
pub const CHANGES: &str = "changes.html";

/// One kept snapshot. Times are RFC 3339.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The name of its folder: `20260125T130000Z`.
    pub id: String,
    /// The id of the published snapshot that it is a copy of.
    pub snapshot: String,
    pub title: String,
    /// The moment that the snapshot shows.
    pub generated_at: String,
    /// When the run that kept it began.
    pub started_at: String,
    /// When it was due, by `[archive]` `every`.
    pub scheduled_at: Option<String>,
    /// The time from one such to the next, in milliseconds.
    pub every_ms: Option<i64>,
    /// How many runs were due since the entry before and did not happen, and when the first of them was.
    pub missed: u64,
    pub missed_since: Option<String>,
    /// The entry before.
    pub previous: Option<String>,
    pub last_data: Option<String>,
    /// Of dash.
    pub version: String,
    /// SHA-256 of the settings file and of the theme.
    pub config: String,
    pub theme: String,
    pub status: Status,
    pub score: Option<f64>,
    pub wrappers: u64,
    /// Of the last 24 hours.
    pub operations: u64,
    pub errors: u64,
    pub inputs: Vec<Input>,
    /// Every file of the entry's folder but the manifest itself, by path.
    pub files: BTreeMap<String, FileEntry>,
    /// What it shares with other entries, by path in the archive.
    pub assets: BTreeMap<String, FileEntry>,
}

/// One file that was read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Input {
    pub source: String,
    pub path: String,
    /// Hashes of its first bytes and of those before the place up to which it was read.
    pub identity: String,
    /// Bytes of its content that are accounted for.
    pub bytes: u64,
    /// Lines accounted for, how many of them are operations, and how many could not be used.
    pub rows: u64,
    pub operations: u64,
    pub skipped: u64,
}

impl Entry {
    /// Bytes of its own files, without what it shares.
    pub fn bytes(&self) -> u64 {
        self.files.values().map(|file| file.size).sum()
    }
}

/// The name of an entry of a moment, given how many of that name there are already.
pub fn id(moment_ms: i64, taken: usize) -> String {
    let at = DateTime::from_timestamp_millis(moment_ms).unwrap_or_default();
    let name = at.format("%Y%m%dT%H%M%SZ").to_string();
    if taken == 0 { name } else { format!("{name}-{}", taken + 1) }
}

/// Whether a folder of this name is an entry.
pub fn is_id(name: &str) -> bool {
    let (time, number) = name.split_once('-').unwrap_or((name, "2"));
    let shape = |(at, c): (usize, u8)| match at {
        8 => c == b'T',
        15 => c == b'Z',
        _ => c.is_ascii_digit(),
    };
    time.len() == 16
        && time.bytes().enumerate().all(shape)
        && !number.is_empty()
        && number.bytes().all(|c| c.is_ascii_digit())
}

/// Reads the manifest of the entry `id`, and the bytes that it was read from.
///
/// # Errors
/// If there is no such entry, or if its manifest is not whole.
pub fn read(archive: &Path, id: &str) -> Result<(Entry, Vec<u8>)> {
    let path = archive.join(id).join(MANIFEST);
    if !is_id(id) || !path.parent().is_some_and(Path::is_dir) {
        bail!(
            "there is no snapshot `{id}` in `{}`; `dash verify` lists those that there are",
            archive.display()
        );
    }
    let bytes = fs::read(&path).with_context(|| format!("reading `{}`", path.display()))?;
    let entry: Entry = serde_json::from_slice(&bytes)
        .with_context(|| format!("`{}` is damaged; restore it from a copy of the archive", path.display()))?;
    let plain = |files: &BTreeMap<String, FileEntry>| files.keys().all(|path| is_plain(path));
    if entry.id != id || !plain(&entry.files) || !plain(&entry.assets) {
        bail!("`{}` is not what dash wrote there; restore it from a copy of the archive", path.display());
    }
    Ok((entry, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_named_by_their_moment_and_in_order() {
        assert_eq!(id(1_769_346_000_123, 0), "20260125T130000Z");
        assert_eq!(id(1_769_346_000_123, 1), "20260125T130000Z-2");
        assert!(is_id("20260125T130000Z") && is_id("20260125T130000Z-12"));
        for name in ["assets", "20260125T130000Z-", "20260125T130000", "20260125T130000Z-x", "..", ""] {
            assert!(!is_id(name), "{name}");
        }
    }
}
