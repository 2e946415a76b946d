//! A body with its headers, ready to be sent any number of times: plain, and packed when that is first asked for.

use std::io::Write;
use std::ops::Range;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use brotli::enc::BrotliEncoderParams;
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::body::Bytes;
use tokio::sync::{OnceCell, Semaphore};
use warp::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    HeaderMap, HeaderValue, LAST_MODIFIED, LINK, RANGE, VARY,
};
use warp::http::{Method, StatusCode};
use warp::reply::Response;

use crate::report::hosting::{FOREVER, REVALIDATE};
use crate::serve::answer::{Wish, secure};
use crate::serve::conditions::{Coding, Part, Verdict, Version, coding, part, whole_seconds};

/// Smaller bodies are not worth packing: they fit into one packet.
const PACK_FROM_BYTES: usize = 1024;
/// Larger bodies are packed on a thread of their own, so that no one waits for it who asked for another.
const PACK_ASIDE_BYTES: usize = 64 << 10;
/// So many at a time: to pack a body takes as much memory as the body.
static PACKERS: Semaphore = Semaphore::const_new(4);

/// How long clients keep a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// They ask each time whether it still holds.
    Revalidate,
    /// For ever: its name changes with its bytes.
    Forever,
}

impl Keep {
    fn header(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Keep::Revalidate => REVALIDATE,
            Keep::Forever => FOREVER,
        })
    }
}

/// What is said of a body besides its bytes.
#[derive(Clone, Debug)]
pub struct Label {
    content_type: &'static str,
    keep: Keep,
    tag: String,
    modified: Option<SystemTime>,
    last_modified: Option<HeaderValue>,
    links: Option<HeaderValue>,
}

/// See the module.
#[derive(Debug)]
pub struct Prepared {
    label: Label,
    plain: Body,
    /// In the order of [`Coding::ALL`]; `None` inside where it does not pay.
    packed: [OnceCell<Option<Body>>; 2],
}

/// Bytes on the wire, and the strong tag that stands for them alone.
#[derive(Debug)]
struct Body {
    coding: Option<Coding>,
    bytes: Bytes,
    etag: HeaderValue,
    /// The headers of an answer with all of it, made when it is first asked for.
    headers: OnceLock<HeaderMap>,
}

impl Body {
    fn new(bytes: Vec<u8>, coding: Option<Coding>, label: &Label) -> Body {
        let suffix = coding.map_or(String::new(), |coding| format!("-{}", coding.word()));
        Body { coding, bytes: bytes.into(), etag: label.etag(&suffix), headers: OnceLock::new() }
    }

    /// An answer with all of it.
    fn whole(&self, label: &Label) -> Response {
        let headers = self.headers.get_or_init(|| {
            let mut headers = HeaderMap::with_capacity(12);
            label.describe(&mut headers, &self.etag);
            label.describe_body(&mut headers, self.bytes.len() as u64);
            match self.coding {
                Some(coding) => headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.word())),
                None => headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes")),
            };
            headers
        });
        let mut response = Response::new(self.bytes.clone().into());
        *response.headers_mut() = headers.clone();
        response
    }
}

impl Label {
    /// `tag` is anything, in letters, digits and hyphens, that differs wherever the bytes do.
    pub fn new(content_type: &'static str, tag: &str) -> Label {
        let (keep, tag) = (Keep::Revalidate, tag.to_owned());
        Label { content_type, keep, tag, modified: None, last_modified: None, links: None }
    }

    pub fn keep(self, keep: Keep) -> Label {
        Label { keep, ..self }
    }

    /// With what a browser is to ask for before it reads the body.
    pub fn links(self, links: Option<HeaderValue>) -> Label {
        Label { links, ..self }
    }

    /// With the time of its last change.
    pub fn modified(self, time: Option<SystemTime>) -> Label {
        let modified = time.and_then(whole_seconds);
        let shown = modified.and_then(|time| HeaderValue::from_str(&httpdate::fmt_http_date(time)).ok());
        Label { modified, last_modified: shown, ..self }
    }

