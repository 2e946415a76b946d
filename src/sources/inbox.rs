//! What wrappers report to the daemon: a folder of the site that is a source without being named as one.

use std::path::Path;
use std::{fs, iter};

use chrono::{DateTime, Utc};

use crate::model::operation::Record;
use crate::model::quality::FileState;
use crate::model::time::DAY_MS;
use crate::sources::discover::{Found, Stat};
use crate::sources::json;
use crate::sources::layout::Layout;
use crate::sources::record::{AHEAD_MS, Field, Raw, far_ahead, interpret};
use crate::sources::settings::{Format, SourceSettings};

/// The folder, in the site's.
pub const FOLDER: &str = "inbox";

/// How long a file is kept that nothing was written to, and how much of what the folder may hold stays free: with
/// less, what was read goes earlier.
const KEPT_MS: i64 = 30 * DAY_MS;
const FREE_SHARE: u64 = 2;

/// Begin and end of the names of its files.
const NAME: (&str, &str) = ("operations-", ".jsonl");

/// The name of a file that is begun now; later ones sort behind it.
pub fn name(now: DateTime<Utc>) -> String {
    format!("{}{}{}", NAME.0, now.format("%Y%m%dT%H%M%S%.6fZ"), NAME.1)
}

/// Whether this is such a name, and no path.
pub fn is_ours(name: &str) -> bool {
    name.starts_with(NAME.0) && name.ends_with(NAME.1) && !name.contains('/')
}

/// The files of the folder by name, without those that someone else has put there.
pub fn files(folder: &Path) -> Vec<Found> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let found = entries.filter_map(|entry| {
        let name = entry.file_name().into_string().ok().filter(|name| is_ours(name))?;
        let metadata = entry.metadata().ok().filter(fs::Metadata::is_file)?;
        Some(Found { path: format!("{FOLDER}/{name}"), file: entry.path(), stat: Stat::new(&metadata) })
    });
    let mut found: Vec<_> = found.collect();
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// Of files in their order, those that are old, or that take the room of newer ones: `most` bytes are what all may
/// have. Never the newest, which is being written to.
pub fn outdated(files: Vec<Found>, now_ms: i64, most: u64) -> Vec<Found> {
    let mut held: u64 = files.iter().map(|file| file.stat.size).sum();
    let newest = files.iter().map(|file| file.stat.modified_ns).max();
    let last = files.len().saturating_sub(1);
    let spared = |(at, file): &(usize, Found)| *at < last && Some(file.stat.modified_ns) != newest;
    let mut goes = |file: &Found| {
        let old = (file.stat.modified_ns / 1_000_000) as i64 + KEPT_MS < now_ms;
        let goes = old || held > most / FREE_SHARE;
        held -= if goes { file.stat.size } else { 0 };
        goes
    };
    files.into_iter().enumerate().filter(spared).map(|(_, file)| file).filter(|file| goes(file)).collect()
}

/// Removes those of the files that were read to their end, as the ledger says: a clock that is years ahead must not
/// remove what nobody has read. What cannot be removed is in nobody's way.
pub fn remove_read(files: &[Found], ledger: &[FileState]) {
    for Found { path, file, stat } in files {
        let known = ledger.iter().find(|known| known.path == *path);
        let read = known.is_some_and(|known| {
            (known.device, known.inode, known.offset) == (stat.device, stat.inode, stat.size)
        });
        if read || stat.size == 0 {
            let _ = fs::remove_file(file);
        }
    }
}

/// The source that the folder is; `None` where there is no folder, or the settings name it themselves. It is
/// called after its folder, with a number where another source is called so.
pub fn source(root: &Path, named: &[SourceSettings]) -> Option<SourceSettings> {
    let folder = root.join(FOLDER);
    if !folder.is_dir() || named.iter().any(|source| root.join(&source.path) == folder) {
        return None;
    }
    let mut names = iter::once(FOLDER.to_owned()).chain((2..).map(|number| format!("{FOLDER} {number}")));
    let free = |name: &String| named.iter().all(|source| source.title() != name);
    Some(SourceSettings {
        name: names.find(free),
        path: FOLDER.to_owned(),
        format: Format::Jsonl,
        optional: true,
        ..SourceSettings::default()
    })
}

/// Tells records that will be read from those that would be skipped.
#[derive(Debug)]
pub struct Check {
    layout: Layout,
    now_ms: i64,
}

impl Check {
    /// For records that are received at this moment.
    pub fn at(now_ms: i64) -> Check {
        Check { layout: Layout::new(&SourceSettings::default()), now_ms }
    }

