//! `[store]` of `dash.toml`: how long each level of time is kept, and what one log may make us keep.

use serde::Deserialize;

use crate::model::rollup::{Limits, Retention};
use crate::model::time::{day_of, hour_of, minute_of};

/// `[store]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreSettings {
    /// Hours are kept for so many days, at least [`LEAST_HOURS_DAYS`]; days are kept for ever.
    pub hours_days: u32,
    /// Error samples and slowest operations are kept for so many days.
    pub notes_days: u32,
    /// Wrappers beyond this number are summed as `other`.
    pub max_wrappers: usize,
    /// Pairs of operation type and model beyond this number, a wrapper, are summed as `other`.
    pub max_series: usize,
    /// Longer records are skipped.
    pub max_line_bytes: usize,
}

impl Default for StoreSettings {
    fn default() -> StoreSettings {
        StoreSettings {
            hours_days: 400,
            notes_days: 30,
            max_wrappers: 2000,
            max_series: 200,
            max_line_bytes: 1 << 20,
        }
    }
}

/// Two months in a row, of 31 days each: the service level of a month is written until the one after it ends, and
/// all hours of both are there until then.
pub const LEAST_HOURS_DAYS: u32 = 62;

/// Minutes are kept for 48 hours, and one more so that a window of 48 hours has all of its first hour.
const MINUTES_KEPT: i64 = 49 * 60;

impl StoreSettings {
    /// What is kept at a moment.
    pub fn retention(&self, moment_ms: i64) -> Retention {
        Retention {
            first_minute: minute_of(moment_ms) - MINUTES_KEPT,
            first_hour: hour_of(moment_ms) - i64::from(self.hours_days) * 24,
            first_note_day: day_of(moment_ms) - i64::from(self.notes_days),
        }
    }

    pub fn limits(&self) -> Limits {
        Limits { wrappers: self.max_wrappers, series: self.max_series }
    }

    /// What is out of bounds, as a sentence that names the key.
    pub fn validate(&self) -> Result<(), String> {
        let bounds = [
            ("hours_days", u64::from(self.hours_days), u64::from(LEAST_HOURS_DAYS), 36_500),
            ("notes_days", u64::from(self.notes_days), 2, 36_500),
            ("max_wrappers", self.max_wrappers as u64, 1, 100_000),
            ("max_series", self.max_series as u64, 1, 10_000),
            ("max_line_bytes", self.max_line_bytes as u64, 1024, 1 << 30),
        ];
        match bounds.iter().find(|(_, value, least, most)| !(least..=most).contains(&value)) {
            Some((key, value, least, most)) => {
                Err(format!("`{key} = {value}` is not between {least} and {most}"))
            }
            None => Ok(()),
        }
    }
}
