//! Records into roll-ups, on all threads, with the same result as on one.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use memchr::memchr_iter;

use crate::model::accumulator::Accumulator;
use crate::model::operation::{Operation, Record};
use crate::model::quality::ProblemKind;
use crate::model::rollup::{Limits, Retention, Rollup};
use crate::sources::Progress;
use crate::sources::blocks::{Block, Planned, Queue, What};
use crate::sources::csv_fast;
use crate::sources::flights::{Events, Flights};
use crate::sources::json;
use crate::sources::json_fast::Scanner;
use crate::sources::layout::Layout;
use crate::sources::problems::{Fault, Problems};
use crate::sources::record::{RawRecord, interpret};
use crate::sources::records::Kind;

/// What records are folded by.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    pub retention: Retention,
    pub limits: Limits,
    pub max_line_bytes: usize,
}

/// What some records of a file say besides the roll-up. Lines count from the first of these records.
#[derive(Debug, Default, PartialEq)]
pub struct Tally {
    pub lines: u64,
    pub operations: u64,
    pub started: u64,
    pub skipped: u64,
    /// 0 where there is no operation.
    pub last_end_ms: i64,
    pub problems: Problems,
}

/// Everything that the records come to, and the queue that is through.
#[derive(Debug)]
pub struct Folded<'a> {
    pub queue: Queue<'a>,
    pub rollup: Rollup,
    pub flights: Flights,
    /// By file.
    pub tallies: Vec<Tally>,
}

/// What the threads share.
pub struct Work<'a> {
    pub files: &'a [Planned<'a>],
    pub rules: Rules,
    pub bytes_total: u64,
    pub progress: &'a (dyn Fn(Progress) + Sync),
    pub queue: Mutex<Queue<'a>>,
    pub order: Mutex<Order>,
}

impl std::fmt::Debug for Work<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Work").field("rules", &self.rules).finish_non_exhaustive()
    }
}

impl<'a> Work<'a> {
    /// Folds all blocks of the queue.
    pub fn run(self, threads: usize) -> Folded<'a> {
        let rollups = std::thread::scope(|scope| {
            let helpers: Vec<_> = (1..threads).map(|_| scope.spawn(|| self.fold_blocks())).collect();
            let mut rollups = vec![self.fold_blocks()];
            for helper in helpers {
                rollups.push(helper.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            }
            rollups
        });
        let mut rollup = Rollup::default();
        for part in rollups {
            rollup.merge(part, &self.rules.limits);
        }
        rollup.sort_series();
        let order = self.order.into_inner().unwrap_or_else(PoisonError::into_inner);
        let queue = self.queue.into_inner().unwrap_or_else(PoisonError::into_inner);
        Folded { queue, rollup, flights: order.flights, tallies: order.tallies }
    }

