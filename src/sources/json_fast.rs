//! JSON records, read fast: one pass over lines that look like their neighbours.
//!
//! Logs repeat themselves, so the order of the keys is remembered, and the bytes between one value and the
//! next are compared with what stood there before. Whatever is unusual (an escape in a key, an exponent, a
//! newline between tokens, an error) is declined and left to [`crate::sources::json`], which says the same
//! of every line that is not.

use crate::sources::layout::{Node, Target};
use crate::sources::record::{Field, Raw, RawRecord};
use crate::sources::scan::{DEPTH, byte, key, line_end, number, skip_value, string};

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::json;
    use crate::sources::layout::Layout;
    use proptest::prelude::*;
    use std::ops::Range;

    /// Some sites' own names: nested keys, a key with a dot, one key for two fields.
    const SITES: [&str; 2] = [
        "path = 'a'",
        "path = 'a'\nfields = { model = 'llm.name', start_time = 'ts', end_time = 'ts', custom_metrics = 'x.y' }",
    ];

    fn layouts() -> [Layout; 2] {
        SITES.map(|site| Layout::new(&toml::from_str(site).expect("settings")))
    }

    /// Reads lines one after another, and checks each against the complete reader; counts those read fast.
    fn check(lines: &[String], layout: &Layout) -> Result<usize, TestCaseError> {
        let text = lines.join("\n");
        let mut scanner = Scanner::new(&layout.root);
        let (mut at, mut fast) = (0, 0);
        for line in lines {
            let mut record = RawRecord::default();
            if let Some(end) = scanner.record(&text, at, &mut record) {
                prop_assert_eq!(end, at + line.len());
                prop_assert_eq!(json::parse(line, &layout.root), Ok(record), "{}", line);
                fast += 1;
            }
            at += line.len() + 1;
        }
        Ok(fast)
    }

    fn key() -> impl Strategy<Value = String> {
        prop_oneof![
            8 => prop::sample::select(vec![
                "wrapper_name", "operation_id", "model", "end_time", "duration_ms", "status", "success",
                "custom_metrics", "tokens_used", "cost_estimate", "provider", "llm", "name", "llm.name", "ts",
                "x", "y", "a_key_that_is_longer_than_what_is_compared_at_once", "",
            ]).prop_map(str::to_owned),
            1 => r#"[a-z"\\ é]{0,3}"#,
        ]
        .prop_map(|key| serde_json::to_string(&key).expect("a string"))
    }

    fn scalar() -> impl Strategy<Value = String> {
        prop_oneof![
            prop::sample::select(vec![
                "null",
                "true",
                "false",
                "0",
                "-0",
                "12",
                "-1.5",
                "0.25",
                "1e5",
                "5E-05",
                "1234567",
                "12345678",
                "123456789",
                "1234567890123456789",
                "12345678901234567890",
                "0.1234567890123456789012",
                "01",
                "1.",
                ".5",
                "-",
                "+1",
                "1e",
                "nul",
                "truex",
                "NaN",
                "\"\"",
                r#""\u00e9""#,
                r#""\ud83d""#,
                r#""\q""#,
                r#""\u12g4""#,
                "\"\t\"",
                "\"",
                "\"2025-01-24T09:20:46.847371Z\"",
            ])
            .prop_map(str::to_owned),
            any::<f64>().prop_map(|value| value.to_string()),
            any::<i64>().prop_map(|value| value.to_string()),
            ".{0,40}".prop_map(|text| serde_json::to_string(&text).expect("a string")),
            r#"[ -~]{0,40}"#.prop_map(|text| format!("\"{text}\"")),
        ]
    }

    fn value() -> impl Strategy<Value = String> {
        scalar().prop_recursive(3, 12, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
                object(key(), inner, 0..4),
            ]
        })
    }

    fn object(
        keys: impl Strategy<Value = String>,
        values: impl Strategy<Value = String>,
        size: Range<usize>,
    ) -> impl Strategy<Value = String> {
        let blank = || prop::sample::select(vec!["", "", "", "", " ", "  ", "\t"]);
        let member = (blank(), keys, blank(), blank(), values, blank())
            .prop_map(|(a, key, b, c, value, d)| format!("{a}{key}{b}:{c}{value}{d}"));
        prop::collection::vec(member, size).prop_map(|members| format!("{{{}}}", members.join(",")))
    }

    fn line() -> impl Strategy<Value = String> {
        let damaged = (object(key(), value(), 0..6), any::<prop::sample::Index>(), "[ -~]").prop_map(
            |(line, at, with)| {
                let place = at.index(line.len());
                if line.is_ascii() { line[..place].to_owned() + &with + &line[place + 1..] } else { line }
            },
        );
        let ended =
            (object(key(), value(), 0..6), prop::sample::select(vec!["", " ", "\r", "x", "}", "\u{c}"]))
                .prop_map(|(line, end)| line + end);
        prop_oneof![6 => object(key(), value(), 0..8), 3 => damaged, 1 => ended]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn fast_is_the_same_as_complete_or_declines(lines in prop::collection::vec(line(), 1..6)) {
            for layout in layouts() {
                check(&lines, &layout)?;
            }
        }
    }

    #[test]
    fn usual_lines_are_read_fast() {
        let plain = r#"{"operation_id": "op-1", "wrapper_name": "w", "end_time": "2025-01-24T09:20:46.847Z", "duration_ms": 812.35, "success": true, "error_message": null, "custom_metrics": {"tokens_used": 5e3, "tags": ["a", {}]}}"#;
        let failed = plain.replace("null", r#""said \"no\" to \u00e9", "error_code": 429"#);
        let lines = [plain, &failed, plain, "{}", plain, &failed].map(str::to_owned);
        let [layout, _] = layouts();
        assert_eq!(check(&lines, &layout).expect("the same"), lines.len());
    }

    #[test]
    fn what_looks_like_a_step_is_not_one_elsewhere() {
        let lines = [
            r#"{"model":"a","status":"b"}"#,
            r#"{"status":"b","model":"a"}"#,
            r#"{"model":"a"{"status":"b"}"#,
            r#"{,"status":"b"}"#,
            r#"{"model":"a""status":"b"}"#,
            r#"{"model":"a","status":"b",}"#,
            r#"{"model":"a","model":"b"}"#,
        ];
        let [layout, _] = layouts();
        assert_eq!(check(&lines.map(str::to_owned), &layout).expect("the same"), 3);
    }
}
