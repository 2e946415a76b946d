//! A wrapper's past, as the store hands it out and the published dataset carries it.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::bucket::Bucket;
use crate::model::notes::Notes;
use crate::model::rollup::SeriesName;
use crate::model::tens::Tens;

/// Who a wrapper is: its name as the logs write it, and the name of its page.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct WrapperId {
    pub name: String,
    /// Safe in any path and unique without regard to case: `[a-z0-9-]+`. Given once and kept.
    pub slug: String,
}

/// One wrapper's buckets, each level sorted by time and without empty stretches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// End of the wrapper's oldest known operation.
    pub first_end_ms: i64,
    /// (minute, all series). Those that are in `tens` are without latency.
    pub minutes: Vec<(i64, Bucket)>,
    /// Minutes of which only sums of ten were asked for.
    pub tens: Tens,
    /// (hour, all series).
    pub hours: Vec<(i64, Bucket)>,
    /// (day, all series): the newest, of a wrapper that has been silent for longer than hours are looked at.
    pub days: Vec<(i64, Bucket)>,
    /// Hours again, by operation type and model, for breakdowns.
    pub series: BTreeMap<SeriesName, Vec<(i64, Bucket)>>,
    /// Days by operation type and model, without latency.
    pub series_days: BTreeMap<SeriesName, Vec<(i64, Bucket)>>,
    /// By day, sorted.
    pub notes: Vec<(i64, Notes)>,
}

impl History {
    /// End of the newest operation that had ended by `moment_ms`, to the millisecond; `None` without any.
    ///
    /// An operation dated later than the moment (a clock that runs ahead) hides those of its own bucket only.
    pub fn last_end_ms(&self, moment_ms: i64) -> Option<i64> {
        let newest = |level: &[(i64, Bucket)]| {
            level.iter().rev().map(|(_, bucket)| bucket.last_end_ms).find(|&last| last <= moment_ms)
        };
        newest(&self.minutes).into_iter().chain(newest(&self.hours)).chain(newest(&self.days)).max()
    }
}

/// The entries of a sorted level whose time is in `from..to`.
pub fn slice<T>(level: &[(i64, T)], from: i64, to: i64) -> &[(i64, T)] {
    let start = level.partition_point(|entry| entry.0 < from);
    let end = level.partition_point(|entry| entry.0 < to);
    &level[start..end.max(start)]
}

/// The sum of some buckets.
pub fn merged(buckets: &[(i64, impl Borrow<Bucket>)]) -> Bucket {
    Bucket::sum(buckets.iter().map(|(_, bucket)| bucket.borrow()))
}
