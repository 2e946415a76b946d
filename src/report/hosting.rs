//! How a host is to serve the files of a site: what kind each is, and whether its name changes with its bytes.

pub const HTML: &str = "text/html; charset=utf-8";

/// `Cache-Control` of what clients ask for each time, whether it still holds.
pub const REVALIDATE: &str = "no-cache";

/// `Cache-Control` of what never changes under its name.
pub const FOREVER: &str = "public, max-age=31536000, immutable";

/// Whether the name carries the hash of the content: `assets/app.0123abcd.js`.
pub fn is_hashed(path: &str) -> bool {
    let hash = |part: &str| part.len() == 8 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let name = path.rsplit('/').next().unwrap_or_default();
    path.starts_with("assets/") && name.split('.').skip(1).any(hash)
}

/// By the ending of the path; sorted by ending.
const TYPES: [(&str, &str); 26] = [
    ("avif", "image/avif"),
    ("css", "text/css; charset=utf-8"),
    ("csv", "text/csv; charset=utf-8"),
    ("gif", "image/gif"),
    ("html", HTML),
    ("ico", "image/x-icon"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("js", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("jsonl", "application/jsonl"),
    ("map", "application/json"),
    ("md", "text/markdown; charset=utf-8"),
    ("mjs", "text/javascript; charset=utf-8"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("svg", "image/svg+xml"),
    ("ttf", "font/ttf"),
    ("txt", "text/plain; charset=utf-8"),
    ("wasm", "application/wasm"),
    ("webmanifest", "application/manifest+json"),
    ("webp", "image/webp"),
    ("woff", "font/woff"),
    ("woff2", "font/woff2"),
    ("xml", "text/xml; charset=utf-8"),
    ("zip", "application/zip"),
];

/// What kind of file lies at a path.
pub fn content_type(path: &str) -> &'static str {
    let ending = path.rsplit_once('.').map_or("", |(_, ending)| ending).to_ascii_lowercase();
    let found = TYPES.iter().find(|(known, _)| *known == ending);
    found.map_or("application/octet-stream", |(_, content_type)| content_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hashed_assets_are_kept_for_ever() {
        assert!(is_hashed("assets/app.0123abcd.js"));
        assert!(is_hashed("assets/fonts/x.0123abcd.woff2"));
        for path in ["assets/app.js", "assets/0123abcd.js", "app.0123abcd.js", "assets/app.0123abcg.js"] {
            assert!(!is_hashed(path), "{path}");
        }
    }

    #[test]
    fn kinds_are_known_by_their_ending() {
        let table = [
            ("index.html", HTML),
            ("exports/metrics.CSV", "text/csv; charset=utf-8"),
            ("data/x.bin", "application/octet-stream"),
            ("README", "application/octet-stream"),
        ];
        for (path, expected) in table {
            assert_eq!(content_type(path), expected, "{path}");
        }
    }
}