    /// The tag of the body, or of a packed one, which the suffix names.
    pub fn etag(&self, suffix: &str) -> HeaderValue {
        let etag = HeaderValue::from_str(&format!("\"{}{suffix}\"", self.tag));
        etag.expect("tags are hashes and ids of snapshots")
    }

    pub fn version<'a>(&self, etag: &'a HeaderValue) -> Version<'a> {
        Version { etag: etag.to_str().expect("made from text"), modified: self.modified }
    }

    /// What a client needs to keep a body and to ask whether it still holds, and what every answer carries.
    fn describe(&self, headers: &mut HeaderMap, etag: &HeaderValue) {
        secure(headers);
        headers.insert(ETAG, etag.clone());
        headers.insert(CACHE_CONTROL, self.keep.header());
        headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
        if let Some(modified) = &self.last_modified {
            headers.insert(LAST_MODIFIED, modified.clone());
        }
    }

    /// The head of an answer with a body of `length` bytes, which is to be put in.
    pub fn head(&self, status: StatusCode, etag: &HeaderValue, length: u64) -> Response {
        let mut response = self.bodiless(status, etag);
        self.describe_body(response.headers_mut(), length);
        response
    }

    fn describe_body(&self, headers: &mut HeaderMap, length: u64) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        headers.insert(CONTENT_LENGTH, length.into());
        if let Some(links) = &self.links {
            headers.insert(LINK, links.clone());
        }
    }

    pub fn bodiless(&self, status: StatusCode, etag: &HeaderValue) -> Response {
        let mut response = Response::default();
        *response.status_mut() = status;
        self.describe(response.headers_mut(), etag);
        response
    }

    /// The head of an answer with a part of the `whole` bytes.
    pub fn partial(&self, range: &Range<u64>, whole: u64) -> Response {
        let shown = format!("bytes {}-{}/{whole}", range.start, range.end - 1);
        let mut response = self.head(StatusCode::PARTIAL_CONTENT, &self.etag(""), range.end - range.start);
        response.headers_mut().insert(CONTENT_RANGE, HeaderValue::from_str(&shown).expect("digits"));
        response
    }

    pub fn no_such_part(&self, whole: u64) -> Response {
        let mut response = self.bodiless(StatusCode::RANGE_NOT_SATISFIABLE, &self.etag(""));
        let shown = HeaderValue::from_str(&format!("bytes */{whole}")).expect("digits");
        response.headers_mut().insert(CONTENT_RANGE, shown);
        response
    }
}

impl Prepared {
    pub fn new(bytes: Vec<u8>, label: Label) -> Prepared {
        let plain = Body::new(bytes, None, &label);
        Prepared { label, plain, packed: Default::default() }
    }

    pub fn bytes(&self) -> &Bytes {
        &self.plain.bytes
    }

    /// Answers a request with this body: whole, a part of it, or word that the client has it already.
    pub async fn respond(self: &Arc<Prepared>, wish: Wish<'_>, status: StatusCode) -> Response {
        let packed = match chosen(wish, status) {
            Some(coding) => self.packed(coding).await,
            None => None,
        };
        self.send(packed.unwrap_or(&self.plain), wish, status)
    }

    /// The same, unless it has to be packed for this request first.
    pub fn respond_at_once(&self, wish: Wish<'_>) -> Option<Response> {
        let packed = match chosen(wish, StatusCode::OK) {
            Some(coding) => self.packed[coding as usize].get()?.as_ref(),
            None => None,
        };
        Some(self.send(packed.unwrap_or(&self.plain), wish, StatusCode::OK))
    }