    /// Whether this JSON object is a record.
    ///
    /// # Errors
    /// If it is none: why, as the data-quality page would say it.
    pub fn record(&self, object: &str) -> Result<(), String> {
        let read = json::parse(object, &self.layout.root).and_then(|mut raw| {
            let at_ms = match interpret(&raw)? {
                Record::Finished(operation) => operation.end_ms,
                Record::Started(started) => {
                    // What it says besides has to be readable, too.
                    raw.set(Field::Status, Raw::Missing);
                    interpret(&raw)?;
                    started.start_ms
                }
            };
            if at_ms > self.now_ms.saturating_add(AHEAD_MS) { Err(far_ahead(at_ms)) } else { Ok(()) }
        });
        read.map_err(|fault| format!("{} {}", fault.reason, fault.example).trim_end().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_skipped_is_told() {
        let now = DateTime::parse_from_rfc3339("2026-01-25T12:00:00Z").expect("valid").timestamp_millis();
        let check = Check::at(now);
        assert_eq!(check.record(r#"{"wrapper_name":"a","end_time":"2026-01-26T12:00:00Z"}"#), Ok(()));
        assert_eq!(check.record(r#"{"wrapper_name":"a","end_time":"2026-01-25T12:00:00Z"}"#), Ok(()));
        for (object, reason) in [
            (r#"{"end_time":"2026-01-25T12:00:00Z"}"#, "`wrapper_name` is missing"),
            (r#"{"wrapper_name":"a"}"#, "time"),
            (r#"{"wrapper_name":"a","end_time":"2026-01-26T12:00:01Z"}"#, "`2026-01-26T12:00:01Z`"),
            (
                r#"{"wrapper_name":"a","status":"started","operation_id":"1","start_time":"2030-01-01T00:00:00Z"}"#,
                "a day ahead",
            ),
            (
                r#"{"wrapper_name":"a","status":"started","operation_id":"1","start_time":"2026-01-25T00:00:00Z",
                    "cached_tokens":[]}"#,
                "`cached_tokens` is not a number",
            ),
            ("[]", "not a JSON object"),
            ("{", "ends early"),
        ] {
            let said = check.record(object).expect_err(object);
            assert!(said.contains(reason), "{object}: {said}");
        }
    }

    #[test]
    fn the_folder_is_a_source_where_it_is() {
        let root = tempfile::tempdir().expect("a temporary folder");
        assert_eq!(source(root.path(), &[]), None);
        std::fs::create_dir(root.path().join(FOLDER)).expect("free");
        let found = source(root.path(), &[]).expect("it is there");
        assert_eq!(source(root.path(), &[found]), None, "it is not named twice");
    }

    #[test]
    fn only_a_source_of_its_path_stands_for_the_folder() {
        let root = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir(root.path().join(FOLDER)).expect("free");
        let named = |name: Option<&str>, path: &str| SourceSettings {
            name: name.map(str::to_owned),
            path: path.to_owned(),
            ..SourceSettings::default()
        };
        let absolute = root.path().join(FOLDER).display().to_string();
        for path in ["inbox", "inbox/", "./inbox", absolute.as_str()] {
            assert_eq!(source(root.path(), &[named(Some("reports"), path)]), None, "{path}");
        }
        let others = [named(Some("inbox"), "logs"), named(None, "inbox 2")];
        for (others, title) in [(&others[..0], "inbox"), (&others[..1], "inbox 2"), (&others[..], "inbox 3")]
        {
            let found = source(root.path(), others).expect("its path is not named");
            assert_eq!((found.title(), found.path.as_str()), (title, FOLDER));
        }
    }

    #[test]
    fn files_go_when_they_are_read_and_old_or_in_the_way() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let folder = root.path().join(FOLDER);
        fs::create_dir(&folder).expect("free");
        let day = |day: u32| format!("{}2026010{day}T000000.000000Z{}", NAME.0, NAME.1);
        let now_ms = 1_737_720_000_000;
        let now = std::time::UNIX_EPOCH + std::time::Duration::from_millis(1_737_720_000_000);
        for at in 1..=4 {
            fs::write(folder.join(day(at)), "12345678\n").expect("writable");
            let file = fs::File::options().write(true).open(folder.join(day(at))).expect("there");
            let days = std::time::Duration::from_secs(u64::from(4 - at) * 24 * 3600);
            file.set_modified(now - days).expect("ours");
        }
        fs::write(folder.join("mine.jsonl"), "").expect("writable");
        let names = |found: Vec<Found>| found.into_iter().map(|found| found.path).collect::<Vec<_>>();
        let path = |at: u32| format!("{FOLDER}/{}", day(at));
        assert_eq!(names(files(&folder)), [path(1), path(2), path(3), path(4)]);
        let outdated = |ahead_ms: i64, most: u64| outdated(files(&folder), now_ms + ahead_ms, most);
        assert!(outdated(0, 72).is_empty());
        assert_eq!(names(outdated(0, 60)), [path(1)]);
        assert_eq!(names(outdated(0, 0)), [path(1), path(2), path(3)], "the newest stays");
        assert_eq!(names(outdated(KEPT_MS - 3 * DAY_MS / 2, 100)), [path(1), path(2)]);

        let wrong_clock = outdated(100 * KEPT_MS, 100);
        assert_eq!(wrong_clock.len(), 3);
        let entry = |at: usize, offset: u64| {
            let Found { path, stat, .. } = wrong_clock[at].clone();
            FileState { path, device: stat.device, inode: stat.inode, offset, ..FileState::default() }
        };
        remove_read(&wrong_clock, &[entry(0, 9), entry(1, 4)]);
        assert_eq!(
            names(files(&folder)),
            [path(2), path(3), path(4)],
            "the others are not read to their end"
        );
    }
}
