//! Records into roll-ups, on all threads, with the same result as on one.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::model::accumulator::Accumulator;
use crate::model::names::Known;
use crate::model::operation::{Operation, Record};
use crate::model::parallel;
use crate::model::rollup::{Limits, Retention, Rollup};
use crate::sources::Progress;
use crate::sources::blocks::{Block, Planned, Queue, What};
use crate::sources::flights::{Events, Flights, Observed};
use crate::sources::layout::Layout;
use crate::sources::problems::{Fault, Problems};
use crate::sources::record::{AHEAD_MS, RawRecord, far_ahead, interpret};
use crate::sources::records::{Reader, too_long};

/// What records are folded by.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    pub retention: Retention,
    pub limits: Limits,
    pub known: &'a Known,
    pub max_line_bytes: usize,
    pub now_ms: i64,
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

/// How many blocks a thread folds, and how many buckets it gathers, before it hands them over. All threads come by the
/// same minutes and hours: to hold them once takes half the memory, and they are merged while others read. But in a log
/// without order, buckets are many and the same ones come again.
const BLOCKS: u64 = if cfg!(test) { 3 } else { 128 };
const BUCKETS: usize = if cfg!(test) { 4 } else { 2048 };

/// What the threads share.
pub struct Work<'a> {
    pub files: &'a [Planned<'a>],
    pub rules: Rules<'a>,
    pub bytes_total: u64,
    pub progress: &'a (dyn Fn(Progress) + Sync),
    pub queue: Mutex<Queue<'a>>,
    pub order: Mutex<Order>,
    pub rollup: Mutex<Rollup>,
}

impl std::fmt::Debug for Work<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Work").field("rules", &self.rules).finish_non_exhaustive()
    }
}

impl<'a> Work<'a> {
    /// Folds all blocks of the queue.
    pub fn run(self, threads: usize) -> Folded<'a> {
        // On the threads that do the rest of the build: what a thread frees serves nobody but itself.
        parallel::map(0..threads, |_| self.fold_blocks());
        let mut rollup = self.rollup.into_inner().unwrap_or_else(PoisonError::into_inner);
        rollup.sort_series();
        let order = self.order.into_inner().unwrap_or_else(PoisonError::into_inner);
        let queue = self.queue.into_inner().unwrap_or_else(PoisonError::into_inner);
        Folded { queue, rollup, flights: order.flights, tallies: order.tallies }
    }

    /// One thread's share: takes a block, folds it, and hands in what depends on the order of blocks.
    fn fold_blocks(&self) {
        let mut accumulator = Accumulator::new(self.rules.retention, self.rules.limits, self.rules.known);
        let (mut buffer, mut observed) = (Vec::new(), Observed::default());
        for taken in 1u64.. {
            let (block, bytes_done) = {
                let mut queue = lock(&self.queue);
                let Some(block) = queue.next(&mut buffer) else { break };
                (block, queue.progress())
            };
            let layout = self.files[block.file].layout;
            let reader = Reader { layout, max_line_bytes: self.rules.max_line_bytes };
            let (folded, observed, tally) = (&mut accumulator, &mut observed, Tally::default());
            let latest_ms = self.rules.now_ms.saturating_add(AHEAD_MS);
            let mut folding = Folding { reader, accumulator: folded, observed, tally, latest_ms };
            folding.block(&block, &buffer[..block.len]);
            let Folding { tally, observed, .. } = folding;
            let events = observed.take();
            let records = lock(&self.order).push(block.sequence, Share { file: block.file, tally, events });
            (self.progress)(Progress { bytes_done, bytes_total: self.bytes_total.max(bytes_done), records });
            if taken % BLOCKS == 0 && accumulator.buckets() >= BUCKETS {
                self.collect(accumulator.hand_over());
            }
        }
        self.collect(accumulator.hand_over());
    }

    /// Takes what one thread has gathered.
    fn collect(&self, part: Rollup) {
        let mut rollup = lock(&self.rollup);
        rollup.merge(part);
        rollup.cut(self.rules.known, &self.rules.limits);
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
struct Folding<'a, 'k> {
    reader: Reader<'a>,
    accumulator: &'a mut Accumulator<'k>,
    observed: &'a mut Observed,
    tally: Tally,
    /// What ends later comes from a wrong clock.
    latest_ms: i64,
}

impl<'a> Folding<'a, '_> {
    fn block(&mut self, block: &Block, bytes: &[u8]) {
        let reader = self.reader;
        self.tally.lines = match &block.what {
            What::Records(kind) => reader.each(kind, bytes, |place, read| match read {
                Ok(raw) => self.interpret(place.line, raw),
                Err(fault) => self.fault(place.line, fault),
            }),
            What::TooLong { lines } => {
                self.fault(1, too_long(reader.max_line_bytes));
                *lines
            }
        };
    }

    #[inline(always)]
    fn interpret<'r>(&mut self, line: u64, raw: &mut RawRecord<'r>)
    where
        'a: 'r,
    {
        let layout: &'a Layout = self.reader.layout;
        layout.fill_defaults(raw);
        let read = interpret(raw);
        // The usual case leaves the operation where it is: it is too large to be moved two million times.
        if let Ok(Record::Finished(operation)) = &read {
            return self.finished(line, operation);
        }
        match read {
            Ok(Record::Finished(_)) => {}
            Ok(Record::Started(started)) => {
                self.tally.started += 1;
                self.observed.start(&started);
            }
            Err(fault) => self.fault(line, fault),
        }
    }

    fn finished(&mut self, line: u64, operation: &Operation) {
        self.tally.operations += 1;
        if operation.end_ms <= self.latest_ms {
            self.tally.last_end_ms = self.tally.last_end_ms.max(operation.end_ms);
        } else {
            self.tally.problems.add(line, far_ahead(operation.end_ms));
        }
        if let Some(id) = &operation.id {
            self.observed.end(&operation.wrapper, id);
        }
        self.accumulator.add(operation);
    }

    #[cold]
    fn fault(&mut self, line: u64, fault: Fault) {
        self.tally.skipped += 1;
        self.tally.problems.add(line, fault);
    }
}