    fn send(&self, body: &Body, wish: Wish<'_>, status: StatusCode) -> Response {
        let label = &self.label;
        if status == StatusCode::OK {
            let version = label.version(&body.etag);
            match version.verdict(wish.headers) {
                Verdict::Send => {}
                Verdict::NotModified => return label.bodiless(StatusCode::NOT_MODIFIED, &body.etag),
                Verdict::Failed => return label.bodiless(StatusCode::PRECONDITION_FAILED, &body.etag),
            }
            if is_ranged(wish, status) {
                let whole = body.bytes.len() as u64;
                match part(wish.headers, &version, whole) {
                    Part::Whole => {}
                    Part::Range(range) => {
                        let mut response = label.partial(&range, whole);
                        *response.body_mut() =
                            body.bytes.slice(range.start as usize..range.end as usize).into();
                        return response;
                    }
                    Part::Nowhere => return label.no_such_part(whole),
                }
            }
        }
        let mut response = body.whole(label);
        if status != StatusCode::OK {
            *response.status_mut() = status;
            response.headers_mut().remove(ACCEPT_RANGES);
        }
        if wish.method == Method::HEAD {
            *response.body_mut() = Default::default();
        }
        response
    }

    /// The packed body, where it pays; packed once, however many ask at the same time.
    async fn packed(self: &Arc<Prepared>, coding: Coding) -> Option<&Body> {
        let cell = &self.packed[coding as usize];
        if let Some(packed) = cell.get() {
            return packed.as_ref();
        }
        let aside = self.plain.bytes.len() >= PACK_ASIDE_BYTES;
        let pack = async || {
            let own = Arc::clone(self);
            match aside {
                true => {
                    let _turn = PACKERS.acquire().await;
                    // Where the thread fails, the plain body is as good.
                    tokio::task::spawn_blocking(move || own.pack(coding)).await.ok().flatten()
                }
                false => own.pack(coding),
            }
        };
        cell.get_or_init(pack).await.as_ref()
    }

    fn pack(&self, coding: Coding) -> Option<Body> {
        let bytes = &self.plain.bytes;
        let Label { content_type, keep, .. } = self.label;
        if !compressible(content_type) || bytes.len() < PACK_FROM_BYTES {
            return None;
        }
        let packed = match coding {
            Coding::Brotli => brotli(bytes, keep),
            Coding::Gzip => gzip(bytes, keep),
        };
        let packed = packed.filter(|packed| packed.len() < bytes.len())?;
        Some(Body::new(packed, Some(coding), &self.label))
    }
}

fn is_ranged(wish: Wish<'_>, status: StatusCode) -> bool {
    status == StatusCode::OK && wish.method == Method::GET && wish.headers.contains_key(RANGE)
}

/// The coding of the body to send. A part is one of the plain body: parts of packed ones are of no use by themselves.
fn chosen(wish: Wish<'_>, status: StatusCode) -> Option<Coding> {
    if is_ranged(wish, status) { None } else { coding(wish.headers) }
}

fn compressible(content_type: &str) -> bool {
    const TYPES: [&str; 7] = ["text/", "json", "javascript", "+xml", "wasm", "font/ttf", "x-icon"];
    TYPES.iter().any(|part| content_type.contains(part))
}

/// What is kept for ever is packed once and well; what changes each minute is packed quickly.
fn brotli(bytes: &[u8], keep: Keep) -> Option<Vec<u8>> {
    let quality = if keep == Keep::Forever { 9 } else { 5 };
    let parameters = BrotliEncoderParams { quality, size_hint: bytes.len(), ..Default::default() };
    let mut packed = Vec::with_capacity(bytes.len() / 3);
    brotli::BrotliCompress(&mut &bytes[..], &mut packed, &parameters).ok()?;
    Some(packed)
}

fn gzip(bytes: &[u8], keep: Keep) -> Option<Vec<u8>> {
    let level = if keep == Keep::Forever { Compression::best() } else { Compression::default() };
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 3), level);
    encoder.write_all(bytes).ok()?;
    encoder.finish().ok()
}
