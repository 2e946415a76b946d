//! What templates can do with a value: Tera filters.
//!
//! To add one: a function here and its row in [`register`]. A filter turns a missing value (`null`) into
//! [`NOTHING`], so that templates need no `if`; a value of the wrong type is an error that names it.

use serde_json::ser::Formatter;
use tera::{Error, Kwargs, State, Tera, TeraResult, Value};

use crate::report::format::{self, NOTHING};

/// Makes the filters known to templates.
pub fn register(tera: &mut Tera) {
    tera.register_filter("bytes", |value: &Value, _: Kwargs, _: &State| whole(value, format::bytes));
    tera.register_filter("count", |value: &Value, _: Kwargs, _: &State| whole(value, format::count));
    tera.register_filter("duration", |value: &Value, _: Kwargs, _: &State| number(value, format::duration));
    tera.register_filter("json_script", json_script);
    tera.register_filter("money", |value: &Value, _: Kwargs, _: &State| number(value, format::money));
    tera.register_filter("percent", |value: &Value, _: Kwargs, _: &State| number(value, format::percent));
    tera.register_filter("plain_time", plain_time);
    tera.register_filter("rate", |value: &Value, _: Kwargs, _: &State| number(value, format::rate));
    tera.register_filter("sort_key", sort_key);
    tera.register_filter("status_class", status_class);
    tera.register_filter("time", time);
}

fn number(value: &Value, show: fn(f64) -> String) -> TeraResult<Value> {
    if value.is_none() {
        return Ok(Value::from(NOTHING));
    }
    let number = value.as_f64().or_else(|| value.as_i128().map(|n| n as f64));
    number.map(|n| Value::from(show(n))).ok_or_else(|| wrong("a number", value))
}

fn whole(value: &Value, show: fn(u64) -> String) -> TeraResult<Value> {
    if value.is_none() {
        return Ok(Value::from(NOTHING));
    }
    value.as_u64().map(|n| Value::from(show(n))).ok_or_else(|| wrong("a whole number", value))
}

/// Milliseconds since the epoch as a `<time>` element.
fn time(value: &Value, _: Kwargs, _: &State) -> TeraResult<Value> {
    if value.is_none() {
        return Ok(Value::from(NOTHING));
    }
    let ms = value.as_i64().ok_or_else(|| wrong("a time in milliseconds", value))?;
    Ok(Value::safe_string(&format::time_element(ms)))
}

/// The same as text, for an attribute.
fn plain_time(value: &Value, _: Kwargs, _: &State) -> TeraResult<Value> {
    let ms = value.as_i64().ok_or_else(|| wrong("a time in milliseconds", value))?;
    Ok(Value::from(format::time(ms)))
}

/// A number for a table to sort by; what is missing is empty, and sorts last.
fn sort_key(value: &Value, _: Kwargs, _: &State) -> TeraResult<Value> {
    if value.is_none() { Ok(Value::from("")) } else { Ok(value.clone()) }
}

/// A status as the end of a style class: `no-data`.
fn status_class(value: &Value, _: Kwargs, _: &State) -> TeraResult<Value> {
    let word = value.as_str().ok_or_else(|| wrong("a status", value))?;
    Ok(Value::from(word.to_lowercase().replace(' ', "-")))
}

/// JSON for a `<script type="application/json">` block.
fn json_script(value: &Value, _: Kwargs, _: &State) -> TeraResult<Value> {
    let json = script_json(value).map_err(|error| Error::message(format!("writing JSON: {error}")))?;
    Ok(Value::safe_string(&json))
}

/// JSON in which nothing can end or open an HTML element, nor a line of a script: `<`, `>`, `&` and the
/// separators U+2028 and U+2029 are written as escapes, which JSON reads as the same text.
pub fn script_json<T: serde::Serialize + ?Sized>(value: &T) -> serde_json::Result<String> {
    let mut bytes = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, HtmlSafe);
    value.serialize(&mut serializer)?;
    Ok(String::from_utf8(bytes).expect("JSON is written as UTF-8"))
}

struct HtmlSafe;

impl Formatter for HtmlSafe {
    fn write_string_fragment<W: ?Sized + std::io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> std::io::Result<()> {
        // The first byte of the separators is rare, and all others are ASCII.
        if !fragment.bytes().any(|byte| matches!(byte, b'<' | b'>' | b'&' | 0xe2)) {
            return writer.write_all(fragment.as_bytes());
        }
        let unsafe_in_html = |c: char| matches!(c, '<' | '>' | '&' | '\u{2028}' | '\u{2029}');
        for piece in fragment.split_inclusive(unsafe_in_html) {
            let last = piece.chars().next_back().filter(|&c| unsafe_in_html(c));
            let plain = last.map_or(piece, |c| &piece[..piece.len() - c.len_utf8()]);
            writer.write_all(plain.as_bytes())?;
            if let Some(c) = last {
                write!(writer, "\\u{:04x}", u32::from(c))?;
            }
        }
        Ok(())
    }
}

fn wrong(expected: &str, value: &Value) -> Error {
    Error::message(format!("expected {expected}, found `{value}`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_script_block_cannot_be_left() {
        let json = script_json("</script><!--\u{2028}&").expect("text can be written");
        assert_eq!(json, r#""\u003c/script\u003e\u003c!--\u2028\u0026""#);
    }

    #[test]
    fn nothing_is_a_dash_and_a_wrong_type_is_named() {
        let mut tera = Tera::default();
        register(&mut tera);
        tera.add_raw_template("a", "{{ x | percent }} {{ x | time }} {{ x | count }}").expect("a template");
        let mut context = tera::Context::new();
        context.insert("x", &None::<f64>);
        assert_eq!(tera.render("a", &context).expect("nothing can be shown"), "– – –");
        context.insert("x", "twelve");
        let error = tera.render("a", &context).expect_err("a text is not a number");
        assert!(error.to_string().contains("twelve"), "{error}");
    }

    proptest! {
        #[test]
        fn escaped_json_reads_as_the_same_text(text in any::<String>()) {
            let json = script_json(&text).expect("text can be written");
            let leaves = json.contains(['<', '>', '&', '\u{2028}', '\u{2029}']);
            prop_assert!(!leaves);
            prop_assert_eq!(serde_json::from_str::<String>(&json).expect("JSON"), text);
        }
    }
}
