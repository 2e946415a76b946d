//! A page as one file that needs no other: what it links is written into it. Opens from a mail, years later.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::archive::page::at_rest;
use crate::report::policy::{SELF_CONTAINED, STATED};

/// The script that draws charts over again, in place of those that are in the page. Most of the size of a page
/// that carries it.
const DRAWING: &str = "plotly";

/// Writes what a page at the top of its site links into it.
///
/// `files` are the files that it may link, by path. `home` is where the page's site is to be found, with a
/// slash at its end; without one, links to other pages become text.
pub fn whole(html: &str, files: &BTreeMap<&str, &[u8]>, home: Option<&str>) -> String {
    let text = |path: &str| files.get(path).and_then(|bytes| std::str::from_utf8(bytes).ok());
    let drawn = html.contains("<svg class=\"plot");
    let mut out = String::with_capacity(html.len());
    // Scripts that were deferred run where the page ends.
    let mut deferred = String::new();
    for line in at_rest(html).lines() {
        let linked = attribute(line, "href")
            .or_else(|| attribute(line, "src"))
            .and_then(|link| link.strip_prefix("./"));
        match (line.trim_start(), linked) {
            (tag, Some(path)) if tag.starts_with("<link rel=\"stylesheet\"") => {
                let style = text(path).unwrap_or_default().replace("</style", "<\\/style");
                let media = attribute(line, "media").map(|media| format!(" media=\"{media}\""));
                out += &format!("<style{}>{style}</style>\n", media.unwrap_or_default());
            }
            (tag, Some(path)) if tag.starts_with("<script") => {
                if drawn && path.contains(DRAWING) {
                    continue;
                }
                let script = format!("<script>{}</script>\n", inert(text(path).unwrap_or_default()));
                if tag.contains(" defer ") { deferred += &script } else { out += &script }
            }
            (tag, Some(_)) if tag.starts_with("<link ") => {}
            (tag, _) if tag.starts_with("<noscript>") => {}
            (tag, _) if tag.starts_with("<html") => {
                out += &with_font(line, files);
                out.push('\n');
            }
            (tag, _) if tag.starts_with(STATED) => {
                out += &format!("{STATED} content=\"{SELF_CONTAINED}\">\n");
            }
            ("</body>", _) => {
                out += &deferred;
                out += "</body>\n";
            }
            _ => {
                out += &relinked(line, home);
                out.push('\n');
            }
        }
    }
    out
}

/// The line that names the page's typeface, with the typeface itself in place of its name.
fn with_font(line: &str, files: &BTreeMap<&str, &[u8]>) -> String {
    let named = attribute(line, "data-font");
    let font = named.and_then(|link| Some((link, files.get(link.strip_prefix("./")?)?)));
    font.map_or(line.to_owned(), |(link, bytes)| {
        line.replace(link, &format!("data:font/woff2;base64,{}", STANDARD.encode(bytes)))
    })
}

/// Script text that does not end its element.
fn inert(script: &str) -> String {
    script.replace("</script", "<\\/script").replace("<!--", "<\\!--")
}

/// Links to the page's own site lead to where that is, or nowhere.
fn relinked(line: &str, home: Option<&str>) -> String {
    match home {
        Some(home) => line.replace("href=\"./", &format!("href=\"{home}")),
        None => {
            let mut out = String::with_capacity(line.len());
            let mut rest = line;
            while let Some((before, after)) = rest.split_once(" href=\"./") {
                out += before;
                rest = after.split_once('"').map_or("", |(_, after)| after);
            }
            out + rest
        }
    }
}

/// The value of an attribute of the first element of a line.
fn attribute<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let tag = line.split_once('>')?.0;
    Some(tag.split_once(&format!(" {name}=\""))?.1.split_once('"')?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "<html data-refresh-seconds=\"60\" data-font=\"./assets/f.woff2\">\n<link rel=\"icon\" href=\"./assets/i.svg\">\n\
        <noscript><link rel=\"stylesheet\" href=\"./assets/f.css\"></noscript>\n\
        <link rel=\"stylesheet\" href=\"./assets/a.css\">\n<script src=\"./assets/t.js\"></script>\n\
        <script defer src=\"./assets/plotly-basic.js\"></script>\n<script defer src=\"./assets/b.js\"></script>\n\
        <body>\n<p><a href=\"./wrappers/x.html\">x</a> <a href=\"#y\">y</a></p>\n</body>\n";

    fn written(page: &str, home: Option<&str>) -> String {
        let files: [(&str, &[u8]); 5] = [
            ("assets/f.woff2", b"font"),
            ("assets/a.css", b"a{}"),
            ("assets/t.js", b"t()"),
            ("assets/b.js", b"b('</script>')"),
            ("assets/plotly-basic.js", b"plot()"),
        ];
        whole(page, &files.into(), home)
    }

    #[test]
    fn a_whole_page_links_nothing() {
        let page = written(PAGE, None);
        assert!(!page.contains("./") && page.contains("<style>a{}</style>\n<script>t()</script>"), "{page}");
        assert!(page.contains("data-font=\"data:font/woff2;base64,Zm9udA==\""), "{page}");
        assert!(page.contains("<a>x</a> <a href=\"#y\">y</a>"), "{page}");
        assert!(page.contains("plot()") && page.contains("b('<\\/script>')</script>\n</body>"), "{page}");
    }

    #[test]
    fn a_style_for_paper_stays_one() {
        let page = written(&PAGE.replace("\"stylesheet\"", "\"stylesheet\" media=\"print\""), None);
        assert!(page.contains("<style media=\"print\">a{}</style>"), "{page}");
    }

    #[test]
    fn drawn_charts_need_no_drawing_and_links_lead_home() {
        let page = written(&PAGE.replace("<p>", "<p><svg class=\"plot\"></svg>"), Some("https://x.org/d/"));
        assert!(!page.contains("plot()"), "{page}");
        assert!(page.contains("href=\"https://x.org/d/wrappers/x.html\""), "{page}");
    }
}
