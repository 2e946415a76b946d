//! The API: a table of what can be asked, by which parameters, and which function answers. The document that
//! describes it (`openapi.rs`) is made from the same rows.
//!
//! Answers come from `report/`, as functions of a snapshot, and are kept until the next.

use std::io;
use std::sync::Arc;

use chrono::Utc;
use futures_util::{Stream, stream};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use warp::filters::path::FullPath;
use warp::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue};
use warp::http::{Method, StatusCode};
use warp::reply::{Reply, Response};

use crate::access::sessions::Session;
use crate::analysis::facts::{Facts, WrapperFacts};
use crate::analysis::window::MAX_HOURS;
use crate::model::notes::shorten;
use crate::model::time::rfc3339;
use crate::publish::sha256;
use crate::report::charts;
use crate::report::datasets::{
    ACTIVITY, DEFAULT_HOURS, Envelope, metrics_envelope, system_health, wrappers_health,
};
use crate::report::export::{Export, Format};
use crate::serve::answer::{ApiError, JSON, Request, plain};
use crate::serve::answers::Workers;
use crate::serve::conditions::{Verdict, Version};
use crate::serve::files::{Files, prepare};
use crate::serve::keeper::Keeper;
use crate::serve::metrics;
use crate::serve::prepared::{Label, Prepared};
use crate::serve::routes::Shared;
use crate::serve::state::Current;
use crate::serve::{docs, openapi};

/// Bytes of an export that are sent at a time, or more.
const PIECE_BYTES: usize = 64 << 10;

/// What a handler gives.
pub type Answered = Result<Response, ApiError>;

/// One row of the API.
#[derive(Debug)]
pub struct Endpoint {
    /// Below the base path, as OpenAPI writes it: `{name}` stands for the name of a wrapper.
    pub path: &'static str,
    pub summary: &'static str,
    pub parameters: &'static [Parameter],
    pub answer: Answer,
}

/// What a question may be narrowed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parameter {
    Format,
    /// 1..=[`MAX_HOURS`]; what is looked back on where it is not given, `None` being the health window.
    Hours(Option<u32>),
    /// The wrapper in the path.
    Name,
    /// The name of a wrapper, or [`ALL`].
    Wrapper,
}

/// How a question is answered.
#[derive(Clone, Copy, Debug)]
pub enum Answer {
    /// By JSON worked out from the snapshot; `schema` is its name in the document.
    Worked { schema: &'static str, make: fn(&Current, &Asked) -> Value },
    /// By a file as it was published.
    Published { schema: &'static str, path: &'static str },
    /// By a stream of rows.
    Export,
}

/// The values of a question's parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    hours: Option<u32>,
    format: Format,
    /// The index of a wrapper in the facts; all where absent.
    wrapper: Option<usize>,
}

impl Asked {
    /// For those whose hours have a default.
    fn hours(&self) -> u32 {
        self.hours.unwrap_or(DEFAULT_HOURS)
    }

    fn wrapper<'a>(&self, facts: &'a Facts) -> Option<&'a WrapperFacts> {
        facts.wrappers.get(self.wrapper?)
    }
}

/// What `wrapper` says for all of them.
pub const ALL: &str = "all";

const LOOK_BACK: Parameter = Parameter::Hours(Some(DEFAULT_HOURS));
const WINDOW: Parameter = Parameter::Hours(None);

/// Everything that can be asked with `GET`, sorted by path.
pub const ENDPOINTS: [Endpoint; 8] = [
    Endpoint {
        path: "/api/activity",
        summary: "Errors, changes of status, recoveries and new wrappers, newest first",
        parameters: &[],
        // As it was published, since the buckets in the site do not tell it.
        answer: Answer::Published { schema: "Activity", path: ACTIVITY },
    },
    Endpoint {
        path: "/api/charts/health",
        summary: "The health of all wrappers as a Plotly figure",
        parameters: &[],
        answer: Answer::Worked { schema: "Figure", make: health_chart },
    },
    Endpoint {
        path: "/api/charts/performance",
        summary: "Success rates of all wrappers, or success rate and response time of one, as a Plotly figure",
        parameters: &[Parameter::Wrapper, LOOK_BACK],
        answer: Answer::Worked { schema: "Figure", make: performance_chart },
    },
    Endpoint {
        path: "/api/metrics/export",
        summary: "One row a wrapper and hour with every counter, percentile, cost and token sum, as a file",
        parameters: &[Parameter::Format, Parameter::Wrapper, LOOK_BACK],
        answer: Answer::Export,
    },
    Endpoint {
        path: "/api/system/health",
        summary: "The health of all wrappers together",
        parameters: &[WINDOW],
        answer: Answer::Worked {
            schema: "SystemHealth",
            make: |current, asked| enveloped(current, system_health(&current.facts, asked.hours)),
        },
    },
    Endpoint {
        path: "/api/wrappers/health",
        summary: "The health of each wrapper, by its name",
        parameters: &[WINDOW],
        answer: Answer::Worked {
            schema: "WrappersHealth",
            make: |current, asked| {
                enveloped(current, Value::Object(wrappers_health(&current.facts, asked.hours)))
            },
        },
    },
    Endpoint {
        path: "/api/wrappers/{name}/metrics",
        summary: "One wrapper's figures over time; cells without operations are left out",
        parameters: &[Parameter::Name, LOOK_BACK],
        answer: Answer::Worked { schema: "WrapperMetrics", make: wrapper_metrics },
    },
    Endpoint {
        path: "/health",
        summary: "Whether the daemon answers, and with which snapshot",
        parameters: &[],
        answer: Answer::Worked { schema: "DaemonHealth", make: health },
    },
];

