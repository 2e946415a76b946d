//! Points in time as logs write them: RFC 3339, naive UTC, or a number since the epoch.

use crate::model::time::{EARLIEST_MS, LATEST_MS};
use crate::sources::number::scaled;

/// Why a text is not a usable time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadTime {
    NotATime,
    /// Before 2000 or after 2099: a broken clock or a wrong unit.
    Implausible,
}

const SECOND_NS: i64 = 1_000_000_000;
const MS_NS: i64 = 1_000_000;

/// Nanoseconds since the epoch.
///
/// Takes RFC 3339, the same with a space for the `T`, a comma for the point, an offset without its colon,
/// or no offset, which means UTC; and numbers, which are seconds, milliseconds, microseconds or nanoseconds
/// by their magnitude.
pub fn parse(text: &str) -> Result<i64, BadTime> {
    let text = text.trim();
    let ns = match text.as_bytes() {
        [_, _, _, _, b'-', ..] => calendar(text.as_bytes()).ok_or(BadTime::NotATime)?,
        _ => epoch(text)?,
    };
    plausible(ns).ok_or(BadTime::Implausible)
}

/// A time in nanoseconds since the epoch, if it lies in 2000..=2099.
pub fn plausible(ns: i128) -> Option<i64> {
    const RANGE: std::ops::Range<i64> = EARLIEST_MS * MS_NS..LATEST_MS * MS_NS;
    i64::try_from(ns).ok().filter(|ns| RANGE.contains(ns))
}

fn epoch(text: &str) -> Result<i128, BadTime> {
    let nanos = scaled(text, 9).map_err(|_| BadTime::NotATime)?;
    let unit = match nanos.unsigned_abs() / 1_000_000_000 {
        0..100_000_000_000 => 1,
        100_000_000_000..100_000_000_000_000 => 1_000,
        100_000_000_000_000..100_000_000_000_000_000 => 1_000_000,
        _ => 1_000_000_000,
    };
    Ok(nanos / unit)
}

fn calendar(bytes: &[u8]) -> Option<i128> {
    let (date, rest) = bytes.split_at_checked(10)?;
    let days = day_number(date)?;
    let (time, rest) = rest.split_at_checked(9)?;
    let seconds = second_of_day(time)?;
    let (fraction, rest) = fraction_ns(rest)?;
    let offset = offset_seconds(rest)?;
    let whole = days * 86_400 + seconds - offset;
    Some(i128::from(whole) * i128::from(SECOND_NS) + i128::from(fraction))
}

/// `2025-01-24` → days since the epoch.
fn day_number(date: &[u8]) -> Option<i64> {
    let [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1] = *date else { return None };
    let year = two(y0, y1)? * 100 + two(y2, y3)?;
    let (month, day) = (two(m0, m1)?, two(d0, d1)?);
    ((1..=12).contains(&month) && (1..=days_in_month(year, month)).contains(&day))
        .then(|| days_from_civil(year, month, day))
}

/// `T09:20:46` → seconds; a leap second is the one after it.
fn second_of_day(time: &[u8]) -> Option<i64> {
    let [b'T' | b't' | b' ', h0, h1, b':', m0, m1, b':', s0, s1] = *time else { return None };
    let (hour, minute, second) = (two(h0, h1)?, two(m0, m1)?, two(s0, s1)?);
    (hour < 24 && minute < 60 && second <= 60).then_some(hour * 3600 + minute * 60 + second)
}

/// `.847371` → nanoseconds, cut off after nine digits, and what follows.
fn fraction_ns(rest: &[u8]) -> Option<(i64, &[u8])> {
    let [b'.' | b',', digits @ ..] = rest else { return Some((0, rest)) };
    let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if count == 0 {
        return None;
    }
    let (mut value, mut unit) = (0, SECOND_NS);
    for byte in &digits[..count.min(9)] {
        unit /= 10;
        value += i64::from(byte - b'0') * unit;
    }
    Some((value, &digits[count..]))
}

