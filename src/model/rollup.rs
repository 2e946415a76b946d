//! What reading some logs comes to: buckets by wrapper, never a list of operations.

use std::collections::BTreeMap;

use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};

use crate::model::bucket::Bucket;
use crate::model::names::{Known, beyond, rank};
use crate::model::notes::{Notes, OTHER};
use crate::model::operation::Operation;
use crate::model::sketch::bin_of;
use crate::model::time::{DAY_MS, HOUR_MS, MINUTE_MS, day_of, hour_of, minute_of};

/// How far back each level of time is kept, as the first whole unit that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    pub first_minute: i64,
    pub first_hour: i64,
    /// First day of which notable operations are kept.
    pub first_note_day: i64,
}

impl Retention {
    /// The hour that an operation is counted in: its own, or the first of its day where only days are kept.
    pub fn hour_of(&self, end_ms: i64) -> i64 {
        let hour = hour_of(end_ms);
        if hour < self.first_hour { hour.div_euclid(24) * 24 } else { hour }
    }

    /// What is kept at a moment that lies so much earlier.
    pub fn earlier(&self, ms: i64) -> Retention {
        Retention {
            first_minute: self.first_minute - ms / MINUTE_MS,
            first_hour: self.first_hour - ms / HOUR_MS,
            first_note_day: self.first_note_day - ms / DAY_MS,
        }
    }
}

/// Bounds on what one log may make us keep. What goes beyond is summed under [`OTHER`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub wrappers: usize,
    /// Pairs of operation type and model, a wrapper.
    pub series: usize,
}

/// Operation type and model: with the wrapper, what names a series of hours and days.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesName {
    pub operation_type: String,
    pub model: String,
}

impl SeriesName {
    /// See [`rank`].
    pub fn rank(&self) -> u64 {
        rank(&[&self.operation_type, &self.model])
    }

    /// Whether it is what other series are summed as.
    pub fn is_other(&self) -> bool {
        self.operation_type == OTHER && self.model == OTHER
    }
}

/// One wrapper's share of a roll-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrapperRollup {
    /// End of its oldest operation here; the end of time where there is none.
    pub first_end_ms: i64,
    pub minutes: FxHashMap<i64, Bucket>,
    /// Names of the series that `hours` counts by index.
    pub series: Vec<SeriesName>,
    /// (hour, index into `series`) → bucket. Days are merged from these when they are stored.
    pub hours: FxHashMap<(i64, u32), Bucket>,
    /// By day.
    pub notes: BTreeMap<i64, Notes>,
}

/// An operation in flight, as it is remembered until its end is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InFlight {
    /// Hash of wrapper and operation id.
    pub key: u64,
    pub wrapper: String,
    pub id: String,
    pub operation_type: String,
    pub model: String,
    pub start_ms: i64,
}

/// Buckets by wrapper name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rollup {
    pub wrappers: FxHashMap<String, WrapperRollup>,
}

impl Rollup {
    /// What an operation adds, without any limit: what an [`crate::model::accumulator::Accumulator`] does fast.
    pub fn add(&mut self, operation: &Operation, retention: &Retention) {
        let wrapper = self.wrappers.entry(operation.wrapper.as_ref().to_owned());
        wrapper.or_default().add(operation, retention);
    }

    pub fn merge(&mut self, other: Rollup) {
        for (name, theirs) in other.wrappers {
            match self.wrappers.get_mut(&name) {
                Some(ours) => ours.merge(theirs),
                None => drop(self.wrappers.insert(name, theirs)),
            }
        }
    }

    /// Sums what goes beyond the limits as [`OTHER`]. Roll-ups may be cut before they are merged too: that
    /// changes nothing but the memory that they take.
    pub fn cut(&mut self, known: &Known, limits: &Limits) {
        self.cut_wrappers(known, limits);
        for (name, wrapper) in &mut self.wrappers {
            wrapper.cut_series(known.series(name), limits);
            wrapper.notes.values_mut().for_each(Notes::cut);
        }
    }

    /// [`Rollup::cut`] for the wrappers alone. Returns the rank from which on new ones are not kept.
    pub fn cut_wrappers(&mut self, known: &Known, limits: &Limits) -> Option<u64> {
        let new = self.wrappers.keys().map(|name| (rank(&[name]), name.clone()));
        let new: Vec<_> = new.filter(|(rank, name)| name != OTHER && !known.has_wrapper(*rank)).collect();
        let beyond = beyond(new, limits.wrappers.saturating_sub(known.wrapper_count()));
        let first = beyond.iter().map(|name| rank(&[name])).min();
        for name in beyond {
            let theirs = self.wrappers.remove(&name).expect("its name is from there");
            let other = self.wrappers.entry(OTHER.to_owned()).or_default();
            other.merge_as_other(theirs);
        }
        first
    }

    pub fn is_empty(&self) -> bool {
        self.wrappers.is_empty()
    }

