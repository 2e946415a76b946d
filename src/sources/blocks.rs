//! The new content of all files as blocks of whole records, in order.
//!
//! Threads take turns at [`Queue::next`], each with a buffer of its own, so that a block is parsed by the
//! thread, and in the cache, that read it. Memory is one block a thread and one unfinished record.

use std::path::Path;

use memchr::memchr;

use crate::model::quality::{Fingerprint, ProblemKind};
use crate::sources::content::Tail;
use crate::sources::discover::{Found, Stat};
use crate::sources::elements::Skip;
use crate::sources::json;
use crate::sources::layout::{Layout, Node};
use crate::sources::ledger::{Ledger, Origin, settled};
use crate::sources::problems::Fault;
use crate::sources::records::Kind;
use crate::sources::resume::{self, Manner, Opened};
use crate::sources::settings::Format;

/// A file to be read, and how.
#[derive(Debug)]
pub struct Planned<'a> {
    pub found: Found,
    pub source: usize,
    pub format: Format,
    pub layout: &'a Layout,
}

/// What reading a file came to, but for what its records say.
#[derive(Debug, Default)]
pub struct Ended {
    pub origin: Origin,
    pub stat: Stat,
    pub offset: u64,
    pub fingerprint: Fingerprint,
    pub header_lines: u64,
    /// Problems of the file, and of its unfinished last line.
    pub faults: Vec<Fault>,
    /// It could not be opened: all that was known of it stays.
    pub unopened: bool,
}

/// A piece of a file; its bytes are in the buffer that was given.
#[derive(Debug)]
pub struct Block {
    /// Place in the order of all blocks.
    pub sequence: u64,
    /// Index of the file.
    pub file: usize,
    pub len: usize,
    pub what: What,
}

#[derive(Debug)]
pub enum What {
    Records(Kind),
    /// A record longer than the limit went by, with so many ends of lines.
    TooLong {
        lines: u64,
    },
}

/// Bounds of reading.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub block_bytes: usize,
    pub max_line_bytes: usize,
    pub now_ms: i64,
}

/// Hands out blocks of all planned files.
#[derive(Debug)]
pub struct Queue<'a> {
    files: &'a [Planned<'a>],
    root: &'a Path,
    bounds: Bounds,
    ledger: Ledger<'a>,
    current: Option<Current>,
    /// One for each file that is through; the rest has not been begun.
    pub ended: Vec<Ended>,
    sequence: u64,
    /// Bytes on disk of the files that are through.
    disk_bytes: u64,
    /// Bytes of content that are newly accounted for, in the files that are through.
    pub bytes: u64,
}

impl<'a> Queue<'a> {
    pub fn new(files: &'a [Planned<'a>], root: &'a Path, ledger: Ledger<'a>, bounds: Bounds) -> Queue<'a> {
        let ended = Vec::with_capacity(files.len());
        Queue { files, root, bounds, ledger, current: None, ended, sequence: 0, disk_bytes: 0, bytes: 0 }
    }

    /// The next block, read into the buffer; `None` when all files are through.
    pub fn next(&mut self, buffer: &mut Vec<u8>) -> Option<Block> {
        loop {
            let file = self.ended.len();
            if self.current.is_none() {
                self.begin(self.files.get(file)?);
                continue;
            }
            let current = self.current.as_mut().expect("begun above");
            if let Some((len, what)) = current.next(buffer, &self.bounds) {
                self.sequence += 1;
                return Some(Block { sequence: self.sequence - 1, file, len, what });
            }
            self.end();
        }
    }

    fn begin(&mut self, planned: &Planned) {
        let Planned { found, format, layout, .. } = planned;
        let manner = Manner { format: *format, layout, max_line_bytes: self.bounds.max_line_bytes };
        let known_file = |origin: Origin| match origin {
            Origin::New => None,
            Origin::Ledger(at) => Some(self.ledger.file_of(at, self.root)),
            Origin::Run(at) => Some(self.files[at].found.file.clone()),
        };
        match resume::open(found, &manner, &self.ledger, &known_file) {
            Ok(opened) => self.current = Some(Current::new(opened)),
            Err(fault) => {
                self.disk_bytes += found.stat.size;
                self.ended.push(Ended {
                    stat: found.stat,
                    faults: vec![fault],
                    unopened: true,
                    ..Ended::default()
                });
            }
        }
    }

    fn end(&mut self) {
        let Some(Current { mut opened, started_at, mut faults, .. }) = self.current.take() else { return };
        faults.extend(opened.misfit.take());
        let fingerprint = opened.fingerprint();
        self.ledger.remember(Origin::Run(self.ended.len()), opened.offset, &fingerprint);
        self.disk_bytes += opened.stat.size;
        self.bytes += opened.offset - started_at;
        self.ended.push(Ended {
            origin: opened.origin,
            stat: opened.stat,
            offset: opened.offset,
            fingerprint,
            header_lines: opened.header_lines,
            faults,
            unopened: false,
        });
    }

    /// Bytes on disk that were read so far.
    pub fn progress(&self) -> u64 {
        let current = self.current.as_ref().map_or(0, |current| current.opened.content.disk_position());
        self.disk_bytes + current
    }
}

