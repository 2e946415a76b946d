//! Every URL that the daemon answers.

use std::sync::Arc;

use futures_util::{Stream, TryStreamExt};
use hyper::body::Buf;
use hyper::upgrade::OnUpgrade;
use serde_json::json;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use warp::filters::BoxedFilter;
use warp::reply::Response;
use warp::{Filter, path};

use crate::serve::answer::{JSON, Request, plain, secured};
use crate::serve::client::Client;
use crate::serve::files::Files;
use crate::serve::inbox::Inbox;
use crate::serve::keeper::{Keeper, Pass};
use crate::serve::limits::Held;
use crate::serve::live::Entrant;
use crate::serve::operations::BODY_TIMEOUT;
use crate::serve::sign_in::{self, Visit};
use crate::serve::state::Current;
use crate::serve::status::Status;
use crate::serve::{api, files, live, operations};

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
    pub keeper: Arc<Keeper>,
    /// Where reports are written, and room for large ones while they are read.
    pub inbox: Inbox,
    pub large_bodies: Arc<Semaphore>,
}

/// The site under its base path: files, API and live updates.
pub fn routes(shared: &Shared) -> BoxedFilter<(Response,)> {
    let request = request(shared);
    let with = || request.clone();
    let (asked, reports, seats) = (shared.clone(), shared.clone(), shared.clone());
    let status = Arc::clone(&shared.status);
    let [keeper, leaving, asking] = [(); 3].map(|()| Arc::clone(&shared.keeper));

    let report = path("api")
        .and(path("v1").or(warp::any()).unify())
        .and(path!("operations"))
        .and(warp::post())
        .and(with())
        .and(warp::body::stream())
        .then(move |request, body| operations::post(reports.clone(), request, body));
    let read = path!("health")
        .or(path!("metrics"))
        .unify()
        .or(path("api"))
        .unify()
        .and(path::full())
        .and(with())
        .then(move |full, request| api::get(asked.clone(), full, request));

    let site = report
        .or(read)
        .or(path!("live.json")
            .and(warp::ext::optional::<Pass>())
            .map(move |pass| live_mark(&status, asking.asks(), pass)))
        .or(path!("ws")
            .and(warp::ext::get::<OnUpgrade>())
            .and(warp::ws())
            .and(with())
            .and(warp::ext::optional::<Pass>())
            .and(warp::ext::optional::<Arc<Held>>())
            .map(move |upgrade, _, request, pass, held| {
                live::open(upgrade, &request, Entrant { pass, held }, &seats)
            }))
        .or(path!("ws").and(warp::get()).map(live::upgrade_required))
        .or(visit(sign_in::SIGN_IN).then(move |visit| sign_in::sign_in(Arc::clone(&keeper), visit)))
        .or(visit(sign_in::SIGN_OUT).then(move |visit| sign_in::sign_out(Arc::clone(&leaving), visit)))
        .or(path(sign_in::STYLE).and(path::end()).map(sign_in::style))
        .or(path::full().and(path::tail()).and(with()).then(files::get));

    let elsewhere = warp::any().map(files::outside);
    below(&shared.base_path).and(site).or(elsewhere).map(secured).boxed()
}

/// A page opens a WebSocket where this says that someone answers, and offers to sign in where there are users.
fn live_mark(status: &Status, users: bool, pass: Option<Pass>) -> Response {
    let (notice, user) = (status.notice.borrow().clone(), pass.map(|pass| pass.identity.name));
    let version = env!("CARGO_PKG_VERSION");
    let mark = json!({"live": true, "version": version, "notice": notice, "users": users, "user": user});
    plain(warp::http::StatusCode::OK, JSON, mark.to_string())
}

/// Everything below the base path.
fn below(base_path: &str) -> BoxedFilter<()> {
    let segments = base_path.split('/').filter(|segment| !segment.is_empty());
    segments.fold(warp::any().boxed(), |base, segment| base.and(path(segment.to_owned())).boxed())
}

/// A visit to a page of signing in and out; warp refuses what is too large for its form.
fn visit(page: &'static str) -> BoxedFilter<(Visit,)> {
    let body = warp::body::content_length_limit(sign_in::MOST_BYTES);
    let body = body.and(warp::body::stream()).then(gathered);
    let body = body.or(warp::get().or(warp::head()).unify().map(|| Some(Vec::new()))).unify();
    path(page)
        .and(path::end())
        .and(warp::method())
        .and(warp::ext::get::<Client>())
        .and(warp::ext::optional::<Pass>())
        .and(body)
        .map(|method, client, pass, body| Visit { method, client, pass, body })
        .boxed()
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

/// A body whose length is limited; `None` where it does not arrive whole and in time.
async fn gathered<B: Buf>(body: impl Stream<Item = Result<B, warp::Error>>) -> Option<Vec<u8>> {
    let append = |mut bytes: Vec<u8>, mut piece: B| async move {
        bytes.extend_from_slice(&piece.copy_to_bytes(piece.remaining()));
        Ok(bytes)
    };
    timeout(BODY_TIMEOUT, body.try_fold(Vec::new(), append)).await.ok()?.ok()
}
