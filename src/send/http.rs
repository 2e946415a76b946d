//! Requests to hosts that may be slow, busy or away: each has time-outs, and is tried again a bounded number of
//! times.

use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use ureq::http::{self, HeaderMap};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Error};

/// How often a request is sent at most.
const TRIES: u32 = 4;

/// The pause after the first try; each one after it is three times as long.
const PAUSE: Duration = Duration::from_millis(200);

/// Until a connection stands.
const CONNECT: Duration = Duration::from_secs(10);

/// Without a byte going or coming.
const STALLED: Duration = Duration::from_secs(30);

/// For one try in all.
const WHOLE: Duration = Duration::from_secs(15 * 60);

/// Longest answer that is read.
const MOST_BYTES: u64 = 256 << 20;

/// Sends requests, over the same connections where that is possible.
#[derive(Clone, Debug)]
pub struct Client {
    agent: Agent,
}

/// What is sent.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    pub method: &'static str,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: &'a [u8],
}

/// What a host says to it, whatever its status.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Default for Client {
    /// Trusts the certificates that the machine trusts, and goes through the proxy that the environment names.
    fn default() -> Client {
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(concat!("dash/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(STALLED))
            .timeout_per_read(Some(STALLED))
            .timeout_per_write(Some(STALLED))
            .timeout_per_call(Some(WHOLE))
            .build();
        Client { agent: Agent::new_with_config(config) }
    }
}

impl Client {
    /// Sends a request until it is answered with more than a wish to be asked again. It is made anew for each
    /// try, since signatures age.
    ///
    /// # Errors
    /// If no try is answered.
    pub fn send<'a>(&self, request: impl Fn() -> Request<'a>) -> Result<Answer> {
        let mut pause = PAUSE;
        for _ in 1..TRIES {
            match self.try_once(request()) {
                Ok(answer) if !is_passing(answer.status) => return Ok(answer),
                Err(error) if !may_pass(&error) => return Err(error).context("sending the request"),
                _ => {}
            }
            sleep(pause);
            pause *= 3;
        }
        self.try_once(request()).with_context(|| format!("after {TRIES} tries"))
    }

    fn try_once(&self, request: Request) -> Result<Answer, Error> {
        let mut built = http::Request::builder().method(request.method).uri(&request.url);
        for (name, value) in &request.headers {
            built = built.header(name, value);
        }
        let has_body = matches!(request.method, "PUT" | "POST");
        let mut answer = if has_body {
            self.agent.run(built.body(request.body)?)?
        } else {
            self.agent.run(built.body(())?)?
        };
        let body = answer.body_mut().with_config().limit(MOST_BYTES).read_to_vec()?;
        Ok(Answer { status: answer.status().as_u16(), headers: answer.headers().clone(), body })
    }
}

/// Statuses by which a host says that the same request may succeed a little later.
fn is_passing(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502 | 503 | 504)
}

/// Whether the next try may go better. An address or certificate that is wrong stays so.
fn may_pass(error: &Error) -> bool {
    matches!(
        error,
        Error::Io(_) | Error::Timeout(_) | Error::HostNotFound | Error::ConnectionFailed | Error::Protocol(_)
    )
}

/// An address of a host: scheme, host with its port, and the path without a slash at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub scheme: String,
    pub host: String,
    pub path: String,
}

impl Address {
    /// Reads `https://host:port/path`.
    ///
    /// # Errors
    /// Says how to write one. What was written is not repeated: an address may be a secret.
    pub fn parse(text: &str) -> Result<Address> {
        let parts = text.split_once("://").filter(|(scheme, _)| ["http", "https"].contains(scheme));
        let Some((scheme, rest)) = parts else { bail!("an address begins with `https://` or `http://`") };
        let (host, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        if host.is_empty() || host.contains(|c: char| c == '@' || c.is_whitespace() || c.is_control()) {
            bail!("an address names a host after `{scheme}://`, and no user");
        }
        // Signatures cover the host as clients send it: without the port that the scheme implies.
        let implied = if scheme == "https" { ":443" } else { ":80" };
        let host = host.strip_suffix(implied).unwrap_or(host).to_ascii_lowercase();
        Ok(Address { scheme: scheme.to_owned(), host, path: path.trim_end_matches('/').to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        let parts = |text: &str| Address::parse(text).map(|at| (at.scheme, at.host, at.path)).ok();
        let expected = |scheme: &str, host: &str, path: &str| {
            Some((scheme.to_owned(), host.to_owned(), path.to_owned()))
        };
        assert_eq!(parts("https://S3.example.org:443"), expected("https", "s3.example.org", ""));
        assert_eq!(parts("http://127.0.0.1:9000/s3/"), expected("http", "127.0.0.1:9000", "/s3"));
        for text in ["", "s3.example.org", "ftp://x", "https://", "https://a@b", "https://a b"] {
            assert_eq!(parts(text), None, "{text}");
        }
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        assert!(is_passing(503) && is_passing(429));
        assert!(!is_passing(200) && !is_passing(403) && !is_passing(404) && !is_passing(501));
    }
}