fn offset_seconds(rest: &[u8]) -> Option<i64> {
    let (sign, hours, minutes) = match *rest {
        [] | [b'Z' | b'z'] | [b' ', b'U', b'T', b'C'] => return Some(0),
        [sign @ (b'+' | b'-'), h0, h1, b':', m0, m1] => (sign, two(h0, h1)?, two(m0, m1)?),
        [sign @ (b'+' | b'-'), h0, h1, m0, m1] => (sign, two(h0, h1)?, two(m0, m1)?),
        [sign @ (b'+' | b'-'), h0, h1] => (sign, two(h0, h1)?, 0),
        _ => return None,
    };
    let seconds = hours * 3600 + minutes * 60;
    (hours < 24 && minutes < 60).then_some(if sign == b'-' { -seconds } else { seconds })
}

fn two(tens: u8, ones: u8) -> Option<i64> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens < 10 && ones < 10).then(|| i64::from(tens * 10 + ones))
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms": the year begins in March, so that the
/// leap day is its last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{DateTime, NaiveDateTime, SecondsFormat, Utc};
    use proptest::prelude::*;

    const AT: i64 = 1_737_710_446_847_371_000;

    #[test]
    fn every_way_to_write_it_is_the_same_moment() {
        for text in [
            "2025-01-24T09:20:46.847371",
            "2025-01-24 09:20:46.847371",
            "2025-01-24 09:20:46,847371",
            "2025-01-24T09:20:46.847371Z",
            "2025-01-24t09:20:46.847371z",
            "2025-01-24 09:20:46.847371 UTC",
            "2025-01-24T10:20:46.847371+01:00",
            "2025-01-24T03:50:46.847371-0530",
            "2025-01-24 09:20:46.847371+00",
            " 2025-01-24T09:20:46.847371000999Z ",
            "1737710446.847371",
            "1737710446847.371",
            "1737710446847371",
            "1737710446847371000",
        ] {
            assert_eq!(parse(text), Ok(AT), "{text}");
        }
    }

    #[test]
    fn other_centuries_are_implausible() {
        for text in [
            "1970-01-01T00:00:00Z",
            "1999-12-31T23:59:59Z",
            "2100-01-01T00:00:00Z",
            "9999-12-31T23:59:59Z",
            "0",
            "-5",
            "12",
            "1e300",
        ] {
            assert_eq!(parse(text), Err(BadTime::Implausible), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "yesterday",
            "2025-01-24",
            "2025-13-01T00:00:00",
            "2025-02-29T00:00:00",
            "2025-01-24T24:00:00",
            "2025-01-24T09:60:00",
            "2025-01-24T09:20",
            "2025-01-24T09:20:46.",
            "2025-01-24T09:20:46+1:00",
            "2025-01-24T09:20:46+01:00x",
            "٢٠٢٥-01-24T09:20:46",
        ] {
            assert_eq!(parse(text), Err(BadTime::NotATime), "{text}");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_chrono(ms in EARLIEST_MS..LATEST_MS, offset in -86_000i32..86_000) {
            let at = DateTime::<Utc>::from_timestamp_millis(ms).expect("in range");
            let zone = chrono::FixedOffset::east_opt(offset / 60 * 60).expect("in range");
            let text = at.with_timezone(&zone).to_rfc3339_opts(SecondsFormat::Millis, true);
            prop_assert_eq!(parse(&text), Ok(ms * MS_NS));
        }

        #[test]
        fn refuses_what_chrono_refuses(text in "20[0-9]{2}-[0-1][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-5][0-9]") {
            let chrono = NaiveDateTime::parse_from_str(&text, "%Y-%m-%dT%H:%M:%S");
            prop_assert_eq!(parse(&text).is_ok(), chrono.is_ok());
        }

        #[test]
        fn never_panics(text in ".*") {
            let _ = parse(&text);
        }
    }
}
