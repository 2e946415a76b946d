//! A roll-up in the making: what [`Rollup::add`] says, for millions of operations a second.
//!
//! Logs are nearly sorted by time and name few series, so each series keeps the bucket that it filled last
//! at hand, and hands it over when an operation of another time comes.

use std::hash::Hasher;

use rustc_hash::{FxHashMap, FxHashSet, FxHasher};

use crate::model::bucket::Bucket;
use crate::model::names::{Known, rank};
use crate::model::notes::OTHER;
use crate::model::operation::Operation;
use crate::model::rollup::{Limits, Retention, Rollup, SeriesName, WrapperRollup};
use crate::model::sketch::bin_of;
use crate::model::time::{day_of, minute_of};

/// Most places remembered by the hash of their names.
const PLACES: usize = 4096;

/// Latency bins that wait to be sorted into a sketch.
const WAITING: usize = 1024;

/// Adds operations up.
#[derive(Debug)]
pub struct Accumulator<'k> {
    retention: Retention,
    limits: Limits,
    known: &'k Known,
    wrappers: Vec<Gathering>,
    by_name: FxHashMap<String, usize>,
    /// New wrappers from this rank on are not kept.
    bar: Option<u64>,
    /// By the hash of their names; forgotten when an index changes.
    places: FxHashMap<u64, Place>,
}

/// Where the operations of one wrapper, type and model go.
#[derive(Debug)]
struct Place {
    names: [String; 3],
    wrapper: usize,
    series: usize,
}

impl Place {
    fn is_of(&self, names: [&str; 3]) -> bool {
        self.names.iter().zip(names).all(|(known, name)| is_same(known.as_bytes(), name.as_bytes()))
    }
}

/// As `==`, without a call for the lengths that most names have.
fn is_same(a: &[u8], b: &[u8]) -> bool {
    let ends = |text: &[u8]| Some((*text.first_chunk::<8>()?, *text.last_chunk::<8>()?));
    match (ends(a), ends(b)) {
        (Some(a_ends), Some(b_ends)) if a.len() <= 16 => a.len() == b.len() && a_ends == b_ends,
        _ => a == b,
    }
}

