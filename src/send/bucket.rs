//! A bucket of S3 or of a server that speaks its language, as a target.
//!
//! Addresses have the bucket in their path: all servers know these, and buckets with a dot in their name work
//! over TLS.

use std::collections::HashSet;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use percent_encoding::percent_decode_str;

use crate::publish::sha256;
use crate::report::hosting::{self, FOREVER, REVALIDATE};
use crate::send::Target;
use crate::send::http::{Address, Answer, Client, Request};
use crate::send::sign::{self, Keys, Unsigned};

/// Where files wait for their place.
const STAGED: &str = ".dash-new";

/// Which bucket of which server.
#[derive(Clone, Debug)]
pub struct Place {
    /// As the user wrote it.
    pub name: String,
    pub endpoint: Address,
    pub bucket: String,
    /// Without a slash at its end; empty for the whole bucket.
    pub prefix: String,
    pub region: String,
}

/// See the module.
#[derive(Debug)]
pub struct Bucket {
    place: Place,
    keys: Keys,
    client: Client,
    /// When the bucket was opened, by the clock and by a watch: together they tell what time it is.
    opened: (i64, Instant),
}

/// A request to the server, before it is signed.
#[derive(Clone, Copy, Debug)]
struct Call<'a> {
    method: &'static str,
    /// Of the object; empty for the bucket itself.
    key: &'a str,
    query: &'a [(&'a str, &'a str)],
    headers: &'a [(&'a str, &'a str)],
    body: &'a [u8],
}

impl Call<'_> {
    fn get(key: &str) -> Call<'_> {
        Call { method: "GET", key, query: &[], headers: &[], body: &[] }
    }
}

impl Bucket {
    pub fn new(place: Place, keys: Keys, moment_ms: i64) -> Bucket {
        Bucket { place, keys, client: Client::default(), opened: (moment_ms, Instant::now()) }
    }

    fn key(&self, path: &str) -> String {
        if self.place.prefix.is_empty() { path.to_owned() } else { format!("{}/{path}", self.place.prefix) }
    }

    fn staged(&self, path: &str) -> String {
        self.key(&format!("{STAGED}/{path}"))
    }

    fn call(&self, call: &Call) -> Result<Answer> {
        let Place { endpoint, bucket, .. } = &self.place;
        let slash = if call.key.is_empty() { "" } else { "/" };
        let path = format!("{}/{}", endpoint.path, sign::path(&format!("{bucket}{slash}{}", call.key)));
        let query = sign::query(call.query);
        let mark = if query.is_empty() { "" } else { "?" };
        let url = format!("{}://{}{path}{mark}{query}", endpoint.scheme, endpoint.host);
        let unsigned = Unsigned {
            method: call.method,
            host: &endpoint.host,
            path: &path,
            query: call.query,
            headers: call.headers,
            body: &sha256(call.body),
        };
        let request = || {
            let (moment_ms, opened) = self.opened;
            let moment_ms = moment_ms.saturating_add_unsigned(opened.elapsed().as_millis() as u64);
            let headers = sign::signed(&unsigned, &self.keys, &self.place.region, moment_ms);
            Request { method: call.method, url: url.clone(), headers, body: call.body }
        };
        self.client.send(request)
    }

    /// Makes a call that is to succeed; `doing` says what for.
    fn done(&self, call: &Call, doing: &str) -> Result<Answer> {
        let at = format!("{doing} `s3://{}/{}`", self.place.bucket, call.key);
        let answer = self.call(call).with_context(|| {
            format!(
                "{at} at `{}`; the site there is as it was or whole, run this again",
                self.place.endpoint.host
            )
        })?;
        // A copy can fail after its headers were sent.
        if !answer.is_success() || answer.body.starts_with(b"<?xml") && answer.text().contains("<Error>") {
            bail!("{at}: {}", refusal(&answer));
        }
        Ok(answer)
    }

    fn put_at(&self, key: &str, path: &str, bytes: &[u8]) -> Result<()> {
        let in_archive = path.strip_prefix("archive/").is_some_and(hosting::is_hashed);
        let keep = if in_archive || hosting::is_hashed(path) { FOREVER } else { REVALIDATE };
        let headers = [("cache-control", keep), ("content-type", hosting::content_type(path))];
        let put = Call { method: "PUT", headers: &headers, body: bytes, ..Call::get(key) };
        self.done(&put, "writing").map(drop)
    }

    fn delete(&self, key: &str) -> Result<()> {
        let call = Call { method: "DELETE", ..Call::get(key) };
        let answer = self.call(&call)?;
        if answer.is_success() || answer.status == 404 {
            return Ok(());
        }
        bail!("removing `s3://{}/{key}`: {}", self.place.bucket, refusal(&answer))
    }
}

impl Target for Bucket {
    fn name(&self) -> &str {
        &self.place.name
    }

    fn read(&self, path: &str) -> Result<Option<Vec<u8>>> {
        let key = self.key(path);
        let at = || format!("reading `s3://{}/{key}` at `{}`", self.place.bucket, self.place.endpoint.host);
        let answer = self.call(&Call::get(&key)).with_context(at)?;
        match answer.status {
            404 if code(&answer.text()) != Some("NoSuchBucket") => Ok(None),
            _ if answer.is_success() => Ok(Some(answer.body)),
            _ => bail!("{}: {}", at(), refusal(&answer)),
        }
    }

