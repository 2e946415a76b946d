//! Every URL that the daemon answers.

use std::sync::Arc;

use hyper::upgrade::OnUpgrade;
use tokio::sync::{Semaphore, watch};
use warp::filters::BoxedFilter;
use warp::filters::path::Tail;
use warp::reply::Response;
use warp::{Filter, path};

use crate::serve::answer::{Request, secured};
use crate::serve::state::Current;
use crate::serve::{api, files, live};

/// What the handlers share.
#[derive(Clone, Debug)]
pub struct Shared {
    pub current: watch::Receiver<Arc<Current>>,
    /// Becomes true when the daemon stops.
    pub stop: watch::Receiver<bool>,
    /// Room for live clients.
    pub seats: Arc<Semaphore>,
}

/// The site under `base_path`: files, API and live updates.
pub fn routes(shared: &Shared, base_path: &str) -> BoxedFilter<(Response,)> {
    let request = request(shared);
    let with = || request.clone();
    let seats = shared.clone();

    let api = path!("system" / "health")
        .and(with())
        .then(|request| api::read(api::system_health, request))
        .or(path!("wrappers" / "health").and(with()).then(|request| api::read(api::wrappers_health, request)))
        .or(path("wrappers")
            .and(wrapper_before("/metrics"))
            .and(with())
            .then(|name, request| api::read(move |request| api::wrapper_metrics(name, request), request)))
        .or(path!("metrics" / "export").and(with()).then(|request| api::read(api::export, request)))
        .or(path!("charts" / "performance")
            .and(with())
            .then(|request| api::read(api::performance_chart, request)))
        .or(path!("charts" / "health").and(with()).then(|request| api::read(api::health_chart, request)))
        .or(path!("activity").and(with()).then(|request| api::read(api::activity, request)))
        .or(path::tail()
            .and(with())
            .then(|tail, request| api::read(move |request| api::other(tail, request), request)));
    let api = path("api").and(path("v1").or(warp::any()).unify()).and(api);

    let site = path!("health")
        .and(with())
        .then(|request| api::read(api::health, request))
        .or(path!("live.json").and(with()).then(|request| api::read(api::live, request)))
        .or(path!("ws")
            .and(warp::ext::get::<OnUpgrade>())
            .and(warp::ws())
            .and(with())
            .map(move |upgrade, _, request| live::open(upgrade, &request, &seats)))
        .or(path!("ws").map(live::upgrade_required))
        .or(api)
        .or(path::full().and(path::tail()).and(with()).map(files::get));

    let elsewhere = warp::any().map(files::outside);
    below(base_path).and(site).or(elsewhere).map(secured).boxed()
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

/// The rest of the path, still encoded, without the `ending` that it must have: names of wrappers may
/// themselves hold slashes.
fn wrapper_before(ending: &'static str) -> impl Filter<Extract = (String,), Error = warp::Rejection> + Copy {
    path::tail().and_then(move |tail: Tail| {
        let name = tail.as_str().strip_suffix(ending).map(str::to_owned);
        std::future::ready(name.ok_or_else(warp::reject::not_found))
    })
}
