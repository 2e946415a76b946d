//! A bucket in the words of the API: the one place where counters become rates and percentiles.

use serde::Serialize;

use crate::model::bucket::Bucket;

/// What dash says about some operations. Rates are 0..=1, times are milliseconds, cost is in the site's
/// currency. A rate, time or cost of nothing is `null`, never zero.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figures {
    pub total_operations: u64,
    /// Ended well without a fallback.
    pub success_count: u64,
    /// Error, timeout and cancelled together.
    pub error_count: u64,
    pub fallback_count: u64,
    /// Of `error_count`.
    pub timeout_count: u64,
    /// Of `error_count`.
    pub cancelled_count: u64,
    pub success_rate: Option<f64>,
    pub error_rate: Option<f64>,
    pub fallback_rate: Option<f64>,
    /// Mean duration, failed operations included.
    pub avg_response_time: Option<f64>,
    pub p50: Option<f64>,
    pub p95: Option<f64>,
    pub p99: Option<f64>,
    pub max: Option<f64>,
    pub cost: Option<f64>,
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    pub cached_tokens: u64,
    pub total_tokens: u64,
}

impl Figures {
    /// `fallback_credit`: how much of a success a fallback counts as, from `[health]`.
    pub fn of(bucket: &Bucket, fallback_credit: f64) -> Figures {
        let [p50, p95, p99] = bucket.percentiles_ms([0.5, 0.95, 0.99]).map(|value| value.map(micro));
        Figures {
            total_operations: bucket.total(),
            success_count: bucket.success,
            error_count: bucket.error_count(),
            fallback_count: bucket.fallback,
            timeout_count: bucket.timeout,
            cancelled_count: bucket.cancelled,
            success_rate: bucket.success_rate(fallback_credit),
            error_rate: bucket.error_rate(),
            fallback_rate: bucket.fallback_rate(),
            avg_response_time: bucket.mean_ms().map(micro),
            p50,
            p95,
            p99,
            max: (!bucket.latency.is_empty()).then(|| micro(bucket.duration_max_ns as f64 / 1e6)),
            cost: bucket.cost(),
            prompt_tokens: bucket.prompt_tokens,
            completion_tokens: bucket.completion_tokens,
            cached_tokens: bucket.cached_tokens,
            total_tokens: bucket.total_tokens,
        }
    }
}

/// Milliseconds to the microsecond: further digits are below what a clock measures, and only make files long.
fn micro(ms: f64) -> f64 {
    (ms * 1000.0).round() / 1000.0
}
