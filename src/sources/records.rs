//! How a content is cut into records, whatever the records say.

use std::sync::Arc;

use memchr::{memchr, memchr_iter, memrchr};

use crate::sources::csv::{self, Columns, Cut};
use crate::sources::elements;

/// How the records of one file are set apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One JSON object a line.
    Lines,
    /// JSON objects in an array, or over several lines.
    Elements,
    /// CSV rows.
    Rows(Arc<Columns>),
}

impl Kind {
    /// The end of the last whole record in some bytes that begin with one; 0 where none is whole.
    /// `limit` is the longest record allowed, `whole` says that no more bytes follow.
    pub fn last_end(&self, bytes: &[u8], limit: usize, whole: bool) -> usize {
        let cut = match self {
            Kind::Rows(_) if memchr(b'"', bytes).is_some() => csv::cut,
            Kind::Elements => elements::cut,
            Kind::Lines | Kind::Rows(_) => return memrchr(b'\n', bytes).map_or(0, |at| at + 1),
        };
        let mut at = 0;
        while let Cut::Record(len) | Cut::Unclosed(len) = cut(&bytes[at..], limit, whole) {
            at += len;
        }
        at
    }

    /// The end of the first record of a block, what sets it apart from the next included.
    pub fn next_end(&self, block: &[u8], limit: usize) -> usize {
        let cut = match self {
            Kind::Lines => return memchr(b'\n', block).map_or(block.len(), |at| at + 1),
            Kind::Elements => elements::cut,
            Kind::Rows(_) => csv::cut,
        };
        match cut(block, limit, true) {
            Cut::Record(end) | Cut::Unclosed(end) => end,
            Cut::Incomplete => block.len(),
        }
    }

    /// Where the first record begins, after what only separates it from those before.
    pub fn start(&self, bytes: &[u8]) -> usize {
        match self {
            Kind::Lines | Kind::Rows(_) => 0,
            Kind::Elements => elements::start(bytes),
        }
    }

    /// The end of the first record, where it is among the first bytes of a content.
    pub fn first_end(&self, first_bytes: &[u8]) -> Option<usize> {
        let lines = match self {
            Kind::Elements => match elements::cut(first_bytes, usize::MAX, false) {
                Cut::Record(end) => return Some(end),
                Cut::Unclosed(_) | Cut::Incomplete => return None,
            },
            Kind::Lines => 1,
            Kind::Rows(_) => 2,
        };
        let blank = first_bytes.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        memchr_iter(b'\n', &first_bytes[blank..]).nth(lines - 1).map(|at| blank + at)
    }
}
