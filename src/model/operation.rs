//! One call by a wrapper, as a source hands it to the fold.

use std::borrow::Cow;

/// How an operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    Success,
    /// Ended well, by a fallback.
    Fallback,
    Error,
    Timeout,
    Cancelled,
}

impl Outcome {
    /// The word of the native record format.
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Success => "success",
            Outcome::Fallback => "fallback",
            Outcome::Error => "error",
            Outcome::Timeout => "timeout",
            Outcome::Cancelled => "cancelled",
        }
    }

    /// Error, timeout and cancelled: what `error_count` counts.
    pub fn failed(self) -> bool {
        matches!(self, Outcome::Error | Outcome::Timeout | Outcome::Cancelled)
    }
}

/// Tokens as the caller reported them; zero where it did not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    pub prompt: u64,
    pub completion: u64,
    pub cached: u64,
    pub total: u64,
}

/// A finished operation. Borrows from the line it was read from wherever the text needs no unescaping.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation<'a> {
    pub id: Option<Cow<'a, str>>,
    pub wrapper: Cow<'a, str>,
    /// `operation_type`; `default` where the record has none.
    pub operation_type: Cow<'a, str>,
    /// Empty where the record names none.
    pub model: Cow<'a, str>,
    pub outcome: Outcome,
    pub end_ms: i64,
    /// `None` where neither a duration nor both times are given.
    pub duration_ns: Option<u64>,
    pub error_code: Option<Cow<'a, str>>,
    pub error_message: Option<Cow<'a, str>>,
    /// Cost in 10⁻¹² of the site's currency: integers add up to the same sum in any order.
    pub cost_pico: Option<i128>,
    pub tokens: Tokens,
}

/// An operation that has begun and, as far as this record says, not ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Started<'a> {
    pub id: Option<Cow<'a, str>>,
    pub wrapper: Cow<'a, str>,
    pub operation_type: Cow<'a, str>,
    pub model: Cow<'a, str>,
    pub start_ms: i64,
}

/// What one line of a log says.
#[derive(Clone, Debug, PartialEq)]
pub enum Record<'a> {
    Finished(Operation<'a>),
    Started(Started<'a>),
}
