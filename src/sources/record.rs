//! What the fields of a record mean, however the record is written.
//!
//! A format's reader fills a [`RawRecord`] with pieces of the line; [`interpret`] is the only place that
//! gives them meaning. To read one more native field: a [`Field`], its row in [`FIELDS`], its use here.

use std::borrow::Cow;

use crate::model::notes::shorten;
use crate::model::operation::{Operation, Outcome, Record, Started, Tokens};
use crate::model::quality::ProblemKind;
use crate::model::time::{DAY_MS, rfc3339};
use crate::sources::content::hash;
use crate::sources::number::{BadNumber, Decimal, scaled};
use crate::sources::problems::{Fault, excerpt};
use crate::sources::timestamp::{self, BadTime};
use crate::sources::words::printable;

/// Longest name or id kept whole, in characters; of a longer one, so many and a hash are kept.
const NAME_CHARS: usize = 200;
const NAME_START_CHARS: usize = 180;

/// Decimals of milliseconds in a nanosecond, and of a currency unit in what costs are counted in.
const MS_TO_NS: usize = 6;
const UNIT_TO_PICO: usize = 12;

/// Most tokens, and most milliseconds or currency units, of one operation; more is a mistake.
pub const MOST_TOKENS: u64 = 1_000_000_000_000_000;
pub const MOST_UNITS: i128 = 1_000_000_000_000;

/// The native fields that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    WrapperName,
    OperationId,
    OperationType,
    StartTime,
    EndTime,
    DurationMs,
    Status,
    Success,
    ErrorMessage,
    ErrorCode,
    FallbackUsed,
    CostEstimate,
    Model,
    PromptTokens,
    CompletionTokens,
    CachedTokens,
    TotalTokens,
    CustomTokens,
    CustomCost,
}

impl Field {
    /// Whether its values are numbers that are neither names nor times.
    pub fn is_number(self) -> bool {
        match self {
            Field::DurationMs | Field::CostEstimate | Field::CustomCost => true,
            Field::PromptTokens | Field::CompletionTokens | Field::CachedTokens => true,
            Field::TotalTokens | Field::CustomTokens => true,
            Field::WrapperName | Field::OperationId | Field::OperationType | Field::Model => false,
            Field::StartTime | Field::EndTime | Field::Status | Field::Success => false,
            Field::ErrorMessage | Field::ErrorCode | Field::FallbackUsed => false,
        }
    }
}

/// Native names, a dot for a key of a nested object.
pub const FIELDS: [(&str, Field); 19] = [
    ("operation_id", Field::OperationId),
    ("wrapper_name", Field::WrapperName),
    ("operation_type", Field::OperationType),
    ("start_time", Field::StartTime),
    ("end_time", Field::EndTime),
    ("duration_ms", Field::DurationMs),
    ("status", Field::Status),
    ("success", Field::Success),
    ("error_message", Field::ErrorMessage),
    ("error_code", Field::ErrorCode),
    ("fallback_used", Field::FallbackUsed),
    ("cost_estimate", Field::CostEstimate),
    ("custom_metrics.tokens_used", Field::CustomTokens),
    ("custom_metrics.cost_estimate", Field::CustomCost),
    ("model", Field::Model),
    ("prompt_tokens", Field::PromptTokens),
    ("completion_tokens", Field::CompletionTokens),
    ("cached_tokens", Field::CachedTokens),
    ("total_tokens", Field::TotalTokens),
];

/// Native names that are known and not read: nothing shows them yet, or nothing may.
pub const UNREAD: &[&str] = &[
    "custom_metrics",
    "fallback_reason",
    "fallback_duration_ms",
    "cpu_usage_percent",
    "memory_usage_mb",
    "network_calls",
    "network_latency_ms",
    "quality_score",
    "user_satisfaction",
    "user_id",
    "session_id",
    "request_id",
    "provider",
];