/// The file that is being read.
#[derive(Debug)]
struct Current {
    opened: Opened,
    started_at: u64,
    /// Bytes that were read and belong to the next block.
    carry: Vec<u8>,
    /// There may be bytes that were not looked at yet.
    more: bool,
    /// What went by of a record that is longer than the limit.
    skipped: Option<Skipped>,
    faults: Vec<Fault>,
}

#[derive(Debug)]
struct Skipped {
    bytes: u64,
    tail: Tail,
    /// How far into an element it is.
    element: Skip,
}

impl Current {
    fn new(opened: Opened) -> Current {
        let started_at = if opened.origin == Origin::New { 0 } else { opened.offset };
        let (carry, faults) = (Vec::new(), Vec::new());
        let mut current = Current { opened, started_at, carry, more: true, skipped: None, faults };
        current.finish_line();
        current
    }

    /// The newline of a last line that was read before it had one belongs to that line.
    fn finish_line(&mut self) {
        let opened = &mut self.opened;
        let begun = opened.offset > opened.first_record && opened.tail.bytes.last() != Some(&b'\n');
        if opened.kind == Kind::Elements || !begun {
            return;
        }
        let mut bytes = [0; 2];
        let got = opened.content.read(&mut bytes).unwrap_or(0);
        let newline = match bytes[..got] {
            [b'\n', ..] => 1,
            [b'\r', b'\n'] => 2,
            _ => 0,
        };
        opened.tail.push(&bytes[..newline]);
        opened.offset += newline as u64;
        self.carry.extend_from_slice(&bytes[newline..got]);
    }

    fn next(&mut self, buffer: &mut Vec<u8>, bounds: &Bounds) -> Option<(usize, What)> {
        while self.more {
            let len = self.fill(buffer, bounds.block_bytes);
            let bytes = &buffer[..len];
            if self.skipped.is_some() {
                if let Some(lines) = self.skip(bytes) {
                    return Some((0, What::TooLong { lines }));
                }
                continue;
            }
            let whole = !self.more && self.settled(bounds);
            let end = self.opened.kind.last_end(bytes, bounds.max_line_bytes, whole);
            if end > 0 {
                self.carry.extend_from_slice(&bytes[end..]);
                return Some((self.accept(&bytes[..end]), What::Records(self.opened.kind.clone())));
            }
            let before = self.opened.kind.start(bytes);
            if self.more && len > bounds.max_line_bytes && before > 0 {
                self.carry.extend_from_slice(&bytes[before..]);
                return Some((self.accept(&bytes[..before]), What::Records(self.opened.kind.clone())));
            }
            if self.more && len > bounds.max_line_bytes {
                let (tail, element) = (self.opened.tail.clone(), Skip::default());
                self.skipped = Some(Skipped { bytes: 0, tail, element });
                self.skip(bytes);
            } else {
                self.carry.extend_from_slice(bytes);
            }
        }
        self.last(buffer, bounds)
    }

