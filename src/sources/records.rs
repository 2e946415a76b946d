//! How a content is cut into records, whatever the records say.

use std::sync::Arc;

use memchr::{memchr, memrchr};

use crate::sources::csv::{self, Columns, Cut};
use crate::sources::layout::Layout;

/// How the records of one file are set apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One JSON object a line.
    Lines,
    /// CSV rows.
    Rows(Arc<Columns>),
}

impl Kind {
    pub fn rows(header: &str, layout: &Layout) -> Kind {
        Kind::Rows(Arc::new(Columns::new(header, layout)))
    }

    /// The end of the last whole record in some bytes that begin with one; 0 where none is whole.
    /// `limit` is the longest record allowed, `whole` says that no more bytes follow.
    pub fn last_end(&self, bytes: &[u8], limit: usize, whole: bool) -> usize {
        let lines_end = memrchr(b'\n', bytes).map_or(0, |at| at + 1);
        if *self == Kind::Lines || memchr(b'"', bytes).is_none() {
            return lines_end;
        }
        let mut at = 0;
        while let Cut::Record(len) | Cut::Unclosed(len) = csv::cut(&bytes[at..], limit, whole) {
            at += len;
        }
        at
    }
}
