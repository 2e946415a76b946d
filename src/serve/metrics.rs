//! `/metrics`: dash itself and the wrappers' figures in the text format of Prometheus, version 0.0.4.
//!
//! The wrappers' figures are over the health window, which slides: hence gauges, and no counters.
//! To add one: a row of `WRAPPER_GAUGES`, or a `Family` in `own`.

use std::fmt::Write as _;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use chrono::DateTime;
use serde_json::Value;
use warp::http::StatusCode;
use warp::reply::Response;

use crate::report::datasets::wrappers_health;
use crate::serve::answer::{ApiError, Request, plain};
use crate::serve::prepared::{Label, Prepared};
use crate::serve::routes::Shared;
use crate::serve::state::Current;

pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// (name, help, labels besides the wrapper's, field of the wrapper's health, factor).
type Gauge = (&'static str, &'static str, &'static str, &'static str, f64);

/// Those of one name stand together, as the format wants it.
const WRAPPER_GAUGES: [Gauge; 13] = [
    ("dash_wrapper_health_score", "Health, 0 to 1.", "", "health_score", 1.0),
    ("dash_wrapper_in_flight", "Operations that have begun and not ended.", "", "in_flight", 1.0),
    ("dash_wrapper_operations", OPERATIONS, ",outcome=\"success\"", "success_count", 1.0),
    ("dash_wrapper_operations", OPERATIONS, ",outcome=\"fallback\"", "fallback_count", 1.0),
    ("dash_wrapper_operations", OPERATIONS, ",outcome=\"failure\"", "error_count", 1.0),
    ("dash_wrapper_success_ratio", "Successes among the operations, 0 to 1.", "", "success_rate", 1.0),
    ("dash_wrapper_response_time_seconds", RESPONSE_TIME, ",quantile=\"0.5\"", "p50", 1e-3),
    ("dash_wrapper_response_time_seconds", RESPONSE_TIME, ",quantile=\"0.95\"", "p95", 1e-3),
    ("dash_wrapper_response_time_seconds", RESPONSE_TIME, ",quantile=\"0.99\"", "p99", 1e-3),
    ("dash_wrapper_cost", "Cost as reported, in the site's currency.", "", "cost", 1.0),
    ("dash_wrapper_tokens", TOKENS, ",kind=\"prompt\"", "prompt_tokens", 1.0),
    ("dash_wrapper_tokens", TOKENS, ",kind=\"completion\"", "completion_tokens", 1.0),
    ("dash_wrapper_tokens", TOKENS, ",kind=\"cached\"", "cached_tokens", 1.0),
];

const OPERATIONS: &str = "Operations that ended in the health window.";
const RESPONSE_TIME: &str = "Response time in the health window.";
const TOKENS: &str = "Tokens of the operations that ended in the health window.";

/// The answer.
///
/// # Errors
/// As those of the API.
pub async fn get(shared: &Shared, request: &Request) -> Result<Response, ApiError> {
    request.check()?;
    let current = Arc::clone(&request.current);
    // Worked out once a snapshot; the daemon's own figures are those of this moment.
    let make = move || Prepared::new(wrappers(&current).into_bytes(), Label::new(CONTENT_TYPE, "metrics"));
    let answer = request.current.answers.get("metrics".to_owned(), make).await;
    let wrappers = answer.map_err(|_| request.internal())?;
    let mut text = own(shared, &request.current);
    text += &String::from_utf8_lossy(wrappers.bytes());
    Ok(plain(StatusCode::OK, CONTENT_TYPE, text))
}

/// Samples of one name.
struct Family<'a> {
    name: &'a str,
    kind: &'a str,
    help: &'a str,
    /// (labels with their braces, or nothing; value).
    samples: Vec<(String, f64)>,
}

impl Family<'_> {
    fn write(&self, out: &mut String) {
        let Family { name, kind, help, samples } = self;
        // Writing to memory does not fail.
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in samples {
            let _ = writeln!(out, "{name}{labels} {value}");
        }
    }
}

