//! The operations of one series in one stretch of time, summed.

use crate::model::operation::{Operation, Outcome};
use crate::model::sketch::{Sketch, bin_of};

/// 10⁻¹² of a currency unit.
pub const PICO: f64 = 1e12;

/// Every field is a sum, a maximum or a sketch, and every sum is of integers, so buckets merge in any
/// order to the same bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    pub success: u64,
    pub fallback: u64,
    pub error: u64,
    pub timeout: u64,
    pub cancelled: u64,
    /// Durations of all operations that have one, failed ones too.
    pub latency: Sketch,
    pub duration_sum_ns: u128,
    pub duration_max_ns: u64,
    pub cost_pico: i128,
    /// Operations that reported a cost; without any, cost is unknown rather than zero.
    pub cost_count: u64,
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    pub cached_tokens: u64,
    pub total_tokens: u64,
    /// End of the newest operation; 0 in an empty bucket.
    pub last_end_ms: i64,
}

impl Bucket {
    pub fn add(&mut self, operation: &Operation) {
        let bin = operation.duration_ns.map(|ns| bin_of(ns as f64 / 1e6));
        self.add_binned(operation, bin);
    }

    /// As [`Bucket::add`], for a caller that has the duration's bin already: it is the same at every level.
    pub fn add_binned(&mut self, operation: &Operation, bin: Option<i16>) {
        self.add_counts(operation);
        if let Some(bin) = bin {
            self.latency.add(bin);
        }
    }

    /// As [`Bucket::add`], for a caller that adds to the sketch itself.
    pub fn add_counts(&mut self, operation: &Operation) {
        match operation.outcome {
            Outcome::Success => self.success += 1,
            Outcome::Fallback => self.fallback += 1,
            Outcome::Error => self.error += 1,
            Outcome::Timeout => self.timeout += 1,
            Outcome::Cancelled => self.cancelled += 1,
        }
        if let Some(ns) = operation.duration_ns {
            self.duration_sum_ns = self.duration_sum_ns.saturating_add(u128::from(ns));
            self.duration_max_ns = self.duration_max_ns.max(ns);
        }
        if let Some(cost) = operation.cost_pico {
            self.cost_pico = self.cost_pico.saturating_add(cost);
            self.cost_count += 1;
        }
        let tokens = &operation.tokens;
        self.prompt_tokens = self.prompt_tokens.saturating_add(tokens.prompt);
        self.completion_tokens = self.completion_tokens.saturating_add(tokens.completion);
        self.cached_tokens = self.cached_tokens.saturating_add(tokens.cached);
        self.total_tokens = self.total_tokens.saturating_add(tokens.total);
        self.last_end_ms = self.last_end_ms.max(operation.end_ms);
    }

    /// Many buckets at once.
    pub fn sum<'a>(buckets: impl Iterator<Item = &'a Bucket> + Clone) -> Bucket {
        let mut sum = Bucket::sum_counters(buckets.clone());
        sum.latency = Sketch::sum(buckets.map(|bucket| &bucket.latency));
        sum
    }

    /// As [`Bucket::sum`], with an empty sketch.
    pub fn sum_counters<'a>(buckets: impl Iterator<Item = &'a Bucket>) -> Bucket {
        let mut sum = Bucket::default();
        buckets.for_each(|bucket| sum.merge_counters(bucket));
        sum
    }

    pub fn merge(&mut self, other: &Bucket) {
        self.merge_counters(other);
        self.latency.merge(&other.latency);
    }

    /// As [`Bucket::merge`], for one that is not needed any more.
    pub fn merge_owned(&mut self, other: Bucket) {
        self.merge_counters(&other);
        if self.latency.is_empty() {
            self.latency = other.latency;
        } else {
            self.latency.merge(&other.latency);
        }
    }

    /// Everything but the sketch.
    pub fn merge_counters(&mut self, other: &Bucket) {
        self.success = self.success.saturating_add(other.success);
        self.fallback = self.fallback.saturating_add(other.fallback);
        self.error = self.error.saturating_add(other.error);
        self.timeout = self.timeout.saturating_add(other.timeout);
        self.cancelled = self.cancelled.saturating_add(other.cancelled);
        self.duration_sum_ns = self.duration_sum_ns.saturating_add(other.duration_sum_ns);
        self.duration_max_ns = self.duration_max_ns.max(other.duration_max_ns);
        self.cost_pico = self.cost_pico.saturating_add(other.cost_pico);
        self.cost_count = self.cost_count.saturating_add(other.cost_count);
        self.prompt_tokens = self.prompt_tokens.saturating_add(other.prompt_tokens);
        self.completion_tokens = self.completion_tokens.saturating_add(other.completion_tokens);
        self.cached_tokens = self.cached_tokens.saturating_add(other.cached_tokens);
        self.total_tokens = self.total_tokens.saturating_add(other.total_tokens);
        self.last_end_ms = self.last_end_ms.max(other.last_end_ms);
    }

    /// Every operation once: total = success + fallback + error + timeout + cancelled.
    pub fn total(&self) -> u64 {
        self.success + self.fallback + self.error_count()
    }

    /// Error + timeout + cancelled.
    pub fn error_count(&self) -> u64 {
        self.error + self.timeout + self.cancelled
    }

    /// (success + `fallback_credit` × fallback) / total, 0..=1; `None` without operations.
    pub fn success_rate(&self, fallback_credit: f64) -> Option<f64> {
        self.share(self.success as f64 + fallback_credit * self.fallback as f64)
    }

    /// `error_count` / total, 0..=1; `None` without operations.
    pub fn error_rate(&self) -> Option<f64> {
        self.share(self.error_count() as f64)
    }

    /// fallback / total, 0..=1; `None` without operations.
    pub fn fallback_rate(&self) -> Option<f64> {
        self.share(self.fallback as f64)
    }

    fn share(&self, part: f64) -> Option<f64> {
        let total = self.total();
        (total > 0).then(|| part / total as f64)
    }

    /// Mean duration in milliseconds; `None` where no operation has a duration.
    pub fn mean_ms(&self) -> Option<f64> {
        let count = self.latency.count();
        (count > 0).then(|| self.duration_sum_ns as f64 / 1e6 / count as f64)
    }

    /// Latency percentiles in milliseconds, each `q` in 0..=1; within 1 %, and never above the longest.
    pub fn percentiles_ms<const N: usize>(&self, qs: [f64; N]) -> [Option<f64>; N] {
        let longest = self.duration_max_ns as f64 / 1e6;
        self.latency.quantiles(qs).map(|value| value.map(|ms| ms.min(longest)))
    }

    /// Cost in the site's currency; `None` where no operation reported one.
    pub fn cost(&self) -> Option<f64> {
        (self.cost_count > 0).then(|| self.cost_pico as f64 / PICO)
    }
}
