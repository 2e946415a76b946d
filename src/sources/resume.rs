//! Opening a file and finding the place from which it is new.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::model::quality::{Fingerprint, ProblemKind};
use crate::sources::content::{Content, PROOF_BYTES, Tail};
use crate::sources::csv::{self, Columns};
use crate::sources::discover::{Found, Stat, extension};
use crate::sources::elements;
use crate::sources::layout::Layout;
use crate::sources::ledger::{Candidate, Head, Ledger, Origin, fingerprint};
use crate::sources::problems::{Fault, excerpt};
use crate::sources::records::Kind;
use crate::sources::settings::Format;

/// An open file at the place from which it is new.
#[derive(Debug)]
pub struct Opened {
    pub content: Content,
    pub stat: Stat,
    pub kind: Kind,
    pub origin: Origin,
    /// Where its records begin: after a byte order mark, after a CSV header.
    pub first_record: u64,
    pub header_lines: u64,
    /// Bytes of content that are accounted for.
    pub offset: u64,
    /// The bytes before `offset`.
    pub tail: Tail,
    /// What is wrong with the file as a whole.
    pub misfit: Option<Fault>,
    /// At most [`PROOF_BYTES`].
    first_bytes: Vec<u8>,
    head: Option<Head>,
}

impl Opened {
    /// Whether the content is still the one that was opened.
    pub fn is_same(&mut self) -> bool {
        self.content.begins_with(&self.first_bytes)
    }

    /// Proof of what was read, once it contains a record.
    pub fn fingerprint(&self) -> Fingerprint {
        let proven = |head: &&Head| self.offset > self.first_record && self.offset >= head.len;
        fingerprint(self.head.as_ref().filter(proven).cloned(), &self.tail)
    }
}

/// What a file's source says about reading it.
#[derive(Clone, Copy, Debug)]
pub struct Manner<'a> {
    pub format: Format,
    pub layout: &'a Layout,
    pub max_line_bytes: usize,
}

/// Opens a file at the place from which it is new. `known_file` finds the file that a candidate was read from.
pub fn open(
    found: &Found,
    manner: &Manner,
    ledger: &Ledger,
    known_file: &dyn Fn(Origin) -> Option<PathBuf>,
) -> Result<Opened, Fault> {
    let unreadable = |error: io::Error| failure(&error, false);
    let mut content = Content::open(&found.file).map_err(unreadable)?;
    let metadata = content.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(Fault::new(ProblemKind::Unreadable, "not a regular file"));
    }
    let stat = Stat::new(&metadata);
    let compressed = content.compressed();
    let damaged = |error: io::Error| failure(&error, compressed);
    let mut first_bytes = vec![0; PROOF_BYTES];
    let got = content.read(&mut first_bytes).map_err(damaged)?;
    first_bytes.truncate(got);
    let mut opened = Opened {
        head: None,
        content,
        stat,
        kind: kind_of(&found.file, manner.format, &first_bytes),
        origin: Origin::New,
        first_record: 0,
        header_lines: 0,
        offset: 0,
        tail: Tail::default(),
        misfit: None,
        first_bytes,
    };
    opened.content.rewind().map_err(unreadable)?;
    opened.read_preamble(manner).map_err(damaged)?;
    opened.head = Head::new(&opened.first_bytes, opened.kind.first_end(&opened.first_bytes));
    let mut candidates = opened.head.as_ref().map(|head| ledger.candidates(head)).unwrap_or_default();
    candidates.retain(|candidate| !ledger.is_stale(candidate.origin, &manner.layout.mapping));
    opened.seek(&candidates, known_file).map_err(damaged)?;
    Ok(opened)
}

impl Opened {
    /// Reads what stands before the records: a byte order mark, a CSV header.
    fn read_preamble(&mut self, manner: &Manner) -> io::Result<()> {
        let mut bytes = vec![0; 3];
        let got = self.content.read(&mut bytes)?;
        bytes.truncate(got);
        let marked = bytes == b"\xef\xbb\xbf";
        if let Kind::Rows(columns) = &mut self.kind {
            let header = read_header(&mut self.content, bytes, manner.max_line_bytes)?;
            let text = String::from_utf8_lossy(&header);
            let text = text.trim_start_matches('\u{feff}').trim_start();
            *columns = Arc::new(Columns::new(text.trim(), manner.layout));
            self.misfit = csv::bad_header(text, manner.layout);
            self.first_record = header.len() as u64;
            self.header_lines = memchr::memchr_iter(b'\n', &header).count() as u64;
        } else if marked {
            self.first_record = 3;
        }
        Ok(())
    }