/// One value as it stands in the line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Raw<'a> {
    /// Not there, null, or empty.
    #[default]
    Missing,
    Text(&'a str),
    /// A JSON string with escapes in it, its quotes included.
    Escaped(&'a str),
    /// What stood between the quotes of a CSV field, quotes in it still doubled.
    Doubled(&'a str),
    /// A JSON number as it is written, and its value.
    Number(&'a str, Decimal),
    /// `true` or `false`, or a JSON number that is not a plain decimal.
    Literal(&'a str),
    /// A JSON object or array.
    Nested(&'a str),
}

/// The values of one record by field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RawRecord<'a> {
    values: [Raw<'a>; FIELDS.len()],
}

impl<'a> RawRecord<'a> {
    pub fn set(&mut self, field: Field, value: Raw<'a>) {
        self.values[field as usize] = value;
    }

    pub fn slot(&mut self, field: Field) -> &mut Raw<'a> {
        &mut self.values[field as usize]
    }

    pub fn fill(&mut self, field: Field, value: &'a str) {
        if *self.get(field) == Raw::Missing {
            self.set(field, Raw::Text(value));
        }
    }

    pub fn get(&self, field: Field) -> &Raw<'a> {
        &self.values[field as usize]
    }

    fn text(&self, field: Field) -> Option<Cow<'a, str>> {
        self.get(field).text().filter(|text| !text.is_empty())
    }

    /// A name that is safe to keep: bounded, and without control characters.
    #[inline(always)]
    fn name(&self, field: Field) -> Option<Cow<'a, str>> {
        match *self.get(field) {
            Raw::Text(text) if text.len() <= NAME_CHARS && printable(text.as_bytes()) => {
                Some(Cow::Borrowed(text))
            }
            _ => self.text(field).map(cleaned),
        }
    }

    fn first(&self, fields: [Field; 2]) -> Field {
        if *self.get(fields[0]) == Raw::Missing { fields[1] } else { fields[0] }
    }
}

impl<'a> Raw<'a> {
    /// The value as text; `None` where there is none.
    pub fn text(&self) -> Option<Cow<'a, str>> {
        match *self {
            Raw::Missing => None,
            Raw::Text(text) | Raw::Number(text, _) | Raw::Literal(text) | Raw::Nested(text) => {
                Some(Cow::Borrowed(text))
            }
            Raw::Escaped(quoted) => Some(Cow::Owned(crate::sources::json::unescape(quoted))),
            Raw::Doubled(text) => Some(Cow::Owned(text.replace("\"\"", "\""))),
        }
    }
}

/// The record that the values describe, or why they describe none.
pub fn interpret<'a>(raw: &RawRecord<'a>) -> Result<Record<'a>, Fault> {
    let says_something = |name: &Cow<str>| {
        name.as_bytes().first().is_some_and(u8::is_ascii_graphic) || !name.trim_start().is_empty()
    };
    let wrapper = raw.name(Field::WrapperName).filter(says_something);
    let wrapper = wrapper.ok_or_else(|| bad_field("`wrapper_name` is missing or empty"))?;
    let times = times(raw)?;
    let status = status(raw)?;
    let id = raw.name(Field::OperationId);
    let operation_type = raw.name(Field::OperationType).unwrap_or(Cow::Borrowed("default"));
    let model = raw.name(Field::Model).unwrap_or_default();
    let Some(end_ms) = times.end_ms(status) else {
        if id.is_none() {
            return Err(bad_field("a `started` record needs an `operation_id`, which its end is matched by"));
        }
        return Ok(Record::Started(Started {
            id,
            wrapper,
            operation_type,
            model,
            start_ms: times.start_ms(),
        }));
    };
    Ok(Record::Finished(Operation {
        id,
        wrapper,
        operation_type,
        model,
        outcome: outcome(raw, status)?,
        end_ms,
        duration_ns: times.duration_ns,
        error_code: raw.text(Field::ErrorCode),
        error_message: raw.text(Field::ErrorMessage),
        cost_pico: amount(raw, raw.first([Field::CostEstimate, Field::CustomCost]), UNIT_TO_PICO)?,
        tokens: tokens(raw)?,
    }))
}

/// What ends further ahead of the clock than this comes from a clock that is wrong.
pub const AHEAD_MS: i64 = DAY_MS;

/// That a record ends at a moment too far ahead.
#[cold]
pub fn far_ahead(at_ms: i64) -> Fault {
    let reason =
        "it ends more than a day ahead of the clock and counts only then; correct the clock of the wrapper";
    Fault::new(ProblemKind::ImplausibleTime, reason).with(format!("`{}`", rfc3339(at_ms)))
}

/// A status word; `started` says nothing of how the operation ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Status {
    Started,
    Ended(Outcome),
}

const STATUS_WORDS: [(&str, Status); 10] = [
    ("success", Status::Ended(Outcome::Success)),
    ("error", Status::Ended(Outcome::Error)),
    ("fallback", Status::Ended(Outcome::Fallback)),
    ("timeout", Status::Ended(Outcome::Timeout)),
    ("cancelled", Status::Ended(Outcome::Cancelled)),
    ("started", Status::Started),
    ("ok", Status::Ended(Outcome::Success)),
    ("failure", Status::Ended(Outcome::Error)),
    ("failed", Status::Ended(Outcome::Error)),
    ("canceled", Status::Ended(Outcome::Cancelled)),
];

#[inline(always)]
fn status(raw: &RawRecord) -> Result<Option<Status>, Fault> {
    match raw.get(Field::Status) {
        Raw::Missing => return Ok(None),
        Raw::Text("success") => return Ok(Some(Status::Ended(Outcome::Success))),
        Raw::Text("started") => return Ok(Some(Status::Started)),
        _ => {}
    }
    other_status(raw)
}

