//! JSON records, read fast: one pass over lines that look like their neighbours.
//!
//! Logs repeat themselves, so the order of the keys is remembered, and the bytes between one value and the
//! next are compared with what stood there before. Whatever is unusual (an escape in a key, an exponent, a
//! newline between tokens, an error) is declined and left to [`crate::sources::json`], which says the same
//! of every line that is not.

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
    first: Steps<'l>,
    others: Steps<'l>,
}

impl<'l> Scanner<'l> {
    pub fn new(root: &'l Node) -> Scanner<'l> {
        let steps = |first| Steps { first, steps: Vec::new() };
        Scanner { root, first: steps(true), others: steps(false) }
    }

    /// Reads the record that begins at `at`, and returns where its line ends: at its newline, or at the end
    /// of the text. `None` where that is left to the complete reader; the record is then of no use.
    pub fn record<'a>(&mut self, text: &'a str, at: usize, record: &mut RawRecord<'a>) -> Option<usize> {
        let mut cursor = Cursor { text, bytes: text.as_bytes(), at };
        cursor.take(b'{')?;
        let mut member = self.first.member(&mut cursor, &mut 0, self.root)?;
        let mut next = 0;
        loop {
            match member {
                Member::End => return cursor.line_end(),
                Member::Unread => cursor.skip_value(DEPTH)?,
                Member::Value(field) => cursor.value(record.slot(field))?,
                Member::Read(target) => cursor.assign(target, record)?,
            }
            if cursor.byte()? == b'}' {
                cursor.at += 1;
                return cursor.line_end();
            }
            member = self.others.member(&mut cursor, &mut next, self.root)?;
        }
    }
}

/// What an object goes on with.
#[derive(Clone, Copy, Debug)]
enum Member<'l> {
    End,
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

/// Keys in the order in which they came, those included that not all records have.
#[derive(Debug)]
struct Steps<'l> {
    /// Nothing stands before these keys; before others a comma does.
    first: bool,
    steps: Vec<Step<'l>>,
}

impl<'l> Steps<'l> {
    /// Passes over what stands between two values.
    #[inline(always)]
    fn member(&mut self, cursor: &mut Cursor, next: &mut usize, root: &'l Node) -> Option<Member<'l>> {
        match self.remembered(cursor, next) {
            Some(member) => Some(member),
            None => self.unknown(cursor, next, root),
        }
    }

    #[inline(never)]
    fn unknown(&mut self, cursor: &mut Cursor, next: &mut usize, root: &'l Node) -> Option<Member<'l>> {
        let start = cursor.at;
        let Some(key) = cursor.key(self.first)? else { return Some(Member::End) };
        let member = Member::new(root.get(key));
        *next = self.learn(*next, &cursor.bytes[start..cursor.at], member);
        Some(member)
    }

    #[inline(always)]
    fn remembered(&self, cursor: &mut Cursor, next: &mut usize) -> Option<Member<'l>> {
        let ahead = words(cursor.bytes.get(cursor.at..)?.first_chunk()?);
        let steps = self.steps.get(*next..)?;
        let at = steps.iter().take(TRIES).position(|step| step.begins(&ahead))?;
        cursor.at += steps[at].len;
        *next += at + 1;
        Some(steps[at].member)
    }

    /// Remembers a key, and returns the place of the step after it.
    fn learn(&mut self, next: usize, text: &[u8], member: Member<'l>) -> usize {
        if text.len() > STEP_BYTES {
            return next;
        }
        let step = Step::new(text, member);
        let known = self.steps.iter().position(|other| other.words == step.words && other.len == step.len);
        if known.is_none() && self.steps.len() < MOST_STEPS {
            self.steps.insert(next, step);
        }
        known.unwrap_or(next).min(self.steps.len() - 1) + 1
    }
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
    fn new(text: &[u8], member: Member<'l>) -> Step<'l> {
        let (mut bytes, mut mask) = ([0; STEP_BYTES], [0; STEP_BYTES]);
        bytes[..text.len()].copy_from_slice(text);
        mask[..text.len()].fill(0xff);
        Step { words: words(&bytes), masks: words(&mask), len: text.len(), member }
    }

    #[inline(always)]
    fn begins(&self, ahead: &[u64; STEP_BYTES / 8]) -> bool {
        let differ = |at: usize| (ahead[at] ^ self.words[at]) & self.masks[at];
        differ(0) | differ(1) | differ(2) | differ(3) == 0
    }
}

fn words(bytes: &[u8; STEP_BYTES]) -> [u64; STEP_BYTES / 8] {
    let (chunks, _) = bytes.as_chunks::<8>();
    std::array::from_fn(|at| u64::from_le_bytes(chunks[at]))
}

/// A place in a text. Each method passes over what it names, or returns `None` if that is not there, or
/// not in the way that is read fast.
struct Cursor<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    #[inline(always)]
    fn byte(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.byte()? == byte).then(|| self.at += 1)
    }

