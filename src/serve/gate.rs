//! Who is let in before any route is asked, in this order: requests for another host, those of other sites' pages
//! that would change something, clients that ask too often, and whoever may not do what they ask for.
//!
//! A page of any site can have its own name lead to this machine, and would then, for the browser, be of the same
//! origin as the daemon (DNS rebinding). So the daemon answers only to names that nobody else can own.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::body::Incoming;
use tokio::sync::watch;
use warp::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION,
    CACHE_CONTROL, HOST, HeaderValue, RETRY_AFTER, VARY, WWW_AUTHENTICATE,
};
use warp::http::uri::Authority;
use warp::http::{Method, StatusCode};
use warp::reply::{Reply, Response};

use crate::access::Role;
use crate::model::notes::shorten;
use crate::serve::ServeSettings;
use crate::serve::answer::{ApiError, Request, secured};
use crate::serve::client::{Client, Network, is_cross_site, is_of_stranger, listed_origin};
use crate::serve::keeper::{Credential, Keeper, Pass};
use crate::serve::limits::{Held, Limits};
use crate::serve::sign_in::{self, Asked, SIGN_IN, SIGN_OUT, STYLE};
use crate::serve::state::Current;

/// Longest part of a name that is said back.
const SHOWN_LETTERS: usize = 80;
/// What a client may ask for, where the settings do not say.
const REQUESTS_PER_SECOND: u32 = 50;
const CONNECTIONS_PER_CLIENT: u32 = 512;

/// What decides.
#[derive(Debug)]
pub struct Gate {
    /// Names besides addresses and `localhost`; `None` lets any in.
    hosts: Option<Vec<String>>,
    base_path: String,
    /// Whether anyone may look.
    public: bool,
    trusted: Vec<Network>,
    cors: Vec<String>,
    limits: Option<Limits>,
    /// Whether clients on this machine are limited, too.
    limits_own: bool,
    /// Most connections of a client; `None` where there may be any number, on this machine or at all.
    connections: Option<u32>,
    own_connections: Option<u32>,
    keeper: Arc<Keeper>,
    current: watch::Receiver<Arc<Current>>,
}

/// What someone has to be to ask for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    Nothing,
    Role(Role),
}

impl Gate {
    /// As the settings say.
    pub fn new(
        settings: &ServeSettings,
        keeper: Arc<Keeper>,
        current: watch::Receiver<Arc<Current>>,
    ) -> Gate {
        let (rate, held) = (settings.requests_per_second, settings.connections_per_client);
        Gate {
            hosts: (!settings.public).then(|| settings.hosts.clone()),
            base_path: settings.base_path.clone(),
            public: settings.public,
            trusted: settings.trusted_proxies.clone(),
            cors: settings.cors.clone(),
            limits: (rate != Some(0)).then(|| Limits::new(rate.unwrap_or(REQUESTS_PER_SECOND))),
            limits_own: rate.is_some(),
            connections: Some(held.unwrap_or(CONNECTIONS_PER_CLIENT)).filter(|&most| most > 0),
            own_connections: held.filter(|&most| most > 0),
            keeper,
            current,
        }
    }

    /// Lets a request in.
    ///
    /// # Errors
    /// If it is not let in: the answer to it.
    pub fn admit(&self, request: &hyper::Request<Incoming>, peer: Client) -> Result<Admitted, Box<Response>> {
        let client = Client::of(peer, request.headers(), &self.trusted);
        if let Some(error) = self.misdirected(request).or_else(|| self.too_many(request, client)) {
            return Err(self.answer(request, error));
        }
        if self.is_preflight(request) {
            return Err(Box::new(preflight()));
        }
        if is_cross_site(request.method(), request.headers(), &self.cors) {
            let message = "a page of another site may not do this; list its origin in `cors` of `[serve]`";
            let error = self.asked(request).error(StatusCode::FORBIDDEN, "cross_site", message);
            return Err(self.answer(request, error));
        }
        let live = self.route(request) == "/ws";
        // A page may open a socket to anywhere, and read what comes.
        if live && is_of_stranger(request.headers(), &self.cors) {
            let message = "live updates are only for pages of this site and of those in `cors` of `[serve]`";
            let error = self.asked(request).error(StatusCode::FORBIDDEN, "cross_site", message);
            return Err(self.answer(request, error));
        }
        let pass = self.identify(request, client).map_err(|error| self.answer(request, error))?;
        let role = pass.as_ref().map(|pass| pass.identity.role);
        match self.need(request) {
            Need::Role(need) if !self.may(role, need) => return Err(self.turned_away(request, role, need)),
            _ => {}
        }
        let held = if live { Some(self.live_connection(request, client)?) } else { None };
        Ok(Admitted { client, pass, held })
    }

    fn live_connection(
        &self,
        request: &hyper::Request<Incoming>,
        client: Client,
    ) -> Result<Held, Box<Response>> {
        self.connection(client.address).ok_or_else(|| {
            let message = "there are too many live connections from this address; close some";
            let status = StatusCode::TOO_MANY_REQUESTS;
            let error = self.asked(request).error(status, "too_many_connections", message);
            self.answer(request, error.with(RETRY_AFTER, 60.into()))
        })
    }