fn enveloped(current: &Current, data: Value) -> Value {
    json!(Envelope::new(data, current.facts.moment_ms))
}

fn health_chart(current: &Current, _: &Asked) -> Value {
    json!(charts::health::health(&current.facts))
}

fn performance_chart(current: &Current, asked: &Asked) -> Value {
    let facts = &current.facts;
    match asked.wrapper(facts) {
        Some(wrapper) => json!(charts::performance::performance(facts, wrapper, asked.hours())),
        None => json!(charts::performance::performance_all(facts, asked.hours())),
    }
}

fn wrapper_metrics(current: &Current, asked: &Asked) -> Value {
    let wrapper = asked.wrapper(&current.facts);
    wrapper.map_or(Value::Null, |wrapper| json!(metrics_envelope(&current.facts, wrapper, asked.hours())))
}

fn health(current: &Current, _: &Asked) -> Value {
    json!({
        "status": "ok",
        "timestamp": rfc3339(current.facts.moment_ms),
        "version": env!("CARGO_PKG_VERSION"),
        "snapshot": current.manifest.id,
    })
}

/// The description of the API, by path.
pub fn reference() -> Files {
    let files = [
        ("/api/openapi.json", openapi::document().to_string()),
        ("/api/docs", docs::page()),
        ("/api/docs.css", docs::STYLE.to_owned()),
    ];
    let prepared = |(path, text): (&str, String)| {
        let name = if path.contains('.') { path.to_owned() } else { format!("{path}.html") };
        let tag = sha256(text.as_bytes());
        (path.to_owned(), Arc::new(prepare(&name, text.into_bytes(), &tag[..16], None)))
    };
    files.into_iter().map(prepared).collect()
}

/// Answers a request for `/health`, `/metrics` or anything below `/api`.
pub async fn get(shared: Arc<Shared>, full: FullPath, request: Request) -> Response {
    let path = full.as_str().strip_prefix(&*shared.base_path).unwrap_or_default();
    let path = path.strip_prefix("/api/v1").map_or(path.to_owned(), |rest| format!("/api{rest}"));
    answer(&shared, &path, &request).await.unwrap_or_else(Reply::into_response)
}

async fn answer(shared: &Shared, path: &str, request: &Request) -> Answered {
    if path == "/api/sessions" {
        return sessions(&shared.keeper, request).await;
    }
    if path == "/api/operations" {
        return Err(request.wrong_method("POST"));
    }
    request.check()?;
    if path == "/metrics" {
        return metrics::get(shared, request).await;
    }
    if let Some(file) = shared.reference.get(path) {
        return Ok(file.respond(request.wish(), StatusCode::OK).await);
    }
    let Some((endpoint, name)) = find(path) else {
        let path = percent_decode_str(path.trim_start_matches('/')).decode_utf8_lossy();
        return published(&path, request).await;
    };
    let asked = asked(endpoint, name, request)?;
    match endpoint.answer {
        Answer::Worked { make, .. } => worked(endpoint, make, asked, request).await,
        Answer::Published { path, .. } => published(path, request).await,
        Answer::Export => Ok(export(&asked, request)),
    }
}

/// The row of a path, and the name in it, still encoded; names may themselves hold slashes.
fn find(path: &str) -> Option<(&'static Endpoint, Option<&str>)> {
    ENDPOINTS.iter().find_map(|endpoint| match endpoint.path.split_once("{name}") {
        None => (path == endpoint.path).then_some((endpoint, None)),
        Some((before, after)) => Some((endpoint, Some(path.strip_prefix(before)?.strip_suffix(after)?))),
    })
}

fn asked(endpoint: &Endpoint, name: Option<&str>, request: &Request) -> Result<Asked, ApiError> {
    let mut asked = Asked { hours: None, format: Format::Json, wrapper: None };
    for parameter in endpoint.parameters {
        match parameter {
            Parameter::Format => asked.format = format(request)?,
            Parameter::Hours(default) => asked.hours = hours(request)?.or(*default),
            Parameter::Name => {
                let name = percent_decode_str(name.unwrap_or_default()).decode_utf8_lossy();
                asked.wrapper = Some(position(request, &name)?);
            }
            Parameter::Wrapper => {
                let name = request.parameter("wrapper").filter(|name| name != ALL);
                asked.wrapper = name.map(|name| position(request, &name)).transpose()?;
            }
        }
    }
    Ok(asked)
}

