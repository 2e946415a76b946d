//! AWS Signature Version 4, as S3-compatible servers check it: in the `Authorization` header, with the hash of
//! the body, so that a body that was damaged on its way is refused.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Result, bail};
use chrono::DateTime;
use hmac::{Hmac, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::Sha256;

use crate::publish::sha256;

/// Who asks.
#[derive(Clone)]
pub struct Keys {
    pub access_key: String,
    pub secret_key: String,
    pub session_token: Option<String>,
}

/// Variables that hold them.
const VARIABLES: [&str; 3] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];

impl Keys {
    /// From the environment, the only place that they are taken from.
    ///
    /// # Errors
    /// Names the variable that is missing.
    pub fn from(variable: impl Fn(&str) -> Option<String>) -> Result<Keys> {
        let [access_key, secret_key, session_token] =
            VARIABLES.map(|name| variable(name).filter(|value| !value.is_empty()));
        let (Some(access_key), Some(secret_key)) = (access_key, secret_key) else {
            let [access_key, secret_key, _] = VARIABLES;
            bail!("a bucket needs credentials; set `{access_key}` and `{secret_key}` in the environment");
        };
        Ok(Keys { access_key, secret_key, session_token })
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("Keys { .. }")
    }
}

/// A request as far as its signature covers it.
#[derive(Clone, Copy, Debug)]
pub struct Unsigned<'a> {
    pub method: &'a str,
    pub host: &'a str,
    /// Encoded, from the slash on.
    pub path: &'a str,
    /// In any order, not encoded.
    pub query: &'a [(&'a str, &'a str)],
    /// Names in lower case; `host` and those that a signature adds are not among them.
    pub headers: &'a [(&'a str, &'a str)],
    /// SHA-256 of the body, in hexadecimal.
    pub body: &'a str,
}

/// The headers that a signed request has besides `host`.
pub fn signed(request: &Unsigned, keys: &Keys, region: &str, moment_ms: i64) -> Vec<(String, String)> {
    let moment = DateTime::from_timestamp_millis(moment_ms).unwrap_or_default();
    let (day, time) = (moment.format("%Y%m%d").to_string(), moment.format("%Y%m%dT%H%M%SZ").to_string());
    let mut headers: BTreeMap<&str, &str> = request.headers.iter().copied().collect();
    headers.extend([("host", request.host), ("x-amz-content-sha256", request.body), ("x-amz-date", &time)]);
    headers.extend(keys.session_token.as_deref().map(|token| ("x-amz-security-token", token)));

    let names = headers.keys().copied().collect::<Vec<_>>().join(";");
    let lines: String = headers.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
    let query = query(request.query);
    let canonical =
        format!("{}\n{}\n{query}\n{lines}\n{names}\n{}", request.method, request.path, request.body);
    let scope = format!("{day}/{region}/s3/aws4_request");
    let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", sha256(canonical.as_bytes()));

    let first = format!("AWS4{}", keys.secret_key).into_bytes();
    let key =
        [&day, region, "s3", "aws4_request"].iter().fold(first, |key, part| hmac(&key, part.as_bytes()));
    let signature = hex(&hmac(&key, to_sign.as_bytes()));
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
        keys.access_key
    );
    headers.remove("host");
    headers.insert("authorization", &authorization);
    headers.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// HMAC-SHA-256.
pub fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut hmac = Hmac::<Sha256>::new_from_slice(key).expect("keys of any length will do");
    hmac.update(message);
    hmac.finalize().into_bytes().to_vec()
}

/// In hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// All but what RFC 3986 calls unreserved.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A path with each of its segments encoded.
pub fn path(path: &str) -> String {
    let segments: Vec<_> =
        path.split('/').map(|segment| utf8_percent_encode(segment, RESERVED).to_string()).collect();
    segments.join("/")
}

/// A query, encoded and in the order that signatures want.
pub fn query(pairs: &[(&str, &str)]) -> String {
    let encode = |text: &str| utf8_percent_encode(text, RESERVED).to_string();
    let mut pairs: Vec<_> =
        pairs.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    pairs.sort();
    pairs.join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn keys() -> Keys {
        Keys {
            access_key: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned(),
            session_token: None,
        }
    }

    fn signature(request: &Unsigned) -> String {
        let headers = signed(request, &keys(), "us-east-1", 1_369_353_600_000);
        let (_, value) = headers.iter().find(|(name, _)| name == "authorization").expect("it is signed");
        value.rsplit_once('=').expect("the signature is last").1.to_owned()
    }

    /// The examples of the document that the module names.
    #[test]
    fn signatures_are_those_of_the_documentation() {
        let request = Unsigned {
            method: "GET",
            host: "examplebucket.s3.amazonaws.com",
            path: "/test.txt",
            query: &[],
            headers: &[("range", "bytes=0-9")],
            body: EMPTY,
        };
        let put = Unsigned {
            method: "PUT",
            path: &path("/test$file.text"),
            headers: &[
                ("date", "Fri, 24 May 2013 00:00:00 GMT"),
                ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
            ],
            body: &sha256(b"Welcome to Amazon S3."),
            ..request
        };
        let list =
            Unsigned { path: "/", query: &[("prefix", "J"), ("max-keys", "2")], headers: &[], ..request };
        let table = [
            (request, "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"),
            (put, "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"),
            (list, "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
        ];
        for (request, expected) in table {
            assert_eq!(signature(&request), expected, "{request:?}");
        }
    }

    #[test]
    fn paths_and_queries_are_encoded() {
        assert_eq!(path("a b/ü+~.html"), "a%20b/%C3%BC%2B~.html");
        assert_eq!(query(&[("prefix", "a/b c"), ("list-type", "2")]), "list-type=2&prefix=a%2Fb%20c");
    }

    #[test]
    fn keys_are_asked_for_by_name_and_never_shown() {
        let error = Keys::from(|_| None).expect_err("there are none").to_string();
        assert!(
            error.contains("`AWS_ACCESS_KEY_ID`") && error.contains("`AWS_SECRET_ACCESS_KEY`"),
            "{error}"
        );
        let keys = Keys::from(|name| Some(format!("value of {name}"))).expect("all are there");
        assert!(!format!("{keys:?}").contains("value"));
    }
}
