//! What failures are grouped by.

use crate::model::notes::shorten;
use crate::model::operation::Operation;

/// Longest kind, in characters.
const KIND_CHARS: usize = 80;

/// Of a longer message only so much is looked at, in characters.
const LOOKED_AT_CHARS: usize = 400;

/// Shortest word of hexadecimal digits that is an id rather than a word.
const HEX_CHARS: usize = 8;

/// Shortest id in a code: codes have numbers of their own.
const CODE_ID_CHARS: usize = 16;

/// A failure's code, else its message, each without what differs from one to the next, else how it ended.
pub fn error_kind(operation: &Operation) -> String {
    let said = |text: &'_ Option<std::borrow::Cow<str>>| {
        let text = text.as_deref().unwrap_or_default().trim();
        (!text.is_empty()).then(|| shorten(text, LOOKED_AT_CHARS))
    };
    let kind = match (said(&operation.error_code), said(&operation.error_message)) {
        (Some(code), _) => collapsed(&code, |word, out| match is_id(word) && word.len() >= CODE_ID_CHARS {
            true => push_hash(out),
            false => out.push_str(word),
        }),
        (None, Some(message)) => collapsed(&message, |word, out| match is_id(word) {
            true => push_hash(out),
            false => push_without_digits(word, out),
        }),
        (None, None) => operation.outcome.word().to_owned(),
    };
    shorten(&kind, KIND_CHARS)
}

/// The text with its UUIDs as `#`, and its words (letters and digits of ASCII) as `push` writes them.
fn collapsed(text: &str, push: impl Fn(&str, &mut String)) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let word = rest.bytes().position(|byte| !byte.is_ascii_alphanumeric()).unwrap_or(rest.len());
        let len = match word {
            0 => {
                out.push(first);
                first.len_utf8()
            }
            8 if is_uuid(rest.as_bytes()) => {
                push_hash(&mut out);
                36
            }
            _ => {
                push(&rest[..word], &mut out);
                word
            }
        };
        rest = &rest[len..];
    }
    out
}

/// Whether a text begins with a UUID.
fn is_uuid(text: &[u8]) -> bool {
    let expected = |(at, byte): (usize, &u8)| match at {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    let ends = text.get(36).is_none_or(|byte| !byte.is_ascii_alphanumeric());
    ends && text.get(..36).is_some_and(|text| text.iter().enumerate().all(expected))
}

/// Whether a word names one thing among many: hexadecimal digits, a number with `0x`, or random characters.
fn is_id(word: &str) -> bool {
    let hex = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if let Some(digits) = word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")) {
        return !digits.is_empty() && hex(digits);
    }
    let has = |kind: fn(&u8) -> bool| word.bytes().any(|byte| kind(&byte));
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    let mixed = has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase);
    let random = digits >= 2 && (word.len() >= 20 || word.len() >= 16 && mixed);
    random || digits > 0 && word.len() >= HEX_CHARS && hex(word)
}

/// Runs of digits become `#`: `30s` → `#s`.
fn push_without_digits(word: &str, out: &mut String) {
    for c in word.chars() {
        if c.is_ascii_digit() { push_hash(out) } else { out.push(c) }
    }
}

fn push_hash(out: &mut String) {
    if !out.ends_with('#') {
        out.push('#');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::operation::{Outcome, Tokens};
    use proptest::prelude::*;

    fn kind(code: Option<&str>, message: Option<&str>) -> String {
        error_kind(&Operation {
            id: None,
            wrapper: "w".into(),
            operation_type: "t".into(),
            model: "m".into(),
            outcome: Outcome::Timeout,
            end_ms: 0,
            duration_ns: None,
            error_code: code.map(Into::into),
            error_message: message.map(Into::into),
            cost_pico: None,
            tokens: Tokens::default(),
        })
    }

    #[test]
    fn one_error_with_ids_is_one_kind() {
        for (message, expected) in [
            ("user 17 timed out after 30s", "user # timed out after #s"),
            ("request 7f3a9c2b-0000-4abc-8def-abcdefabcdef failed", "request # failed"),
            ("req_9fKq2LmZx81TqPwe: overloaded", "req_#: overloaded"),
            ("trace 4bf92f3577b34da6a3ce929d0e0e4736!", "trace #!"),
            ("job cmh3k2l9x0001qwertzuio gone", "job # gone"),
            ("segfault at 0x7f00", "segfault at #"),
            ("the facade of deadbeef is effaced", "the facade of deadbeef is effaced"),
            ("model claude-3-5-sonnet is not there", "model claude-#-#-sonnet is not there"),
            ("größer als 5 €", "größer als # €"),
        ] {
            assert_eq!(kind(None, Some(message)), expected);
        }
    }

    #[test]
    fn codes_keep_their_numbers() {
        for (code, expected) in [
            ("429", "429"),
            ("0x80070005", "0x80070005"),
            ("ORA-00942", "ORA-00942"),
            ("error/7f3a9c2b-0000-4abc-8def-abcdefabcdef", "error/#"),
        ] {
            assert_eq!(kind(Some(code), Some("another")), expected);
        }
    }

    #[test]
    fn without_words_it_is_how_it_ended() {
        assert_eq!(kind(Some(" "), Some("")), "timeout");
    }

    proptest! {
        #[test]
        fn a_kind_is_bounded_and_ids_do_not_make_another(text in ".{0,60}", a in any::<u128>(), b in any::<u128>()) {
            let with = |id: u128| kind(None, Some(&format!("x {id:032x} {text}")));
            prop_assert!(with(a).chars().count() <= KIND_CHARS + 1);
            let has_digit = |id: u128| format!("{id:032x}").bytes().any(|byte| byte.is_ascii_digit());
            prop_assume!(has_digit(a) && has_digit(b));
            prop_assert_eq!(with(a), with(b));
        }
    }
}
