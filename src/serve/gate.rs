//! Who is let in before any route is asked.
//!
//! A page of any site can have its own name lead to this machine, and would then, for the browser, be of the same
//! origin as the daemon (DNS rebinding). So the daemon answers only to names that nobody else can own.

use std::net::IpAddr;
use std::sync::Arc;

use hyper::body::Incoming;
use tokio::sync::watch;
use warp::http::StatusCode;
use warp::http::header::HOST;
use warp::http::uri::Authority;
use warp::reply::{Reply, Response};

use crate::model::notes::shorten;
use crate::serve::ServeSettings;
use crate::serve::answer::{Request, secured};
use crate::serve::state::Current;

/// Longest part of a name that is said back.
const SHOWN_LETTERS: usize = 80;

/// What decides.
#[derive(Debug)]
pub struct Gate {
    /// Names besides addresses and `localhost`; `None` lets any in.
    hosts: Option<Vec<String>>,
    /// Where the API begins.
    api: String,
    current: watch::Receiver<Arc<Current>>,
}

impl Gate {
    /// As the settings say.
    pub fn new(settings: &ServeSettings, current: watch::Receiver<Arc<Current>>) -> Gate {
        let hosts = (!settings.public).then(|| settings.hosts.clone());
        Gate { hosts, api: format!("{}/api/", settings.base_path), current }
    }

    /// The answer to a request that is not let in: 400 where it asks for no path (`CONNECT`), 421 where it
    /// asks another host.
    pub fn refusal(&self, asked: &hyper::Request<Incoming>) -> Option<Response> {
        let uri = asked.uri();
        let request = || Request {
            method: asked.method().clone(),
            headers: asked.headers().clone(),
            query: String::new(),
            current: Arc::clone(&self.current.borrow()),
        };
        if uri.path_and_query().is_none() {
            let message = "a request must ask for a path that begins with `/`";
            let error = request().error(StatusCode::BAD_REQUEST, "bad_request", message);
            return Some(secured(error.as_text()));
        }
        let named = asked.headers().get_all(HOST).into_iter().map(|host| host.to_str().unwrap_or("?"));
        let stranger = uri.authority().map(Authority::as_str).into_iter().chain(named);
        let stranger = stranger.into_iter().find(|host| !self.answers_to(host))?;
        let message = format!(
            "`{}` is no name of this daemon; ask for its address or `localhost`, or add the name to `hosts` in \
             `[serve]`",
            shorten(stranger, SHOWN_LETTERS)
        );
        let error = request().error(StatusCode::MISDIRECTED_REQUEST, "misdirected_request", message);
        let of_api = uri.path().starts_with(&self.api);
        Some(secured(if of_api { error.into_response() } else { error.as_text() }))
    }

    fn answers_to(&self, host: &str) -> bool {
        let Some(hosts) = &self.hosts else { return true };
        let Ok(authority) = host.parse::<Authority>() else { return host.is_empty() };
        let name = authority.host();
        let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        let known = || hosts.iter().map(String::as_str).chain(["localhost"]);
        address.is_ok() || known().any(|known| known.eq_ignore_ascii_case(name))
    }
}