fn own(shared: &Shared, current: &Current) -> String {
    let status = &shared.status;
    let mut out = String::new();
    let mut family = |name, kind, help, samples| Family { name, kind, help, samples }.write(&mut out);
    let one = |value: f64| vec![(String::new(), value)];
    let version = format!("{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
    family("dash_build_info", "gauge", "The version of dash.", vec![(version, 1.0)]);
    let results = |pairs: [(&str, &AtomicU64); 2]| {
        let sample = |(result, counter): (&str, &AtomicU64)| {
            (format!("{{result=\"{result}\"}}"), counter.load(Ordering::Relaxed) as f64)
        };
        pairs.map(sample).to_vec()
    };
    let builds = results([("ok", &status.built), ("failed", &status.failed)]);
    family("dash_builds_total", "counter", "Builds of the site by this daemon.", builds);
    let reported = results([("accepted", &status.accepted), ("rejected", &status.refused)]);
    family("dash_reported_operations_total", "counter", "Records reported to this daemon.", reported);
    let seconds = status.last_build().as_secs_f64();
    family("dash_last_build_seconds", "gauge", "How long the last build took.", one(seconds));
    let healthy = if status.notice.borrow().is_none() { 1.0 } else { 0.0 };
    family("dash_site_current", "gauge", "Whether the site is kept up to date.", one(healthy));
    let answers = status.answers().into_iter().zip(1..);
    let answers = answers.map(|(count, class)| (format!("{{code=\"{class}xx\"}}"), count as f64)).collect();
    family("dash_http_responses_total", "counter", "Responses by class of status.", answers);
    let clients = f64::from(shared.clients) - shared.seats.available_permits() as f64;
    family("dash_live_clients", "gauge", "Connected WebSockets.", one(clients));
    let moment = current.facts.moment_ms as f64 / 1000.0;
    family("dash_snapshot_timestamp_seconds", "gauge", "The moment that the site shows.", one(moment));
    if let Some(last) = current.manifest.last_data.as_deref().and_then(seconds_of) {
        family("dash_last_data_timestamp_seconds", "gauge", "End of the newest operation.", one(last));
    }
    if let Ok(started) = status.started.duration_since(SystemTime::UNIX_EPOCH) {
        let help = "Start time of the process.";
        family("process_start_time_seconds", "gauge", help, one(started.as_secs_f64()));
    }
    if let Some(bytes) = resident_bytes() {
        family("process_resident_memory_bytes", "gauge", "Resident memory.", one(bytes as f64));
    }
    if let Ok(files) = fs::read_dir("/proc/self/fd") {
        family("process_open_fds", "gauge", "Open file descriptors.", one(files.count() as f64));
    }
    out
}

/// `None` where the system does not tell.
fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

fn wrappers(current: &Current) -> String {
    let health = wrappers_health(&current.facts, None);
    let mut out = String::new();
    let mut last = Family {
        name: "dash_wrapper_last_activity_timestamp_seconds",
        kind: "gauge",
        help: "End of the newest operation.",
        samples: Vec::new(),
    };
    for (name, wrapper) in &health {
        if let Some(at) = wrapper["last_activity"].as_str().and_then(seconds_of) {
            last.samples.push((format!("{{wrapper=\"{}\"}}", escaped(name)), at));
        }
    }
    last.write(&mut out);
    for gauges in WRAPPER_GAUGES.chunk_by(|one, next| one.0 == next.0) {
        let (name, help, ..) = gauges[0];
        let samples = health.iter().flat_map(|(wrapper, health)| samples(wrapper, health, gauges)).collect();
        Family { name, kind: "gauge", help, samples }.write(&mut out);
    }
    out
}

/// What is not known, such as the response time of no operations, has no sample.
fn samples(wrapper: &str, health: &Value, gauges: &[Gauge]) -> Vec<(String, f64)> {
    let sample = |(_, _, labels, field, factor): &Gauge| {
        let value = health[field].as_f64()? * factor;
        Some((format!("{{wrapper=\"{}\"{labels}}}", escaped(wrapper)), value))
    };
    gauges.iter().filter_map(sample).collect()
}

fn seconds_of(timestamp: &str) -> Option<f64> {
    Some(DateTime::parse_from_rfc3339(timestamp).ok()?.timestamp_millis() as f64 / 1000.0)
}

/// A label's value: backslash, quote and newline are escaped, other control characters are not shown.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            letter if letter.is_control() => out.push('\u{fffd}'),
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_label() {
        assert_eq!(escaped("a\"} 1\nb\\\r"), "a\\\"} 1\\nb\\\\\u{fffd}");
    }

    #[test]
    fn gauges_of_one_name_stand_together() {
        let names: Vec<_> = WRAPPER_GAUGES.chunk_by(|a, b| a.0 == b.0).map(|gauges| gauges[0].0).collect();
        let distinct: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(names.len(), distinct.len());
    }
}
