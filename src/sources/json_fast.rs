//! JSON records, read fast: one pass over lines that look like their neighbours.
//!
//! Logs repeat themselves, so the order of the keys is remembered, and the bytes between one value and the
//! next are compared with what stood there before. Whatever is unusual (an escape in a key, an exponent, a
//! newline between tokens, an error) is declined and left to [`crate::sources::json`], which says the same
//! of every line that is not.

use std::ops::Range;

use crate::sources::layout::{Node, Target};
use crate::sources::number::Decimal;
use crate::sources::record::{Field, Raw, RawRecord};
use crate::sources::words::{HIGHS, ONES};

/// Deepest nesting that is passed over; deeper is declined.
const DEPTH: usize = 32;

/// Most keys remembered.
const MOST_STEPS: usize = 64;

/// Steps tried before a key is looked up: records differ by the few keys that some leave out.
const TRIES: usize = 6;

/// Bytes of a step that are compared; longer ones are not remembered.
const STEP_BYTES: usize = 32;

/// Reads records of one layout.
#[derive(Debug)]
pub struct Scanner<'l> {
    root: &'l Node,
    /// What stood before a record's first value.
    openings: Vec<Step<'l>>,
    /// What stood between two values, in the order in which it came; that included which not all records have.
    steps: Vec<Step<'l>>,
}

/// What an object goes on with.
#[derive(Clone, Copy, Debug)]
enum Member<'l> {
    Unread,
    /// One value and nothing below it, which is nearly every key.
    Value(Field),
    Read(&'l Target),
}

impl<'l> Member<'l> {
    fn new(target: Option<&'l Target>) -> Member<'l> {
        let Some(target) = target else { return Member::Unread };
        target.field().map_or(Member::Read(target), Member::Value)
    }
}

impl<'l> Scanner<'l> {
    pub fn new(root: &'l Node) -> Scanner<'l> {
        Scanner { root, openings: Vec::new(), steps: Vec::new() }
    }

    /// Reads the record that begins at `at`, and returns where its line ends: at its newline, or at the end
    /// of the text. `None` where that is left to the complete reader; the record is then of no use.
    pub fn record<'a>(&mut self, text: &'a str, at: usize, record: &mut RawRecord<'a>) -> Option<usize> {
        let bytes = text.as_bytes();
        let start = byte(bytes, at, b'{')?;
        let (mut at, mut next) = (start, 0);
        loop {
            match self.run(text, Run { at, opening: at == start, next }, record)? {
                Ran::End(end) => return line_end(bytes, end),
                Ran::Unknown(run) => {
                    let (end, key) = key(bytes, run.at, run.opening)?;
                    let Some(key) = key else { return line_end(bytes, end) };
                    let step = Step::new(&bytes[run.at..end], Member::new(self.root.get(&text[key])));
                    at = read(text, end, step.member, record)?;
                    let steps = if run.opening { &mut self.openings } else { &mut self.steps };
                    next = remember(steps, step, run.next);
                    if run.opening {
                        next = 0;
                    }
                }
            }
        }
    }

    /// Follows the steps that were taken before, to the end of the record or to a key that is not there.
    fn run<'a>(&self, text: &'a str, run: Run, record: &mut RawRecord<'a>) -> Option<Ran> {
        let bytes = text.as_bytes();
        let Run { mut at, mut opening, next } = run;
        let mut steps = if opening { &self.openings[..] } else { self.steps.get(next..)? };
        loop {
            if !opening && *bytes.get(at)? == b'}' {
                return Some(Ran::End(at + 1));
            }
            let Some((step, after)) = taken(steps, bytes, at) else {
                let next = if opening { 0 } else { self.steps.len() - steps.len() };
                return Some(Ran::Unknown(Run { at, opening, next }));
            };
            at = read(text, at + step.len, step.member, record)?;
            steps = if opening { &self.steps[..] } else { after };
            opening = false;
        }
    }
}

