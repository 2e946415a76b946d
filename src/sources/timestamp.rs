//! Points in time as logs write them: RFC 3339, naive UTC, or a number since the epoch.

use crate::model::time::{EARLIEST_MS, LATEST_MS};
use crate::sources::number::scaled;
use crate::sources::words::HIGHS;

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
    let read = match text.as_bytes() {
        [_, _, _, _, b'-', ..] => calendar(text.as_bytes()),
        _ => scaled(text, 9).map_err(|_| BadTime::NotATime).and_then(epoch),
    };
    match read {
        Err(BadTime::NotATime) if text.trim().len() < text.len() => parse(text.trim()),
        read => read,
    }
}

/// A time in nanoseconds since the epoch, if it lies in 2000..=2099.
pub fn plausible(ns: i128) -> Result<i64, BadTime> {
    i64::try_from(ns).map_err(|_| BadTime::Implausible).and_then(in_range)
}

fn in_range(ns: i64) -> Result<i64, BadTime> {
    const RANGE: std::ops::Range<i64> = EARLIEST_MS * MS_NS..LATEST_MS * MS_NS;
    if RANGE.contains(&ns) { Ok(ns) } else { Err(BadTime::Implausible) }
}

/// A number since the epoch, times 10⁹.
pub fn epoch(nanos: i128) -> Result<i64, BadTime> {
    let unit = match nanos.unsigned_abs() / 1_000_000_000 {
        0..100_000_000_000 => 1,
        100_000_000_000..100_000_000_000_000 => 1_000,
        100_000_000_000_000..100_000_000_000_000_000 => 1_000_000,
        _ => 1_000_000_000,
    };
    plausible(nanos / unit)
}

fn calendar(bytes: &[u8]) -> Result<i64, BadTime> {
    let (text, rest) = bytes.split_first_chunk::<19>().ok_or(BadTime::NotATime)?;
    let month = text.first_chunk().and_then(|text| pairs(text, b"0000-00-")).ok_or(BadTime::NotATime)?;
    let time = text.last_chunk().and_then(|text| pairs(text, b"00:00:00")).ok_or(BadTime::NotATime)?;
    let day = two(text[8], text[9]).ok_or(BadTime::NotATime)?;
    if !matches!(text[10], b'T' | b't' | b' ') {
        return Err(BadTime::NotATime);
    }
    let days = day_number(at(month, 0) * 100 + at(month, 2), at(month, 5), day)?;
    let seconds = second_of_day(at(time, 0), at(time, 3), at(time, 6))?;
    let fraction = match utc_milliseconds(rest) {
        Some(ms) => ms * MS_NS,
        None => fraction_and_offset_ns(rest).ok_or(BadTime::NotATime)?,
    };
    in_range((days * 86_400 + seconds) * SECOND_NS + fraction)
}

/// `.847Z`, which most logs write.
#[inline(always)]
fn utc_milliseconds(rest: &[u8]) -> Option<i64> {
    let &[b'.', a, b, c, b'Z'] = rest else { return None };
    let [a, b, c] = [a, b, c].map(|byte| i64::from(byte.wrapping_sub(b'0')));
    (a.max(b).max(c) < 10).then_some(a * 100 + b * 10 + c)
}

/// What follows the seconds, as what is to be added to them.
#[inline(never)]
fn fraction_and_offset_ns(rest: &[u8]) -> Option<i64> {
    let (fraction, rest) = fraction_ns(rest)?;
    Some(fraction - offset_seconds(rest)? * SECOND_NS)
}

/// The two-digit numbers that begin at each place of a text, a byte each. The text has digits where the
/// pattern has zeros, and else is like it. All is checked at once: no difference may reach ten, nor one
/// where the pattern has no digit.
#[inline(always)]
fn pairs(text: &[u8; 8], pattern: &[u8; 8]) -> Option<u64> {
    let room = pattern.map(|byte| if byte == b'0' { 0x80 - 10 } else { 0x80 - 1 });
    let digits = u64::from_le_bytes(*text) ^ u64::from_le_bytes(*pattern);
    let reached = digits | digits.wrapping_add(u64::from_le_bytes(room));
    (reached & HIGHS == 0).then(|| digits.wrapping_mul(10).wrapping_add(digits >> 8))
}

fn at(pairs: u64, place: usize) -> i64 {
    i64::from((pairs >> (8 * place)) as u8)
}

/// The years that an offset can bring into the plausible ones.
const FIRST_YEAR: i64 = 1999;
const YEARS: usize = 102;

/// Days from the epoch to the first of each month of those years.
static MONTHS: [i32; YEARS * 12 + 1] = {
    let mut months = [0; YEARS * 12 + 1];
    // 1999-01-01 is day 10592.
    let (mut at, mut day) = (0, 10_592);
    while at < months.len() {
        months[at] = day;
        let year = FIRST_YEAR as usize + at / 12;
        day += match at % 12 {
            1 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
            1 => 28,
            3 | 5 | 8 | 10 => 30,
            _ => 31,
        };
        at += 1;
    }
    months
};

fn day_number(year: i64, month: i64, day: i64) -> Result<i64, BadTime> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return Err(BadTime::NotATime);
    }
    let at = ((year - FIRST_YEAR) * 12 + month - 1) as usize;
    let &[first, next] = MONTHS.get(at..).and_then(|rest| rest.first_chunk()).ok_or(BadTime::Implausible)?;
    let number = i64::from(first) + day - 1;
    if number < i64::from(next) { Ok(number) } else { Err(BadTime::NotATime) }
}

/// A leap second is the one after it.
fn second_of_day(hour: i64, minute: i64, second: i64) -> Result<i64, BadTime> {
    let valid = hour < 24 && minute < 60 && second <= 60;
    if valid { Ok(hour * 3600 + minute * 60 + second) } else { Err(BadTime::NotATime) }
}

/// `.847371` → nanoseconds, cut off after nine digits, and what follows.
fn fraction_ns(rest: &[u8]) -> Option<(i64, &[u8])> {
    let [b'.' | b',', digits @ ..] = rest else { return Some((0, rest)) };
    let (mut value, mut count) = (0, 0);
    for digit in digits.iter().take(9).map(|byte| byte.wrapping_sub(b'0')).take_while(|&digit| digit < 10) {
        value = value * 10 + i64::from(digit);
        count += 1;
    }
    let beyond = digits[count..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    (count > 0).then(|| (value * UNITS[count], &digits[count + beyond..]))
}

/// What the last of so many decimals is worth, in nanoseconds.
const UNITS: [i64; 10] = [SECOND_NS, 100_000_000, 10_000_000, 1_000_000, 100_000, 10_000, 1000, 100, 10, 1];

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
            "2025-01-24T09:20:46.8x7Z",
            "2025-01-24T09:20:46.84:Z",
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
            prop_assert_eq!(parse(&at.to_rfc3339_opts(SecondsFormat::Millis, true)), Ok(ms * MS_NS));
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
