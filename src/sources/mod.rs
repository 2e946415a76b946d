//! Where operations come from: log files into roll-ups, each operation once.
//!
//! [`discover`] finds the files of a source, [`ledger`] tells which of them were read before and how far,
//! [`resume`] opens one at the place from which it is new, [`blocks`] cuts what is new into blocks of whole
//! records, and [`fold`] turns these into buckets on all threads. What a record means is said once, in
//! [`record`], whatever format it is written in. Nothing here fails: what cannot be read is data, shown on
//! the data-quality page. [`operations`] hands out the records themselves.
//!
//! To add a format: a variant of [`settings::Format`] and of [`records::Kind`], how it is cut into records
//! and read there, and a file that turns one record into a [`record::RawRecord`].

pub mod blocks;
pub mod content;
pub mod csv;
pub mod csv_fast;
pub mod discover;
pub mod elements;
pub mod flights;
pub mod fold;
pub mod inbox;
pub mod json;
pub mod json_fast;
pub mod layout;
pub mod ledger;
pub mod number;
pub mod operations;
pub mod problems;
pub mod record;
pub mod records;
pub mod resume;
pub mod scan;
pub mod settings;
pub mod states;
pub mod strip;
pub mod timestamp;
pub mod words;

use std::path::Path;
use std::sync::Mutex;