/// A place between two values.
#[derive(Clone, Copy, Debug)]
struct Run {
    at: usize,
    /// No value was before.
    opening: bool,
    /// The step to be tried first.
    next: usize,
}

enum Ran {
    /// The record ends before this place.
    End(usize),
    /// No step goes on from here.
    Unknown(Run),
}

/// What stands between two values, `,"model":` with its spaces, as words to be compared at once.
#[derive(Debug)]
struct Step<'l> {
    words: [u64; STEP_BYTES / 8],
    masks: [u64; STEP_BYTES / 8],
    len: usize,
    member: Member<'l>,
}

impl<'l> Step<'l> {
    /// A text that is too long is cut, and never comes.
    fn new(text: &[u8], member: Member<'l>) -> Step<'l> {
        let (mut bytes, mut mask) = ([0; STEP_BYTES], [0; STEP_BYTES]);
        let kept = text.len().min(STEP_BYTES);
        bytes[..kept].copy_from_slice(&text[..kept]);
        mask[..kept].fill(0xff);
        Step { words: words(&bytes), masks: words(&mask), len: text.len(), member }
    }

    #[inline(always)]
    fn begins(&self, ahead: &[u8; STEP_BYTES]) -> bool {
        let ahead = words(ahead);
        let differ = |at: usize| (ahead[at] ^ self.words[at]) & self.masks[at];
        differ(0) | differ(1) == 0 && (self.len <= 16 || differ(2) | differ(3) == 0)
    }
}

/// The step that goes on from a place, and the steps after it.
#[inline(always)]
fn taken<'s, 'l>(steps: &'s [Step<'l>], bytes: &[u8], at: usize) -> Option<(&'s Step<'l>, &'s [Step<'l>])> {
    let ahead = bytes.get(at..)?.first_chunk()?;
    match steps.split_first()? {
        (step, after) if step.begins(ahead) => Some((step, after)),
        _ => taken_later(steps, ahead),
    }
}

#[inline(never)]
fn taken_later<'s, 'l>(
    steps: &'s [Step<'l>],
    ahead: &[u8; STEP_BYTES],
) -> Option<(&'s Step<'l>, &'s [Step<'l>])> {
    let found = steps.iter().take(TRIES).position(|step| step.begins(ahead))?;
    Some((&steps[found], &steps[found + 1..]))
}

/// Remembers a step, and returns the place after it.
fn remember<'l>(steps: &mut Vec<Step<'l>>, step: Step<'l>, next: usize) -> usize {
    if step.len > STEP_BYTES {
        return next;
    }
    let known = steps.iter().position(|other| other.words == step.words && other.len == step.len);
    if known.is_none() && steps.len() < MOST_STEPS {
        steps.insert(next, step);
    }
    known.unwrap_or(next).min(steps.len() - 1) + 1
}

/// The value of a member.
#[inline(always)]
fn read<'a>(text: &'a str, at: usize, member: Member, record: &mut RawRecord<'a>) -> Option<usize> {
    match member {
        Member::Value(field) => value(text, at, record.slot(field)),
        Member::Unread => skip_value(text.as_bytes(), at, DEPTH),
        Member::Read(target) => assign(text, at, target, record),
    }
}

fn words(bytes: &[u8; STEP_BYTES]) -> [u64; STEP_BYTES / 8] {
    let (chunks, _) = bytes.as_chunks::<8>();
    std::array::from_fn(|at| u64::from_le_bytes(chunks[at]))
}

// Each function below passes over what it is named for, and returns the place after it; or `None` if that
// is not there, or not in the way that is read fast. A place that is handed on stays in a register.

fn byte(bytes: &[u8], at: usize, expected: u8) -> Option<usize> {
    (*bytes.get(at)? == expected).then_some(at + 1)
}

/// Blanks, but no newline: records do not go over lines here.
fn blanks(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\t' | b'\r') = bytes.get(at) {
        at += 1;
    }
    at
}

fn line_end(bytes: &[u8], at: usize) -> Option<usize> {
    let at = blanks(bytes, at);
    matches!(bytes.get(at), None | Some(b'\n')).then_some(at)
}