    /// One thread's share: takes a block, folds it, and hands in what depends on the order of blocks.
    fn fold_blocks(&self) -> Rollup {
        let mut accumulator = Accumulator::new(self.rules.retention, self.rules.limits);
        let mut buffer = Vec::new();
        loop {
            let (block, bytes_done) = {
                let mut queue = lock(&self.queue);
                let Some(block) = queue.next(&mut buffer) else { return accumulator.finish() };
                (block, queue.progress())
            };
            let layout = self.files[block.file].layout;
            let mut folding = Folding::new(self.rules.max_line_bytes, layout, &mut accumulator);
            folding.block(&block, &buffer[..block.len]);
            let Folding { tally, events, .. } = folding;
            let records = lock(&self.order).push(block.sequence, Share { file: block.file, tally, events });
            (self.progress)(Progress { bytes_done, bytes_total: self.bytes_total.max(bytes_done), records });
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What one block hands in.
#[derive(Debug)]
struct Share {
    file: usize,
    tally: Tally,
    events: Events,
}

/// Puts the shares of blocks together in the order of the records.
#[derive(Debug, Default)]
pub struct Order {
    next: u64,
    waiting: BTreeMap<u64, Share>,
    flights: Flights,
    tallies: Vec<Tally>,
    records: u64,
}

impl Order {
    pub fn new(files: usize, flights: Flights) -> Order {
        Order { flights, tallies: (0..files).map(|_| Tally::default()).collect(), ..Order::default() }
    }

    /// Takes one share; returns the number of records so far.
    fn push(&mut self, sequence: u64, share: Share) -> u64 {
        self.records += share.tally.operations + share.tally.started;
        self.waiting.insert(sequence, share);
        while let Some(Share { file, tally, events }) = self.waiting.remove(&self.next) {
            self.next += 1;
            self.flights.apply(events);
            self.tallies[file].append(tally);
        }
        self.records
    }
}

impl Tally {
    fn append(&mut self, next: Tally) {
        next.problems.shifted(self.lines).for_each(|problem| self.problems.push(problem));
        self.lines += next.lines;
        self.operations += next.operations;
        self.started += next.started;
        self.skipped += next.skipped;
        self.last_end_ms = self.last_end_ms.max(next.last_end_ms);
    }
}

/// The folding of one block.
struct Folding<'a> {
    max_line_bytes: usize,
    layout: &'a Layout,
    accumulator: &'a mut Accumulator,
    tally: Tally,
    events: Events,
}

impl<'a> Folding<'a> {
    fn new(max_line_bytes: usize, layout: &'a Layout, accumulator: &'a mut Accumulator) -> Folding<'a> {
        let (tally, events) = (Tally::default(), Events::default());
        Folding { max_line_bytes, layout, accumulator, tally, events }
    }

    fn block(&mut self, block: &Block, bytes: &[u8]) {
        let What::Records(kind) = &block.what else {
            self.tally.lines += 1;
            return self.too_long();
        };
        let mut at = 0;
        // One check for all records; where it fails, each is checked for itself.
        if let Ok(text) = std::str::from_utf8(bytes) {
            at = self.usual_records(kind, text);
        }
        while at < bytes.len() {
            at += self.next_record(kind, &bytes[at..]);
        }
    }

    /// Reads fast what can be, and returns how far it came.
    fn usual_records(&mut self, kind: &Kind, text: &str) -> usize {
        let layout = self.layout;
        let mut scanner = Scanner::new(&layout.root);
        let mut at = 0;
        while at < text.len() {
            let mut raw = RawRecord::default();
            let end = match kind {
                Kind::Lines => scanner.record(text, at, &mut raw),
                Kind::Rows(columns) => csv_fast::row(columns, text, at, &mut raw),
                Kind::Elements => None,
            };
            match end {
                Some(end) if end - at <= self.max_line_bytes => {
                    self.tally.lines += 1;
                    self.interpret(&mut raw);
                    at = end + 1;
                }
                _ => at += self.next_record(kind, &text.as_bytes()[at..]),
            }
        }
        at
    }

    /// The first record of some bytes, whatever it is; returns its length.
    fn next_record(&mut self, kind: &Kind, bytes: &[u8]) -> usize {
        let newlines = |bytes: &[u8]| memchr_iter(b'\n', bytes).count() as u64;
        let end = kind.next_end(bytes, self.max_line_bytes);
        let (before, record) = bytes[..end].split_at(kind.start(&bytes[..end]));
        let lines = self.tally.lines + newlines(before);
        self.tally.lines = lines + 1;
        self.record(kind, record.strip_suffix(b"\n").unwrap_or(record));
        let unfinished = *kind != Kind::Elements && !record.ends_with(b"\n");
        self.tally.lines = lines + newlines(record) + u64::from(unfinished);
        end
    }

    /// One record, on the last line counted.
    fn record(&mut self, kind: &Kind, bytes: &[u8]) {
        if bytes.len() > self.max_line_bytes {
            return self.too_long();
        }
        if bytes.trim_ascii().is_empty() {
            return;
        }
        let Ok(text) = std::str::from_utf8(bytes) else {
            return self.fault(Fault::new(ProblemKind::NotUtf8, "not valid UTF-8"));
        };
        let read = match kind {
            Kind::Rows(columns) => columns.parse(text),
            Kind::Lines | Kind::Elements => json::parse(text.trim_ascii(), &self.layout.root),
        };
        match read {
            Ok(mut raw) => self.interpret(&mut raw),
            Err(fault) => self.fault(fault),
        }
    }

    fn interpret<'r>(&mut self, raw: &mut RawRecord<'r>)
    where
        'a: 'r,
    {
        let layout: &'a Layout = self.layout;
        layout.fill_defaults(raw);
        let read = interpret(raw);
        // The usual case leaves the operation where it is: it is too large to be moved two million times.
        if let Ok(Record::Finished(operation)) = &read {
            return self.finished(operation);
        }
        match read {
            Ok(Record::Finished(_)) => {}
            Ok(Record::Started(started)) => {
                self.tally.started += 1;
                self.events.start(started);
            }
            Err(fault) => self.fault(fault),
        }
    }

    fn finished(&mut self, operation: &Operation) {
        self.tally.operations += 1;
        self.tally.last_end_ms = self.tally.last_end_ms.max(operation.end_ms);
        if let Some(id) = &operation.id {
            self.events.end(&operation.wrapper, id);
        }
        self.accumulator.add(operation);
    }

    fn too_long(&mut self) {
        let limit = self.max_line_bytes;
        let reason = format!("longer than {limit} bytes; raise `max_line_bytes` if that is intended");
        self.fault(Fault::new(ProblemKind::TooLong, reason));
    }

    fn fault(&mut self, fault: Fault) {
        self.tally.skipped += 1;
        self.tally.problems.add(self.tally.lines, fault);
    }
}