    fn taken(&self, paths: &[&str]) -> Result<Vec<String>> {
        let wanted: HashSet<&str> = paths.iter().copied().collect();
        let prefix = self.key("");
        let (mut taken, mut token) = (Vec::new(), None::<String>);
        loop {
            let mut query = vec![("list-type", "2"), ("encoding-type", "url"), ("prefix", prefix.as_str())];
            query.extend(token.as_deref().map(|token| ("continuation-token", token)));
            let answer = self.done(&Call { query: &query, ..Call::get("") }, "listing")?.text();
            let keys = answer.split("<Key>").skip(1).filter_map(|rest| rest.split_once("</Key>"));
            for (key, _) in keys {
                let key = key.replace('+', " ");
                let key = percent_decode_str(&key).decode_utf8_lossy();
                let path = key.strip_prefix(&prefix).unwrap_or_default();
                taken.extend(wanted.get(path).map(|path| (*path).to_owned()));
            }
            token = element(&answer, "NextContinuationToken").map(unescaped);
            if token.is_none() {
                return Ok(taken);
            }
        }
    }

    fn put(&self, path: &str, bytes: &[u8]) -> Result<()> {
        self.put_at(&self.key(path), path, bytes)
    }

    fn stage(&self, path: &str, bytes: &[u8]) -> Result<()> {
        self.put_at(&self.staged(path), path, bytes)
    }

    fn place(&self, path: &str) -> Result<()> {
        let staged = self.staged(path);
        let (source, key) = (sign::path(&format!("/{}/{staged}", self.place.bucket)), self.key(path));
        let headers = [("x-amz-copy-source", source.as_str())];
        let copy = Call { method: "PUT", headers: &headers, ..Call::get(&key) };
        self.done(&copy, "writing").map(drop)
    }

    fn remove(&self, path: &str) -> Result<()> {
        self.delete(&self.key(path))
    }

    fn unstage(&self, path: &str) -> Result<()> {
        self.delete(&self.staged(path))
    }
}

/// What a server says no with, and the next step.
fn refusal(answer: &Answer) -> String {
    let text = answer.text();
    let code = code(&text).unwrap_or_default();
    let message = element(&text, "Message").map(|message| format!(" ({})", unescaped(message)));
    let region = answer.headers.get("x-amz-bucket-region").and_then(|region| region.to_str().ok());
    let region = region.or_else(|| element(&text, "Region"));
    let step = match (code, answer.status) {
        ("NoSuchBucket", _) => "make the bucket first".to_owned(),
        ("InvalidAccessKeyId" | "SignatureDoesNotMatch", _) => {
            "check `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and the region".to_owned()
        }
        ("ExpiredToken" | "InvalidToken", _) => "ask for new credentials".to_owned(),
        ("RequestTimeTooSkewed", _) => "set this machine's clock".to_owned(),
        ("AuthorizationHeaderMalformed" | "PermanentRedirect" | "IllegalLocationConstraintException", _)
        | (_, 301 | 307) => match region {
            Some(region) => format!("set `region` to `{region}`"),
            None => "check `region` and `endpoint`".to_owned(),
        },
        (_, 401 | 403) => {
            "let these credentials list the bucket, and read, write and delete below the prefix".to_owned()
        }
        (_, 500..) => "the site there is as it was or whole; run this again".to_owned(),
        _ => "check `endpoint` and the bucket's name".to_owned(),
    };
    format!("the server answered {} {code}{}; {step}", answer.status, message.unwrap_or_default())
}

fn code(text: &str) -> Option<&str> {
    element(text, "Code")
}

/// The text of the first element of this name.
fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    Some(rest.split_once(&format!("</{name}>"))?.0)
}

fn unescaped(text: &str) -> String {
    let plain: String = text.chars().filter(|c| !c.is_control()).take(300).collect();
    plain.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(status: u16, body: &str) -> String {
        let headers = ureq::http::HeaderMap::new();
        refusal(&Answer { status, headers, body: body.as_bytes().to_vec() })
    }

    #[test]
    fn refusals_name_the_next_step() {
        let error = |code: &str| format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code></Error>");
        let table = [
            (404, error("NoSuchBucket"), "make the bucket"),
            (403, error("SignatureDoesNotMatch"), "`AWS_SECRET_ACCESS_KEY`"),
            (403, error("RequestTimeTooSkewed"), "clock"),
            (403, error("AccessDenied"), "let these credentials"),
            (503, error("SlowDown"), "run this again"),
            (
                301,
                "<Error><Code>PermanentRedirect</Code><Region>eu-west-1</Region></Error>".to_owned(),
                "`eu-west-1`",
            ),
            (400, "<html>".to_owned(), "`endpoint`"),
        ];
        for (status, body, step) in table {
            assert!(said(status, &body).contains(step), "{status} {body}: {}", said(status, &body));
        }
    }
}
