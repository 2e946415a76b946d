//! The published files from memory: a table of the manifest's paths, and nothing that is not in it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use percent_encoding::percent_decode_str;
use warp::filters::path::{FullPath, Tail};
use warp::http::StatusCode;
use warp::http::header::{HeaderValue, LOCATION};
use warp::reply::Response;

use crate::serve::answer::{Request, TEXT, plain};
use crate::serve::kept;
use crate::serve::prepared::{Keep, Label, Prepared};

pub const HTML: &str = "text/html; charset=utf-8";

/// Files by path.
pub type Files = BTreeMap<String, Arc<Prepared>>;

/// What a request path leads to.
#[derive(Debug)]
enum Found<'a> {
    File(&'a Arc<Prepared>),
    /// A folder asked for without its slash; with it, relative links on its page lead where they should.
    Folder,
    Nothing,
}

/// Answers with the file at `tail`: the part of the request path below the base path, still encoded.
pub async fn get(full: FullPath, tail: Tail, request: Request) -> Response {
    let (full, tail, request) = (full.as_str(), tail.as_str(), &request);
    if let Err(error) = request.check() {
        return error.as_text();
    }
    let files = &request.current.files;
    match find(files, tail, full.ends_with('/')) {
        Found::File(file) => file.respond(request, StatusCode::OK).await,
        Found::Folder => folder(full),
        Found::Nothing => match (kept::get(full, tail, request).await, files.get("404.html")) {
            (Some(response), _) => response,
            (None, Some(page)) => page.respond(request, StatusCode::NOT_FOUND).await,
            (None, None) => plain(StatusCode::NOT_FOUND, TEXT, "there is no such page\n"),
        },
    }
}

fn find<'a>(files: &'a Files, tail: &str, slash: bool) -> Found<'a> {
    let Ok(path) = percent_decode_str(tail).decode_utf8() else { return Found::Nothing };
    let path = path.trim_end_matches('/');
    let index = if path.is_empty() { "index.html".to_owned() } else { format!("{path}/index.html") };
    let file = if slash { None } else { files.get(path).or_else(|| files.get(&format!("{path}.html"))) };
    match (file, files.get(&index)) {
        (Some(file), _) => Found::File(file),
        (None, Some(index)) if slash => Found::File(index),
        (None, Some(_)) => Found::Folder,
        (None, None) => Found::Nothing,
    }
}

/// The same path with a slash at its end.
pub fn folder(full: &str) -> Response {
    let name = full.rsplit('/').next().unwrap_or_default();
    let mut response = plain(StatusCode::PERMANENT_REDIRECT, TEXT, "");
    if let Ok(location) = HeaderValue::from_str(&format!("./{name}/")) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

/// Any path that is not below the base path.
pub fn outside() -> Response {
    plain(StatusCode::NOT_FOUND, TEXT, "there is nothing here; the site is below another path\n")
}

/// A file of the site, ready to be served. `tag` differs wherever its bytes do.
pub fn prepare(path: &str, bytes: Vec<u8>, tag: &str, modified: Option<SystemTime>) -> Prepared {
    Prepared::new(bytes, label(path, tag, modified))
}

/// What is said of a file besides its bytes.
pub fn label(path: &str, tag: &str, modified: Option<SystemTime>) -> Label {
    let keep = if is_hashed(path) { Keep::Forever } else { Keep::Revalidate };
    Label::new(content_type(path), tag).keep(keep).modified(modified)
}

/// Whether the name carries the hash of the content: `assets/app.0123abcd.js`.
fn is_hashed(path: &str) -> bool {
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
    ("txt", TEXT),
    ("wasm", "application/wasm"),
    ("webmanifest", "application/manifest+json"),
    ("webp", "image/webp"),
    ("woff", "font/woff"),
    ("woff2", "font/woff2"),
    ("xml", "text/xml; charset=utf-8"),
    ("zip", "application/zip"),
];

fn content_type(path: &str) -> &'static str {
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
    fn clean_addresses_find_their_pages() {
        let mut files = Files::new();
        for path in ["index.html", "data.html", "archive/index.html", "a b/ü.css"] {
            files.insert(path.to_owned(), Arc::new(prepare(path, path.into(), path, None)));
        }
        let at = |tail: &str, slash| match find(&files, tail, slash) {
            Found::File(file) => String::from_utf8(file.bytes().to_vec()).expect("a path"),
            found => format!("{found:?}"),
        };
        assert_eq!(at("", true), "index.html");
        assert_eq!(at("", false), "Folder");
        assert_eq!(at("data", false), "data.html");
        assert_eq!(at("data.html", false), "data.html");
        assert_eq!(at("data.html/", true), "Nothing");
        assert_eq!(at("archive/", true), "archive/index.html");
        assert_eq!(at("archive", false), "Folder");
        assert_eq!(at("a%20b/%C3%BC.css", false), "a b/ü.css");
        assert_eq!(at("%ff", false), "Nothing");
        assert_eq!(at("../index.html", false), "Nothing");
    }
}