#[inline(never)]
fn other_status(raw: &RawRecord) -> Result<Option<Status>, Fault> {
    let Some(word) = raw.text(Field::Status) else { return Ok(None) };
    let known = STATUS_WORDS.iter().find(|(known, _)| word.trim().eq_ignore_ascii_case(known));
    known.map(|(_, status)| Some(*status)).ok_or_else(|| {
        let accepted = "`started`, `success`, `error`, `fallback`, `timeout` or `cancelled`";
        bad_field(format!("`status` is not one of {accepted}")).with(quoted(&word))
    })
}

#[inline(always)]
fn outcome(raw: &RawRecord, status: Option<Status>) -> Result<Outcome, Fault> {
    let success = flag(raw, Field::Success)?;
    let fell_back = flag(raw, Field::FallbackUsed)?.unwrap_or(false);
    let ended_well = if fell_back { Outcome::Fallback } else { Outcome::Success };
    let failed = || raw.text(Field::ErrorMessage).or_else(|| raw.text(Field::ErrorCode)).is_some();
    Ok(match (status, success) {
        (Some(Status::Ended(Outcome::Success)), _) => ended_well,
        // A fallback that was tried and did not help is a failure.
        (Some(Status::Ended(Outcome::Fallback)), Some(false)) => Outcome::Error,
        (Some(Status::Ended(outcome)), _) => outcome,
        (Some(Status::Started) | None, Some(true)) => ended_well,
        (Some(Status::Started) | None, Some(false)) => Outcome::Error,
        (Some(Status::Started) | None, None) if failed() => Outcome::Error,
        (Some(Status::Started) | None, None) => ended_well,
    })
}

/// When an operation began and ended, as far as its record says.
struct Times {
    start_ns: Option<i64>,
    end_ns: Option<i64>,
    duration_ns: Option<u64>,
    /// The record itself says when it ended.
    says_end: bool,
}

#[inline(always)]
fn times(raw: &RawRecord) -> Result<Times, Fault> {
    let start_ns = time(raw, Field::StartTime)?;
    let mut end_ns = time(raw, Field::EndTime)?;
    let says_end = end_ns.is_some();
    let mut duration_ns = amount(raw, Field::DurationMs, MS_TO_NS)?.map(saturated);
    match (start_ns, end_ns, duration_ns) {
        (None, None, _) => return Err(bad_field("neither `start_time` nor `end_time` is given")),
        (Some(start), Some(end), _) if end < start => {
            return Err(bad_field("`end_time` is before `start_time`"));
        }
        (Some(start), Some(end), None) => duration_ns = Some(end.abs_diff(start)),
        (Some(start), None, Some(duration)) => end_ns = Some(end_of(start, duration)?),
        _ => {}
    }
    Ok(Times { start_ns, end_ns, duration_ns, says_end })
}

fn end_of(start_ns: i64, duration_ns: u64) -> Result<i64, Fault> {
    let end = i128::from(start_ns) + i128::from(duration_ns);
    timestamp::plausible(end).map_err(|_| {
        let reason = "`start_time` and `duration_ms` add up to a time after 2099";
        Fault::new(ProblemKind::ImplausibleTime, reason)
    })
}

impl Times {
    /// `None` for an operation that has begun and not ended.
    fn end_ms(&self, status: Option<Status>) -> Option<i64> {
        let begun_only = status == Some(Status::Started) && !self.says_end;
        (!begun_only).then(|| to_ms(self.end_ns.or(self.start_ns)))
    }

    fn start_ms(&self) -> i64 {
        to_ms(self.start_ns)
    }
}

fn to_ms(ns: Option<i64>) -> i64 {
    ns.expect("a record without any time was refused").div_euclid(1_000_000)
}

#[inline(always)]
fn time(raw: &RawRecord, field: Field) -> Result<Option<i64>, Fault> {
    let read = match raw.get(field) {
        Raw::Missing => return Ok(None),
        Raw::Text(text) => timestamp::parse(text),
        Raw::Number(_, number) => timestamp::epoch(number.scaled(9)),
        other => timestamp::parse(&other.text().unwrap_or_default()),
    };
    match read {
        Ok(ns) => Ok(Some(ns)),
        Err(why) => Err(bad_time(raw, field, why)),
    }
}

#[cold]
fn bad_time(raw: &RawRecord, field: Field, why: BadTime) -> Fault {
    let (name, value) = (native_name(field), quoted(&raw.text(field).unwrap_or_default()));
    let fault = match why {
        BadTime::NotATime => {
            bad_field(format!("`{name}` is not a time; write RFC 3339 or a number since the epoch"))
        }
        BadTime::Implausible => {
            Fault::new(ProblemKind::ImplausibleTime, format!("`{name}` is before 2000 or after 2099"))
        }
    };
    fault.with(value)
}

