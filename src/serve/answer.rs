//! What requests ask, and what they are answered with: bytes prepared once, sent as the client takes them.

use std::io::Write;
use std::sync::{Arc, OnceLock};

use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::body::Bytes;
use percent_encoding::percent_decode_str;
use serde_json::json;
use warp::http::header::{
    ACCEPT_ENCODING, ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderMap,
    HeaderName, HeaderValue, IF_NONE_MATCH, VARY,
};
use warp::http::{Method, StatusCode};
use warp::reply::{Reply, Response};

use crate::model::time::rfc3339;
use crate::report::policy::POLICY;
use crate::serve::state::Current;

/// Smaller bodies are not worth compressing: they fit into one packet.
const GZIP_FROM_BYTES: usize = 1024;

pub const JSON: &str = "application/json";
pub const TEXT: &str = "text/plain; charset=utf-8";

/// No request needs a body at all.
const MAX_BODY_BYTES: u64 = 64 << 10;

/// Every response carries these.
const SECURITY: [(&str, &str); 3] = [
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "same-origin"),
    ("content-security-policy", POLICY),
];

/// One request, and the snapshot that answers it from beginning to end.
#[derive(Debug)]
pub struct Request {
    pub method: Method,
    pub headers: HeaderMap,
    pub query: String,
    pub current: Arc<Current>,
}

impl Request {
    /// The first value of a parameter in the query.
    pub fn parameter(&self, name: &str) -> Option<String> {
        let pairs = self.query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let decoded = |text: &str| {
            let text = text.replace('+', " ");
            percent_decode_str(&text).decode_utf8_lossy().into_owned()
        };
        pairs
            .map(|(key, value)| (decoded(key), decoded(value)))
            .find(|pair| pair.0 == name)
            .map(|pair| pair.1)
    }

