//! Text as a part of HTML, SVG and other XML, where no template does it.

/// Text as it may stand in an element or in a quoted attribute. What no XML may hold is shown as what cannot be shown.
pub fn markup(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\t' | '\n' | '\r' => out.push(' '),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_stays_what_it_was_to_who_reads_it() {
        assert_eq!(markup("\"><script>'&\u{7}\n"), "&quot;&gt;&lt;script&gt;&#39;&amp;\u{fffd} ");
    }

    proptest! {
        #[test]
        fn text_never_becomes_markup(text in any::<String>()) {
            let written = markup(&text);
            let markup = written.contains(['<', '>', '"', '\'']) || written.chars().any(char::is_control);
            prop_assert!(!markup, "{written}");
        }
    }
}
