//! Minutes taken together, ten on the clock at a time: what a chart of a day shows, at a tenth of the room.

use crate::model::bucket::Bucket;
use crate::model::sketch::{Bins, Counts};

/// Minutes that are taken together.
pub const TEN: i64 = 10;

/// The first minute of the ten that a minute lies in.
pub fn ten_of(minute: i64) -> i64 {
    minute.div_euclid(TEN) * TEN
}

/// The first minute from this one on at which a ten begins.
pub fn next_ten(minute: i64) -> i64 {
    ten_of(minute + TEN - 1)
}

/// The sums of a stretch of minutes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tens {
    /// Minutes, `from..to`, both a multiple of [`TEN`].
    pub from: i64,
    pub to: i64,
    /// (first minute, all series); sorted, and without empty ones.
    pub buckets: Vec<(i64, Bucket)>,
}

/// [`Tens`] in the making, from minutes in rising order.
#[derive(Debug)]
pub struct Summing {
    tens: Tens,
    /// The latency of the newest sum.
    latency: Counts,
}

impl Summing {
    /// Of the minutes `from..to`.
    pub fn of((from, to): (i64, i64)) -> Summing {
        Summing { tens: Tens { from, to, buckets: Vec::new() }, latency: Counts::default() }
    }

    pub fn covers(&self, minute: i64) -> bool {
        (self.tens.from..self.tens.to).contains(&minute)
    }

    /// Adds a minute, whose latency is told apart.
    pub fn add(&mut self, minute: i64, bucket: &Bucket, latency: Bins) {
        let ten = ten_of(minute);
        if self.tens.buckets.last().is_none_or(|last| last.0 != ten) {
            self.close();
            self.tens.buckets.push((ten, Bucket::default()));
        }
        if let Some((_, sum)) = self.tens.buckets.last_mut() {
            sum.merge_counters(bucket);
            self.latency.add(latency);
        }
    }

    pub fn finish(mut self) -> Tens {
        self.close();
        self.tens
    }

    fn close(&mut self) {
        if let Some((_, sum)) = self.tens.buckets.last_mut() {
            sum.latency = self.latency.take();
        }
    }
}