    /// Whether this is a request that can be answered.
    ///
    /// # Errors
    /// 413 where a large body comes with it; 405 where the method does not only read, since nothing here can
    /// be changed by a request.
    pub fn check(&self) -> Result<(), ApiError> {
        let length = self.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        if length.is_some_and(|length: u64| length > MAX_BODY_BYTES) {
            let message = format!("a request may carry at most {MAX_BODY_BYTES} bytes");
            return Err(self.error(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", message));
        }
        if !matches!(self.method, Method::GET | Method::HEAD) {
            let message = "only `GET` and `HEAD` are answered here";
            return Err(self.error(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message));
        }
        Ok(())
    }

    /// An error answer, dated as all answers are.
    pub fn error(&self, status: StatusCode, code: &'static str, message: impl Into<String>) -> ApiError {
        ApiError { status, code, message: message.into(), timestamp: rfc3339(self.current.facts.moment_ms) }
    }

    /// Whether the client has this version already.
    pub fn knows(&self, etag: &str) -> bool {
        // Weak comparison (RFC 9110, 8.8.3.2): what is compared is the text between the quotes.
        let plain = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
        let known = self.headers.get_all(IF_NONE_MATCH).into_iter().filter_map(|value| value.to_str().ok());
        known.flat_map(|value| value.split(',')).any(|tag| plain(tag) == plain(etag) || tag.trim() == "*")
    }

    /// Whether a compressed body may be sent.
    pub fn takes_gzip(&self) -> bool {
        let given = self.headers.get_all(ACCEPT_ENCODING).into_iter().filter_map(|value| value.to_str().ok());
        let mut codings = given.flat_map(|value| value.split(','));
        codings.any(|coding| {
            let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
            let refused = weight.trim().strip_prefix("q=").and_then(|q| q.trim().parse::<f32>().ok());
            name.trim().eq_ignore_ascii_case("gzip") && refused != Some(0.0)
        })
    }
}

/// An error of the API: `{"success": false, "error": {"code", "message"}, "timestamp"}`.
#[derive(Debug)]
pub struct ApiError {
    pub status: StatusCode,
    pub code: &'static str,
    pub message: String,
    timestamp: String,
}

impl ApiError {
    /// For those who did not ask the API.
    pub fn as_text(&self) -> Response {
        self.response(TEXT, format!("{}\n", self.message))
    }

    fn response(&self, content_type: &'static str, body: String) -> Response {
        let mut response = plain(self.status, content_type, body);
        if self.status == StatusCode::METHOD_NOT_ALLOWED {
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        response
    }
}

impl Reply for ApiError {
    fn into_response(self) -> Response {
        let body = json!({
            "success": false,
            "error": {"code": self.code, "message": self.message},
            "timestamp": self.timestamp,
        });
        self.response(JSON, body.to_string())
    }
}

/// A body with its headers, ready to be sent any number of times.
#[derive(Debug)]
pub struct Prepared {
    bytes: Bytes,
    /// Made when it is first asked for; `None` inside where it does not pay.
    gzip: OnceLock<Option<Bytes>>,
    content_type: &'static str,
    /// Weak, since it stands for the plain and the compressed body.
    etag: String,
    cache: &'static str,
}

impl Prepared {
    /// `tag` is anything that differs wherever the bytes do.
    pub fn new(bytes: Vec<u8>, content_type: &'static str, tag: &str) -> Prepared {
        let etag = format!("W/\"{tag}\"");
        Prepared { bytes: bytes.into(), gzip: OnceLock::new(), content_type, etag, cache: "no-cache" }
    }

    /// The same, to be kept by clients for ever.
    pub fn immutable(self) -> Prepared {
        Prepared { cache: "public, max-age=31536000, immutable", ..self }
    }

    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Answers a request with this body, or with 304 where the client has it.
    pub fn respond(&self, request: &Request, status: StatusCode) -> Response {
        if status == StatusCode::OK && request.knows(&self.etag) {
            return not_modified(&self.etag, self.cache);
        }
        let gzip = if request.takes_gzip() { self.gzip() } else { None };
        let body = gzip.unwrap_or(&self.bytes);
        let shown = if request.method == Method::HEAD { Bytes::new() } else { body.clone() };
        let mut response = Response::new(shown.into());
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        headers.insert(CONTENT_LENGTH, body.len().into());
        if gzip.is_some() {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        cacheable(headers, &self.etag, self.cache);
        response
    }

    /// The compressed body, where there is one. The first call takes its time.
    pub fn gzip(&self) -> Option<&Bytes> {
        let pays = compressible(self.content_type) && self.bytes.len() >= GZIP_FROM_BYTES;
        let made = self.gzip.get_or_init(|| pays.then(|| gzip(&self.bytes)).flatten());
        made.as_ref()
    }
}

fn compressible(content_type: &str) -> bool {
    const TYPES: [&str; 6] = ["text/", "application/json", "javascript", "+xml", "+json", "application/wasm"];
    TYPES.iter().any(|part| content_type.contains(part))
}

fn gzip(bytes: &[u8]) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).ok()?;
    let packed = encoder.finish().ok()?;
    (packed.len() < bytes.len()).then(|| packed.into())
}

/// Headers that let a client keep a body and ask whether it still holds.
pub fn cacheable(headers: &mut HeaderMap, etag: &str, cache: &'static str) {
    if let Ok(etag) = HeaderValue::from_str(etag) {
        headers.insert(ETAG, etag);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
}

/// 304.
pub fn not_modified(etag: &str, cache: &'static str) -> Response {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    cacheable(response.headers_mut(), etag, cache);
    response
}

/// A short body that is not kept.
pub fn plain(status: StatusCode, content_type: &'static str, body: impl Into<String>) -> Response {
    let mut response = Response::new(body.into().into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// The response with the headers that all of them carry.
pub fn secured(reply: impl Reply) -> Response {
    let mut response = reply.into_response();
    for (name, value) in SECURITY {
        response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    response
}
