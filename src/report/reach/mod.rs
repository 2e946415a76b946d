//! How a site is reached by other than its pages: an Atom feed, badges, and lists of its addresses for search
//! engines. What must be absolute comes from `base_url`, and is left out where there is none.
//!
//! To add one: a file here and its line in [`add`].

pub mod atom;
pub mod badges;
mod addresses;

use anyhow::Result;

use crate::analysis::snapshot::Snapshot;
use crate::report::SiteSettings;
use crate::report::site::Site;

/// Adds to a site that has all of its pages.
pub fn add(site: &mut Site, snapshot: &Snapshot, settings: &SiteSettings) -> Result<()> {
    badges::add(site, snapshot)?;
    let Some(home) = settings.home() else { return Ok(()) };
    atom::add(site, snapshot, &settings.title, &home)?;
    addresses::add(site, &home)
}

/// Text as part of XML, in an element or an attribute. What no XML may hold is left out.
pub fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' | '\r' => out.push(' '),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn text_never_becomes_markup(text in any::<String>()) {
            let written = xml(&text);
            let markup = written.contains(['<', '>', '"']) || written.chars().any(|c| c < ' ');
            prop_assert!(!markup, "{written}");
        }
    }
}
