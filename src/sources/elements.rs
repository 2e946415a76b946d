//! JSON that is not one object a line: an array of objects, or objects over several lines.
//!
//! Whatever stands between two objects separates them, so an array that is written anew with more at its
//! end goes on where it was left: its closing bracket is never passed over.

use memchr::{memchr2, memchr3};

use crate::sources::csv::Cut;

/// Whether a content that begins so is an array of objects.
pub fn begins_array(first_bytes: &[u8]) -> bool {
    let inside = first_bytes.trim_ascii_start().strip_prefix(b"[").map(<[u8]>::trim_ascii_start);
    inside.is_some_and(|inside| matches!(inside.first(), None | Some(b'{' | b']')))
}

/// Whether a content that begins so has its objects over several lines.
pub fn begins_spread(first_bytes: &[u8]) -> bool {
    let line = first_bytes.trim_ascii_start().split(|&byte| byte == b'\n').next().unwrap_or_default();
    line.trim_ascii_end() == b"{"
}

/// Where the first element begins: after brackets, commas and blanks.
pub fn start(bytes: &[u8]) -> usize {
    let separates = |byte: &u8| byte.is_ascii_whitespace() || b",[]".contains(byte);
    bytes.iter().position(|byte| !separates(byte)).unwrap_or(bytes.len())
}

/// Finds the end of the first element, what separates it from others before it included. `limit` is the
/// longest element allowed; of what is longer, or has no end, as much is given up as [`Skip`] passes over.
pub fn cut(bytes: &[u8], limit: usize, whole: bool) -> Cut {
    let start = start(bytes);
    let element = &bytes[start..];
    let end = match element.first() {
        None => return Cut::Incomplete,
        Some(b'{') => object_end(element),
        // Not an object: its text up to what separates it is reported as such.
        Some(_) => memchr3(b',', b']', b'\n', element),
    };
    match end {
        Some(end) if end <= limit => Cut::Record(start + end),
        None if !whole && element.len() <= limit => Cut::Incomplete,
        _ => Skip::default().end(element).map_or(Cut::Incomplete, |end| Cut::Unclosed(start + end)),
    }
}

/// Passes over an element that is too long, in pieces as they come: up to its end, so that others on its line stay,
/// or with the newline that comes before, since what was never closed must not take all that follows with it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Skip {
    /// Whether the element is an object; not known before its first byte.
    object: Option<bool>,
    depth: usize,
    quoted: bool,
    escaped: bool,
}

impl Skip {
    /// Where the element ends in its next bytes; `None` where they are all its own.
    pub fn end(&mut self, bytes: &[u8]) -> Option<usize> {
        let object = *self.object.get_or_insert(bytes.first()? == &b'{');
        if !object {
            let at = memchr3(b',', b']', b'\n', bytes)?;
            return Some(at + usize::from(bytes[at] == b'\n'));
        }
        for (at, &byte) in bytes.iter().enumerate() {
            match byte {
                b'\n' => return Some(at + 1),
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = self.quoted,
                b'"' => self.quoted = !self.quoted,
                _ if self.quoted => {}
                b'{' => self.depth += 1,
                b'}' if self.depth <= 1 => return Some(at + 1),
                b'}' => self.depth -= 1,
                _ => {}
            }
        }
        None
    }
}

fn object_end(bytes: &[u8]) -> Option<usize> {
    let (mut at, mut depth) = (0, 0);
    loop {
        at += memchr3(b'"', b'{', b'}', &bytes[at..])? + 1;
        match bytes[at - 1] {
            b'"' => at = string_end(bytes, at)?,
            b'{' => depth += 1,
            _ => depth -= 1,
        }
        if depth == 0 {
            return Some(at);
        }
    }
}

fn string_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += memchr2(b'"', b'\\', bytes.get(at..)?)? + 1;
        if bytes[at - 1] == b'"' {
            return Some(at);
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// All elements, and what is left.
    fn elements(text: &str) -> (Vec<&str>, &str) {
        let (mut found, mut rest) = (Vec::new(), text);
        while let Cut::Record(end) | Cut::Unclosed(end) = cut(rest.as_bytes(), 40, false) {
            found.push(rest[start(rest.as_bytes())..end].trim_end());
            rest = &rest[end..];
        }
        (found, rest)
    }

    #[test]
    fn objects_are_found_wherever_they_stand() {
        for (text, expected, rest) in [
            ("[]", vec![], "[]"),
            ("[{\"a\":1},{\"b\":{}}]\n", vec!["{\"a\":1}", "{\"b\":{}}"], "]\n"),
            ("[\n {\"a\": \"}\\\"{\"\n },\n {}\n]", vec!["{\"a\": \"}\\\"{\"\n }", "{}"], "\n]"),
            ("{\n\"a\":1\n}\n{\n}\n", vec!["{\n\"a\":1\n}", "{\n}"], "\n"),
            ("[{\"a\":1},{\"b\"", vec!["{\"a\":1}"], ",{\"b\""),
            ("[1, \"x\", {}]", vec!["1", "\"x\"", "{}"], "]"),
        ] {
            assert_eq!(elements(text), (expected, rest), "{text}");
        }
    }

    #[test]
    fn what_is_too_long_costs_a_line() {
        let text = "{\"a\":\n\"which goes on and on for more than forty bytes\"}\n{\"b\":1}";
        let (found, rest) = elements(text);
        assert_eq!(found, ["{\"a\":", "\"which goes on and on for more than forty bytes\"}", "{\"b\":1}"]);
        assert_eq!(rest, "");
    }

    #[test]
    fn what_is_too_long_leaves_the_others_on_its_line() {
        let long = "\"a string with } and \\\" and {, which is longer than all may be\"";
        let object = format!("{{\"a\":{long}}}");
        let text = format!("[{{}},{object},{{\"b\":1}},{long},{{\"c\":1}}]");
        let (found, rest) = elements(&text);
        assert_eq!((found[0], found[1], found[2]), ("{}", object.as_str(), "{\"b\":1}"));
        assert_eq!((found[found.len() - 1], rest), ("{\"c\":1}", "]"));
    }

    proptest! {
        #[test]
        fn an_element_is_passed_over_the_same_in_any_pieces(
            text in "[{x\"][ -~\n]{0,60}|\\{[{}\"\\\\a,\n]{0,40}", cuts in prop::collection::vec(1usize..20, 0..8),
        ) {
            let whole = Skip::default().end(text.as_bytes());
            let (mut skip, mut at, mut found) = (Skip::default(), 0, None);
            for cut in cuts.into_iter().chain([text.len()]) {
                let piece = &text.as_bytes()[at..text.len().min(at + cut)];
                found = skip.end(piece).map(|end| at + end);
                at += piece.len();
                if found.is_some() {
                    break;
                }
            }
            prop_assert_eq!(found, whole);
        }
    }

    #[test]
    fn arrays_and_spread_objects_are_told_from_lines() {
        for (text, array, spread) in [
            ("[{}]", true, false),
            (" [\n", true, false),
            ("[ ]", true, false),
            ("{\n  \"a\"", false, true),
            ("{ \r\n", false, true),
            ("{\"a\":1}\n", false, false),
            ("[2026-01-25] started, as it should", false, false),
            ("x", false, false),
            ("", false, false),
        ] {
            let found = (begins_array(text.as_bytes()), begins_spread(text.as_bytes()));
            assert_eq!(found, (array, spread), "{text}");
        }
    }
}
