//! How a content is cut into records, and how each is read, whatever the records say.

use std::sync::Arc;

use memchr::{memchr, memchr_iter, memrchr};

use crate::model::quality::ProblemKind;
use crate::sources::csv::{self, Columns, Cut};
use crate::sources::csv_fast;
use crate::sources::elements;
use crate::sources::json;
use crate::sources::json_fast::Scanner;
use crate::sources::layout::Layout;
use crate::sources::problems::Fault;
use crate::sources::record::RawRecord;

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
        let mut at = 0;
        loop {
            let rest = &bytes[at..];
            let plain = match self {
                Kind::Lines => rest,
                // Up to a quote, lines are rows.
                Kind::Rows(_) => &rest[..memchr(b'"', rest).unwrap_or(rest.len())],
                Kind::Elements => &[],
            };
            at += memrchr(b'\n', plain).map_or(0, |at| at + 1);
            let cut = match self {
                _ if plain.len() == rest.len() => return at,
                Kind::Elements => elements::cut,
                Kind::Lines | Kind::Rows(_) => csv::cut,
            };
            match cut(&bytes[at..], limit, whole) {
                Cut::Record(len) | Cut::Unclosed(len) => at += len,
                Cut::Incomplete => return at,
            }
        }
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

/// Reads blocks of whole records.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'l> {
    pub layout: &'l Layout,
    /// A longer record is a fault.
    pub max_line_bytes: usize,
}

/// Where a record was found.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Its first line in the block, counted from 1.
    pub line: u64,
    /// The record without its newline.
    pub bytes: &'a [u8],
}

/// The first record of some bytes.
struct Next<'a> {
    /// With what sets it apart from its neighbours.
    len: usize,
    lines: u64,
    place: Place<'a>,
    /// `None` where there is nothing but blanks.
    read: Option<Result<RawRecord<'a>, Fault>>,
}

impl Reader<'_> {
    /// Hands out the values of each record of a block, or why it has none. Returns the number of lines.
    #[inline(always)]
    pub fn each<'a>(
        &self,
        kind: &Kind,
        bytes: &'a [u8],
        mut each: impl FnMut(Place<'a>, Result<&mut RawRecord<'a>, Fault>),
    ) -> u64 {
        let mut scanner = Scanner::new(&self.layout.root);
        let (mut at, mut lines) = (0, 0);
        while at < bytes.len() {
            let (text, rest) = (text_lines(&bytes[at..]), &bytes[at..]);
            let mut end = 0;
            loop {
                let (start, mut raw) = (end, RawRecord::default());
                let read = match kind {
                    Kind::Lines => scanner.record(text, start, &mut raw),
                    Kind::Rows(columns) => csv_fast::row(columns, text, start, &mut raw),
                    Kind::Elements => None,
                };
                match read {
                    Some(newline) if newline - start <= self.max_line_bytes => {
                        lines += 1;
                        each(Place { line: lines, bytes: &rest[start..newline] }, Ok(&mut raw));
                        end = newline + 1;
                    }
                    _ => {
                        let mut next = self.next(kind, &rest[start..]);
                        next.place.line += lines;
                        lines += next.lines;
                        match next.read {
                            Some(Ok(mut raw)) => each(next.place, Ok(&mut raw)),
                            Some(Err(fault)) => each(next.place, Err(fault)),
                            None => {}
                        }
                        end += next.len;
                    }
                }
                if end >= text.len() {
                    break;
                }
            }
            at += end;
        }
        lines
    }

    /// Reads the first record of some bytes completely.
    #[inline(never)]
    fn next<'a>(&self, kind: &Kind, bytes: &'a [u8]) -> Next<'a> {
        let newlines = |bytes: &[u8]| memchr_iter(b'\n', bytes).count() as u64;
        let len = kind.next_end(bytes, self.max_line_bytes);
        let (before, record) = bytes[..len].split_at(kind.start(&bytes[..len]));
        let unfinished = *kind != Kind::Elements && !record.ends_with(b"\n");
        let lines = newlines(before) + newlines(record) + u64::from(unfinished);
        let bytes = record.strip_suffix(b"\n").unwrap_or(record);
        let place = Place { line: newlines(before) + 1, bytes };
        Next { len, lines, place, read: self.read(kind, bytes) }
    }

    /// `None` where there is nothing but blanks.
    fn read<'a>(&self, kind: &Kind, bytes: &'a [u8]) -> Option<Result<RawRecord<'a>, Fault>> {
        if bytes.len() > self.max_line_bytes {
            return Some(Err(too_long(self.max_line_bytes)));
        }
        if bytes.trim_ascii().is_empty() {
            return None;
        }
        let Ok(text) = std::str::from_utf8(bytes) else {
            return Some(Err(Fault::new(ProblemKind::NotUtf8, "not valid UTF-8")));
        };
        Some(match kind {
            Kind::Rows(columns) => columns.parse(text),
            Kind::Lines | Kind::Elements => json::parse(text.trim_ascii(), &self.layout.root),
        })
    }
}

/// The lines that some bytes begin with, up to the first that is not text. One check for all of them costs
/// less than one for each.
fn text_lines(bytes: &[u8]) -> &str {
    // Stops at the first bad byte: in a log of many, the rest of the block is looked through after each.
    let valid = match simdutf8::compat::from_utf8(bytes) {
        Ok(text) => return text,
        Err(error) => &bytes[..error.valid_up_to()],
    };
    let lines = &valid[..memrchr(b'\n', valid).map_or(0, |at| at + 1)];
    std::str::from_utf8(lines).expect("a newline ends a character, and all before was valid")
}

/// What a record is that is longer than the limit.
pub fn too_long(max_line_bytes: usize) -> Fault {
    let reason = format!("longer than {max_line_bytes} bytes; raise `max_line_bytes` if that is intended");
    Fault::new(ProblemKind::TooLong, reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn lines_are_text_up_to_the_first_that_is_not(
            pieces in prop::collection::vec(prop::sample::select(vec!["a", "é", "\u{1f980}", "\n", "0123456789abcdef"]), 0..40),
            bad in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
        ) {
            let mut bytes = pieces.concat().into_bytes();
            if let Some((at, byte)) = bad.filter(|_| !bytes.is_empty()) {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            let expected = match std::str::from_utf8(&bytes) {
                Ok(text) => text.len(),
                Err(error) => bytes[..error.valid_up_to()].iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1),
            };
            prop_assert_eq!(text_lines(&bytes).as_bytes(), &bytes[..expected]);
        }
    }

    #[test]
    fn a_block_of_bad_lines_is_read_to_its_end() {
        let layout = Layout::new(&Default::default());
        let reader = Reader { layout: &layout, max_line_bytes: 1000 };
        let good = r#"{"wrapper_name":"w","end_time":"2025-01-24T09:20:46Z"}"#;
        let block: Vec<u8> = [good.as_bytes(), b"\n\xff\n\xe9t\xe9\n"].concat().repeat(4000);
        let (mut read, mut refused) = (0, Vec::new());
        let lines = reader.each(&Kind::Lines, &block, |place, record| match record {
            Ok(_) => read += 1,
            Err(fault) => refused.push((place.line, fault)),
        });
        assert_eq!((lines, read, refused.len()), (12_000, 4000, 8000));
        let fault = Fault::new(ProblemKind::NotUtf8, "not valid UTF-8");
        assert_eq!(refused[..2], [(2, fault.clone()), (3, fault)]);
    }
}
