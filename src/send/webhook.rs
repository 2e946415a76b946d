//! A snapshot told to a program: its summary as JSON, by POST, signed as <https://www.standardwebhooks.com> says.

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::json;

use crate::report::summary::Line;
use crate::send::http::{Address, Client, Request};
use crate::send::report::Report;
use crate::send::sign::hmac;

/// Holds what bodies are signed with: any text, or `whsec_` and Base64.
pub const SECRET: &str = "DASH_WEBHOOK_SECRET";

/// Begins a secret in Base64.
const ENCODED: &str = "whsec_";

/// Where to, and who vouches for it.
#[derive(Clone, Copy, Debug)]
pub struct Hook<'a> {
    pub url: &'a str,
    pub secret: Option<&'a str>,
    /// When it is sent.
    pub moment_ms: i64,
}

/// Reads the address of a webhook, which may be a secret.
///
/// # Errors
/// Says how to write one, without repeating it.
pub fn address(url: &str) -> Result<Address> {
    let address = Address::parse(url)?;
    let name = address.host.rsplit_once(':').map_or(address.host.as_str(), |(name, _)| name);
    if address.scheme == "http" && !["localhost", "127.0.0.1", "[::1]"].contains(&name) {
        bail!("a webhook begins with `https://`, unless it is on this machine");
    }
    Ok(address)
}

/// One wrapper in the body.
#[derive(Serialize)]
struct Wrapper<'a> {
    name: &'a str,
    status: &'a str,
    score: Option<f64>,
    success_rate: Option<f64>,
    p95: Option<f64>,
    total_operations: u64,
    error_count: u64,
    cost: Option<f64>,
}

impl<'a> Wrapper<'a> {
    fn of(line: &'a Line) -> Wrapper<'a> {
        Wrapper {
            name: &line.name,
            status: line.status.word(),
            score: line.score,
            success_rate: line.day.success_rate,
            p95: line.day.p95,
            total_operations: line.day.total_operations,
            error_count: line.day.error_count,
            cost: line.day.cost,
        }
    }
}

/// What is sent; README.md describes it.
pub fn body(report: &Report) -> serde_json::Value {
    let row = &report.row;
    json!({
        "event": "snapshot",
        "id": row.id,
        "title": report.title,
        "generated_at": row.generated_at,
        "last_data": row.last_data,
        "status": row.status.word(),
        "score": row.score,
        "total_operations": row.operations,
        "error_count": row.errors,
        "missed": row.missed,
        "url": report.address,
        "wrappers": report.wrappers.iter().map(Wrapper::of).collect::<Vec<_>>(),
    })
}

/// Posts a report.
///
/// # Errors
/// If the address does not hold, or nobody there takes it.
pub fn send(report: &Report, hook: &Hook) -> Result<()> {
    let address = address(hook.url)?;
    let body = serde_json::to_vec(&body(report))?;
    let mut headers = vec![
        ("content-type".to_owned(), "application/json".to_owned()),
        ("webhook-id".to_owned(), report.row.id.clone()),
        ("webhook-timestamp".to_owned(), (hook.moment_ms / 1000).to_string()),
    ];
    if let Some(secret) = hook.secret {
        let signature = signature(secret, &report.row.id, hook.moment_ms / 1000, &body)?;
        headers.push(("webhook-signature".to_owned(), signature));
    }
    let request =
        || Request { method: "POST", url: hook.url.to_owned(), headers: headers.clone(), body: &body };
    let answer =
        Client::default().send(request).with_context(|| format!("the webhook at `{}`", address.host))?;
    if !answer.is_success() {
        bail!("the webhook at `{}` answered {}; look there for the reason", address.host, answer.status);
    }
    Ok(())
}

fn signature(secret: &str, id: &str, seconds: i64, body: &[u8]) -> Result<String> {
    let key = match secret.strip_prefix(ENCODED) {
        Some(encoded) => STANDARD
            .decode(encoded)
            .ok()
            .with_context(|| format!("`{SECRET}` begins with `{ENCODED}`, and what follows is not Base64"))?,
        None => secret.as_bytes().to_vec(),
    };
    let signed = [format!("{id}.{seconds}.").as_bytes(), body].concat();
    Ok(format!("v1,{}", STANDARD.encode(hmac(&key, &signed))))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's libraries.
    #[test]
    fn signatures_are_those_of_the_standard() {
        let signature = signature(
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            b"{\"test\": 2432232314}",
        );
        assert_eq!(signature.expect("it is Base64"), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn addresses_are_secret_on_their_way_and_in_errors() {
        for url in ["https://x.example.org/a?key=1", "http://127.0.0.1:8080/x", "http://localhost/"] {
            assert!(address(url).is_ok(), "{url}");
        }
        for url in ["http://x.example.org/key", "hooks.example.org/key"] {
            assert!(!address(url).expect_err(url).to_string().contains("key"));
        }
    }
}
