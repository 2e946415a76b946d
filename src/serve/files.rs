//! The published files from memory: a table of the manifest's paths, and nothing that is not in it.

use std::sync::Arc;
use std::time::SystemTime;

use percent_encoding::percent_decode_str;
use rustc_hash::FxHashMap;
use warp::filters::path::{FullPath, Tail};
use warp::http::header::{CONTENT_LENGTH, HeaderValue, LOCATION};
use warp::http::{Method, StatusCode};
use warp::reply::Response;

use crate::report::hosting;
use crate::serve::answer::{Request, TEXT, Wish, plain};
use crate::serve::early;
use crate::serve::kept;
use crate::serve::prepared::{Keep, Label, Prepared};

/// Files by path.
pub type Files = FxHashMap<String, Arc<Prepared>>;

/// What a request path leads to.
#[derive(Debug)]
enum Found<'a> {
    File(&'a Arc<Prepared>),
    /// A folder asked for without its slash; with it, relative links on its page lead where they should.
    Folder,
    Nothing,
}

/// Answers with the file at `tail`, as [`get`] does, where it lies ready; most requests end here.
pub fn at_once(files: &Files, full: &str, tail: &str, wish: Wish<'_>) -> Option<Response> {
    let reads =
        matches!(*wish.method, Method::GET | Method::HEAD) && !wish.headers.contains_key(CONTENT_LENGTH);
    match find(files, tail, full.ends_with('/')) {
        Found::File(file) if reads => file.respond_at_once(wish),
        _ => None,
    }
}

/// Answers with the file at `tail`: the part of the request path below the base path, still encoded.
pub async fn get(full: FullPath, tail: Tail, request: Request) -> Response {
    let (full, tail, request) = (full.as_str(), tail.as_str(), &request);
    if let Err(error) = request.check() {
        return error.as_text();
    }
    let files = &request.current.files;
    match find(files, tail, full.ends_with('/')) {
        Found::File(file) => file.respond(request.wish(), StatusCode::OK).await,
        Found::Folder => folder(full),
        Found::Nothing => match (kept::get(full, tail, request).await, files.get("404.html")) {
            (Some(response), _) => response,
            (None, Some(page)) => page.respond(request.wish(), StatusCode::NOT_FOUND).await,
            (None, None) => plain(StatusCode::NOT_FOUND, TEXT, "there is no such page\n"),
        },
    }
}

fn find<'a>(files: &'a Files, tail: &str, slash: bool) -> Found<'a> {
    let Ok(path) = percent_decode_str(tail).decode_utf8() else { return Found::Nothing };
    let path = path.trim_end_matches('/');
    let page = || files.get(&format!("{path}.html"));
    if let Some(file) = files.get(path).or_else(page).filter(|_| !slash) {
        return Found::File(file);
    }
    let index =
        if path.is_empty() { files.get("index.html") } else { files.get(&format!("{path}/index.html")) };
    match index {
        Some(index) if slash => Found::File(index),
        Some(_) => Found::Folder,
        None => Found::Nothing,
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
    let label = label(path, tag, modified);
    let links = if hosting::content_type(path) == hosting::HTML { early::links(&bytes) } else { None };
    Prepared::new(bytes, label.links(links))
}

/// What is said of a file besides its bytes.
pub fn label(path: &str, tag: &str, modified: Option<SystemTime>) -> Label {
    let keep = if hosting::is_hashed(path) { Keep::Forever } else { Keep::Revalidate };
    Label::new(hosting::content_type(path), tag).keep(keep).modified(modified)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clean_addresses_find_their_pages() {
        let mut files = Files::default();
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