/// A key with what stands before and after it; no key where its object ends instead.
fn key(bytes: &[u8], at: usize, first: bool) -> Option<(usize, Option<Range<usize>>)> {
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
fn string(bytes: &[u8], at: usize) -> Option<(usize, bool)> {
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
fn number(bytes: &[u8], start: usize) -> Option<(usize, Option<Decimal>)> {
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
fn digits(bytes: &[u8], start: usize, mantissa: &mut u64) -> Option<usize> {
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

fn skip_value(bytes: &[u8], at: usize, depth: usize) -> Option<usize> {
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

/// Any value, into the place where it belongs: made elsewhere and moved there, it costs twice as much.
#[inline(always)]
fn value<'a>(text: &'a str, start: usize, slot: &mut Raw<'a>) -> Option<usize> {
    let bytes = text.as_bytes();
    match *bytes.get(start)? {
        b'"' => {
            let (end, escaped) = string(bytes, start + 1)?;
            *slot = match escaped {
                _ if end == start + 2 => Raw::Missing,
                true => Raw::Escaped(&text[start..end]),
                false => Raw::Text(&text[start + 1..end - 1]),
            };
            Some(end)
        }
        b'-' | b'0'..=b'9' => {
            let (end, decimal) = number(bytes, start)?;
            let text = &text[start..end];
            *slot = match decimal {
                Some(decimal) => Raw::Number(text, decimal),
                None => Raw::Literal(text),
            };
            Some(end)
        }
        first => {
            let end = skip_value(bytes, start, DEPTH)?;
            let text = &text[start..end];
            *slot = match first {
                b'{' | b'[' => Raw::Nested(text),
                b'n' => Raw::Missing,
                _ => Raw::Literal(text),
            };
            Some(end)
        }
    }
}

/// The value of a key of which more is read than one value.
fn assign<'a>(text: &'a str, start: usize, target: &Target, record: &mut RawRecord<'a>) -> Option<usize> {
    for &field in &target.below {
        record.set(field, Raw::Missing);
    }
    let mut found = Raw::Missing;
    let end = if text.as_bytes().get(start) == Some(&b'{') && !target.below.is_empty() {
        let end = members(text, start + 1, &target.nested, record)?;
        found = Raw::Nested(&text[start..end]);
        end
    } else {
        value(text, start, &mut found)?
    };
    for &field in &target.fields {
        record.set(field, found);
    }
    Some(end)
}

fn members<'a>(text: &'a str, mut at: usize, node: &Node, record: &mut RawRecord<'a>) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut first = true;
    loop {
        let (after, key) = key(bytes, at, first)?;
        let Some(key) = key else { return Some(after) };
        at = match node.get(&text[key]) {
            Some(target) => assign(text, after, target, record)?,
            None => skip_value(bytes, after, DEPTH)?,
        };
        first = false;
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
/// none. Sixteen bytes at a time, so that few loops are as long as a value happens to be.
#[inline(always)]
fn special(bytes: &[u8], mut at: usize) -> usize {
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<16>()) {
        let both = u128::from_le_bytes(*chunk);
        let (low, high) = (marks(both as u64), marks((both >> 64) as u64));
        if low | high != 0 {
            let place = if low != 0 { low.trailing_zeros() } else { 64 + high.trailing_zeros() };
            return at + place as usize / 8;
        }
        at += 16;
    }
    let plain = |&byte: &u8| byte >= 0x20 && byte != b'"' && byte != b'\\';
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest.iter().position(|byte| !plain(byte)).unwrap_or(rest.len())
}

/// Marks the quotes, backslashes and control characters of a word, after Mycroft's test for a zero byte. Of
/// the bytes that it marks, only the lowest is sure.
#[inline(always)]
fn marks(word: u64) -> u64 {
    let zero = |word: u64| word.wrapping_sub(ONES) & !word;
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    (zero(word ^ (ONES * 0x22)) | zero(word ^ (ONES * 0x5c)) | control) & HIGHS
}
