//! What JSON is made of, passed over as fast as it goes.
//!
//! Each function passes over what it is named for, and returns the place after it; or `None` if that is not
//! there, or not in the way that is read fast. A place that is handed on stays in a register.

use std::ops::Range;

use wide::u8x16;

use crate::sources::number::Decimal;
use crate::sources::words::{HIGHS, ONES};

/// Bytes that are looked at together: as many as a vector of every x86-64 and AArch64 has.
pub const LANES: usize = 16;

/// Deepest nesting that is passed over; deeper is declined.
pub const DEPTH: usize = 32;

pub fn byte(bytes: &[u8], at: usize, expected: u8) -> Option<usize> {
    (*bytes.get(at)? == expected).then_some(at + 1)
}

/// Blanks, but no newline: records do not go over lines here.
pub fn blanks(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\t' | b'\r') = bytes.get(at) {
        at += 1;
    }
    at
}

pub fn line_end(bytes: &[u8], at: usize) -> Option<usize> {
    let at = blanks(bytes, at);
    matches!(bytes.get(at), None | Some(b'\n')).then_some(at)
}

/// A key with what stands before and after it; no key where its object ends instead.
pub fn key(bytes: &[u8], at: usize, first: bool) -> Option<(usize, Option<Range<usize>>)> {
    let mut at = blanks(bytes, at);
    if *bytes.get(at)? == b'}' {
        return Some((at + 1, None));
    }
    if !first {
        at = blanks(bytes, byte(bytes, at, b',')?);
    }
    let start = byte(bytes, at, b'"')?;
    let end = special(bytes, start);
    // A key with escapes is left to the complete reader.
    let at = blanks(bytes, byte(bytes, end, b'"')?);
    let at = blanks(bytes, byte(bytes, at, b':')?);
    Some((at, Some(start..end)))
}

/// The rest of a string after its quote; whether it has escapes.
#[inline(always)]
pub fn string(bytes: &[u8], at: usize) -> Option<(usize, bool)> {
    let at = special(bytes, at);
    match *bytes.get(at)? {
        b'"' => Some((at + 1, false)),
        _ => Some((escaped_string(bytes, at)?, true)),
    }
}

#[inline(never)]
fn escaped_string(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match (*bytes.get(at)?, bytes.get(at + 1)) {
            (b'"', _) => return Some(at + 1),
            (b'\\', Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't')) => at += 2,
            (b'\\', Some(b'u')) => {
                let digits = bytes.get(at + 2..at + 6)?;
                digits.iter().all(u8::is_ascii_hexdigit).then_some(())?;
                at += 6;
            }
            _ => return None,
        }
        at = special(bytes, at);
    }
}

/// A number; its value where it is a plain decimal.
#[inline(always)]
pub fn number(bytes: &[u8], start: usize) -> Option<(usize, Option<Decimal>)> {
    let negative = *bytes.get(start)? == b'-';
    let whole = start + usize::from(negative);
    let mut mantissa = 0;
    let mut at = if *bytes.get(whole)? == b'0' { whole + 1 } else { digits(bytes, whole, &mut mantissa)? };
    let (mut count, mut decimals) = (at - whole, 0);
    if bytes.get(at) == Some(&b'.') {
        let point = at;
        at = digits(bytes, point + 1, &mut mantissa)?;
        decimals = at - point - 1;
        count += decimals;
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        return Some((exponent(bytes, at + 1)?, None));
    }
    let number = Decimal { mantissa, decimals: decimals as u8, negative };
    Some((at, (count <= Decimal::DIGITS).then_some(number)))
}

#[inline(never)]
fn exponent(bytes: &[u8], at: usize) -> Option<usize> {
    let sign = matches!(bytes.get(at), Some(b'+' | b'-'));
    digits(bytes, at + usize::from(sign), &mut 0)
}

/// One digit or more, taken on to a mantissa.
#[inline(always)]
pub fn digits(bytes: &[u8], start: usize, mantissa: &mut u64) -> Option<usize> {
    let mut at = start;
    while let Some(ahead) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let (value, count) = leading_digits(*ahead);
        *mantissa = mantissa.wrapping_mul(TENS[count]).wrapping_add(value);
        at += count;
        if count < 8 {
            return (at > start).then_some(at);
        }
    }
    last_digits(bytes, start, at, mantissa)
}

/// Digits near the end of the text.
#[cold]
fn last_digits(bytes: &[u8], start: usize, mut at: usize, mantissa: &mut u64) -> Option<usize> {
    while let Some(digit @ b'0'..=b'9') = bytes.get(at) {
        *mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
        at += 1;
    }
    (at > start).then_some(at)
}

