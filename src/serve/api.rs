//! The handlers of the API: parameters are read and checked here, answers come from `report/`.

use std::convert::Infallible;
use std::sync::Arc;

use futures_util::stream;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use warp::filters::path::Tail;
use warp::http::StatusCode;
use warp::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, HeaderValue};
use warp::reply::{Reply, Response};

use crate::analysis::facts::{Facts, WrapperFacts};
use crate::analysis::window::MAX_HOURS;
use crate::model::notes::shorten;
use crate::model::time::rfc3339;
use crate::publish::sha256;
use crate::report::charts;
use crate::report::datasets::{
    ACTIVITY, DEFAULT_HOURS, envelope, metrics_envelope, system_health as system_data,
    wrappers_health as wrappers_data,
};
use crate::report::export::{Export, Format};
use crate::serve::answer::{ApiError, JSON, Prepared, Request, cacheable, not_modified};

/// What a handler gives.
pub type Answered = Result<Response, ApiError>;

/// Asks a handler, if the request can be answered at all.
pub async fn read<F: Future<Output = Answered>>(
    handler: impl FnOnce(Request) -> F,
    request: Request,
) -> Response {
    let answered = match request.check() {
        Ok(()) => handler(request).await,
        Err(error) => Err(error),
    };
    answered.unwrap_or_else(Reply::into_response)
}

/// `/health`.
pub async fn health(request: Request) -> Answered {
    let snapshot = request.current.manifest.id.clone();
    answer(request, "health".to_owned(), move |facts| {
        json!({
            "status": "ok",
            "timestamp": rfc3339(facts.moment_ms),
            "version": env!("CARGO_PKG_VERSION"),
            "snapshot": snapshot,
        })
    })
    .await
}

/// `/live.json`: a page opens a WebSocket where this says that someone answers.
pub async fn live(request: Request) -> Answered {
    let live = |_: &Facts| json!({"live": true, "version": env!("CARGO_PKG_VERSION")});
    answer(request, "live".to_owned(), live).await
}

/// `/api/system/health`.
pub async fn system_health(request: Request) -> Answered {
    let hours = hours(&request)?;
    let make = move |facts: &Facts| envelope(system_data(facts, hours), facts.moment_ms);
    answer(request, format!("system {hours:?}"), make).await
}

/// `/api/wrappers/health`.
pub async fn wrappers_health(request: Request) -> Answered {
    let hours = hours(&request)?;
    let make = move |facts: &Facts| envelope(wrappers_data(facts, hours), facts.moment_ms);
    answer(request, format!("wrappers {hours:?}"), make).await
}

/// `/api/wrappers/{name}/metrics`; `name` is encoded still.
pub async fn wrapper_metrics(name: String, request: Request) -> Answered {
    let name = percent_decode_str(&name).decode_utf8_lossy().into_owned();
    let hours = hours(&request)?.unwrap_or(DEFAULT_HOURS);
    let at = position(&request, &name)?;
    let make = move |facts: &Facts| metrics_envelope(facts, &facts.wrappers[at], hours);
    answer(request, format!("metrics {hours} {name}"), make).await
}

/// `/api/charts/performance`: a Plotly figure, of all wrappers or of one.
pub async fn performance_chart(request: Request) -> Answered {
    let hours = hours(&request)?.unwrap_or(DEFAULT_HOURS);
    let wrapper = request.parameter("wrapper").filter(|name| name != ALL);
    let at = wrapper.as_deref().map(|name| position(&request, name)).transpose()?;
    let make = move |facts: &Facts| match at {
        Some(at) => json!(charts::performance::performance(facts, &facts.wrappers[at], hours)),
        None => json!(charts::performance::performance_all(facts, hours)),
    };
    answer(request, format!("performance {hours} {wrapper:?}"), make).await
}

/// `/api/charts/health`: a Plotly figure.
pub async fn health_chart(request: Request) -> Answered {
    answer(request, "health chart".to_owned(), |facts| json!(charts::health::health(facts))).await
}

