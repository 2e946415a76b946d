//! From a source's path to the files that are there.

use std::collections::{BTreeSet, HashSet};
use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};

use crate::model::quality::{Problem, ProblemKind};
use crate::sources::settings::SourceSettings;

/// Extensions of logs, in front of what rotation and compression add.
const EXTENSIONS: [&str; 5] = ["jsonl", "ndjson", "json", "log", "csv"];

/// What stands before and within the numbers and dates that rotation adds.
const SEPARATORS: [char; 3] = ['.', '-', '_'];

/// A file of a source, as it was when its folder was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// As pages and the ledger write it: relative to the site where the source's path is.
    pub path: String,
    /// Where to open it.
    pub file: PathBuf,
    pub stat: Stat,
}

/// What a file system says of a file without opening it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stat {
    pub device: u64,
    /// 0 where the file system does not number its files.
    pub inode: u64,
    pub size: u64,
    pub modified_ns: i128,
}

impl Stat {
    pub fn new(metadata: &Metadata) -> Stat {
        let modified =
            metadata.modified().ok().map_or(0, |at| match at.duration_since(std::time::UNIX_EPOCH) {
                Ok(since) => since.as_nanos() as i128,
                Err(before) => -(before.duration().as_nanos() as i128),
            });
        let (device, inode) = identity(metadata);
        Stat { device, inode, size: metadata.len(), modified_ns: modified }
    }
}

#[cfg(unix)]
fn identity(metadata: &Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino())
}

#[cfg(not(unix))]
fn identity(_: &Metadata) -> (u64, u64) {
    (0, 0)
}

/// The files of one source, and what is wrong with its path.
#[derive(Debug, Default)]
pub struct Discovery {
    pub found: Vec<Found>,
    pub problems: Vec<Problem>,
}

/// Finds the files of one source. Nothing is opened.
pub fn discover(root: &Path, source: &SourceSettings) -> Discovery {
    let mut search = Search { root, discovery: Discovery::default(), folders: HashSet::new() };
    let path = root.join(&source.path);
    match fs::metadata(&path) {
        Ok(metadata) if metadata.is_dir() => search.walk(&path, &metadata),
        Ok(metadata) => search.take(&path, &metadata),
        Err(_) if source.path.contains(['*', '?', '[']) => search.glob(&source.path),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => search.unreadable(&path, &error.to_string()),
    }
    let mut discovery = search.discovery;
    if discovery.found.is_empty() && discovery.problems.is_empty() && !source.optional {
        let reason = format!("`{}` matches no log; correct `path`, or set `optional = true`", source.path);
        discovery.problems.push(of_the_source(ProblemKind::NoMatch, reason));
    }
    discovery
}

fn of_the_source(kind: ProblemKind, reason: String) -> Problem {
    Problem { kind, line: 0, reason, example: String::new(), count: 1 }
}

struct Search<'a> {
    root: &'a Path,
    discovery: Discovery,
    /// Folders that were walked, so that a link to one above ends there.
    folders: HashSet<PathBuf>,
}