    fn seek(
        &mut self,
        candidates: &[Candidate],
        known_file: &dyn Fn(Origin) -> Option<PathBuf>,
    ) -> io::Result<()> {
        for candidate in candidates {
            let mut seen = None;
            loop {
                self.content.rewind()?;
                let tail = self.content.advance(candidate.offset)?;
                let position = self.content.position();
                if position == candidate.offset {
                    if candidate.ends_with(&tail) {
                        (self.origin, self.offset, self.tail) = (candidate.origin, position, tail);
                        return Ok(());
                    }
                    break;
                }
                let known = known_file(candidate.origin);
                if known.is_some_and(|file| is_beginning_of((&tail, position), candidate, &file)) {
                    // A copy in the making: what there is of it is known, and no line of it is left to count.
                    (self.offset, self.tail) = (position, tail);
                    return Ok(());
                }
                // It may have become whole, and its original be gone, since it was opened.
                if seen.replace(position) == Some(position) {
                    break;
                }
            }
        }
        self.content.rewind()?;
        self.tail = self.content.advance(self.first_record)?;
        self.offset = self.first_record;
        Ok(())
    }
}

/// The bytes up to the end of the first line that is not blank; all bytes if it has no end.
fn read_header(content: &mut Content, mut bytes: Vec<u8>, limit: usize) -> io::Result<Vec<u8>> {
    loop {
        let blank = bytes.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        if let Some(end) = memchr::memchr(b'\n', &bytes[blank..]) {
            bytes.truncate(blank + end + 1);
            return Ok(bytes);
        }
        let before = bytes.len();
        bytes.resize(before + PROOF_BYTES, 0);
        let got = content.read(&mut bytes[before..])?;
        bytes.truncate(before + got);
        if got == 0 || bytes.len() > limit {
            return Ok(bytes);
        }
    }
}

/// Whether a file holds all of a known content, and these last bytes before this place. A file that was cut
/// and written anew does not: it is no copy of what it was.
fn is_beginning_of((tail, position): (&Tail, u64), known: &Candidate, file: &Path) -> bool {
    let holds = |place: u64, proof: &dyn Fn(&Tail) -> bool| {
        let Ok(mut content) = Content::open(file) else { return false };
        content.advance(place).is_ok_and(|found| content.position() == place && proof(&found))
    };
    holds(position, &|found| found == tail) && holds(known.offset, &|found| known.ends_with(found))
}

/// Reads the beginning of a file, to see whether that works.
///
/// # Errors
/// If it does not: why.
pub fn try_read(file: &Path) -> Result<(), Fault> {
    let mut content = Content::open(file).map_err(|error| failure(&error, false))?;
    let compressed = content.compressed();
    content.read(&mut [0]).map(drop).map_err(|error| failure(&error, compressed))
}

/// What an error of the operating system, or of a decompressor, is to a file.
pub fn failure(error: &io::Error, compressed: bool) -> Fault {
    let of_the_content = matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput
    ) || error.raw_os_error().is_none();
    let text = excerpt(&error.to_string());
    if compressed && of_the_content {
        let reason = format!("the compressed data ends early or is damaged: {text}");
        return Fault::new(ProblemKind::Damaged, reason);
    }
    let next = if error.kind() == io::ErrorKind::PermissionDenied { "; let dash read it" } else { "" };
    Fault::new(ProblemKind::Unreadable, format!("{text}{next}"))
}

/// How the records of a file are set apart: as its source says, else as its extension does, else as its
/// first bytes look. The columns of a CSV file are not known yet.
fn kind_of(path: &Path, format: Format, first_bytes: &[u8]) -> Kind {
    let rows = || Kind::Rows(Arc::default());
    let content = first_bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(first_bytes);
    match (format, extension(path)) {
        (Format::Csv, _) | (Format::Auto, Some("csv")) => rows(),
        _ if elements::begins_array(content) => Kind::Elements,
        (Format::Jsonl, _) | (Format::Auto, Some("jsonl" | "ndjson")) => Kind::Lines,
        (Format::Auto, _) if elements::begins_spread(content) => Kind::Elements,
        (Format::Auto, Some("json")) => Kind::Lines,
        (Format::Auto, _) => {
            let line = content.trim_ascii_start().split(|&byte| byte == b'\n').next().unwrap_or_default();
            let header = !line.starts_with(b"{") && !line.starts_with(b"[") && line.contains(&b',');
            if header { rows() } else { Kind::Lines }
        }
    }
}
