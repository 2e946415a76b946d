//! What the first drawing of a page waits for, as a header: a browser asks for it before it has begun to read the page.

use warp::http::header::HeaderValue;

/// The `Link` header of a page: the style sheet and the scripts that hold back its first drawing, by the addresses
/// that it names them by. Pages may come from templates of the site's own, so only plain addresses are taken.
pub fn links(html: &[u8]) -> Option<HeaderValue> {
    let end = html.windows(7).position(|part| part == b"</head>")?;
    let head = std::str::from_utf8(&html[..end]).ok()?;
    let links: Vec<_> = head.lines().filter_map(link).collect();
    if links.is_empty() { None } else { HeaderValue::from_str(&links.join(", ")).ok() }
}

/// What a line of a page's head says that its drawing waits for.
fn link(line: &str) -> Option<String> {
    let (tag, _) = line.trim_start().split_once('>')?;
    let value = |name: &str| Some(tag.split_once(&format!(" {name}=\""))?.1.split_once('"')?.0);
    let (address, kind) = if tag.starts_with("<link ") && value("rel") == Some("stylesheet") {
        (value("href").filter(|_| value("media").is_none())?, "style")
    } else if tag.starts_with("<script ") && value("blocking") == Some("render") {
        (value("src")?, "script")
    } else {
        return None;
    };
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"./-_~".contains(&byte);
    let plain = !address.is_empty() && address.bytes().all(is_plain) && !address.starts_with("//");
    plain.then(|| format!("<{address}>; rel=preload; as={kind}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(head: &str) -> String {
        let page = format!("<head>\n{head}\n</head><link rel=\"stylesheet\" href=\"late.css\">");
        links(page.as_bytes()).map_or(String::new(), |links| links.to_str().expect("plain").to_owned())
    }

    #[test]
    fn what_holds_back_the_first_drawing_is_named() {
        let head = "<script async blocking=\"render\" src=\"./assets/t.js\"></script>\n\
            <link rel=\"stylesheet\" href=\"../assets/s.css\">\n<script defer src=\"x.js\"></script>\n\
            <link rel=\"stylesheet\" media=\"print\" href=\"p.css\">\n<link rel=\"icon\" href=\"i.svg\">\n\
            <noscript><link rel=\"stylesheet\" href=\"f.css\"></noscript>";
        assert_eq!(
            of(head),
            "<./assets/t.js>; rel=preload; as=script, <../assets/s.css>; rel=preload; as=style"
        );
    }

    #[test]
    fn addresses_that_a_header_might_misread_are_left_out() {
        for address in
            ["a b.css", "a>b.css", "a,b.css", "a;b.css", "//x.org/a.css", "https://x.org/a.css", "ü.css", ""]
        {
            assert_eq!(of(&format!("<link rel=\"stylesheet\" href=\"{address}\">")), "", "{address}");
        }
    }

    #[test]
    fn what_is_no_page_waits_for_nothing() {
        for bytes in [
            &b""[..],
            b"{}",
            b"</head>",
            b"\xff\xff</head>",
            b"<head>\n<link rel=\"stylesheet\" href=\"a.css\">",
        ] {
            assert!(links(bytes).is_none());
        }
    }
}