#[inline(always)]
fn tokens(raw: &RawRecord) -> Result<Tokens, Fault> {
    let count = |field| match raw.get(field) {
        Raw::Missing => Ok(None),
        Raw::Number(_, Decimal { mantissa: count @ 0..=MOST_TOKENS, decimals: 0, negative: false }) => {
            Ok(Some(*count))
        }
        _ => Ok(unusual_amount(raw, field, 0)?.map(saturated)),
    };
    let prompt = count(Field::PromptTokens)?;
    let completion = count(Field::CompletionTokens)?;
    let summed = (prompt.is_some() || completion.is_some())
        .then(|| prompt.unwrap_or(0).saturating_add(completion.unwrap_or(0)));
    let custom = count(Field::CustomTokens)?;
    Ok(Tokens {
        prompt: prompt.unwrap_or(0),
        completion: completion.unwrap_or(0),
        cached: count(Field::CachedTokens)?.unwrap_or(0),
        total: count(Field::TotalTokens)?.or(summed).or(custom).unwrap_or(0),
    })
}

/// A number that is not negative, times 10^`scale`.
#[inline(always)]
fn amount(raw: &RawRecord, field: Field, scale: usize) -> Result<Option<i128>, Fault> {
    match raw.get(field) {
        Raw::Missing => return Ok(None),
        Raw::Number(_, number) if !number.negative => {
            let value = number.scaled(scale);
            if value <= most(scale) {
                return Ok(Some(value));
            }
        }
        _ => {}
    }
    unusual_amount(raw, field, scale)
}

/// Beyond this a number is a mistake: it would drown all others in a sum. `scale` tells what is counted.
const fn most(scale: usize) -> i128 {
    match scale {
        0 => MOST_TOKENS as i128,
        _ => MOST_UNITS * 10_i128.pow(scale as u32),
    }
}

#[cold]
fn unusual_amount(raw: &RawRecord, field: Field, scale: usize) -> Result<Option<i128>, Fault> {
    let Some(text) = raw.text(field) else { return Ok(None) };
    let why = match scaled(&text, scale) {
        Ok(value) if (0..=most(scale)).contains(&value) => return Ok(Some(value)),
        Ok(value) if value > 0 && scale == 0 => "is more than 10^15",
        Ok(value) if value > 0 => "is more than 10^12",
        Ok(_) => "is negative",
        Err(BadNumber::NotFinite) => "is not finite",
        Err(BadNumber::NotANumber) => "is not a number",
    };
    Err(bad_field(format!("`{}` {why}", native_name(field))).with(quoted(&text)))
}

fn saturated(value: i128) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

#[inline(always)]
fn flag(raw: &RawRecord, field: Field) -> Result<Option<bool>, Fault> {
    match raw.get(field) {
        Raw::Missing => return Ok(None),
        Raw::Literal("true") | Raw::Text("true") => return Ok(Some(true)),
        Raw::Literal("false") | Raw::Text("false") => return Ok(Some(false)),
        _ => {}
    }
    other_flag(raw, field)
}

#[inline(never)]
fn other_flag(raw: &RawRecord, field: Field) -> Result<Option<bool>, Fault> {
    let Some(text) = raw.text(field) else { return Ok(None) };
    match text.trim() {
        "true" | "True" | "TRUE" | "1" => Ok(Some(true)),
        "false" | "False" | "FALSE" | "0" => Ok(Some(false)),
        _ => Err(bad_field(format!("`{}` is neither `true` nor `false`", native_name(field)))),
    }
}

fn cleaned(text: Cow<str>) -> Cow<str> {
    let clean = match text.chars().any(char::is_control) {
        true => Cow::Owned(text.replace(char::is_control, "\u{fffd}")),
        false => text,
    };
    if clean.len() <= NAME_CHARS || clean.chars().count() <= NAME_CHARS {
        return clean;
    }
    // Names that differ only further on stay apart.
    let start = shorten(&clean, NAME_START_CHARS);
    Cow::Owned(format!("{start}{}", &hash(clean.as_bytes())[..8]))
}

/// The name of a field in native records.
pub fn native_name(field: Field) -> &'static str {
    FIELDS.iter().find(|entry| entry.1 == field).map_or("", |entry| entry.0)
}

fn bad_field(reason: impl Into<String>) -> Fault {
    Fault::new(ProblemKind::BadField, reason)
}

/// A value that a page may show.
fn quoted(value: &str) -> String {
    format!("`{}`", excerpt(value))
}