    /// Blanks, but no newline: records do not go over lines here.
    fn blanks(&mut self) {
        while let Some(b' ' | b'\t' | b'\r') = self.byte() {
            self.at += 1;
        }
    }

    fn line_end(&mut self) -> Option<usize> {
        self.blanks();
        matches!(self.byte(), None | Some(b'\n')).then_some(self.at)
    }

    /// A key with what stands before and after it; `Some(None)` for the end of its object instead.
    fn key(&mut self, first: bool) -> Option<Option<&'a str>> {
        self.blanks();
        if self.byte()? == b'}' {
            self.at += 1;
            return Some(None);
        }
        if !first {
            self.take(b',')?;
            self.blanks();
        }
        let start = self.at + 1;
        let escaped = self.string()?;
        let key = &self.text[start..self.at - 1];
        self.blanks();
        self.take(b':')?;
        self.blanks();
        (!escaped).then_some(Some(key))
    }

    /// A string; whether it has escapes.
    #[inline(always)]
    fn string(&mut self) -> Option<bool> {
        self.take(b'"')?;
        let mut escaped = false;
        loop {
            self.at = special(self.bytes, self.at);
            match self.byte()? {
                b'"' => {
                    self.at += 1;
                    return Some(escaped);
                }
                b'\\' => {
                    escaped = true;
                    self.escape()?;
                }
                _ => return None,
            }
        }
    }

    fn escape(&mut self) -> Option<()> {
        match *self.bytes.get(self.at + 1)? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 2,
            b'u' => {
                let digits = self.bytes.get(self.at + 2..self.at + 6)?;
                digits.iter().all(u8::is_ascii_hexdigit).then_some(())?;
                self.at += 6;
            }
            _ => return None,
        }
        Some(())
    }

    /// A number, its value along the way.
    #[inline(always)]
    fn number(&mut self, slot: &mut Raw<'a>) -> Option<()> {
        let start = self.at;
        let negative = self.byte()? == b'-';
        self.at += usize::from(negative);
        let digits = self.at;
        let mut mantissa = 0;
        if self.byte()? == b'0' {
            self.at += 1;
        } else {
            self.digits(&mut mantissa)?;
        }
        let mut count = self.at - digits;
        let mut decimals = 0;
        if self.byte() == Some(b'.') {
            self.at += 1;
            decimals = self.digits(&mut mantissa)?;
            count += decimals;
        }
        let exponent = matches!(self.byte(), Some(b'e' | b'E'));
        if exponent {
            self.at += 1;
            self.at += usize::from(matches!(self.byte(), Some(b'+' | b'-')));
            self.digits(&mut 0)?;
        }
        let text = &self.text[start..self.at];
        let plain = !exponent && count <= Decimal::DIGITS;
        let number = Decimal { mantissa, decimals: decimals as u8, negative };
        *slot = if plain { Raw::Number(text, number) } else { Raw::Literal(text) };
        Some(())
    }

    /// Digits, taken on to a mantissa; returns how many.
    #[inline(always)]
    fn digits(&mut self, mantissa: &mut u64) -> Option<usize> {
        let start = self.at;
        loop {
            let (value, count) = match self.bytes.get(self.at..).and_then(|rest| rest.first_chunk::<8>()) {
                Some(ahead) => leading_digits(*ahead),
                None => self.digit(),
            };
            *mantissa = mantissa.wrapping_mul(TENS[count]).wrapping_add(value);
            self.at += count;
            if count == 0 || count < 8 && self.bytes.len() - self.at >= 8 {
                return (self.at > start).then(|| self.at - start);
            }
        }
    }

    /// One digit or none, near the end of the text.
    #[cold]
    fn digit(&self) -> (u64, usize) {
        match self.byte() {
            Some(digit @ b'0'..=b'9') => (u64::from(digit - b'0'), 1),
            _ => (0, 0),
        }
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.bytes[self.at..].starts_with(word).then(|| self.at += word.len())
    }

    fn skip_value(&mut self, depth: usize) -> Option<()> {
        match self.byte()? {
            b'"' => self.string().map(drop),
            b'-' | b'0'..=b'9' => self.number(&mut Raw::Missing),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            b'{' => self.skip_object(depth.checked_sub(1)?),
            b'[' => self.skip_array(depth.checked_sub(1)?),
            _ => None,
        }
    }

    fn skip_object(&mut self, depth: usize) -> Option<()> {
        self.at += 1;
        let mut first = true;
        while self.key(first)?.is_some() {
            self.skip_value(depth)?;
            first = false;
        }
        Some(())
    }

    fn skip_array(&mut self, depth: usize) -> Option<()> {
        self.at += 1;
        self.blanks();
        if self.byte()? == b']' {
            return self.take(b']');
        }
        loop {
            self.blanks();
            self.skip_value(depth)?;
            self.blanks();
            if self.byte()? == b']' {
                return self.take(b']');
            }
            self.take(b',')?;
        }
    }

    /// Any value, into the place where it belongs: made elsewhere and moved there, it costs twice as much.
    #[inline(always)]
    fn value(&mut self, slot: &mut Raw<'a>) -> Option<()> {
        let start = self.at;
        match self.byte()? {
            b'"' => {
                let escaped = self.string()?;
                *slot = match escaped {
                    _ if self.at == start + 2 => Raw::Missing,
                    true => Raw::Escaped(&self.text[start..self.at]),
                    false => Raw::Text(&self.text[start + 1..self.at - 1]),
                };
            }
            b'-' | b'0'..=b'9' => self.number(slot)?,
            first => {
                self.skip_value(DEPTH)?;
                let text = &self.text[start..self.at];
                *slot = match first {
                    b'{' | b'[' => Raw::Nested(text),
                    b'n' => Raw::Missing,
                    _ => Raw::Literal(text),
                };
            }
        }
        Some(())
    }

    /// Reads the value of a key of which more is read than one value.
    fn assign(&mut self, target: &Target, record: &mut RawRecord<'a>) -> Option<()> {
        for &field in &target.below {
            record.set(field, Raw::Missing);
        }
        let start = self.at;
        let mut value = Raw::Missing;
        if self.byte()? == b'{' && !target.below.is_empty() {
            self.members(&target.nested, record)?;
            value = Raw::Nested(&self.text[start..self.at]);
        } else {
            self.value(&mut value)?;
        }
        for &field in &target.fields {
            record.set(field, value);
        }
        Some(())
    }

    fn members(&mut self, node: &Node, record: &mut RawRecord<'a>) -> Option<()> {
        self.at += 1;
        let mut first = true;
        while let Some(key) = self.key(first)? {
            match node.get(key) {
                Some(target) => self.assign(target, record)?,
                None => self.skip_value(DEPTH)?,
            }
            first = false;
        }
        Some(())
    }
}

const TENS: [u64; 9] = [1, 10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

/// The number that some bytes begin with, and how many digits it has. No branch depends on how many.
///
/// The digits are moved to the end, where zeros may stand before them, and pairs, then fours, then all are
/// put together by multiplication: Johnny Lee, "Fast numeric string to int".
#[inline(always)]
fn leading_digits(bytes: [u8; 8]) -> (u64, usize) {
    let digits = u64::from_le_bytes(bytes) ^ ONES * u64::from(b'0');
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
    (zero(word ^ ONES * 0x22) | zero(word ^ ONES * 0x5c) | control) & HIGHS
}
