//! Whole minutes, hours and days since the Unix epoch, UTC.

use chrono::{DateTime, SecondsFormat, Utc};

pub const MINUTE_MS: i64 = 60_000;
pub const HOUR_MS: i64 = 60 * MINUTE_MS;
pub const DAY_MS: i64 = 24 * HOUR_MS;

/// The earliest plausible time: 2000-01-01T00:00:00Z. Anything older is a broken clock or a wrong unit.
pub const EARLIEST_MS: i64 = 946_684_800_000;
/// The first time that is no longer plausible: 2100-01-01T00:00:00Z.
pub const LATEST_MS: i64 = 4_102_444_800_000;

pub fn minute_of(ms: i64) -> i64 {
    ms.div_euclid(MINUTE_MS)
}

pub fn hour_of(ms: i64) -> i64 {
    ms.div_euclid(HOUR_MS)
}

pub fn day_of(ms: i64) -> i64 {
    ms.div_euclid(DAY_MS)
}

/// RFC 3339 in UTC with `Z`, whole seconds where there is no fraction, milliseconds otherwise.
///
/// A time outside of what RFC 3339 can write (year 0 to 9999) becomes the epoch; readers of logs refuse
/// such times long before.
pub fn rfc3339(ms: i64) -> String {
    let at = DateTime::<Utc>::from_timestamp_millis(ms).unwrap_or_default();
    let format = if ms.rem_euclid(1000) == 0 { SecondsFormat::Secs } else { SecondsFormat::Millis };
    at.to_rfc3339_opts(format, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_units_round_down_before_the_epoch_too() {
        assert_eq!(minute_of(-1), -1);
        assert_eq!(hour_of(HOUR_MS - 1), 0);
        assert_eq!(day_of(DAY_MS), 1);
    }

    #[test]
    fn rfc3339_has_a_fraction_only_where_there_is_one() {
        assert_eq!(rfc3339(EARLIEST_MS), "2000-01-01T00:00:00Z");
        assert_eq!(rfc3339(LATEST_MS - 1), "2099-12-31T23:59:59.999Z");
    }
}