    /// One more connection of a client; `None` where it has as many as it may. A proxy has many clients.
    pub fn connection(&self, of: IpAddr) -> Option<Held> {
        let most = if of.is_loopback() { self.own_connections } else { self.connections };
        let most = most.filter(|_| !self.trusted.iter().any(|proxy| proxy.contains(of)));
        most.map_or(Some(Held::UNCOUNTED), |most| self.keeper.crowd.hold(of, most))
    }

    /// What the answer to a request carries because of where that came from.
    pub fn around(&self, request: &hyper::Request<Incoming>) -> Around {
        let origin = listed_origin(request.headers(), &self.cors).and_then(|origin| origin.parse().ok());
        Around { origin, private: self.keeper.asks() && !self.public, listed: !self.cors.is_empty() }
    }

    /// The path below the base path, with its slash.
    fn path<'a>(&self, request: &'a hyper::Request<Incoming>) -> &'a str {
        let path = request.uri().path();
        // Most sites lie at the root, and comparing with an empty text is not free: its address is none.
        if self.base_path.is_empty() { path } else { path.strip_prefix(&self.base_path).unwrap_or_default() }
    }

    /// The path as routes take it: with or without a slash at its end, it is the same.
    fn route<'a>(&self, request: &'a hyper::Request<Incoming>) -> &'a str {
        let path = self.path(request);
        path.strip_suffix('/').filter(|route| !route.is_empty()).unwrap_or(path)
    }

    fn asked(&self, request: &hyper::Request<Incoming>) -> Request {
        Request {
            method: request.method().clone(),
            headers: request.headers().clone(),
            query: String::new(),
            current: Arc::clone(&self.current.borrow()),
        }
    }

    fn answer(&self, request: &hyper::Request<Incoming>, error: ApiError) -> Box<Response> {
        let of_api = self.path(request).starts_with("/api/");
        Box::new(secured(if of_api { error.into_response() } else { error.as_text() }))
    }

    /// 400 where a request asks for no path (`CONNECT`), 421 where it asks another host.
    fn misdirected(&self, request: &hyper::Request<Incoming>) -> Option<ApiError> {
        let uri = request.uri();
        if uri.path_and_query().is_none() {
            let message = "a request must ask for a path that begins with `/`";
            return Some(self.asked(request).error(StatusCode::BAD_REQUEST, "bad_request", message));
        }
        let named = request.headers().get_all(HOST).into_iter().map(|host| host.to_str().unwrap_or("?"));
        let stranger = uri.authority().map(Authority::as_str).into_iter().chain(named);
        let stranger = stranger.into_iter().find(|host| !self.answers_to(host))?;
        let message = format!(
            "`{}` is no name of this daemon; ask for its address or `localhost`, or add the name to `hosts` in \
             `[serve]`",
            shorten(stranger, SHOWN_LETTERS)
        );
        Some(self.asked(request).error(StatusCode::MISDIRECTED_REQUEST, "misdirected_request", message))
    }

    fn answers_to(&self, host: &str) -> bool {
        let Some(hosts) = &self.hosts else { return true };
        if host.parse::<SocketAddr>().is_ok() {
            return true;
        }
        let Ok(authority) = host.parse::<Authority>() else { return host.is_empty() };
        let name = authority.host();
        let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        let known = || hosts.iter().map(String::as_str).chain(["localhost"]);
        address.is_ok() || known().any(|known| known.eq_ignore_ascii_case(name))
    }

    /// 429.
    fn too_many(&self, request: &hyper::Request<Incoming>, client: Client) -> Option<ApiError> {
        self.wait(client.address).map(|wait| self.later(request, wait))
    }

    /// Counts something that a client asks for; how long it has to wait, where it asked for too much.
    fn wait(&self, client: IpAddr) -> Option<Duration> {
        let limits = self.limits.as_ref().filter(|_| self.limits_own || !client.is_loopback())?;
        limits.take(client, Instant::now()).err()
    }

    /// Whether a client may begin one more encrypted connection, which takes longer than most requests, and is
    /// counted as one. A proxy has many clients.
    pub fn greets(&self, peer: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(peer)) || self.wait(peer).is_none()
    }

    fn later(&self, request: &hyper::Request<Incoming>, wait: Duration) -> ApiError {
        let message = "too many requests; wait as long as `Retry-After` says";
        let error = self.asked(request).error(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", message);
        error.with(RETRY_AFTER, (wait.as_secs() + 1).into())
    }

    /// Whether a browser asks if a page of a listed site may ask something.
    fn is_preflight(&self, request: &hyper::Request<Incoming>) -> bool {
        *request.method() == Method::OPTIONS
            && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD)
            && listed_origin(request.headers(), &self.cors).is_some()
    }

    /// Who asks; nobody in particular, where they show nothing.
    fn identify(&self, request: &hyper::Request<Incoming>, client: Client) -> Result<Option<Pass>, ApiError> {
        if !self.keeper.asks() {
            return Ok(None);
        }
        let Some(shown) = request.headers().get(AUTHORIZATION) else {
            let cookie = sign_in::cookie(request.headers());
            return Ok(cookie.and_then(|secret| self.keeper.pass(Credential::Session(secret))));
        };
        let (scheme, token) = shown.to_str().ok().and_then(|shown| shown.split_once(' ')).unwrap_or_default();
        let bearer =
            scheme.eq_ignore_ascii_case("bearer").then(|| Credential::Token(token.trim().to_owned()));
        let pass = bearer.and_then(|bearer| self.keeper.pass(bearer));
        if pass.is_some() {
            return Ok(pass);
        }
        // Only after it was looked at: what others of the same address guess locks no token out.
        if let Some(wait) = self.keeper.wait(client.address) {
            return Err(self.later(request, wait));
        }
        self.keeper.failed(client.address);
        Err(self.unknown(request, "this token is not known, or no token at all"))
    }

    /// 401.
    fn unknown(&self, request: &hyper::Request<Incoming>, message: &str) -> ApiError {
        let error = self.asked(request).error(StatusCode::UNAUTHORIZED, "unauthorized", message);
        error.with(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"dash\""))
    }

    fn need(&self, request: &hyper::Request<Incoming>) -> Need {
        let path = self.path(request);
        let open = [SIGN_IN, SIGN_OUT, STYLE].iter().any(|page| path.strip_prefix('/') == Some(page));
        // What is not below the base path is nothing, and the base path alone only leads to its slash.
        if open || path.is_empty() {
            return Need::Nothing;
        }
        let path = self.route(request);
        let api = path.strip_prefix("/api/v1/").or_else(|| path.strip_prefix("/api/"));
        match api {
            Some("sessions") => Need::Role(Role::Admin),
            Some("operations") if *request.method() == Method::POST => Need::Role(Role::Operator),
            _ => Need::Role(Role::Viewer),
        }
    }

    /// Without users and tokens, who can reach the daemon may do everything: they are on the same machine, or
    /// the daemon is public, which is to say that they may look.
    fn may(&self, role: Option<Role>, need: Role) -> bool {
        let anyone = match (self.public, self.keeper.asks()) {
            (true, _) => Some(Role::Viewer),
            (false, false) => Some(Role::Admin),
            (false, true) => None,
        };
        role.max(anyone).is_some_and(|role| role >= need)
    }

    /// 401 with the form for who would show it, 403 for someone who is known.
    fn turned_away(
        &self,
        request: &hyper::Request<Incoming>,
        role: Option<Role>,
        need: Role,
    ) -> Box<Response> {
        let path = self.path(request);
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        if role.is_none() && reads && !path.starts_with("/api/") && sign_in::takes_page(request.headers()) {
            let to = request.uri().path_and_query().map_or("", |whole| whole.as_str());
            let to = to.strip_prefix(&self.base_path).unwrap_or_default().trim_start_matches('/');
            let depth = path.matches('/').count().saturating_sub(1);
            let asked = Asked { to, depth, ..Asked::default() };
            return Box::new(secured(sign_in::form(StatusCode::UNAUTHORIZED, &asked)));
        }
        let error = match role {
            None => self.unknown(request, "sign in, or send a token as `Authorization: Bearer …`"),
            Some(role) => {
                let message = format!("this takes the role `{}`; yours is `{}`", need.word(), role.word());
                self.asked(request).error(StatusCode::FORBIDDEN, "forbidden", message)
            }
        };
        self.answer(request, error)
    }
}

