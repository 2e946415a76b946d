//! A roll-up in the making: what [`Rollup::add`] says, for millions of operations a second.
//!
//! Logs are nearly sorted by time and name few series, so each series keeps the bucket that it filled last
//! at hand, and hands it over when an operation of another time comes.

use std::hash::Hasher;

use rustc_hash::{FxHashMap, FxHasher};

use crate::model::bucket::Bucket;
use crate::model::notes::OTHER;
use crate::model::operation::Operation;
use crate::model::rollup::{Limits, Retention, Rollup, WrapperRollup};
use crate::model::sketch::bin_of;
use crate::model::time::{day_of, hour_of, minute_of};

/// Most places remembered by the hash of their names.
const PLACES: usize = 4096;

/// Latency bins that wait to be sorted into a sketch.
const WAITING: usize = 1024;

/// Adds operations up.
#[derive(Debug)]
pub struct Accumulator {
    retention: Retention,
    limits: Limits,
    wrappers: Vec<Gathering>,
    by_name: FxHashMap<String, usize>,
    /// By the hash of their names.
    places: FxHashMap<u64, Place>,
}

/// Where the operations of one wrapper, type and model go.
#[derive(Debug)]
struct Place {
    names: [String; 3],
    wrapper: usize,
    series: usize,
}

/// One wrapper's roll-up, and its buckets at hand.
#[derive(Debug)]
struct Gathering {
    name: String,
    rollup: WrapperRollup,
    minute: Open,
    /// By series.
    hours: Vec<Open>,
}

/// The bucket of one stretch of time while it is being filled.
#[derive(Debug, Default)]
struct Open {
    time: i64,
    /// All but its sketch.
    bucket: Bucket,
    bins: Vec<i16>,
}

impl Accumulator {
    pub fn new(retention: Retention, limits: Limits) -> Accumulator {
        let (by_name, places) = (FxHashMap::default(), FxHashMap::default());
        Accumulator { retention, limits, wrappers: Vec::new(), by_name, places }
    }

    pub fn add(&mut self, operation: &Operation) {
        let (wrapper, series) = self.place(operation);
        self.wrappers[wrapper].add(operation, series, &self.retention);
    }

    pub fn finish(self) -> Rollup {
        let wrappers =
            self.wrappers.into_iter().map(|gathering| (gathering.name.clone(), gathering.finish()));
        Rollup { wrappers: wrappers.collect() }
    }

    fn place(&mut self, operation: &Operation) -> (usize, usize) {
        let names = [&*operation.wrapper, &*operation.operation_type, &*operation.model];
        let hash = hash(names);
        match self.places.get(&hash) {
            Some(place) if place.names == names => (place.wrapper, place.series),
            known => {
                let new = known.is_none() && self.places.len() < PLACES;
                let (wrapper, series) = self.find(names);
                if new {
                    let names = names.map(str::to_owned);
                    self.places.insert(hash, Place { names, wrapper, series });
                }
                (wrapper, series)
            }
        }
    }

    fn find(&mut self, names: [&str; 3]) -> (usize, usize) {
        let wrapper = self.wrapper(names[0]);
        let gathering = &mut self.wrappers[wrapper];
        let series = gathering.rollup.series_index(names[1], names[2], &self.limits) as usize;
        if series >= gathering.hours.len() {
            gathering.hours.resize_with(series + 1, Open::default);
        }
        (wrapper, series)
    }

    fn wrapper(&mut self, name: &str) -> usize {
        let known = self.by_name.contains_key(name) || self.by_name.len() < self.limits.wrappers;
        let name = if known { name } else { OTHER };
        if let Some(&at) = self.by_name.get(name) {
            return at;
        }
        self.by_name.insert(name.to_owned(), self.wrappers.len());
        self.wrappers.push(Gathering::new(name));
        self.wrappers.len() - 1
    }
}

fn hash(names: [&str; 3]) -> u64 {
    let mut hasher = FxHasher::default();
    for name in names {
        hasher.write(name.as_bytes());
        hasher.write_usize(name.len());
    }
    hasher.finish()
}

