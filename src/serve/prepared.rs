//! A body with its headers, ready to be sent any number of times: plain, and packed when that is first asked for.

use std::io::Write;
use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use brotli::enc::BrotliEncoderParams;
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::body::Bytes;
use tokio::sync::OnceCell;
use warp::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    HeaderMap, HeaderValue, LAST_MODIFIED, RANGE, VARY,
};
use warp::http::{Method, StatusCode};
use warp::reply::Response;

use crate::report::hosting::{FOREVER, REVALIDATE};
use crate::serve::answer::Request;
use crate::serve::conditions::{Coding, Part, Verdict, Version, coding, part, whole_seconds};

/// Smaller bodies are not worth packing: they fit into one packet.
const PACK_FROM_BYTES: usize = 1024;
/// Larger bodies are packed on a thread of their own, so that no one waits for it who asked for another.
const PACK_ASIDE_BYTES: usize = 64 << 10;

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

/// See the module.
#[derive(Debug)]
pub struct Prepared {
    content_type: &'static str,
    keep: Keep,
    tag: String,
    modified: Option<SystemTime>,
    last_modified: Option<HeaderValue>,
    plain: Body,
    /// In the order of [`Coding::ALL`]; `None` inside where it does not pay.
    packed: [OnceCell<Option<Body>>; 2],
}

/// Bytes on the wire, and the strong tag that stands for them alone.
#[derive(Debug)]
struct Body {
    bytes: Bytes,
    etag: HeaderValue,
}

impl Body {
    fn new(bytes: impl Into<Bytes>, tag: &str, suffix: &str) -> Body {
        let etag = HeaderValue::from_str(&format!("\"{tag}{suffix}\""));
        Body { bytes: bytes.into(), etag: etag.expect("tags are hashes and ids of snapshots") }
    }
}

impl Prepared {
    /// `tag` is anything, in letters, digits and hyphens, that differs wherever the bytes do.
    pub fn new(bytes: Vec<u8>, content_type: &'static str, tag: &str) -> Prepared {
        Prepared {
            content_type,
            keep: Keep::Revalidate,
            tag: tag.to_owned(),
            modified: None,
            last_modified: None,
            plain: Body::new(bytes, tag, ""),
            packed: Default::default(),
        }
    }

    pub fn keep(self, keep: Keep) -> Prepared {
        Prepared { keep, ..self }
    }

    /// With the time of its last change.
    pub fn modified(self, time: Option<SystemTime>) -> Prepared {
        let modified = time.and_then(whole_seconds);
        let shown = modified.and_then(|time| HeaderValue::from_str(&httpdate::fmt_http_date(time)).ok());
        Prepared { modified, last_modified: shown, ..self }
    }

    pub fn bytes(&self) -> &Bytes {
        &self.plain.bytes
    }

    /// Answers a request with this body: whole, a part of it, or word that the client has it already.
    pub async fn respond(self: &Arc<Prepared>, request: &Request, status: StatusCode) -> Response {
        // A part is one of the plain body: parts of packed ones are of no use by themselves.
        let ranged =
            status == StatusCode::OK && request.method == Method::GET && request.headers.contains_key(RANGE);
        let chosen = if ranged { None } else { coding(&request.headers) };
        let packed = match chosen {
            Some(coding) => self.packed(coding).await.map(|body| (coding, body)),
            None => None,
        };
        let body = packed.map_or(&self.plain, |(_, body)| body);
        if status == StatusCode::OK {
            let version = self.version(body);
            match version.verdict(&request.headers) {
                Verdict::Send => {}
                Verdict::NotModified => return self.bodiless(StatusCode::NOT_MODIFIED, body),
                Verdict::Failed => return self.bodiless(StatusCode::PRECONDITION_FAILED, body),
            }
            if ranged {
                match part(&request.headers, &version, body.bytes.len()) {
                    Part::Whole => {}
                    Part::Range(range) => return self.partial(range),
                    Part::Nowhere => return self.no_such_part(),
                }
            }
        }
        let shown = if request.method == Method::HEAD { Bytes::new() } else { body.bytes.clone() };
        let mut response = Response::new(shown.into());
        *response.status_mut() = status;
        let headers = response.headers_mut();
        self.describe(headers, body);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        headers.insert(CONTENT_LENGTH, body.bytes.len().into());
        if let Some((coding, _)) = packed {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.word()));
        } else if status == StatusCode::OK {
            headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        }
        response
    }

    fn version<'a>(&self, body: &'a Body) -> Version<'a> {
        let etag = body.etag.to_str().expect("made from text");
        Version { etag, modified: self.modified }
    }

    /// What a client needs to keep a body and to ask whether it still holds.
    fn describe(&self, headers: &mut HeaderMap, body: &Body) {
        headers.insert(ETAG, body.etag.clone());
        headers.insert(CACHE_CONTROL, self.keep.header());
        headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
        if let Some(modified) = &self.last_modified {
            headers.insert(LAST_MODIFIED, modified.clone());
        }
    }

    fn bodiless(&self, status: StatusCode, body: &Body) -> Response {
        let mut response = Response::default();
        *response.status_mut() = status;
        self.describe(response.headers_mut(), body);
        response
    }

    fn partial(&self, range: Range<usize>) -> Response {
        let whole = self.plain.bytes.len();
        let shown = format!("bytes {}-{}/{whole}", range.start, range.end - 1);
        let part = self.plain.bytes.slice(range);
        let mut response = self.bodiless(StatusCode::PARTIAL_CONTENT, &self.plain);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        headers.insert(CONTENT_LENGTH, part.len().into());
        headers.insert(CONTENT_RANGE, HeaderValue::from_str(&shown).expect("digits"));
        *response.body_mut() = part.into();
        response
    }

    fn no_such_part(&self) -> Response {
        let mut response = self.bodiless(StatusCode::RANGE_NOT_SATISFIABLE, &self.plain);
        let shown = format!("bytes */{}", self.plain.bytes.len());
        let shown = HeaderValue::from_str(&shown).expect("digits");
        response.headers_mut().insert(CONTENT_RANGE, shown);
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
                // Where the thread fails, the plain body is as good.
                true => tokio::task::spawn_blocking(move || own.pack(coding)).await.ok().flatten(),
                false => own.pack(coding),
            }
        };
        cell.get_or_init(pack).await.as_ref()
    }

    fn pack(&self, coding: Coding) -> Option<Body> {
        let bytes = &self.plain.bytes;
        if !compressible(self.content_type) || bytes.len() < PACK_FROM_BYTES {
            return None;
        }
        let packed = match coding {
            Coding::Brotli => brotli(bytes, self.keep),
            Coding::Gzip => gzip(bytes, self.keep),
        };
        let packed = packed.filter(|packed| packed.len() < bytes.len())?;
        Some(Body::new(packed, &self.tag, &format!("-{}", coding.word())))
    }
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