fn word(bytes: &[u8], at: usize, word: &[u8]) -> Option<usize> {
    bytes[at..].starts_with(word).then_some(at + word.len())
}

pub fn skip_value(bytes: &[u8], at: usize, depth: usize) -> Option<usize> {
    match *bytes.get(at)? {
        b'"' => string(bytes, at + 1).map(|(end, _)| end),
        b'-' | b'0'..=b'9' => number(bytes, at).map(|(end, _)| end),
        b't' => word(bytes, at, b"true"),
        b'f' => word(bytes, at, b"false"),
        b'n' => word(bytes, at, b"null"),
        b'{' => skip_object(bytes, at + 1, depth.checked_sub(1)?),
        b'[' => skip_array(bytes, at + 1, depth.checked_sub(1)?),
        _ => None,
    }
}

fn skip_object(bytes: &[u8], mut at: usize, depth: usize) -> Option<usize> {
    let mut first = true;
    loop {
        let (after, key) = key(bytes, at, first)?;
        if key.is_none() {
            return Some(after);
        }
        at = skip_value(bytes, after, depth)?;
        first = false;
    }
}

fn skip_array(bytes: &[u8], at: usize, depth: usize) -> Option<usize> {
    let mut at = blanks(bytes, at);
    if *bytes.get(at)? == b']' {
        return Some(at + 1);
    }
    loop {
        at = blanks(bytes, skip_value(bytes, at, depth)?);
        if *bytes.get(at)? == b']' {
            return Some(at + 1);
        }
        at = blanks(bytes, byte(bytes, at, b',')?);
    }
}

const TENS: [u64; 9] = [1, 10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

/// The number that some bytes begin with, and how many digits it has. No branch depends on how many.
///
/// The digits are moved to the end, where zeros may stand before them, and pairs, then fours, then all are
/// put together by multiplication: Johnny Lee, "Fast numeric string to int".
#[inline(always)]
fn leading_digits(bytes: [u8; 8]) -> (u64, usize) {
    let digits = u64::from_le_bytes(bytes) ^ (ONES * u64::from(b'0'));
    let others = (digits | digits.wrapping_add(ONES * (0x80 - 10))) & HIGHS;
    let count = others.trailing_zeros() as usize / 8;
    if count == 0 {
        return (0, 0);
    }
    let digits = digits << (64 - 8 * count);
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let low = (pairs & 0xff_0000_00ff).wrapping_mul(100 + (1_000_000 << 32));
    let high = (pairs >> 16 & 0xff_0000_00ff).wrapping_mul(1 + (10_000 << 32));
    (low.wrapping_add(high) >> 32, count)
}

/// The place of the first quote, backslash or control character at or after `at`; the end where there is
/// none. [`LANES`] bytes at a time, so that few loops are as long as a value happens to be.
#[inline(always)]
pub fn special(bytes: &[u8], mut at: usize) -> usize {
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk()) {
        let found = marks(*chunk);
        if found != 0 {
            return at + found.trailing_zeros() as usize;
        }
        at += LANES;
    }
    let plain = |&byte: &u8| byte >= 0x20 && byte != b'"' && byte != b'\\';
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest.iter().position(|byte| !plain(byte)).unwrap_or(rest.len())
}

/// A bit for each byte that is a quote, a backslash or a control character, the first byte's lowest.
#[inline(always)]
fn marks(bytes: [u8; LANES]) -> u32 {
    let bytes = u8x16::new(bytes);
    let is = |byte| bytes.simd_eq(u8x16::splat(byte));
    let is_control = bytes.min(u8x16::splat(0x1f)).simd_eq(bytes);
    (is(b'"') | is(b'\\') | is_control).to_bitmask()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_first_is_found(bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'x')], 0..60), at in 0usize..70) {
            let is_special = |byte: &u8| *byte < 0x20 || *byte == b'"' || *byte == b'\\';
            let rest = bytes.get(at..).unwrap_or_default();
            prop_assert_eq!(special(&bytes, at), at + rest.iter().position(is_special).unwrap_or(rest.len()));
        }

        #[test]
        fn digits_are_their_number(text in "[0-9]{1,19}[,.x ][0-9]{0,9}") {
            let count = text.bytes().take_while(u8::is_ascii_digit).count();
            let mut mantissa = 0;
            prop_assert_eq!(digits(text.as_bytes(), 0, &mut mantissa), Some(count));
            prop_assert_eq!(mantissa, text[..count].parse::<u64>().expect("19 digits fit"));
        }
    }
}