/// `/api/metrics/export`.
pub async fn export(request: Request) -> Answered {
    let hours = hours(&request)?.unwrap_or(DEFAULT_HOURS);
    let word = request.parameter("format").unwrap_or_else(|| Format::Json.word().to_owned());
    let Some(format) = Format::of(&word) else {
        let message = format!("`format` must be `json` or `csv`, not `{}`", shorten(&word, 40));
        return Err(invalid(&request, message));
    };
    let wrapper = request.parameter("wrapper").filter(|name| name != ALL);
    if let Some(name) = &wrapper {
        position(&request, name)?;
    }
    let etag = etag(&request, &format!("export {word} {hours} {wrapper:?}"));
    if request.knows(&etag) {
        return Ok(not_modified(&etag, "no-cache"));
    }
    let export = Export { format, hours, wrapper };
    let disposition = format!("attachment; filename=\"{}\"", export.file_name());
    let pieces = export.pieces(Arc::clone(&request.current.facts));
    let mut response = match request.method {
        warp::http::Method::HEAD => Response::default(),
        _ => warp::reply::stream(stream::iter(pieces.map(Ok::<_, Infallible>))).into_response(),
    };
    let content_type = if format == Format::Csv { "text/csv; charset=utf-8" } else { JSON };
    let headers = response.headers_mut();
    cacheable(headers, &etag, "no-cache");
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Ok(disposition) = HeaderValue::from_str(&disposition) {
        headers.insert(CONTENT_DISPOSITION, disposition);
    }
    Ok(response)
}

/// `/api/activity`: as it was published, since the buckets in the site do not tell it.
pub async fn activity(request: Request) -> Answered {
    published(ACTIVITY, &request)
}

/// Any other path under `/api`: one of the published answers, or nothing.
pub async fn other(tail: Tail, request: Request) -> Answered {
    let tail = percent_decode_str(tail.as_str()).decode_utf8_lossy();
    published(&format!("api/{tail}"), &request)
}

fn published(path: &str, request: &Request) -> Answered {
    let file = request.current.files.get(path).ok_or_else(|| {
        request.error(StatusCode::NOT_FOUND, "not_found", "there is no such path in the API")
    })?;
    Ok(file.respond(request, StatusCode::OK))
}

/// What `wrapper` says for all of them.
const ALL: &str = "all";

/// The answer to a question, from those that are kept or worked out now. A client that has it already is
/// told so without any of that.
async fn answer(
    request: Request,
    question: String,
    make: impl FnOnce(&Facts) -> Value + Send + 'static,
) -> Answered {
    let etag = etag(&request, &question);
    if request.knows(&etag) {
        return Ok(not_modified(&etag, "no-cache"));
    }
    if let Some(kept) = request.current.answers.get(&question) {
        return Ok(kept.respond(&request, StatusCode::OK));
    }
    let (facts, gzip) = (Arc::clone(&request.current.facts), request.takes_gzip());
    let tag = etag.trim_start_matches("W/").trim_matches('"').to_owned();
    let work = move || {
        let prepared = Prepared::new(make(&facts).to_string().into_bytes(), JSON, &tag);
        if gzip {
            prepared.gzip();
        }
        Arc::new(prepared)
    };
    let prepared = tokio::task::spawn_blocking(work).await.map_err(|_| {
        let message = "this could not be worked out; the log of the daemon says more";
        request.error(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    })?;
    request.current.answers.keep(question, Arc::clone(&prepared));
    Ok(prepared.respond(&request, StatusCode::OK))
}

/// Of a question to this snapshot.
fn etag(request: &Request, question: &str) -> String {
    format!("W/\"{}-{}\"", request.current.manifest.id, &sha256(question.as_bytes())[..8])
}

/// `hours`; `None` where it is not given.
fn hours(request: &Request) -> Result<Option<u32>, ApiError> {
    let Some(text) = request.parameter("hours") else { return Ok(None) };
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let hours = text.parse().ok().filter(|hours| digits && (1..=MAX_HOURS).contains(hours));
    hours.map(Some).ok_or_else(|| {
        let shown = shorten(&text, 40);
        invalid(request, format!("`hours` must be a whole number from 1 to {MAX_HOURS}, not `{shown}`"))
    })
}

fn invalid(request: &Request, message: String) -> ApiError {
    request.error(StatusCode::BAD_REQUEST, "invalid_parameter", message)
}

/// The index of a wrapper in the facts.
fn position(request: &Request, name: &str) -> Result<usize, ApiError> {
    let wrappers = &request.current.facts.wrappers;
    wrappers.binary_search_by(|wrapper: &WrapperFacts| wrapper.id.name.as_str().cmp(name)).map_err(|_| {
        let message = format!("there is no wrapper `{}`", shorten(name, 80));
        request.error(StatusCode::NOT_FOUND, "unknown_wrapper", message)
    })
}
