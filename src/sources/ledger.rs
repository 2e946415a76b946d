//! Which file is which: decided by content, so that a log that was renamed, copied, truncated or compressed
//! is still read once.
//!
//! A file continues the entry that shares the most of its content. Device and inode only spare opening a
//! file that did not change.

use std::path::{Path, PathBuf};

use rustc_hash::FxHashMap;

use crate::model::quality::{FileState, Fingerprint, ProblemKind};
use crate::sources::content::{PROOF_BYTES, Tail, hash};
use crate::sources::discover::{Found, Stat};

/// A CSV file that was written to within this time may be about to get the rest of its last line.
pub const SETTLED_NS: u128 = 5_000_000_000;

/// Whose work a file continues.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// Nobody's: it is read from its beginning.
    #[default]
    New,
    /// That of an entry of the ledger, by index.
    Ledger(usize),
    /// That of a file of this same reading, by index.
    Run(usize),
}

/// A content that is accounted for up to some place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub origin: Origin,
    pub offset: u64,
    tail_len: u64,
    tail: String,
}

impl Candidate {
    /// Whether the bytes before its offset are these.
    pub fn ends_with(&self, tail: &Tail) -> bool {
        let bytes = &tail.bytes;
        let len = usize::try_from(self.tail_len).unwrap_or(usize::MAX);
        bytes.len() >= len && hash(&bytes[bytes.len() - len..]) == self.tail
    }
}

/// The first bytes of a content, as a fingerprint holds them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Head {
    pub len: u64,
    pub hash: String,
}

impl Head {
    /// The head of a content up to the end of its first record; up to the end of the first bytes where that
    /// is not among them.
    pub fn new(first_bytes: &[u8], first_end: Option<usize>) -> Option<Head> {
        let end = first_end.unwrap_or(first_bytes.len()).min(PROOF_BYTES);
        let head = first_bytes[..end].trim_ascii_end();
        (!head.is_empty()).then(|| Head { len: head.len() as u64, hash: hash(head) })
    }
}

/// The fingerprint of a content read up to the end of `tail`.
pub fn fingerprint(head: Option<Head>, tail: &Tail) -> Fingerprint {
    let Some(head) = head else { return Fingerprint::default() };
    let tail_len = tail.bytes.len() as u64;
    Fingerprint { head_len: head.len, head: head.hash, tail_len, tail: hash(&tail.bytes) }
}

/// What was read before, findable by path, by file and by content.
#[derive(Debug, Default)]
pub struct Ledger<'a> {
    pub entries: &'a [FileState],
    by_path: FxHashMap<&'a str, usize>,
    by_file: FxHashMap<(u64, u64), Vec<usize>>,
    by_head: FxHashMap<Head, Vec<Candidate>>,
    /// Device and inode → where that file is now.
    found: FxHashMap<(u64, u64), PathBuf>,
}

impl<'a> Ledger<'a> {
    pub fn new(entries: &'a [FileState]) -> Ledger<'a> {
        let mut ledger = Ledger { entries, ..Ledger::default() };
        for (at, entry) in entries.iter().enumerate() {
            ledger.by_path.insert(&entry.path, at);
            if entry.inode != 0 {
                ledger.by_file.entry((entry.device, entry.inode)).or_default().push(at);
            }
            ledger.remember(Origin::Ledger(at), entry.offset, &entry.fingerprint);
        }
        ledger
    }

    pub fn at_path(&self, path: &str) -> Option<&'a FileState> {
        self.by_path.get(path).map(|&at| &self.entries[at])
    }

    /// The entry of a file that need not be opened, because nothing about it changed but perhaps its name.
    pub fn unchanged(&self, path: &str, stat: &Stat, now_ms: i64) -> Option<&'a FileState> {
        let same = |entry: &&FileState| {
            (entry.device, entry.inode, entry.size, entry.modified_ns)
                == (stat.device, stat.inode, stat.size, stat.modified_ns)
        };
        let by_path = self.at_path(path).filter(same);
        let by_file = || {
            let entries = self.by_file.get(&(stat.device, stat.inode))?;
            entries.iter().map(|&at| &self.entries[at]).find(same)
        };
        by_path.or_else(by_file).filter(|entry| !worth_another_look(entry, now_ms))
    }

    /// Whether what is known of an origin is void, since its lines would mean something else now and gave
    /// nothing before.
    pub fn is_stale(&self, origin: Origin, mapping: &str) -> bool {
        matches!(origin, Origin::Ledger(at) if is_stale(&self.entries[at], mapping))
    }

    /// From now on, a file is known to be there.
    pub fn find(&mut self, found: &Found) {
        if found.stat.inode != 0 {
            self.found.insert((found.stat.device, found.stat.inode), found.file.clone());
        }
    }

    /// Where the file of an entry is now: logs are renamed while others are made of them.
    pub fn file_of(&self, at: usize, root: &Path) -> PathBuf {
        let entry = &self.entries[at];
        let found = self.found.get(&(entry.device, entry.inode));
        found.cloned().unwrap_or_else(|| root.join(&entry.path))
    }

    /// Contents that begin with this head, those read furthest first.
    pub fn candidates(&self, head: &Head) -> Vec<Candidate> {
        let mut candidates = self.by_head.get(head).cloned().unwrap_or_default();
        candidates.sort_by(|a, b| (b.offset, &b.tail).cmp(&(a.offset, &a.tail)));
        candidates.dedup_by(|later, first| (later.offset, &later.tail) == (first.offset, &first.tail));
        candidates
    }

    /// From now on, files may continue this content.
    pub fn remember(&mut self, origin: Origin, offset: u64, fingerprint: &Fingerprint) {
        let Fingerprint { head_len, head, tail_len, tail } = fingerprint.clone();
        if head_len > 0 {
            let candidate = Candidate { origin, offset, tail_len, tail };
            self.by_head.entry(Head { len: head_len, hash: head }).or_default().push(candidate);
        }
    }
}

