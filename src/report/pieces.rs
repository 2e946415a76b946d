//! Long parts of a page that are put in place after its template was rendered.
//!
//! Drawings and their values are most of a page, and a value of a template is copied four times on its way into the
//! page. So the template is given a mark instead, which it prints as it would print the part (`| safe`).

use std::collections::BTreeMap;

use memchr::memmem;

/// How a mark begins and ends. What comes from outside has its `<` escaped wherever it stands, so it cannot be one.
const OPEN: &str = "<!--piece ";
const CLOSE: &str = "-->";

/// Parts by name.
#[derive(Debug, Default)]
pub struct Pieces(BTreeMap<String, String>);

impl Pieces {
    /// Takes a part, by a name that no other of the page has and that a comment can hold; the mark that stands for it.
    pub fn take(&mut self, name: String, piece: String) -> String {
        let mark = format!("{OPEN}{name}{CLOSE}");
        self.0.insert(name, piece);
        mark
    }

    /// Takes all parts of others.
    pub fn extend(&mut self, others: Pieces) {
        self.0.extend(others.0);
    }

    /// The page with its parts.
    pub fn put_into(&self, page: String) -> String {
        if self.0.is_empty() {
            return page;
        }
        let long: usize = self.0.values().map(String::len).sum();
        let mut out = String::with_capacity(page.len() + long);
        let mut rest = page.as_str();
        while let Some(at) = memmem::find(rest.as_bytes(), OPEN.as_bytes()) {
            let (before, mark) = rest.split_at(at);
            out.push_str(before);
            let named = mark[OPEN.len()..].split_once(CLOSE);
            let piece = named.and_then(|(name, rest)| Some((self.0.get(name)?, rest)));
            rest = if let Some((piece, rest)) = piece {
                out.push_str(piece);
                rest
            } else {
                // A comment of the template's own.
                out.push_str(OPEN);
                &mark[OPEN.len()..]
            };
        }
        out.push_str(rest);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_stand_where_their_marks_stood() {
        let mut pieces = Pieces::default();
        let one = pieces.take("one".to_owned(), "1".repeat(3));
        let mut more = Pieces::default();
        // What is put in place is not looked at again.
        let two = more.take("two".to_owned(), one.clone());
        pieces.extend(more);
        let page =
            |one: &str, two: &str| format!("<p>{one}</p><!-- x -->{two}{one}<!--piece three--><!--piece one");
        assert_eq!(pieces.put_into(page(&one, &two)), page("111", &one));
        assert_eq!(pieces.put_into(String::new()), "");
        assert_eq!(Pieces::default().put_into(one.clone()), one);
    }
}
