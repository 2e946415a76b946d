//! Where operations come from: log files into roll-ups, each operation once.
//!
//! [`discover`] finds the files of a source, [`ledger`] tells which of them were read before and how far,
//! [`resume`] opens one at the place from which it is new, [`blocks`] cuts what is new into blocks of whole
//! records, and [`fold`] turns these into buckets on all threads. What a record means is said once, in
//! [`record`], whatever format it is written in. Nothing here fails: what cannot be read is data, shown on
//! the data-quality page.
//!
//! To add a format: a variant of [`settings::Format`] and of [`records::Kind`], how it is cut into records
//! there, and a file that turns one record into a [`record::RawRecord`].

pub mod blocks;
pub mod content;
pub mod csv;
pub mod csv_fast;
pub mod discover;
pub mod flights;
pub mod fold;
pub mod json;
pub mod json_fast;
pub mod layout;
pub mod ledger;
pub mod number;
pub mod problems;
pub mod record;
pub mod records;
pub mod resume;
pub mod scan;
pub mod settings;
pub mod states;
pub mod timestamp;
pub mod words;

use std::path::Path;
use std::sync::Mutex;

use crate::model::quality::{FileState, SourceState};
use crate::model::rollup::{InFlight, Limits, Retention, Rollup};
use crate::sources::blocks::{Bounds, Planned, Queue};
use crate::sources::flights::Flights;
use crate::sources::fold::{Folded, Order, Rules, Work};
use crate::sources::layout::Layout;
use crate::sources::ledger::Ledger;
use crate::sources::settings::SourceSettings;
use crate::sources::states::{Report, Survey};

/// Bytes that a thread takes at once: few enough to stay in its cache.
const BLOCK_BYTES: usize = 256 * 1024;

/// What to read, and what is known already.
#[derive(Clone, Copy)]
pub struct Reading<'a> {
    /// The site's folder.
    pub root: &'a Path,
    pub sources: &'a [SourceSettings],
    pub ledger: &'a [FileState],
    pub in_flight: &'a [InFlight],
    pub retention: Retention,
    pub limits: Limits,
    /// Longest record, in bytes; a longer one is skipped.
    pub max_line_bytes: usize,
    pub now_ms: i64,
    pub threads: usize,
    /// Called by any thread after each block.
    pub progress: &'a (dyn Fn(Progress) + Sync),
}

impl std::fmt::Debug for Reading<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Reading").field("root", &self.root).finish_non_exhaustive()
    }
}

/// How far a reading is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Of the files that changed, as they are on disk.
    pub bytes_done: u64,
    pub bytes_total: u64,
    pub records: u64,
}

/// What was new. The roll-up and the ledger's entries belong into one transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Read {
    pub rollup: Rollup,
    /// Entries that changed; an entry replaces that of the same path.
    pub files: Vec<FileState>,
    /// Paths of entries that are dropped.
    pub forgotten: Vec<String>,
    /// All sources in the order of the settings. Counts are over the files that are there.
    pub sources: Vec<SourceState>,
    /// All operations that are in flight now.
    pub in_flight: Vec<InFlight>,
    /// Uncompressed bytes that were new.
    pub bytes: u64,
    /// Records that were new and could be read.
    pub records: u64,
    /// Records that were new and could not.
    pub skipped: u64,
}

/// Reads what is new.
pub fn read(reading: &Reading) -> Read {
    read_in_blocks(reading, BLOCK_BYTES)
}

fn read_in_blocks(reading: &Reading, block_bytes: usize) -> Read {
    let &Reading { root, ledger: entries, max_line_bytes, now_ms, .. } = reading;
    let layouts: Vec<Layout> = reading.sources.iter().map(Layout::new).collect();
    let mut ledger = Ledger::new(entries);
    let mut survey = Survey::new(reading, &mut ledger);
    let files: Vec<Planned> = survey.plan(&layouts);
    let bounds = Bounds { block_bytes, max_line_bytes, now_ms };
    // Nothing in a file is newer than the file, so a moment that lies after all of them (a wrong clock) must
    // not make their newest operations too old to be kept.
    let newest_ms = files.iter().map(|file| (file.found.stat.modified_ns / 1_000_000) as i64).max();
    let ahead_ms = newest_ms.map_or(0, |newest| (now_ms - newest).max(0));
    let work = Work {
        files: &files,
        rules: Rules {
            retention: reading.retention.earlier(ahead_ms),
            limits: reading.limits,
            max_line_bytes,
        },
        bytes_total: files.iter().map(|file| file.found.stat.size).sum(),
        progress: reading.progress,
        order: Mutex::new(Order::new(files.len(), Flights::new(reading.in_flight))),
        queue: Mutex::new(Queue::new(&files, root, ledger, bounds)),
    };
    let Folded { queue, rollup, flights, tallies } = work.run(reading.threads);
    let sum = |of: fn(&fold::Tally) -> u64| tallies.iter().map(of).sum();
    let (records, skipped) = (sum(|tally| tally.operations + tally.started), sum(|tally| tally.skipped));
    let bytes = queue.bytes;
    survey.conclude(&files, queue.ended, tallies);
    let Report { files, forgotten, sources } = survey.report();
    Read { rollup, files, forgotten, sources, in_flight: flights.at(now_ms), bytes, records, skipped }
}