/// Whether the lines of an entry gave no operation, and are worth another reading by other settings.
pub fn is_stale(entry: &FileState, mapping: &str) -> bool {
    entry.operations == 0 && !entry.mapping.is_empty() && entry.mapping != mapping
}

/// Whether a file that did not change can be read further all the same.
fn worth_another_look(entry: &FileState, now_ms: i64) -> bool {
    entry.problems.iter().any(|problem| match problem.kind {
        ProblemKind::Unreadable => true,
        ProblemKind::Unfinished => settled(entry.modified_ns, now_ms),
        _ => false,
    })
}

/// Whether a file's last line can be taken to be all of it.
pub fn settled(modified_ns: i128, now_ms: i64) -> bool {
    modified_ns.abs_diff(i128::from(now_ms) * 1_000_000) >= SETTLED_NS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::quality::Problem;

    fn tail(text: &str) -> Tail {
        Tail { bytes: text.as_bytes().to_vec() }
    }

    fn entry(path: &str, content: &str) -> FileState {
        FileState {
            path: path.to_owned(),
            device: 1,
            inode: 7,
            size: content.len() as u64,
            modified_ns: 5,
            offset: content.len() as u64,
            fingerprint: fingerprint(Head::new(content.as_bytes(), content.find('\n')), &tail(content)),
            ..FileState::default()
        }
    }

    fn stat(entry: &FileState) -> Stat {
        let FileState { device, inode, size, modified_ns, .. } = *entry;
        Stat { device, inode, size, modified_ns }
    }

    #[test]
    fn a_head_is_the_first_record() {
        let first = Head::new(b"one\ntwo\n", Some(3));
        assert!(first.is_some());
        assert_eq!(first, Head::new(b"one", None));
        assert_eq!(first, Head::new(b"one\r\nmore", Some(4)));
        assert_ne!(first, Head::new(b"\none\n", Some(4)));
        assert_eq!(Head::new(b" \n \n", None), None);
    }

    #[test]
    fn an_unchanged_file_is_found_under_any_name() {
        let entries = [entry("a", "x\n")];
        let ledger = Ledger::new(&entries);
        assert!(ledger.unchanged("a", &stat(&entries[0]), 0).is_some());
        assert!(ledger.unchanged("a.1", &stat(&entries[0]), 0).is_some());
        for changed in [
            Stat { size: 3, ..stat(&entries[0]) },
            Stat { modified_ns: 6, ..stat(&entries[0]) },
            Stat { inode: 8, ..stat(&entries[0]) },
        ] {
            assert!(ledger.unchanged("a", &changed, 0).is_none());
        }
    }

    #[test]
    fn an_unchanged_file_is_opened_where_that_can_help() {
        for (kind, now_ms, expected) in [
            (ProblemKind::Unreadable, 0, false),
            (ProblemKind::Unfinished, 4_000, true),
            (ProblemKind::Unfinished, 6_000, false),
            (ProblemKind::NotJson, 6_000, true),
        ] {
            let problem = Problem { kind, line: 1, reason: String::new(), example: String::new(), count: 1 };
            let entries = [FileState { problems: vec![problem], ..entry("a", "x\n") }];
            let found = Ledger::new(&entries).unchanged("a", &stat(&entries[0]), now_ms).is_some();
            assert_eq!(found, expected, "{kind:?} at {now_ms}");
        }
    }

    #[test]
    fn the_content_read_furthest_comes_first() {
        let entries =
            [entry("a", "x\ny\n"), entry("b", "x\ny\nz\n"), entry("c", "x\ny\n"), entry("d", "y\n")];
        let ledger = Ledger::new(&entries);
        let candidates = ledger.candidates(&Head::new(b"x\n", Some(1)).expect("a record"));
        assert_eq!(candidates.iter().map(|c| c.offset).collect::<Vec<_>>(), [6, 4]);
        assert!(candidates[0].ends_with(&tail("x\ny\nz\n")));
        assert!(!candidates[0].ends_with(&tail("x\ny\nzz\n")));
        assert!(!candidates[0].ends_with(&tail("z\n")));
    }

    #[test]
    fn without_a_record_nothing_is_the_same() {
        let entries = [entry("a", "\n")];
        assert_eq!(entries[0].fingerprint, Fingerprint::default());
        assert!(Ledger::new(&entries).by_head.is_empty());
    }
}