impl Search<'_> {
    fn glob(&mut self, pattern: &str) {
        let pattern = match Path::new(pattern).is_absolute() {
            true => pattern.to_owned(),
            false => format!("{}/{pattern}", glob::Pattern::escape(&self.root.to_string_lossy())),
        };
        let options = glob::MatchOptions {
            case_sensitive: true,
            require_literal_separator: true,
            require_literal_leading_dot: true,
        };
        match glob::glob_with(&pattern, options) {
            Err(error) => self.unreadable(Path::new(&pattern), &format!("not a glob: {error}")),
            Ok(paths) => paths.for_each(|path| match path {
                Ok(path) => self.matched(&path),
                Err(error) => self.unreadable(error.path(), &error.error().to_string()),
            }),
        }
    }

    fn matched(&mut self, path: &Path) {
        match fs::metadata(path) {
            // A pattern for files may well match folders too; one that is called like a log is a mistake.
            Ok(metadata) if metadata.is_dir() && !is_log(path) => {}
            Ok(metadata) => self.take(path, &metadata),
            Err(error) => self.unreadable(path, &error.to_string()),
        }
    }

    fn walk(&mut self, folder: &Path, metadata: &Metadata) {
        let real = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
        if !metadata.is_dir() || !self.folders.insert(real) {
            return;
        }
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => return self.unreadable(folder, &error.to_string()),
        };
        let mut paths: BTreeSet<PathBuf> = BTreeSet::new();
        for entry in entries {
            match entry {
                Ok(entry) if entry.file_name().as_encoded_bytes().starts_with(b".") => {}
                Ok(entry) => {
                    paths.insert(entry.path());
                }
                Err(error) => self.unreadable(folder, &error.to_string()),
            }
        }
        for path in paths {
            match fs::metadata(&path) {
                Ok(metadata) if metadata.is_dir() => self.walk(&path, &metadata),
                Ok(metadata) if is_log(&path) => self.take(&path, &metadata),
                Ok(_) => {}
                // Gone since the folder was listed, rather than a link to nothing.
                Err(_) if fs::symlink_metadata(&path).is_err() => {}
                Err(error) if is_log(&path) => self.unreadable(&path, &error.to_string()),
                Err(_) => {}
            }
        }
    }

    fn take(&mut self, path: &Path, metadata: &Metadata) {
        if !metadata.is_file() {
            return self.unreadable(path, "not a regular file");
        }
        let found = Found { path: self.name(path), file: path.to_owned(), stat: Stat::new(metadata) };
        self.discovery.found.push(found);
    }

    fn unreadable(&mut self, path: &Path, why: &str) {
        let reason = format!("`{}`: {why}", self.name(path));
        self.discovery.problems.push(of_the_source(ProblemKind::Unreadable, reason));
    }

    fn name(&self, path: &Path) -> String {
        let inside = path.strip_prefix(self.root).unwrap_or(path);
        let mut name = String::new();
        for chunk in inside.as_os_str().as_encoded_bytes().utf8_chunks() {
            name.push_str(chunk.valid());
            // Names that are not UTF-8 stay distinct from each other.
            chunk.invalid().iter().for_each(|byte| name.push_str(&format!("\\x{byte:02x}")));
        }
        name
    }
}

/// Whether a name is that of a log, as rotated and compressed as may be: `app.jsonl`, `app.log.1.gz`,
/// `app.log-2025-01-24.zst`.
pub fn is_log(path: &Path) -> bool {
    extension(path).is_some()
}

/// The extension of a log without what rotation and compression add to its name.
pub fn extension(path: &Path) -> Option<&'static str> {
    let name = path.file_name()?.to_string_lossy();
    let name = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(&name);
    let trimmed = name.trim_end_matches(|c: char| c.is_ascii_digit() || SEPARATORS.contains(&c));
    let added = &name[trimmed.len()..];
    let rotated = added.starts_with(SEPARATORS) && !added.ends_with(SEPARATORS);
    let name = if rotated { trimmed } else { name };
    let (_, found) = name.rsplit_once('.')?;
    EXTENSIONS.into_iter().find(|known| found.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotated_and_compressed_logs_are_logs() {
        for (name, expected) in [
            ("app.jsonl", Some("jsonl")),
            ("app.NDJSON", Some("ndjson")),
            ("app.log.1", Some("log")),
            ("app.log.12.gz", Some("log")),
            ("app.csv-20250124.zst", Some("csv")),
            ("app.json.gz", Some("json")),
            ("app.log-2025-01-24", Some("log")),
            ("app.log.2025-01-24_13-05.gz", Some("log")),
            ("app.log-20250124-1737710446", Some("log")),
            ("app.log-", None),
            ("app.log.gz.tmp", None),
            ("app.txt", None),
            ("app", None),
            ("17", None),
            ("app.log1", None),
        ] {
            assert_eq!(extension(Path::new(name)), expected, "{name}");
        }
    }
}
