//! What a wrapper's day leaves behind besides numbers: errors by kind with samples, and its slowest
//! operations. All of it is bounded and merges in any order to the same value.

use std::collections::BTreeMap;

use crate::model::error_kind::error_kind;
use crate::model::names::{beyond, rank};
use crate::model::operation::Operation;

/// Newest samples kept of one kind of error in a day.
pub const SAMPLES_A_KIND: usize = 3;
/// Slowest operations kept of a day.
pub const SLOWEST_A_DAY: usize = 10;
/// Kinds of error kept of a day; what comes beyond is counted under [`OTHER`].
pub const KINDS_A_DAY: usize = 64;
/// Kinds that may wait beyond that before they are summed, which is done for all of them at once.
const SLACK: usize = 16;
/// The name under which is summed what goes beyond a limit.
pub const OTHER: &str = "other";
/// Longest text kept of a message or a kind, in characters.
pub const TEXT_CHARS: usize = 300;

/// One operation that someone may want to look at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sample {
    pub end_ms: i64,
    pub id: String,
    pub operation_type: String,
    pub model: String,
    /// [`crate::model::operation::Outcome::word`].
    pub outcome: String,
    /// The error message, shortened; empty where there is none.
    pub message: String,
    pub duration_ns: Option<u64>,
}

/// One wrapper's notable operations of one day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// (kind, hour since the epoch) → failed operations.
    pub errors: BTreeMap<(String, i64), u64>,
    /// kind → newest samples, newest first.
    pub samples: BTreeMap<String, Vec<Sample>>,
    /// Slowest first, of equally slow ones the oldest.
    pub slowest: Vec<Sample>,
}

impl Notes {
    pub fn add(&mut self, operation: &Operation) {
        if operation.outcome.failed() {
            self.add_error(operation);
        }
        if self.is_slow(operation) {
            self.slowest.push(sample(operation));
            self.trim_slowest();
        }
    }

    /// Whether it may be among the slowest. Of equally slow ones the older stay, so that a log of nothing
    /// but timeouts does not replace them all the time.
    fn is_slow(&self, operation: &Operation) -> bool {
        match (operation.duration_ns, self.slowest.last()) {
            (None | Some(0), _) => false,
            (duration, Some(least)) if self.slowest.len() >= SLOWEST_A_DAY => {
                let order = duration.cmp(&least.duration_ns).then(least.end_ms.cmp(&operation.end_ms));
                order.is_gt() || order.is_eq() && sample(operation) < *least
            }
            _ => true,
        }
    }

    fn add_error(&mut self, operation: &Operation) {
        let kind = error_kind(operation);
        let hour = crate::model::time::hour_of(operation.end_ms);
        let samples = self.samples.entry(kind.clone()).or_default();
        *self.errors.entry((kind, hour)).or_default() += 1;
        let full = samples.len() >= SAMPLES_A_KIND;
        if !full || samples.last().is_some_and(|oldest| operation.end_ms >= oldest.end_ms) {
            samples.push(sample(operation));
            trim_samples(samples);
        }
        if self.samples.len() > KINDS_A_DAY + SLACK {
            self.cut();
        }
    }

    pub fn merge(&mut self, other: &Notes) {
        for (kind, theirs) in &other.samples {
            let samples = self.samples.entry(kind.clone()).or_default();
            samples.extend_from_slice(theirs);
            trim_samples(samples);
        }
        for (key, count) in &other.errors {
            *self.errors.entry(key.clone()).or_default() += count;
        }
        self.cut();
        self.slowest.extend_from_slice(&other.slowest);
        self.trim_slowest();
    }

    /// Sums kinds of errors beyond the limit as [`OTHER`]: those whose rank is largest, so that notes that are
    /// cut, merged and cut again are the same in any order.
    pub fn cut(&mut self) {
        let kinds = self.samples.keys().filter(|kind| *kind != OTHER);
        for kind in beyond(kinds.map(|kind| (rank(&[kind]), kind.clone())).collect(), KINDS_A_DAY) {
            let theirs = self.samples.remove(&kind).expect("its name is from there");
            let samples = self.samples.entry(OTHER.to_owned()).or_default();
            samples.extend(theirs);
            trim_samples(samples);
            let hours = (kind.clone(), i64::MIN)..=(kind, i64::MAX);
            let theirs: Vec<_> = self.errors.range(hours).map(|(key, count)| (key.clone(), *count)).collect();
            for (key, count) in theirs {
                self.errors.remove(&key);
                *self.errors.entry((OTHER.to_owned(), key.1)).or_default() += count;
            }
        }
    }

    /// Failures whose kind is not told apart, since there were too many.
    pub fn other_errors(&self) -> u64 {
        let hours = (OTHER.to_owned(), i64::MIN)..=(OTHER.to_owned(), i64::MAX);
        self.errors.range(hours).map(|(_, count)| count).sum()
    }

    fn trim_slowest(&mut self) {
        self.slowest.sort_by(|a, b| b.duration_ns.cmp(&a.duration_ns).then_with(|| a.cmp(b)));
        self.slowest.truncate(SLOWEST_A_DAY);
    }
}

/// The text itself, or its first `chars` characters and an ellipsis.
pub fn shorten(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

fn sample(operation: &Operation) -> Sample {
    Sample {
        end_ms: operation.end_ms,
        id: shorten(operation.id.as_deref().unwrap_or_default(), TEXT_CHARS),
        operation_type: operation.operation_type.clone().into_owned(),
        model: operation.model.clone().into_owned(),
        outcome: operation.outcome.word().to_owned(),
        message: shorten(operation.error_message.as_deref().unwrap_or_default(), TEXT_CHARS),
        duration_ns: operation.duration_ns,
    }
}

fn trim_samples(samples: &mut Vec<Sample>) {
    samples.sort_by(|a, b| b.cmp(a));
    samples.truncate(SAMPLES_A_KIND);
}
