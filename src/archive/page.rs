//! A page of the site as a page of an entry: the same, but for where it finds its styles and scripts, that it
//! does not look for newer data, and a line that says what it is.

use crate::archive::{ASSETS, FOLDER};
use crate::report::format;

/// How a page of the site begins; templates and this file agree on it, and a test holds them to it.
const REFRESH: &str = "data-refresh-seconds=\"";

/// What leads from a page to the folder of its site.
fn root(path: &str) -> String {
    match path.matches('/').count() {
        0 => "./".to_owned(),
        depth => "../".repeat(depth),
    }
}

/// The page at `path` of the site, as that of an entry of a moment.
pub fn kept(html: &str, path: &str, moment_ms: i64) -> String {
    let root = root(path);
    let html = html
        .replace(&format!("\"{root}{ASSETS}/"), &format!("\"{root}../{ASSETS}/"))
        .replace(&format!("\"{root}{FOLDER}/"), &format!("\"{root}../"));
    with_note(&at_rest(&html), &note(&root, moment_ms))
}

/// Without looking for newer data.
pub fn at_rest(html: &str) -> String {
    match html.split_once(REFRESH) {
        Some((before, after)) => {
            let rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
            format!("{before}{REFRESH}0{rest}")
        }
        None => html.to_owned(),
    }
}

fn note(root: &str, moment_ms: i64) -> String {
    format!(
        "<p class=\"alert notice\" id=\"kept\"><span>A snapshot, kept as it was on {}. \
         <a href=\"{root}../index.html\">All snapshots</a> · <a href=\"{root}../../index.html\">The site now</a></span></p>",
        format::time_element(moment_ms)
    )
}

/// With a line at the beginning of `<main>`.
fn with_note(html: &str, note: &str) -> String {
    let inside = html.find("<main").and_then(|at| Some(at + html[at..].find('>')? + 1));
    match inside {
        Some(inside) => format!("{}\n{note}{}", &html[..inside], &html[inside..]),
        None => html.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_page_finds_what_it_shares_and_rests() {
        let page = "<html data-root=\"../\" data-refresh-seconds=\"60\"><script src=\"../assets/a.js\"></script>\
                    <a href=\"../index.html\">x</a><main id=\"main\">text</main>";
        let kept = kept(page, "wrappers/a.html", 0);
        assert!(kept.contains("src=\"../../assets/a.js\""), "{kept}");
        assert!(
            kept.contains("data-refresh-seconds=\"0\"") && kept.contains("href=\"../index.html\""),
            "{kept}"
        );
        assert!(kept.contains("<main id=\"main\">\n<p ") && kept.contains("1970-01-01"), "{kept}");
    }

    #[test]
    fn what_is_no_page_stays_as_it_is() {
        assert_eq!(kept("{}", "x.html", 0), "{}");
    }
}
