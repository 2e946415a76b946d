//! Every URL that the daemon answers.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;

use futures_util::{Stream, TryStreamExt};
use hyper::body::{Buf, Incoming};
use hyper::service::Service;
use hyper::upgrade::OnUpgrade;
use hyper_util::service::TowerToHyperService;
use serde_json::json;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use warp::filters::BoxedFilter;
use warp::reply::Response;
use warp::{Filter, http, path};

use crate::serve::answer::{JSON, Request, Wish, plain, secured};
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
#[derive(Debug)]
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
    /// Where reports are written.
    pub inbox: Inbox,
    /// Room for large ones while they arrive, and while they are looked through.
    pub large_bodies: Semaphore,
    pub large_reports: Semaphore,
}

/// The site under its base path: files, API and live updates.
#[derive(Clone, Debug)]
pub struct Routes {
    shared: Arc<Shared>,
    /// What has an address of its own, by the first name of the path.
    own: Arc<[(&'static str, Route)]>,
    /// Everything else is a file of the site, or nothing.
    files: Route,
    elsewhere: Route,
}

type Route = BoxedFilter<(Response,)>;

/// Every URL.
pub fn routes(shared: &Arc<Shared>) -> Routes {
    let request = request(shared);
    let with = || request.clone();
    let [asked, reports, seats, marked, entering, leaving] = [(); 6].map(|()| Arc::clone(shared));

    let report = path("v1")
        .or(warp::any())
        .unify()
        .and(path!("operations"))
        .and(warp::post())
        .and(with())
        .and(warp::body::stream())
        .then(move |request, body| operations::post(Arc::clone(&reports), request, body));
    let read =
        path::full().and(with()).then(move |full, request| api::get(Arc::clone(&asked), full, request));
    let mark = warp::ext::optional::<Pass>().map(move |pass| live_mark(&marked, pass));
    let socket = warp::ext::get::<OnUpgrade>()
        .and(warp::ws())
        .and(with())
        .and(warp::ext::optional::<Pass>())
        .and(warp::ext::optional::<Arc<Held>>())
        .map(move |upgrade, _, request, pass, held| {
            live::open(upgrade, &request, Entrant { pass, held }, &seats)
        });
    let no_socket = warp::get().map(live::upgrade_required);
    let sign_in = visit().then(move |visit| sign_in::sign_in(Arc::clone(&entering.keeper), visit));
    let sign_out = visit().then(move |visit| sign_in::sign_out(Arc::clone(&leaving.keeper), visit));

    let (base, end) = (below(&shared.base_path), path::end());
    let files = base.clone().and(path::full()).and(path::tail()).and(with()).then(files::get).boxed();
    let at = |name: &'static str, route: Route| {
        let route = base.clone().and(path(name)).and(route).or(files.clone()).unify().map(secured);
        (name, route.boxed())
    };
    let own = [
        at("api", report.or(read.clone()).unify().boxed()),
        at("health", end.and(read.clone()).boxed()),
        at("metrics", end.and(read).boxed()),
        at("live.json", end.and(mark).boxed()),
        at("ws", end.and(socket.or(no_socket).unify()).boxed()),
        at(sign_in::SIGN_IN, end.and(sign_in).boxed()),
        at(sign_in::SIGN_OUT, end.and(sign_out).boxed()),
        at(sign_in::STYLE, end.map(sign_in::style).boxed()),
    ];
    Routes {
        shared: Arc::clone(shared),
        own: Arc::new(own),
        files: files.map(secured).boxed(),
        elsewhere: warp::any().map(files::outside).map(secured).boxed(),
    }
}

impl Routes {
    /// The answer to a request that takes no more than a look into the table of files, which most do.
    pub fn at_once<B>(&self, request: &http::Request<B>) -> Option<Response> {
        let full = request.uri().path();
        let tail = self.tail(full).filter(|tail| self.own(tail).is_none())?;
        let wish = Wish { method: request.method(), headers: request.headers() };
        files::at_once(&self.shared.current.borrow().files, full, tail, wish)
    }

    /// The answer to any other.
    pub fn answer(
        &self,
        request: http::Request<Incoming>,
    ) -> impl Future<Output = Result<Response, Infallible>> + use<> {
        let route = match self.tail(request.uri().path()) {
            Some(tail) => self.own(tail).unwrap_or(&self.files),
            None => &self.elsewhere,
        };
        TowerToHyperService::new(warp::service(route.clone())).call(request)
    }

    /// The part of a path below the base path, without its slash; `None` where it is not below that.
    fn tail<'a>(&self, path: &'a str) -> Option<&'a str> {
        let base = &*self.shared.base_path;
        let tail = path.strip_prefix(base)?;
        // Without a slash it is `*` or the base path itself, or a name that begins as the base path does.
        tail.strip_prefix('/').or((base.is_empty() || tail.is_empty()).then_some(tail))
    }

    fn own(&self, tail: &str) -> Option<&Route> {
        let name = tail.split('/').next().unwrap_or_default();
        self.own.iter().find(|(own, _)| *own == name).map(|(_, route)| route)
    }
}

/// A page opens a WebSocket where this says that someone answers, and offers to sign in where there are users.
fn live_mark(shared: &Shared, pass: Option<Pass>) -> Response {
    let users = shared.keeper.asks();
    let (notice, user) = (shared.status.notice.borrow().clone(), pass.map(|pass| pass.identity.name));
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
fn visit() -> BoxedFilter<(Visit,)> {
    let body = warp::body::content_length_limit(sign_in::MOST_BYTES);
    let body = body.and(warp::body::stream()).then(gathered);
    let body = body.or(warp::get().or(warp::head()).unify().map(|| Some(Vec::new()))).unify();
    warp::method()
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