fn preflight() -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, HEAD, POST"));
    let allowed = "authorization, content-type, content-encoding, if-none-match";
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(allowed));
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    response
}

/// What a request that was let in turned out to come with.
#[derive(Debug)]
pub struct Admitted {
    client: Client,
    pass: Option<Pass>,
    /// Of one for live updates.
    held: Option<Held>,
}

impl Admitted {
    /// Hands it on to those who answer the request.
    pub fn mark(self, request: &mut hyper::Request<Incoming>) {
        let extensions = request.extensions_mut();
        extensions.insert(self.client);
        self.pass.map(|pass| extensions.insert(pass));
        self.held.map(|held| extensions.insert(Arc::new(held)));
    }
}

/// See [`Gate::around`].
#[derive(Clone, Debug)]
pub struct Around {
    /// That of a page which the settings list.
    origin: Option<HeaderValue>,
    /// Whether answers are for their client alone.
    private: bool,
    /// Whether the settings list any origin.
    listed: bool,
}

impl Around {
    /// The answer with its headers.
    pub fn dress(self, mut response: Response) -> Response {
        let headers = response.headers_mut();
        if let Some(origin) = self.origin {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("etag, retry-after"));
        }
        if self.listed {
            headers.append(VARY, HeaderValue::from_static("origin"));
        }
        if self.private {
            let kept = headers.get(CACHE_CONTROL).and_then(|value| value.to_str().ok()).unwrap_or("no-cache");
            let kept = format!("private, {}", kept.trim_start_matches("public, "));
            if let Ok(kept) = HeaderValue::from_str(&kept) {
                headers.insert(CACHE_CONTROL, kept);
            }
        }
        response
    }
}