/// One wrapper's roll-up, and its buckets at hand.
#[derive(Debug)]
struct Gathering {
    name: String,
    rollup: WrapperRollup,
    /// Series by rank.
    by_rank: FxHashMap<u64, usize>,
    /// New series from this rank on are not kept.
    bar: Option<u64>,
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

impl<'k> Accumulator<'k> {
    pub fn new(retention: Retention, limits: Limits, known: &'k Known) -> Accumulator<'k> {
        let (by_name, places) = (FxHashMap::default(), FxHashMap::default());
        Accumulator { retention, limits, known, wrappers: Vec::new(), by_name, bar: None, places }
    }

    pub fn add(&mut self, operation: &Operation) {
        let (wrapper, series) = self.place(operation);
        self.wrappers[wrapper].add(operation, series, &self.retention);
    }

    /// How many buckets are gathered, but for those that are being filled.
    pub fn buckets(&self) -> usize {
        let buckets = |gathering: &Gathering| gathering.rollup.minutes.len() + gathering.rollup.hours.len();
        self.wrappers.iter().map(buckets).sum()
    }

    /// What was added since it was handed over last, cut to the limits.
    pub fn hand_over(&mut self) -> Rollup {
        let mut rollup = self.take();
        self.by_name.clear();
        self.places.clear();
        rollup.cut(self.known, &self.limits);
        rollup
    }

    fn take(&mut self) -> Rollup {
        let gathered = std::mem::take(&mut self.wrappers).into_iter();
        Rollup { wrappers: gathered.map(|gathering| (gathering.name.clone(), gathering.finish())).collect() }
    }

    fn place(&mut self, operation: &Operation) -> (usize, usize) {
        let names = [&*operation.wrapper, &*operation.operation_type, &*operation.model];
        let hash = hash(names);
        match self.places.get(&hash) {
            Some(place) if place.is_of(names) => (place.wrapper, place.series),
            _ => self.find(hash, names),
        }
    }

    fn find(&mut self, hash: u64, names: [&str; 3]) -> (usize, usize) {
        let wrapper = self.wrapper(names[0]);
        let gathering = &mut self.wrappers[wrapper];
        // What is not kept is not told apart, and comes with too many names to remember.
        if gathering.name != names[0] {
            return (wrapper, gathering.series([OTHER, OTHER]));
        }
        let known = self.known.series(names[0]);
        let mut series = gathering.series_within([names[1], names[2]], known);
        if gathering.rollup.series.len() > most(self.limits.series) {
            gathering.cut(known, &self.limits);
            self.places.clear();
            series = gathering.series_within([names[1], names[2]], known);
        }
        let kept = !gathering.rollup.series[series].is_other();
        if kept && self.places.len() < PLACES {
            self.places.insert(hash, Place { names: names.map(str::to_owned), wrapper, series });
        }
        (wrapper, series)
    }

    fn wrapper(&mut self, name: &str) -> usize {
        let at = self.wrapper_within(name);
        if self.wrappers.len() <= most(self.limits.wrappers) {
            return at;
        }
        let mut rollup = self.take();
        self.bar = rollup.cut_wrappers(self.known, &self.limits);
        self.by_name.clear();
        self.places.clear();
        for (name, rollup) in rollup.wrappers {
            self.by_name.insert(name.clone(), self.wrappers.len());
            self.wrappers.push(Gathering::new(name, rollup));
        }
        self.wrapper_within(name)
    }

    fn wrapper_within(&mut self, name: &str) -> usize {
        if let Some(&at) = self.by_name.get(name) {
            return at;
        }
        let is_beyond = |bar| rank(&[name]) >= bar && !self.known.has_wrapper(rank(&[name]));
        if name != OTHER && self.bar.is_some_and(is_beyond) {
            return self.wrapper_within(OTHER);
        }
        self.by_name.insert(name.to_owned(), self.wrappers.len());
        self.wrappers.push(Gathering::new(name.to_owned(), WrapperRollup::default()));
        self.wrappers.len() - 1
    }
}

/// So many names may wait before they are cut to a limit, which is done for all of them at once.
fn most(limit: usize) -> usize {
    limit + limit / 2 + 16
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
    fn new(name: String, rollup: WrapperRollup) -> Gathering {
        let (minute, hours, by_rank) = (Open::default(), Vec::new(), FxHashMap::default());
        let mut gathering = Gathering { name, rollup, by_rank, bar: None, minute, hours };
        gathering.index();
        gathering
    }

    fn index(&mut self) {
        self.by_rank = self.rollup.series.iter().enumerate().map(|(at, name)| (name.rank(), at)).collect();
        self.hours.resize_with(self.rollup.series.len(), Open::default);
    }

    /// The index of a series, or of what it is summed as.
    fn series_within(&mut self, name: [&str; 2], known: Option<&FxHashSet<u64>>) -> usize {
        let rank = rank(&name);
        let is_known = || known.is_some_and(|known| known.contains(&rank));
        let is_beyond = self.bar.is_some_and(|bar| rank >= bar) && !is_known();
        self.series(if is_beyond { [OTHER, OTHER] } else { name })
    }

    fn series(&mut self, [operation_type, model]: [&str; 2]) -> usize {
        let rank = rank(&[operation_type, model]);
        let series = &mut self.rollup.series;
        let same = |name: &SeriesName| name.operation_type == operation_type && name.model == model;
        if let Some(&at) = self.by_rank.get(&rank).filter(|&&at| same(&series[at])) {
            return at;
        }
        // Two names of one rank are as good as impossible, and told apart all the same.
        if self.by_rank.contains_key(&rank)
            && let Some(at) = series.iter().position(same)
        {
            return at;
        }
        series.push(SeriesName { operation_type: operation_type.to_owned(), model: model.to_owned() });
        let at = series.len() - 1;
        self.by_rank.insert(rank, at);
        self.hours.push(Open::default());
        at
    }

    fn cut(&mut self, known: Option<&FxHashSet<u64>>, limits: &Limits) {
        (0..self.hours.len()).for_each(|series| self.close_hour(series));
        self.bar = self.rollup.cut_series(known, limits);
        self.hours.clear();
        self.index();
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
        let hour = retention.hour_of(operation.end_ms);
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
        if let Some(bin) = bin {
            self.bins.push(bin);
        }
    }

    fn close(&mut self, into: &mut Bucket) {
        into.merge(&self.bucket);
        into.latency.add_all(&mut self.bins);
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

    fn operations() -> impl Strategy<Value = Vec<Operation<'static>>> {
        let operation = (
            (0u8..9, 0u8..3, 0u8..9),
            0i64..200_000_000,
            prop::option::of(0u64..10_000_000_000),
            any::<bool>(),
        );
        prop::collection::vec(operation.prop_map(self::operation), 0..300)
    }

    fn known(names: &[(u8, u8)]) -> Known {
        let mut known = Known::default();
        names.iter().for_each(|(wrapper, model)| {
            known.add_series(&format!("w{wrapper}"), "t0", &format!("m{model}"))
        });
        known
    }

    fn plain(operations: &[Operation], known: &Known) -> Rollup {
        let mut plain = Rollup::default();
        operations.iter().for_each(|operation| plain.add(operation, &RETENTION));
        plain.cut(known, &LIMITS);
        plain.sort_series();
        plain
    }

    proptest! {
        #[test]
        fn names_are_the_same_as_by_their_bytes(
            name in "[a-c]{0,20}",
            other in "[a-c]{0,20}",
            changed in prop::option::of((any::<prop::sample::Index>(), b'a'..b'd')),
        ) {
            let mut like = name.clone().into_bytes();
            if let Some((at, byte)) = changed.filter(|_| !like.is_empty()) {
                let at = at.index(like.len());
                like[at] = byte;
            }
            for b in [other.as_bytes(), &like] {
                prop_assert_eq!(is_same(name.as_bytes(), b), name.as_bytes() == b);
            }
        }

        #[test]
        fn it_is_the_same_as_adding_one_by_one_however_it_is_shared_out(
            operations in operations(),
            stored in prop::collection::vec((0u8..9, 0u8..9), 0..5),
            (share, hand_over) in (1usize..50, 1usize..100),
        ) {
            let known = known(&stored);
            let mut fast = [0, 1].map(|_| Accumulator::new(RETENTION, LIMITS, &known));
            let mut merged = Rollup::default();
            for (at, operation) in operations.iter().enumerate() {
                fast[at / share % 2].add(operation);
                if at % hand_over == 0 {
                    merged.merge(fast[0].hand_over());
                }
            }
            fast.iter_mut().for_each(|part| merged.merge(part.hand_over()));
            merged.cut(&known, &LIMITS);
            merged.sort_series();
            prop_assert_eq!(merged, plain(&operations, &known));
        }
    }

    #[test]
    fn what_is_known_stays_and_the_rest_is_other() {
        let known = known(&[(100, 100), (101, 0)]);
        let mut accumulator = Accumulator::new(RETENTION, LIMITS, &known);
        for name in 0..200 {
            accumulator.add(&operation(((name, 0, 0), 100_000_000, None, false)));
            accumulator.add(&operation(((100, 0, name), 100_000_000, None, false)));
            assert!(accumulator.wrappers.len() <= most(LIMITS.wrappers) + 1);
        }
        let rollup = accumulator.hand_over();
        assert_eq!(rollup.wrappers.len(), 4);
        assert!(["w100", "w101", OTHER].iter().all(|name| rollup.wrappers.contains_key(*name)));
        let models: Vec<_> = rollup.wrappers["w100"].series.iter().map(|name| name.model.as_str()).collect();
        assert!(models.len() == 4 && models.contains(&"m100") && models.contains(&OTHER), "{models:?}");
        let total: u64 =
            rollup.wrappers.values().flat_map(|wrapper| wrapper.hours.values()).map(Bucket::total).sum();
        assert_eq!(total, 400);
    }

    #[test]
    fn a_bucket_takes_more_than_may_wait() {
        let known = Known::default();
        let mut fast = Accumulator::new(RETENTION, LIMITS, &known);
        let operation = |at: u64| operation(((0, 0, 0), 100_000_000, Some(at * 1_000_000), false));
        let operations: Vec<_> = (0..3 * WAITING as u64).map(operation).collect();
        operations.iter().for_each(|operation| fast.add(operation));
        assert_eq!(fast.hand_over(), plain(&operations, &known));
    }
}
