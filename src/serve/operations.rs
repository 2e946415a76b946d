//! `POST /api/operations`: wrappers report what they did, and hear that it was taken once it is on the disk.

use std::fmt::{self, Formatter};
use std::io::Read;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::Utc;
use flate2::read::MultiGzDecoder;
use futures_util::{Stream, StreamExt};
use hyper::body::Buf;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use warp::http::StatusCode;
use warp::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use warp::reply::{Reply, Response};

use crate::model::time::rfc3339;
use crate::serve::answer::{ApiError, JSON, Request, plain};
use crate::serve::inbox::Refused;
use crate::serve::routes::Shared;
use crate::sources::inbox::Check;

/// Most bytes of a body as it is sent, and unpacked.
pub const MOST_BYTES: usize = 8 << 20;
const MOST_UNPACKED: usize = 32 << 20;
/// Most records of a body, and bytes of one.
pub const MOST_RECORDS: usize = 50_000;
pub const MOST_RECORD_BYTES: usize = 1 << 20;
/// Most refusals that an answer tells one by one.
const MOST_TOLD: usize = 100;
/// How long a body may take to arrive.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// Bodies larger than this are checked on a thread that may take its time: few bytes can be many records.
const ASIDE_BYTES: usize = 4 << 10;
/// Bodies larger than this are taken in turns, a few at a time.
const LARGE_BYTES: usize = 64 << 10;

/// Media types of one record a line.
pub const LINES: [&str; 3] = ["application/x-ndjson", "application/jsonl", "application/ndjson"];

/// Takes a report in.
pub async fn post<B: Buf>(
    shared: Arc<Shared>,
    request: Request,
    body: impl Stream<Item = Result<B, warp::Error>>,
) -> Response {
    let taken = async {
        let form = Form::of(&request)?;
        // The room is held until the records are on the disk, as is the turn: a packed body may be large once it is
        // unpacked.
        let (bytes, _room) = read(&request, &shared.large_bodies, body).await?;
        let large = form.gzip || bytes.len() > LARGE_BYTES;
        let _turn = if large { shared.large_reports.acquire().await.ok() } else { None };
        let (internal, request) = (request.internal(), Arc::new(request));
        let checked = {
            let (request, aside) = (Arc::clone(&request), form.gzip || bytes.len() > ASIDE_BYTES);
            let check = move || checked(&request, form, bytes);
            // What takes long would keep others waiting.
            if aside { spawn_blocking(check).await.map_err(|_| internal)?? } else { check()? }
        };
        take(&shared, &request, checked).await
    };
    taken.await.unwrap_or_else(Reply::into_response)
}

/// How a body is written.
#[derive(Clone, Copy, Debug)]
struct Form {
    lines: bool,
    gzip: bool,
}

impl Form {
    fn of(request: &Request) -> Result<Form, ApiError> {
        let header =
            |headers: &HeaderMap, name| headers.get(name).map(|value| value.to_str().map(str::to_owned));
        let unsupported = |message: String| {
            request.error(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message)
        };
        let given = header(&request.headers, CONTENT_TYPE).and_then(Result::ok).unwrap_or_default();
        let media = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let lines = LINES.contains(&media.as_str());
        // A page of another site can send text without being asked; JSON it cannot.
        if !lines && media != JSON {
            let message = format!("send `{JSON}`, or `{}` with one record a line", LINES[0]);
            return Err(unsupported(message));
        }
        let gzip = match header(&request.headers, CONTENT_ENCODING).map(Result::unwrap_or_default).as_deref()
        {
            None | Some("identity") => false,
            Some("gzip") => true,
            Some(_) => return Err(unsupported("a body may be packed with `gzip` only".to_owned())),
        };
        let length = header(&request.headers, CONTENT_LENGTH).and_then(|length| length.ok()?.parse().ok());
        if length.is_some_and(|length: usize| length > MOST_BYTES) {
            return Err(too_large(request));
        }
        Ok(Form { lines, gzip })
    }
}