    /// Puts the series of each wrapper in the order of their names, so that equal roll-ups are equal values
    /// in whatever order they were merged.
    pub fn sort_series(&mut self) {
        self.wrappers.values_mut().for_each(WrapperRollup::sort_series);
    }
}

impl Default for WrapperRollup {
    fn default() -> WrapperRollup {
        WrapperRollup {
            first_end_ms: i64::MAX,
            minutes: FxHashMap::default(),
            series: Vec::new(),
            hours: FxHashMap::default(),
            notes: BTreeMap::new(),
        }
    }
}

impl WrapperRollup {
    pub fn add(&mut self, operation: &Operation, retention: &Retention) {
        let bin = operation.duration_ns.map(|ns| bin_of(ns as f64 / 1e6));
        self.first_end_ms = self.first_end_ms.min(operation.end_ms);
        let minute = minute_of(operation.end_ms);
        if minute >= retention.first_minute {
            self.minutes.entry(minute).or_default().add_binned(operation, bin);
        }
        let series = self.series_index(&operation.operation_type, &operation.model);
        let hour = retention.hour_of(operation.end_ms);
        self.hours.entry((hour, series)).or_default().add_binned(operation, bin);
        let day = day_of(operation.end_ms);
        if day >= retention.first_note_day {
            self.notes.entry(day).or_default().add(operation);
        }
    }

    pub fn merge(&mut self, mut other: WrapperRollup) {
        let names = std::mem::take(&mut other.series);
        let indices: Vec<u32> =
            names.iter().map(|name| self.series_index(&name.operation_type, &name.model)).collect();
        self.merge_as(other, |series| indices[series as usize]);
    }

    /// Merges a wrapper that is not kept: its series are not told apart any more.
    fn merge_as_other(&mut self, other: WrapperRollup) {
        let series = self.series_index(OTHER, OTHER);
        self.merge_as(other, |_| series);
    }

    fn merge_as(&mut self, other: WrapperRollup, series: impl Fn(u32) -> u32) {
        self.first_end_ms = self.first_end_ms.min(other.first_end_ms);
        for (minute, bucket) in other.minutes {
            self.minutes.entry(minute).or_default().merge_owned(bucket);
        }
        for ((hour, theirs), bucket) in other.hours {
            self.hours.entry((hour, series(theirs))).or_default().merge_owned(bucket);
        }
        for (day, notes) in other.notes {
            self.notes.entry(day).or_default().merge(&notes);
        }
    }

    /// Sums series beyond the limit as [`OTHER`]; `known` are those that are stored, by rank. Returns the rank
    /// from which on new ones are not kept.
    pub fn cut_series(&mut self, known: Option<&FxHashSet<u64>>, limits: &Limits) -> Option<u64> {
        let is_known = |rank: &u64| known.is_some_and(|known| known.contains(rank));
        let new = self.series.iter().filter(|name| !name.is_other()).map(|name| (name.rank(), name.clone()));
        let room = limits.series.saturating_sub(known.map_or(0, FxHashSet::len));
        let beyond = beyond(new.filter(|(rank, _)| !is_known(rank)).collect(), room);
        let first = beyond.iter().map(SeriesName::rank).min()?;
        let names = std::mem::take(&mut self.series);
        let place = |name: SeriesName| match beyond.contains(&name) {
            true => self.series_index(OTHER, OTHER),
            false => self.series_index(&name.operation_type, &name.model),
        };
        let places: Vec<u32> = names.into_iter().map(place).collect();
        for ((hour, series), bucket) in std::mem::take(&mut self.hours) {
            self.hours.entry((hour, places[series as usize])).or_default().merge(&bucket);
        }
        Some(first)
    }

    /// Operations whose series is not told apart, since there were too many.
    pub fn other_operations(&self) -> u64 {
        let other = |entry: &(&(i64, u32), &Bucket)| self.series[entry.0.1 as usize].is_other();
        self.hours.iter().filter(other).map(|(_, bucket)| bucket.total()).sum()
    }

    fn sort_series(&mut self) {
        let mut order: Vec<u32> = (0..self.series.len() as u32).collect();
        order.sort_by(|&a, &b| self.series[a as usize].cmp(&self.series[b as usize]));
        let mut place = vec![0; order.len()];
        for (to, &from) in order.iter().enumerate() {
            place[from as usize] = to as u32;
        }
        self.series.sort();
        let hours = std::mem::take(&mut self.hours);
        self.hours = hours
            .into_iter()
            .map(|((hour, series), bucket)| ((hour, place[series as usize]), bucket))
            .collect();
    }

    /// The index of a series in `series`, which is made if it is new.
    fn series_index(&mut self, operation_type: &str, model: &str) -> u32 {
        let same = |name: &SeriesName| name.operation_type == operation_type && name.model == model;
        let at = self.series.iter().position(same).unwrap_or_else(|| {
            self.series
                .push(SeriesName { operation_type: operation_type.to_owned(), model: model.to_owned() });
            self.series.len() - 1
        });
        at as u32
    }
}