async fn worked(
    endpoint: &'static Endpoint,
    make: fn(&Current, &Asked) -> Value,
    asked: Asked,
    request: &Request,
) -> Answered {
    let question = format!("{} {asked:?}", endpoint.path);
    let (current, tag) = (Arc::clone(&request.current), tag(request, &question));
    let work = move || Prepared::new(make(&current, &asked).to_string().into_bytes(), Label::new(JSON, &tag));
    let answer = request.current.answers.get(question, work).await.map_err(|_| request.internal())?;
    Ok(answer.respond(request.wish(), StatusCode::OK).await)
}

fn export(asked: &Asked, request: &Request) -> Response {
    let etag = format!("\"{}\"", tag(request, &format!("export {asked:?}")));
    let verdict = Version { etag: &etag, modified: None }.verdict(&request.headers);
    let mut response = match verdict {
        Verdict::Send => Response::default(),
        Verdict::NotModified => StatusCode::NOT_MODIFIED.into_response(),
        Verdict::Failed => StatusCode::PRECONDITION_FAILED.into_response(),
    };
    if verdict == Verdict::Send {
        let facts = &request.current.facts;
        let wrapper = asked.wrapper(facts).map(|wrapper| wrapper.id.name.clone());
        let export = Export { format: asked.format, hours: asked.hours(), wrapper };
        let name = export.file_name();
        if request.method == Method::GET {
            let pieces = aside(export.pieces(Arc::clone(facts)), request.current.answers.workers.clone());
            response = warp::reply::stream(pieces).into_response();
        }
        describe_export(response.headers_mut(), asked.format, &name);
    }
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        headers.insert(ETAG, etag);
    }
    response
}

/// Pieces worked out a few at a time, on a thread that may take its time, when the client has taken the last.
fn aside(
    pieces: impl Iterator<Item = Vec<u8>> + Send + 'static,
    workers: Workers,
) -> impl Stream<Item = io::Result<Vec<u8>>> {
    stream::try_unfold((pieces, workers), async |(mut pieces, workers)| {
        let work = move || {
            let mut some = Vec::new();
            while some.len() < PIECE_BYTES
                && let Some(piece) = pieces.next()
            {
                some.extend_from_slice(&piece);
            }
            (some, pieces)
        };
        let (some, pieces) = workers.run(work).await.map_err(|_| io::Error::other("an export failed"))?;
        Ok((!some.is_empty()).then_some((some, (pieces, workers))))
    })
}

fn describe_export(headers: &mut HeaderMap, format: Format, name: &str) {
    let content_type = if format == Format::Csv { "text/csv; charset=utf-8" } else { JSON };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Ok(disposition) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        headers.insert(CONTENT_DISPOSITION, disposition);
    }
}

async fn published(path: &str, request: &Request) -> Answered {
    let file = request.current.files.get(path).ok_or_else(|| {
        request.error(StatusCode::NOT_FOUND, "not_found", "there is no such path in the API")
    })?;
    Ok(file.respond(request.wish(), StatusCode::OK).await)
}

/// Who is signed in; with `DELETE`, ends the sessions of `user`. The gate lets nobody here but admins.
async fn sessions(keeper: &Arc<Keeper>, request: &Request) -> Answered {
    let now = rfc3339(Utc::now().timestamp_millis());
    let data = if request.method == Method::DELETE {
        let Some(user) = request.parameter("user") else {
            return Err(invalid(request, "`user` must name whose sessions end".to_owned()));
        };
        json!({"ended": keeper.sign_out_all_of(&user).await})
    } else if !matches!(request.method, Method::GET | Method::HEAD) {
        return Err(request.wrong_method("GET, HEAD, DELETE"));
    } else {
        let session = |session: Session| json!({"user": session.user, "opened": rfc3339(session.opened_ms)});
        keeper.sessions().into_iter().map(session).collect()
    };
    let body = json!({"success": true, "data": data, "timestamp": now});
    Ok(plain(StatusCode::OK, JSON, body.to_string()))
}

/// Of a question to this snapshot.
fn tag(request: &Request, question: &str) -> String {
    format!("{}-{}", request.current.manifest.id, &sha256(question.as_bytes())[..8])
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

fn format(request: &Request) -> Result<Format, ApiError> {
    let Some(word) = request.parameter("format") else { return Ok(Format::Json) };
    Format::of(&word).ok_or_else(|| {
        let known = Format::ALL.map(|format| format!("`{}`", format.word()));
        let (known, shown) = (known.join(" or "), shorten(&word, 40));
        invalid(request, format!("`format` must be {known}, not `{shown}`"))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::answers::Answers;
    use futures_util::TryStreamExt;
    use std::thread;

    #[tokio::test]
    async fn exports_are_worked_out_away_from_those_who_answer() {
        let here = thread::current().id();
        let pieces = (0..1000u32).map(move |at| {
            assert_ne!(thread::current().id(), here);
            vec![at as u8; 1000]
        });
        let sent: Vec<Vec<u8>> =
            aside(pieces, Answers::default().workers).try_collect().await.expect("no piece fails");
        assert!(sent.len() < 20, "{} times", sent.len());
        let expected: Vec<u8> = (0..1000u32).flat_map(|at| vec![at as u8; 1000]).collect();
        assert_eq!(sent.concat(), expected);
    }
}
