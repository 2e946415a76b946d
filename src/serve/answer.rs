//! What requests ask, how an answer says what is wrong with them, and what every answer carries.

use std::sync::Arc;

use percent_encoding::percent_decode_str;
use serde_json::json;
use warp::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderName,
    HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use warp::http::{Method, StatusCode};
use warp::reply::{Reply, Response};

use crate::model::time::rfc3339;
use crate::serve::state::Current;

pub const JSON: &str = "application/json";
pub const TEXT: &str = "text/plain; charset=utf-8";

/// No request needs a body at all.
const MAX_BODY_BYTES: u64 = 64 << 10;

/// Pages state a stricter policy themselves (`report/policy.rs`); styles may be in a page for those that were made
/// to stand alone.
const POLICY: &str = "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
                      font-src 'self' data:; img-src 'self' data: blob:; connect-src 'self' ws: wss:; \
                      frame-ancestors 'self'; base-uri 'self'; form-action 'self'";

/// What of a request says how a body is to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    pub method: &'a Method,
    pub headers: &'a HeaderMap,
}

/// One request, and the snapshot that answers it from beginning to end.
#[derive(Debug)]
pub struct Request {
    pub method: Method,
    pub headers: HeaderMap,
    pub query: String,
    pub current: Arc<Current>,
}

impl Request {
    pub fn wish(&self) -> Wish<'_> {
        Wish { method: &self.method, headers: &self.headers }
    }

    /// The first value of a parameter in the query.
    pub fn parameter(&self, name: &str) -> Option<String> {
        form_value(&self.query, name)
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
            return Err(self.wrong_method("GET, HEAD"));
        }
        Ok(())
    }

    /// 405, where only these methods are answered.
    pub fn wrong_method(&self, allowed: &'static str) -> ApiError {
        let message = format!("only `{}` is answered here", allowed.replace(", ", "` or `"));
        let error = self.error(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message);
        error.with(ALLOW, HeaderValue::from_static(allowed))
    }

    /// 500, without anything from inside.
    pub fn internal(&self) -> ApiError {
        let message = "this could not be worked out; the log of the daemon says more";
        self.error(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }

    /// An error answer, dated as all answers are.
    pub fn error(&self, status: StatusCode, code: &'static str, message: impl Into<String>) -> ApiError {
        ApiError {
            status,
            code,
            message: message.into(),
            timestamp: rfc3339(self.current.facts.moment_ms),
            header: None,
        }
    }
}

/// The first value of a name in a query or a form, decoded.
pub fn form_value(text: &str, name: &str) -> Option<String> {
    let pairs = text.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let decoded = |text: &str| {
        let text = text.replace('+', " ");
        percent_decode_str(&text).decode_utf8_lossy().into_owned()
    };
    // Most are as they are meant; to decode all of many would take long.
    let named = |key: &str| key == name || key.contains(['%', '+']) && decoded(key) == name;
    pairs.into_iter().find(|(key, _)| named(key)).map(|(_, value)| decoded(value))
}

/// An error of the API: `{"success": false, "error": {"code", "message"}, "timestamp"}`.
#[derive(Debug)]
pub struct ApiError {
    pub status: StatusCode,
    pub code: &'static str,
    pub message: String,
    timestamp: String,
    /// A header that comes with it.
    header: Option<Box<(HeaderName, HeaderValue)>>,
}

impl ApiError {
    /// The same with a header.
    pub fn with(self, name: HeaderName, value: HeaderValue) -> ApiError {
        ApiError { header: Some(Box::new((name, value))), ..self }
    }

    /// For those who did not ask the API.
    pub fn as_text(&self) -> Response {
        self.response(TEXT, format!("{}\n", self.message))
    }

    fn response(&self, content_type: &'static str, body: String) -> Response {
        let mut response = plain(self.status, content_type, body);
        if let Some(header) = &self.header {
            response.headers_mut().insert(&header.0, header.1.clone());
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
    secure(response.headers_mut());
    response
}

/// Adds the headers that every response carries.
pub fn secure(headers: &mut HeaderMap) {
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_their_names_however_these_are_encoded() {
        let value = |text| form_value(text, "a b");
        assert_eq!(value("a+b=1&a+b=2"), Some("1".to_owned()));
        assert_eq!(value("x=0&&%61%20b=%2B+"), Some("+ ".to_owned()));
        assert_eq!(value("a b=1"), Some("1".to_owned()));
        assert_eq!(value("a+b"), Some(String::new()));
        assert_eq!((value("ab=1"), value("")), (None, None));
    }
}
