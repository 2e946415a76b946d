//! Every URL that the daemon answers.

use std::sync::Arc;

use hyper::upgrade::OnUpgrade;
use serde_json::json;
use tokio::sync::{Semaphore, watch};
use warp::filters::BoxedFilter;
use warp::reply::Response;
use warp::{Filter, path};

use crate::serve::answer::{JSON, Request, plain, secured};
use crate::serve::files::Files;
use crate::serve::state::Current;
use crate::serve::status::Status;
use crate::serve::{api, files, live};

/// What the handlers share.
#[derive(Clone, Debug)]
pub struct Shared {
    pub current: watch::Receiver<Arc<Current>>,
    /// Becomes true when the daemon stops.
    pub stop: watch::Receiver<bool>,
    /// Room for live clients, and how many there is room for.
    pub seats: Arc<Semaphore>,
    pub clients: u32,
    pub status: Arc<Status>,
    /// What describes the API, by path.
    pub reference: Arc<Files>,
    /// Where the site lies below the root of the host.
    pub base_path: Arc<str>,
}

/// The site under its base path: files, API and live updates.
pub fn routes(shared: &Shared) -> BoxedFilter<(Response,)> {
    let request = request(shared);
    let with = || request.clone();
    let (asked, seats, status) = (shared.clone(), shared.clone(), Arc::clone(&shared.status));

    let site = path!("health")
        .or(path!("metrics"))
        .unify()
        .or(path("api"))
        .unify()
        .and(path::full())
        .and(with())
        .then(move |full, request| api::get(asked.clone(), full, request))
        .or(path!("live.json").map(move || live_mark(&status)))
        .or(path!("ws")
            .and(warp::ext::get::<OnUpgrade>())
            .and(warp::ws())
            .and(with())
            .map(move |upgrade, _, request| live::open(upgrade, &request, &seats)))
        .or(path!("ws").map(live::upgrade_required))
        .or(path::full().and(path::tail()).and(with()).then(files::get));

    let elsewhere = warp::any().map(files::outside);
    below(&shared.base_path).and(site).or(elsewhere).map(secured).boxed()
}

/// A page opens a WebSocket where this says that someone answers.
fn live_mark(status: &Status) -> Response {
    let notice = status.notice.borrow().clone();
    let mark = json!({"live": true, "version": env!("CARGO_PKG_VERSION"), "notice": notice});
    plain(warp::http::StatusCode::OK, JSON, mark.to_string())
}

/// Everything below the base path.
fn below(base_path: &str) -> BoxedFilter<()> {
    let segments = base_path.split('/').filter(|segment| !segment.is_empty());
    segments.fold(warp::any().boxed(), |base, segment| base.and(path(segment.to_owned())).boxed())
}

/// The request and the newest snapshot.
fn request(shared: &Shared) -> BoxedFilter<(Request,)> {
    let current = shared.current.clone();
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    warp::method()
        .and(warp::header::headers_cloned())
        .and(query)
        .map(move |method, headers, query| {
            let current = Arc::clone(&current.borrow());
            Request { method, headers, query, current }
        })
        .boxed()
}