use crate::model::names::Known;
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
    /// The names that are stored already: limits are for others first.
    pub known: &'a Known,
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
            known: reading.known,
            max_line_bytes,
            now_ms,
        },
        bytes_total: files.iter().map(|file| file.found.stat.size).sum(),
        progress: reading.progress,
        order: Mutex::new(Order::new(files.len(), Flights::new(reading.in_flight))),
        queue: Mutex::new(Queue::new(&files, root, ledger, bounds)),
        rollup: Mutex::default(),
    };
    let Folded { queue, rollup, flights, tallies } = work.run(reading.threads);
    let sum = |of: fn(&fold::Tally) -> u64| tallies.iter().map(of).sum();
    let (records, skipped) = (sum(|tally| tally.operations + tally.started), sum(|tally| tally.skipped));
    let bytes = queue.bytes;
    survey.conclude(&files, queue.ended, tallies);
    let Report { files, forgotten, sources } = survey.report();
    Read { rollup, files, forgotten, sources, in_flight: flights.at(now_ms), bytes, records, skipped }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fs;
    use std::io::Write;

    /// 2025-01-24T12:00:00Z; the files of these tests are written long after, and so at rest.
    const NOW_MS: i64 = 1_737_720_000_000;

    const LONGEST: usize = 120;

    struct Site {
        folder: tempfile::TempDir,
        sources: [SourceSettings; 1],
        limits: Limits,
    }

    impl Site {
        fn new(limit: usize) -> Site {
            let limits = Limits { wrappers: limit, series: limit };
            let folder = tempfile::tempdir().expect("a folder");
            let sources = [SourceSettings { path: "logs".to_owned(), ..SourceSettings::default() }];
            fs::create_dir(folder.path().join("logs")).expect("a folder");
            Site { folder, sources, limits }
        }

        fn write(&self, name: &str, content: &[u8]) {
            fs::write(self.folder.path().join("logs").join(name), content).expect("written");
        }

        fn read(&self, block_bytes: usize, threads: usize, before: &Read) -> Read {
            let reading = Reading {
                root: self.folder.path(),
                sources: &self.sources,
                ledger: &before.files,
                in_flight: &before.in_flight,
                retention: Retention { first_minute: 0, first_hour: 0, first_note_day: 0 },
                limits: self.limits,
                known: &Known::default(),
                max_line_bytes: LONGEST,
                now_ms: NOW_MS,
                threads,
                progress: &|_| {},
            };
            read_in_blocks(&reading, block_bytes)
        }
    }

    fn json_line() -> impl Strategy<Value = String> {
        let field = |name: &'static str, values: Vec<&'static str>| {
            prop::option::of(prop::sample::select(values)).prop_map(move |value| {
                value.map(|value| format!("\"{name}\":{value}")).into_iter().collect::<Vec<_>>()
            })
        };
        let object = (
            field("wrapper_name", vec!["\"a\"", "\"b\"", "\"é\""]),
            field("operation_id", vec!["1", "2", "\"3\""]),
            field("end_time", vec!["\"2025-01-24T09:00:00Z\"", "1737709200", "0", "\"2025-01-23 09:00:00\""]),
            field("start_time", vec!["\"2025-01-24T08:59:59Z\"", "\"2025-01-24T11:00:00Z\""]),
            field("status", vec!["\"started\"", "\"error\"", "\"success\""]),
            field("model", vec!["\"m\"", "\"n\"", "\"o\"", "\"p\""]),
        );
        prop_oneof![
            8 => object.prop_map(|(a, b, c, d, e, f)| format!("{{{}}}", [a, b, c, d, e, f].concat().join(","))),
            1 => "[ -~]{0,20}",
            1 => Just("x".repeat(LONGEST + 10)),
            1 => Just("{\"wrapper_name\":\n\"spread\",\"end_time\":1737709200}".to_owned()),
        ]
    }

    fn csv_row() -> impl Strategy<Value = String> {
        let cells =
            prop::sample::select(vec!["a", "b", "\"a\"\"\nc\"", "1737709200", "started", "\"", "", "x"]);
        prop_oneof![
            6 => prop::sample::select(vec!["a,1737709200,success,1", "b,1737709201,started,2", "\"a\nb\",1737709200,,3"])
                .prop_map(str::to_owned),
            2 => prop::collection::vec(cells, 1..6).prop_map(|cells| cells.join(",")),
            1 => Just(format!("a,{},b,1", "x".repeat(LONGEST))),
        ]
    }

    /// The name of a file and its content.
    fn file() -> impl Strategy<Value = (String, Vec<u8>)> {
        let end = || prop::sample::select(vec!["\n", "\n", "\n", "\r\n", "\n\n"]);
        let lines = |line: BoxedStrategy<String>| {
            prop::collection::vec((line, end()), 0..12)
                .prop_map(|lines| lines.into_iter().map(|(line, end)| line + end).collect::<String>())
        };
        let long =
            Just(format!("{{\"wrapper_name\":\"a\",\"x\":\"{}\",\"end_time\":0}}", "}".repeat(LONGEST)));
        let elements = prop::collection::vec(prop_oneof![3 => json_line(), 1 => long], 0..8);
        let text = prop_oneof![
            lines(json_line().boxed()).prop_map(|text| ("a.jsonl", text)),
            lines(json_line().boxed()).prop_map(|text| ("a.json", format!("[\n{text}"))),
            elements.prop_map(|elements| ("a.json", format!("[{}]", elements.join(",")))),
            lines(csv_row().boxed())
                .prop_map(|text| ("a.csv", format!("wrapper_name,end_time,status,operation_id\n{text}"))),
        ];
        let flags = (any::<bool>(), any::<bool>(), any::<bool>());
        (text, flags).prop_map(|((name, text), (finished, damaged, packed))| {
            let mut bytes = if finished { text.into_bytes() } else { text.trim_end().as_bytes().to_vec() };
            if damaged && !bytes.is_empty() {
                let middle = bytes.len() / 2;
                bytes[middle] = 0xff;
            }
            if !packed {
                return (name.to_owned(), bytes);
            }
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(&bytes).expect("in memory");
            (format!("{name}.gz"), encoder.finish().expect("in memory"))
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(120))]

        #[test]
        fn blocks_and_threads_do_not_change_the_result(
            (name, content) in file(),
            block_bytes in 1usize..200,
            threads in 1usize..4,
        ) {
            let site = Site::new(2);
            site.write(&name, &content);
            let whole = site.read(1 << 20, 1, &Read::default());
            prop_assert_eq!(site.read(block_bytes, threads, &Read::default()), whole);
        }

        #[test]
        fn what_is_written_bit_by_bit_is_read_once(
            lines in prop::collection::vec(json_line(), 1..12),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..5),
            zipped in any::<bool>(),
        ) {
            let content = lines.iter().filter(|line| !line.contains('\n')).fold(String::new(), |all, line| all + line + "\n");
            let at_once = Site::new(10);
            at_once.write("a.jsonl", content.as_bytes());
            let whole = at_once.read(1 << 20, 1, &Read::default());

            let site = Site::new(10);
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(content.len() + 1)).collect();
            cuts.sort();
            let mut read = Read::default();
            let mut rollup = Rollup::default();
            for cut in cuts.into_iter().chain([content.len()]) {
                site.write("a.jsonl", &content.as_bytes()[..cut]);
                let next = site.read(64, 2, &read);
                rollup.merge(next.rollup.clone());
                let files = if next.files.is_empty() { read.files } else { next.files.clone() };
                read = Read { files, ..next };
            }
            if zipped {
                fs::remove_file(site.folder.path().join("logs/a.jsonl")).expect("removed");
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(content.as_bytes()).expect("in memory");
                site.write("a.jsonl.1.gz", &encoder.finish().expect("in memory"));
                let last = site.read(64, 2, &read);
                prop_assert!(last.rollup.is_empty() && last.records == 0 && last.skipped == 0);
            }
            rollup.sort_series();
            prop_assert_eq!(&rollup, &whole.rollup);
            prop_assert_eq!(read.in_flight, whole.in_flight);
            if let (Some(found), Some(expected)) = (read.files.first(), whole.files.first()) {
                prop_assert_eq!(&found.problems, &expected.problems);
                prop_assert_eq!(
                    (found.offset, found.lines, found.operations, found.skipped),
                    (expected.offset, expected.lines, expected.operations, expected.skipped)
                );
            }
        }
    }
}