fn too_large(request: &Request) -> ApiError {
    let message = format!("a body may have {MOST_BYTES} bytes, and {MOST_UNPACKED} unpacked; send several");
    request.error(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", message)
}

fn crowded(request: &Request) -> ApiError {
    let message = "too many large reports arrive at the same time; nothing was taken, so send it again";
    request.error(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message).with(RETRY_AFTER, 1.into())
}

fn invalid(request: &Request, message: impl Into<String>) -> ApiError {
    request.error(StatusCode::BAD_REQUEST, "invalid_body", message)
}

/// A body, and the room that it takes if it is large.
async fn read<'r, B: Buf>(
    request: &Request,
    room: &'r Semaphore,
    body: impl Stream<Item = Result<B, warp::Error>>,
) -> Result<(Vec<u8>, Option<SemaphorePermit<'r>>), ApiError> {
    timeout(BODY_TIMEOUT, collect(request, room, body)).await.map_err(|_| {
        let message = format!("the body did not arrive within {} seconds", BODY_TIMEOUT.as_secs());
        request.error(StatusCode::REQUEST_TIMEOUT, "request_timeout", message)
    })?
}

async fn collect<'r, B: Buf>(
    request: &Request,
    room: &'r Semaphore,
    body: impl Stream<Item = Result<B, warp::Error>>,
) -> Result<(Vec<u8>, Option<SemaphorePermit<'r>>), ApiError> {
    let (mut body, mut bytes, mut held) = (pin!(body), Vec::new(), None);
    while let Some(piece) = body.next().await {
        let mut piece = piece.map_err(|_| invalid(request, "the body ended early"))?;
        let length = bytes.len() + piece.remaining();
        if length > MOST_BYTES {
            return Err(too_large(request));
        }
        if length > LARGE_BYTES && held.is_none() {
            held = Some(room.try_acquire().map_err(|_| crowded(request))?);
        }
        while piece.has_remaining() {
            let chunk = piece.chunk();
            let length = chunk.len();
            bytes.extend_from_slice(chunk);
            piece.advance(length);
        }
    }
    Ok((bytes, held))
}

/// Unpacks as much as is allowed, however much a small body claims to hold.
fn unpacked(request: &Request, bytes: &[u8]) -> Result<Vec<u8>, ApiError> {
    let mut unpacked = Vec::new();
    let read = MultiGzDecoder::new(bytes).take(MOST_UNPACKED as u64 + 1).read_to_end(&mut unpacked);
    read.map_err(|_| invalid(request, "the body is not whole gzip"))?;
    if unpacked.len() > MOST_UNPACKED { Err(too_large(request)) } else { Ok(unpacked) }
}

/// One record more than a body may hold, or fewer, of a JSON array.
struct Listed<'a>(Vec<&'a str>);

impl<'de: 'a, 'a> Deserialize<'de> for Listed<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Listed<'a>, D::Error> {
        deserializer.deserialize_seq(List)
    }
}

/// Reads a [`Listed`].
struct List;

impl<'de> Visitor<'de> for List {
    type Value = Listed<'de>;

    fn expecting(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str("an array of records")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Listed<'de>, A::Error> {
        let mut records = Vec::new();
        while let Some(record) = list.next_element::<&RawValue>()? {
            if records.len() <= MOST_RECORDS {
                records.push(record.get());
            }
        }
        Ok(Listed(records))
    }
}

