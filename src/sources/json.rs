//! JSON records, read completely and tolerantly: any key order, spacing, escapes and nesting.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::model::quality::ProblemKind;
use crate::sources::layout::{Node, Target};
use crate::sources::number::Decimal;
use crate::sources::problems::Fault;
use crate::sources::record::{Raw, RawRecord};

/// The values of one line that holds one JSON object.
pub fn parse<'a>(line: &'a str, root: &Node) -> Result<RawRecord<'a>, Fault> {
    let mut record = RawRecord::default();
    match read_object(line, root, &mut record) {
        Ok(()) => Ok(record),
        Err(error) => Err(not_json(&error)),
    }
}

fn not_json(error: &serde_json::Error) -> Fault {
    if error.is_data() {
        return Fault::new(ProblemKind::NotJson, "not a JSON object");
    }
    if error.is_eof() {
        return Fault::new(ProblemKind::NotJson, "the JSON object ends early");
    }
    Fault::new(ProblemKind::NotJson, "not valid JSON").with(format!("at column {}", error.column()))
}

/// Reads the keys of one object into the record.
pub fn read_object<'a>(text: &'a str, node: &Node, record: &mut RawRecord<'a>) -> serde_json::Result<()> {
    let mut reader = serde_json::Deserializer::from_str(text);
    Object { node, record }.deserialize(&mut reader)?;
    reader.end()
}

struct Object<'n, 'r, 'a> {
    node: &'n Node,
    record: &'r mut RawRecord<'a>,
}

impl<'a> DeserializeSeed<'a> for Object<'_, '_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'a> Visitor<'a> for Object<'_, '_, 'a> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<(), M::Error> {
        while let Some(Key(key)) = map.next_key()? {
            let value: &'a RawValue = map.next_value()?;
            if let Some(target) = self.node.get(&key) {
                assign(value.get(), target, self.record).map_err(M::Error::custom)?;
            }
        }
        Ok(())
    }
}

/// A key, borrowed where it has no escapes.
#[derive(serde::Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

fn assign<'a>(text: &'a str, target: &Target, record: &mut RawRecord<'a>) -> serde_json::Result<()> {
    // The last of two equal keys wins, with all that is in it.
    for &field in &target.below {
        record.set(field, Raw::Missing);
    }
    let value = classify(text);
    for &field in &target.fields {
        record.set(field, value);
    }
    if !target.below.is_empty() && text.starts_with('{') {
        read_object(text, &target.nested, record)?;
    }
    Ok(())
}

/// What a valid JSON value is to a record.
pub fn classify(text: &str) -> Raw<'_> {
    match text.as_bytes() {
        [b'"', b'"'] => Raw::Missing,
        [b'"', inner @ .., b'"'] => {
            let escaped = memchr::memchr(b'\\', inner).is_some();
            if escaped { Raw::Escaped(text) } else { Raw::Text(&text[1..text.len() - 1]) }
        }
        [b'{' | b'[', ..] => Raw::Nested(text),
        b"null" => Raw::Missing,
        _ => Decimal::parse(text).map_or(Raw::Literal(text), |number| Raw::Number(text, number)),
    }
}

/// The text of a valid JSON string, its quotes included. Half of a surrogate pair, which Python writes for
/// bytes that it could not decode, becomes U+FFFD.
pub fn unescape(quoted: &str) -> String {
    struct Bytes;
    impl Visitor<'_> for Bytes {
        type Value = String;

        fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
            formatter.write_str("a string")
        }

        fn visit_bytes<E>(self, bytes: &[u8]) -> Result<String, E> {
            Ok(String::from_utf8_lossy(bytes).into_owned())
        }
    }
    let mut reader = serde_json::Deserializer::from_str(quoted);
    reader.deserialize_bytes(Bytes).unwrap_or_else(|_| quoted.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::layout::Layout;
    use crate::sources::record::Field;

    fn record(line: &str) -> RawRecord<'_> {
        parse(line, &Layout::new(&Default::default()).root).expect("a JSON object")
    }

    fn expected<'a>(values: &[(Field, Raw<'a>)]) -> RawRecord<'a> {
        let mut record = RawRecord::default();
        for (field, value) in values {
            record.set(*field, *value);
        }
        record
    }

    #[test]
    fn values_are_pieces_of_the_line() {
        let line = r#" {"model": "m", "x": [1, {"model": 2}], "duration_ms" : -1.5e3, "success":true, "status":null,
            "error_message": "a\"b", "wrapper_name": "", "error_code": {"a": 1}} "#;
        assert_eq!(
            record(line),
            expected(&[
                (Field::Model, Raw::Text("m")),
                (Field::DurationMs, Raw::Literal("-1.5e3")),
                (Field::Success, Raw::Literal("true")),
                (Field::ErrorMessage, Raw::Escaped(r#""a\"b""#)),
                (Field::ErrorCode, Raw::Nested(r#"{"a": 1}"#)),
            ])
        );
    }

    #[test]
    fn the_last_of_two_equal_keys_wins() {
        assert_eq!(record(r#"{"model":"a","model":"b"}"#), expected(&[(Field::Model, Raw::Text("b"))]));
        assert_eq!(record(r#"{"model":"a","mod\u0065l":null}"#), expected(&[]));
        let twice = r#"{"custom_metrics":{"tokens_used":1},"custom_metrics":{"cost_estimate":2}}"#;
        assert_eq!(record(twice), expected(&[(Field::CustomCost, classify("2"))]));
    }

    #[test]
    fn escapes_are_undone() {
        assert_eq!(unescape(r#""a\n\"\u00e9\ud83d\ude00""#), "a\n\"é😀");
        assert_eq!(unescape(r#""a\udc80b""#), "a\u{fffd}\u{fffd}\u{fffd}b");
    }

    #[test]
    fn what_is_no_object_is_refused_with_a_reason() {
        for (line, reason, example) in [
            ("[1]", "not a JSON object", ""),
            ("17", "not a JSON object", ""),
            (r#"{"a":1"#, "the JSON object ends early", ""),
            ("hello", "not valid JSON", "at column 1"),
            (r#"{"a":01}"#, "not valid JSON", "at column 7"),
            (r#"{"a":1} x"#, "not valid JSON", "at column 9"),
        ] {
            let fault = parse(line, &Node::default()).expect_err(line);
            assert_eq!(fault, Fault::new(ProblemKind::NotJson, reason).with(example));
        }
    }
}