    /// The carry, then as much of the content as makes a block.
    fn fill(&mut self, buffer: &mut Vec<u8>, block_bytes: usize) -> usize {
        let carried = self.carry.len();
        let opened = &mut self.opened;
        // A plain file is read as far as it went when it was opened, so that a fast writer cannot keep us.
        let left = match opened.content.compressed() {
            true => u64::MAX,
            false => opened.stat.size.saturating_sub(opened.content.position()),
        };
        let want = usize::try_from(left).unwrap_or(usize::MAX).min(block_bytes);
        if buffer.len() < carried + want {
            buffer.resize(carried + want, 0);
        }
        buffer[..carried].copy_from_slice(&self.carry);
        self.carry.clear();
        let got = match opened.content.read(&mut buffer[carried..carried + want]) {
            Ok(got) if got == 0 || opened.is_same() => got,
            // It was truncated and written to: what was read is of another content, which is next time's.
            Ok(_) => 0,
            Err(error) => {
                self.faults.push(resume::failure(&error, opened.content.compressed()));
                0
            }
        };
        self.more = got > 0 && left > got as u64;
        carried + got
    }

    /// Passes over bytes of a record that is too long; where its end is among them, how many lines end with it.
    fn skip(&mut self, bytes: &[u8]) -> Option<u64> {
        let skipped = self.skipped.as_mut()?;
        let end = match self.opened.kind {
            Kind::Elements => skipped.element.end(bytes),
            Kind::Lines | Kind::Rows(_) => memchr(b'\n', bytes).map(|at| at + 1),
        };
        let passed = &bytes[..end.unwrap_or(bytes.len())];
        skipped.tail.push(passed);
        skipped.bytes += passed.len() as u64;
        end?;
        let lines = u64::from(passed.ends_with(b"\n"));
        self.carry.extend_from_slice(&bytes[passed.len()..]);
        self.more = true;
        self.accept_skipped();
        Some(lines)
    }

    fn accept_skipped(&mut self) {
        if let Some(Skipped { bytes, tail, .. }) = self.skipped.take() {
            self.opened.offset += bytes;
            self.opened.tail = tail;
        }
    }

    fn accept(&mut self, bytes: &[u8]) -> usize {
        self.opened.offset += bytes.len() as u64;
        self.opened.tail.push(bytes);
        bytes.len()
    }

    /// What is left when the content has ended: a line without its newline.
    fn last(&mut self, buffer: &mut Vec<u8>, bounds: &Bounds) -> Option<(usize, What)> {
        let mut rest = std::mem::take(&mut self.carry);
        let before = self.opened.kind.start(&rest);
        if before == rest.len() && self.skipped.is_none() {
            return None;
        }
        if before > 0 {
            self.carry = rest.split_off(before);
            return Some((self.hand_out(&rest, buffer), What::Records(self.opened.kind.clone())));
        }
        if self.skipped.is_some() && self.settled(bounds) {
            self.accept_skipped();
            // The last line of a content has no end; elements are not lines.
            let lines = u64::from(self.opened.kind != Kind::Elements);
            return Some((0, What::TooLong { lines }));
        }
        if self.skipped.take().is_none() && self.finished(&rest, bounds) {
            return Some((self.hand_out(&rest, buffer), What::Records(self.opened.kind.clone())));
        }
        if self.opened.misfit.is_none() {
            let reason = "the last line is not finished; it is read when it is";
            self.faults.push(Fault::new(ProblemKind::Unfinished, reason));
        }
        None
    }

    fn hand_out(&mut self, bytes: &[u8], buffer: &mut Vec<u8>) -> usize {
        buffer.resize(buffer.len().max(bytes.len()), 0);
        buffer[..bytes.len()].copy_from_slice(bytes);
        self.accept(bytes)
    }

    /// Whether a last line without a newline is all of its record.
    fn finished(&self, rest: &[u8], bounds: &Bounds) -> bool {
        let object =
            || std::str::from_utf8(rest).is_ok_and(|line| json::parse(line, &Node::default()).is_ok());
        let of_a_line = self.opened.kind == Kind::Lines && rest.len() <= bounds.max_line_bytes;
        self.settled(bounds) || of_a_line && object()
    }

    /// Whether no more of the last record will come.
    fn settled(&self, bounds: &Bounds) -> bool {
        let undamaged = self.faults.is_empty();
        let Opened { content, kind, stat, .. } = &self.opened;
        match (content.compressed(), kind) {
            (true, _) => undamaged,
            (false, Kind::Lines | Kind::Elements) => false,
            (false, Kind::Rows(_)) => undamaged && settled(stat.modified_ns, bounds.now_ms),
        }
    }
}
