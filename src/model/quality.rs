//! What is known of the sources themselves: how far each file was read, and what could not be.

use serde::{Deserialize, Serialize};

/// Why a record was left out, or what about a source is not as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemKind {
    /// The line is not valid JSON, or not an object.
    NotJson,
    /// The line is not valid UTF-8.
    NotUtf8,
    /// The line is longer than the limit.
    TooLong,
    /// A CSV row whose fields do not match its header.
    BadRow,
    /// No wrapper, no usable time, a duration below zero …: a field that the record needs is unusable.
    BadField,
    /// A time before 2000 or after 2099.
    ImplausibleTime,
    /// The last line of the file is not finished yet; it is read when it is.
    Unfinished,
    /// The file or folder cannot be opened or read.
    Unreadable,
    /// The file is damaged: a compressed stream that ends early or does not decode.
    Damaged,
    /// A pattern or path that matches no file.
    NoMatch,
    /// A whole file is not laid out as its format wants.
    Layout,
    /// Lines of the file were read by settings of its source that have changed since.
    Remapped,
    /// Lines with reasons that would go beyond the limit of a file.
    Other,
}

/// All problems of one kind and reason in one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    pub kind: ProblemKind,
    /// The first such line of the file, counted from 1; 0 where the problem is the file's and not a line's.
    pub line: u64,
    /// Why, and what to do, without anything of the line itself.
    pub reason: String,
    /// What the first of them has instead, where that may be shown; else empty.
    #[serde(default)]
    pub example: String,
    pub count: u64,
}

/// Proof that a file is the one that was read before: hashes of its first bytes and of the bytes before the
/// place up to which it was read. Both are of the uncompressed content.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fingerprint {
    pub head_len: u64,
    pub head: String,
    pub tail_len: u64,
    pub tail: String,
}

/// One file of a source, and how far it was read: the ledger's entry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileState {
    /// `[[source]]` name.
    pub source: String,
    pub path: String,
    pub device: u64,
    pub inode: u64,
    /// Size on disk when it was last read.
    pub size: u64,
    pub modified_ns: i128,
    /// Bytes of uncompressed content that are accounted for.
    pub offset: u64,
    pub fingerprint: Fingerprint,
    /// Lines accounted for, the header of a CSV file included.
    pub lines: u64,
    pub operations: u64,
    pub skipped: u64,
    pub problems: Vec<Problem>,
    /// End of the newest operation in it; 0 where there is none.
    pub last_end_ms: i64,
    /// False once the file is no longer found; the entry stays for a while, so that it is known when it comes
    /// back compressed.
    pub present: bool,
    /// Hash of the settings by which its first lines were read; empty where that is not known.
    #[serde(default)]
    pub mapping: String,
    /// Names the content through all its names and copies; empty until it is read further.
    #[serde(default)]
    pub lineage: String,
    /// Of its operations and skipped records, those that it took over from a file of another name. Both are
    /// of the same lineage, and each record of a lineage counts once.
    #[serde(default)]
    pub inherited: (u64, u64),
    /// When it was missed first; 0 as long as it is there.
    pub missed_ms: i64,
}

/// Limits that are reached: what comes beyond them is summed as [`crate::model::notes::OTHER`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reached {
    /// `max_wrappers`, where there are so many.
    pub wrappers: Option<usize>,
    /// Operations of other wrappers.
    pub other_operations: u64,
    pub series: usize,
    /// The wrappers that have as many pairs of operation type and model as `max_series`, which is `series`, and
    /// their operations of other pairs.
    pub full: Vec<(String, u64)>,
}

/// A store that was damaged, and was given another name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct SetAside {
    /// When that was.
    pub at_ms: i64,
    /// Of its file, in the store's folder.
    pub name: String,
}

/// A source as the data-quality page shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceState {
    pub name: String,
    /// As configured.
    pub path: String,
    pub files: u64,
    pub bytes: u64,
    pub operations: u64,
    pub skipped: u64,
    /// 0 where there is none.
    pub last_end_ms: i64,
    /// Problems of the source itself: nothing matches, a folder cannot be read.
    pub problems: Vec<Problem>,
}