/// The records of a body, each as it stands there.
fn records<'a>(request: &Request, form: &Form, text: &'a str) -> Result<Vec<&'a str>, ApiError> {
    let text = text.trim_start_matches('\u{feff}').trim();
    let records: Vec<&str> = if form.lines {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        lines.take(MOST_RECORDS + 1).collect()
    } else if text.starts_with('[') {
        let Listed(list) = serde_json::from_str(text)
            .map_err(|error| invalid(request, format!("the body is not valid JSON: {error}")))?;
        list
    } else if text.is_empty() {
        Vec::new()
    } else {
        vec![text]
    };
    match records.len() {
        0 => Err(invalid(request, "there is no record in the body")),
        1..=MOST_RECORDS => Ok(records),
        _ => {
            let message = format!("a body may hold {MOST_RECORDS} records; send several");
            Err(request.error(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", message))
        }
    }
}

/// What there is in a body.
#[derive(Debug, Default)]
struct Checked {
    /// The good records, as they will be in the inbox.
    lines: Vec<u8>,
    accepted: u64,
    refused: u64,
    /// Why the first of these are not good.
    problems: Vec<Value>,
}

/// Unpacks a body and tells its good records from the others.
fn checked(request: &Request, form: Form, bytes: Vec<u8>) -> Result<Checked, ApiError> {
    let bytes = if form.gzip { unpacked(request, &bytes)? } else { bytes };
    let text = String::from_utf8(bytes).map_err(|_| invalid(request, "the body is not UTF-8"))?;
    let mut checked = Checked::default();
    let check = Check::at(Utc::now().timestamp_millis());
    for (at, record) in records(request, &form, &text)?.into_iter().enumerate() {
        let reason = match record.len() > MOST_RECORD_BYTES {
            true => Err(format!("a record may have {MOST_RECORD_BYTES} bytes")),
            false => check.record(record),
        };
        match reason {
            Ok(()) => {
                // In valid JSON, these stand between values only.
                let line = record.bytes().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte });
                checked.lines.extend(line.chain([b'\n']));
                checked.accepted += 1;
            }
            Err(reason) => {
                checked.refused += 1;
                if checked.problems.len() < MOST_TOLD {
                    checked.problems.push(json!({"record": at, "reason": reason}));
                }
            }
        }
    }
    Ok(checked)
}

/// Appends the good records.
async fn take(shared: &Shared, request: &Request, checked: Checked) -> Result<Response, ApiError> {
    let Checked { lines, accepted, refused, problems } = checked;
    if accepted > 0 {
        shared.inbox.append(lines).await.map_err(|error| unwritten(request, error))?;
    }
    shared.status.accepted.fetch_add(accepted, Ordering::Relaxed);
    shared.status.refused.fetch_add(refused, Ordering::Relaxed);
    Ok(answer(accepted, refused, problems))
}

fn unwritten(request: &Request, refused: Refused) -> ApiError {
    let unavailable = (StatusCode::SERVICE_UNAVAILABLE, "unavailable");
    let ((status, code), seconds, message) = match refused {
        Refused::Busy => {
            (unavailable, 1, "too many reports wait to be written; nothing was taken, so send it again")
        }
        Refused::Failed => {
            (unavailable, 5, "the report could not be written; nothing was taken, so send it again")
        }
        Refused::Full => (
            (StatusCode::INSUFFICIENT_STORAGE, "inbox_full"),
            60,
            "the inbox holds as much as `inbox_max_bytes` of `[serve]` allows, and builds have not read it; see why \
             they fail, or raise it; nothing was taken, so send it again",
        ),
    };
    request.error(status, code, message).with(RETRY_AFTER, seconds.into())
}

/// 202 where anything was taken, 400 where nothing was; which records were not, and why.
fn answer(accepted: u64, refused: u64, problems: Vec<Value>) -> Response {
    let timestamp = rfc3339(Utc::now().timestamp_millis());
    let data = json!({"accepted": accepted, "rejected": refused, "problems": problems});
    let (status, body) = if accepted > 0 {
        (StatusCode::ACCEPTED, json!({"success": true, "data": data, "timestamp": timestamp}))
    } else {
        let error =
            json!({"code": "invalid_records", "message": "none of the records can be read; `data` says why"});
        (
            StatusCode::BAD_REQUEST,
            json!({"success": false, "error": error, "data": data, "timestamp": timestamp}),
        )
    };
    plain(status, JSON, body.to_string())
}
