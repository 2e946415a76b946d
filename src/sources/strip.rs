//! JSON copied on one line and without some of its keys; every value that stays is as it was written.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Deepest nesting that is looked through; what lies deeper is copied as `null`.
const DEPTH: usize = 32;

/// The keys that are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Without<'a> {
    /// Wherever they stand.
    pub names: Vec<&'a str>,
    /// From the object at the top, with dots between keys; a key may itself have a dot in its name.
    pub paths: Vec<&'a str>,
}

impl<'a> Without<'a> {
    fn has(&self, key: &str) -> bool {
        self.names.contains(&key) || self.paths.contains(&key)
    }

    fn below(&self, key: &str) -> Without<'a> {
        let rest = |path: &&'a str| path.strip_prefix(key)?.strip_prefix('.');
        Without { names: self.names.clone(), paths: self.paths.iter().filter_map(rest).collect() }
    }
}

/// Appends the members of the object in `text` to those of the object that `out` ends in.
///
/// # Errors
/// If the text is not a JSON object.
pub fn members(text: &str, without: &Without, out: &mut String) -> serde_json::Result<()> {
    let mut reader = serde_json::Deserializer::from_str(text);
    reader.deserialize_map(Copy { without, depth: DEPTH, out })?;
    reader.end()
}

/// Appends a member whose value is JSON, unless it is left out.
///
/// # Errors
/// If the value is not JSON.
pub fn member(key: &str, value: &str, without: &Without, out: &mut String) -> serde_json::Result<()> {
    Copy { without, depth: DEPTH, out }.member(key, value)
}

/// Appends a member whose value is text, unless it is left out.
pub fn text_member(key: &str, value: &str, without: &Without, out: &mut String) {
    if !without.has(key) {
        push_key(key, out);
        push_text(value, out);
    }
}

struct Copy<'s> {
    without: &'s Without<'s>,
    depth: usize,
    out: &'s mut String,
}

impl Copy<'_> {
    fn member(&mut self, key: &str, value: &str) -> serde_json::Result<()> {
        if self.without.has(key) {
            return Ok(());
        }
        push_key(key, self.out);
        let without = self.without.below(key);
        Copy { without: &without, depth: self.depth, out: self.out }.value(value)
    }

    fn value(self, text: &str) -> serde_json::Result<()> {
        let Copy { without, depth, out } = self;
        let (open, close) = match text.as_bytes() {
            [b'{', ..] => ('{', '}'),
            [b'[', ..] => ('[', ']'),
            _ => {
                out.push_str(text);
                return Ok(());
            }
        };
        let Some(depth) = depth.checked_sub(1) else {
            out.push_str("null");
            return Ok(());
        };
        out.push(open);
        Copy { without, depth, out }.deserialize(&mut serde_json::Deserializer::from_str(text))?;
        out.push(close);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Copy<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Copy<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("an object or an array")
    }

    fn visit_map<M: MapAccess<'de>>(mut self, mut map: M) -> Result<(), M::Error> {
        while let Some((Key(key), value)) = map.next_entry::<Key, &RawValue>()? {
            self.member(&key, value.get()).map_err(M::Error::custom)?;
        }
        Ok(())
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut items: S) -> Result<(), S::Error> {
        let Copy { without, depth, out } = self;
        while let Some(value) = items.next_element::<&RawValue>()? {
            separate(out);
            Copy { without, depth, out }.value(value.get()).map_err(S::Error::custom)?;
        }
        Ok(())
    }
}

/// A key, borrowed where it has no escapes.
#[derive(serde::Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

fn push_key(key: &str, out: &mut String) {
    separate(out);
    push_text(key, out);
    out.push(':');
}

/// A comma, unless it would be the first thing in an object or array; no value ends like that.
fn separate(out: &mut String) {
    if !out.ends_with(['{', '[']) {
        out.push(',');
    }
}

fn push_text(text: &str, out: &mut String) {
    out.push_str(&serde_json::to_string(text).expect("a text can always be written"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn copied(text: &str, paths: &[&str]) -> String {
        let without = Without { names: vec!["user_id"], paths: paths.to_vec() };
        let mut out = "{".to_owned();
        members(text, &without, &mut out).expect("an object");
        out + "}"
    }

    #[test]
    fn values_stay_as_they_were_written() {
        let text = r#"{"a":1.50,"b":12345678901234567890123,"é":"\u00e9 \ud800","c":[ ],"d":{ },"a":null}"#;
        assert_eq!(copied(text, &[]), text.replace("[ ]", "[]").replace("{ }", "{}"));
    }

    #[test]
    fn a_name_is_left_out_wherever_it_stands_and_however_it_is_written() {
        let text =
            "{\"user_id\":1,\n\"a\":[{\"user\\u005fid\": {\"b\":2}}, {\"b\":{\"user_id\":3,\n\"c\":4}}]}";
        assert_eq!(copied(text, &[]), r#"{"a":[{},{"b":{"c":4}}]}"#);
    }

    #[test]
    fn a_path_is_left_out_where_it_leads() {
        let text = r#"{"id":1,"user":{"id":2,"name":3,"user":{"id":4}},"user.id":5}"#;
        assert_eq!(copied(text, &["user.id"]), r#"{"id":1,"user":{"name":3,"user":{"id":4}}}"#);
    }

    #[test]
    fn what_is_nested_too_deep_is_not_followed() {
        let nested = |depth, inner: &str| "[".repeat(depth) + inner + &"]".repeat(depth);
        let text = format!("{{\"a\":{}}}", nested(100_000, ""));
        assert_eq!(copied(&text, &[]), format!("{{\"a\":{}}}", nested(DEPTH, "null")));
    }

    proptest! {
        #[test]
        fn all_else_stays(pairs in prop::collection::vec(("[a-e\"\\\\]{1,2}", any::<i64>(), ".{0,9}"), 0..6)) {
            let mut object = serde_json::Map::new();
            for (key, number, text) in pairs {
                let inner = serde_json::json!([number, {"user_id": text, "t": text}, [text]]);
                object.insert(key, inner);
            }
            let mut expected = object.clone();
            expected.values_mut().for_each(|value| drop(value[1].as_object_mut().map(|o| o.remove("user_id"))));
            let text = serde_json::to_string_pretty(&object).expect("an object");
            let found: Value = serde_json::from_str(&copied(&text, &[])).expect("JSON");
            prop_assert_eq!(found, Value::Object(expected));
            prop_assert!(!copied(&text, &[]).contains('\n'));
        }
    }
}
