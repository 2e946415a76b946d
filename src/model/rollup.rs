//! What reading some logs comes to: buckets by wrapper, never a list of operations.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::model::bucket::Bucket;
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

/// One wrapper's share of a roll-up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WrapperRollup {
    /// End of its oldest operation here.
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
    pub fn add(&mut self, operation: &Operation, retention: &Retention, limits: &Limits) {
        let known = self.wrappers.contains_key(operation.wrapper.as_ref());
        let name =
            if known || self.wrappers.len() < limits.wrappers { operation.wrapper.as_ref() } else { OTHER };
        if !self.wrappers.contains_key(name) {
            self.wrappers
                .insert(name.to_owned(), WrapperRollup { first_end_ms: i64::MAX, ..Default::default() });
        }
        let wrapper = self.wrappers.get_mut(name).expect("inserted above where it was missing");
        wrapper.add(operation, retention, limits);
    }

    pub fn merge(&mut self, other: Rollup, limits: &Limits) {
        // Sorted, so that what a limit cuts off does not depend on the order of a hash map.
        let others: BTreeMap<_, _> = other.wrappers.into_iter().collect();
        for (name, theirs) in others {
            let known = self.wrappers.contains_key(&name) || self.wrappers.len() < limits.wrappers;
            let name = if known { name } else { OTHER.to_owned() };
            match self.wrappers.get_mut(&name) {
                Some(ours) => ours.merge(theirs, limits),
                None => {
                    self.wrappers.insert(name, theirs);
                }
            }
        }
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

impl WrapperRollup {
    pub fn add(&mut self, operation: &Operation, retention: &Retention, limits: &Limits) {
        let bin = operation.duration_ns.map(|ns| bin_of(ns as f64 / 1e6));
        self.first_end_ms = self.first_end_ms.min(operation.end_ms);
        let minute = minute_of(operation.end_ms);
        if minute >= retention.first_minute {
            self.minutes.entry(minute).or_default().add_binned(operation, bin);
        }
        let series = self.series_index(&operation.operation_type, &operation.model, limits);
        self.hours.entry((hour_of(operation.end_ms), series)).or_default().add_binned(operation, bin);
        let day = day_of(operation.end_ms);
        if day >= retention.first_note_day {
            self.notes.entry(day).or_default().add(operation);
        }
    }

    pub fn merge(&mut self, other: WrapperRollup, limits: &Limits) {
        self.first_end_ms = self.first_end_ms.min(other.first_end_ms);
        for (minute, bucket) in other.minutes {
            self.minutes.entry(minute).or_default().merge(&bucket);
        }
        let indices: Vec<u32> = other
            .series
            .iter()
            .map(|name| self.series_index(&name.operation_type, &name.model, limits))
            .collect();
        for ((hour, series), bucket) in other.hours {
            self.hours.entry((hour, indices[series as usize])).or_default().merge(&bucket);
        }
        for (day, notes) in other.notes {
            self.notes.entry(day).or_default().merge(&notes);
        }
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

    /// The index of a series in `series`, which is made if it is new and the limit allows it.
    pub fn series_index(&mut self, operation_type: &str, model: &str, limits: &Limits) -> u32 {
        let position = |series: &[SeriesName], operation_type: &str, model: &str| {
            series.iter().position(|name| name.operation_type == operation_type && name.model == model)
        };
        if let Some(at) = position(&self.series, operation_type, model) {
            return at as u32;
        }
        let (operation_type, model) =
            if self.series.len() < limits.series { (operation_type, model) } else { (OTHER, OTHER) };
        if let Some(at) = position(&self.series, operation_type, model) {
            return at as u32;
        }
        self.series.push(SeriesName { operation_type: operation_type.to_owned(), model: model.to_owned() });
        self.series.len() as u32 - 1
    }
}