impl Gathering {
    fn new(name: &str) -> Gathering {
        let rollup = WrapperRollup { first_end_ms: i64::MAX, ..WrapperRollup::default() };
        Gathering { name: name.to_owned(), rollup, minute: Open::default(), hours: Vec::new() }
    }

    fn add(&mut self, operation: &Operation, series: usize, retention: &Retention) {
        let bin = operation.duration_ns.map(|ns| bin_of(ns as f64 / 1e6));
        self.rollup.first_end_ms = self.rollup.first_end_ms.min(operation.end_ms);
        let minute = minute_of(operation.end_ms);
        if minute >= retention.first_minute {
            if !self.minute.takes(minute) {
                self.close_minute();
            }
            self.minute.add(minute, operation, bin);
        }
        let hour = hour_of(operation.end_ms);
        if !self.hours[series].takes(hour) {
            self.close_hour(series);
        }
        self.hours[series].add(hour, operation, bin);
        let day = day_of(operation.end_ms);
        if day >= retention.first_note_day {
            self.rollup.notes.entry(day).or_default().add(operation);
        }
    }

    fn close_minute(&mut self) {
        if self.minute.bucket.total() > 0 {
            self.minute.close(self.rollup.minutes.entry(self.minute.time).or_default());
        }
    }

    fn close_hour(&mut self, series: usize) {
        let open = &mut self.hours[series];
        if open.bucket.total() > 0 {
            open.close(self.rollup.hours.entry((open.time, series as u32)).or_default());
        }
    }

    fn finish(mut self) -> WrapperRollup {
        self.close_minute();
        (0..self.hours.len()).for_each(|series| self.close_hour(series));
        self.rollup
    }
}

impl Open {
    fn takes(&self, time: i64) -> bool {
        self.time == time && self.bins.len() < WAITING
    }

    fn add(&mut self, time: i64, operation: &Operation, bin: Option<i16>) {
        self.time = time;
        self.bucket.add_counts(operation);
        self.bins.extend(bin);
    }

    fn close(&mut self, into: &mut Bucket) {
        into.merge(&self.bucket);
        into.latency.add_all(&self.bins);
        self.bucket = Bucket::default();
        self.bins.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::operation::{Outcome, Tokens};
    use proptest::prelude::*;

    const RETENTION: Retention = Retention { first_minute: 10, first_hour: 0, first_note_day: 1 };
    const LIMITS: Limits = Limits { wrappers: 3, series: 3 };

    fn operation(
        (names, end_ms, duration, failed): ((u8, u8, u8), i64, Option<u64>, bool),
    ) -> Operation<'static> {
        Operation {
            id: Some(end_ms.to_string().into()),
            wrapper: format!("w{}", names.0).into(),
            operation_type: format!("t{}", names.1).into(),
            model: format!("m{}", names.2).into(),
            outcome: if failed { Outcome::Error } else { Outcome::Success },
            end_ms,
            duration_ns: duration,
            error_code: None,
            error_message: None,
            cost_pico: duration.map(i128::from),
            tokens: Tokens { prompt: 1, ..Tokens::default() },
        }
    }

    proptest! {
        #[test]
        fn it_is_the_same_as_adding_one_by_one(
            operations in prop::collection::vec(
                (
                    (0u8..5, 0u8..3, 0u8..3),
                    0i64..200_000_000,
                    prop::option::of(0u64..10_000_000_000),
                    any::<bool>(),
                ).prop_map(operation),
                0..200,
            ),
        ) {
            let (mut fast, mut plain) = (Accumulator::new(RETENTION, LIMITS), Rollup::default());
            for operation in &operations {
                fast.add(operation);
                plain.add(operation, &RETENTION, &LIMITS);
            }
            prop_assert_eq!(fast.finish(), plain);
        }
    }

    #[test]
    fn a_bucket_takes_more_than_may_wait() {
        let (mut fast, mut plain) = (Accumulator::new(RETENTION, LIMITS), Rollup::default());
        for at in 0..3 * WAITING as u64 {
            let operation = operation(((0, 0, 0), 100_000_000, Some(at * 1_000_000), false));
            fast.add(&operation);
            plain.add(&operation, &RETENTION, &LIMITS);
        }
        assert_eq!(fast.finish(), plain);
    }
}
