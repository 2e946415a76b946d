//! The daemon: serves what is published, answers the API from it, and tells live clients when it changes.
//!
//! It reads nothing but the output folder. `watch.rs` loads each snapshot that lands there, `state.rs` holds it
//! in memory, `routes.rs` is every URL on one screen, `hub.rs` makes the frames of the live updates and
//! `live.rs` talks with one client. `gate.rs` turns away what is not for this daemon, and whom `keeper.rs` does not
//! know.
//!
//! Every request passes the gate, and then most are for a file that lies ready: `accept.rs` has those answered at once,
//! from the same table and by the same functions as the route of files, and starts nothing for them.
//!
//! To add a URL: a row in `routes.rs`; no file of a site takes its place.
//! To add an answer: a function in `report/datasets.rs` and a row of the table in `api.rs`, from which routes and
//! the OpenAPI document follow.

pub mod accept;
pub mod answer;
pub mod answers;
pub mod api;
pub mod client;
pub mod conditions;
pub mod docs;
pub mod door;
pub mod early;
pub mod files;
pub mod kept;
pub mod gate;
pub mod hub;
pub mod inbox;
pub mod keeper;
pub mod limits;
pub mod live;
pub mod metrics;
pub mod notify;
pub mod openapi;
pub mod operations;
pub mod patience;
pub mod prepared;
pub mod reported;
pub mod routes;
pub mod sign_in;
pub mod spool;
pub mod state;
pub mod status;
pub mod tls;
pub mod watch;

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Deserializer};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, watch as tokio_watch};
use tokio::time::timeout;

use crate::serve::accept::{Room, Server, accept, listen};
use crate::serve::client::Network;
use crate::serve::door::Door;
use crate::serve::inbox::Inbox;
use crate::serve::keeper::Keeper;
use crate::serve::routes::{Shared, routes};
use crate::serve::state::Current;
use crate::serve::status::Status;
use crate::serve::tls::Tls;
use crate::serve::watch::{Bell, Follow, Loop};

/// How long clients have to leave when the daemon stops.
const GOODBYE: Duration = Duration::from_secs(4);

/// Large reports that arrive at a time, and that are looked through at a time.
const LARGE_BODIES: usize = 16;
const LARGE_REPORTS: usize = 4;

/// What the inbox has to hold at least: twice what one report may have.
const LEAST_INBOX_BYTES: u64 = 64 << 20;

/// `[serve]` of `dash.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServeSettings {
    /// Port 0 takes a free one.
    #[serde(deserialize_with = "bind_address")]
    pub bind: SocketAddr,
    /// Where the site lies below the root of the host: empty, or `/x` behind a proxy that keeps the path.
    pub base_path: String,
    /// Whether an address that others can reach may be listened on: whoever reaches it sees everything.
    pub public: bool,
    /// Names by which the daemon may be asked for, besides addresses and `localhost`; any, where it is `public`.
    pub hosts: Vec<String>,
    /// Proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed: addresses and networks.
    #[serde(deserialize_with = "networks")]
    pub trusted_proxies: Vec<Network>,
    /// Origins of other sites whose pages may ask the API and connect: `https://x.example.org`.
    pub cors: Vec<String>,
    /// How many requests a client may make, over ten seconds; 0 is as many as it likes. Where it is not given,
    /// 50, and clients on the same machine are not counted.
    pub requests_per_second: Option<u32>,
    /// How many connections a client may hold, live ones included; 0 is as many as it likes. Where it is not given,
    /// 512, and those of the same machine are not counted. Proxies that are trusted may hold any number.
    pub connections_per_client: Option<u32>,
    /// PEM files; with both, the daemon speaks TLS and nothing else. Relative to the site's folder.
    pub tls_certificate: Option<PathBuf>,
    pub tls_key: Option<PathBuf>,
    /// Most bytes of reported records that are kept.
    pub inbox_max_bytes: u64,
}

impl Default for ServeSettings {
    fn default() -> ServeSettings {
        let bind = SocketAddr::from((Ipv4Addr::LOCALHOST, 5000));
        ServeSettings {
            bind,
            base_path: String::new(),
            public: false,
            hosts: Vec::new(),
            trusted_proxies: Vec::new(),
            cors: Vec::new(),
            requests_per_second: None,
            connections_per_client: None,
            tls_certificate: None,
            tls_key: None,
            inbox_max_bytes: 1 << 30,
        }
    }
}

impl ServeSettings {
    /// What is wrong with these settings, as a sentence that names the key; `None` if nothing is.
    pub fn problem(&self) -> Option<String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._~/".contains(c);
        let base = &self.base_path;
        let segments = base.split('/').skip(1).all(|segment| !matches!(segment, "" | "." | ".."));
        let valid = base.is_empty() || (base.starts_with('/') && segments && base.chars().all(plain));
        if !valid {
            return Some(format!("`base_path = \"{base}\"` is not empty and not like `/x` or `/x/y`"));
        }
        let name = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        if let Some(wrong) = self.hosts.iter().find(|host| host.is_empty() || !host.chars().all(name)) {
            return Some(format!("`{wrong}` in `hosts` is not a name alone, like `dash.example.org`"));
        }
        if self.tls_certificate.is_some() != self.tls_key.is_some() {
            return Some(
                "`tls_certificate` and `tls_key` go together, and one of them is missing".to_owned(),
            );
        }
        let (least, bytes) = (LEAST_INBOX_BYTES, self.inbox_max_bytes);
        if bytes < least {
            return Some(format!(
                "`inbox_max_bytes = {bytes}` holds no large report; give it at least {least}"
            ));
        }
        let origin = |origin: &&String| {
            let rest = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
            rest.is_some_and(|host| !host.is_empty() && host.chars().all(|c| name(c) || c == ':'))
        };
        let wrong = self.cors.iter().find(|text| !origin(text))?;
        Some(format!("`{wrong}` in `cors` is not an origin, like `https://dash.example.org`"))
    }

    /// Why this address may not be listened on, where others can reach it and nothing asks them who they are;
    /// `asks` says whether something does.
    pub fn exposure(&self, asks: bool) -> Option<String> {
        (!self.bind.ip().is_loopback() && !self.public && !asks).then(|| {
            format!(
                "`bind = \"{}\"` can be reached by others, and nothing asks them who they are; add a user with \
                 `dash user add`, or let anyone in with `--public` or `public = true` in `[serve]`",
                self.bind
            )
        })
    }
}

/// An address to listen on, as people write it: without a host or with `localhost`, it is the loopback's.
///
/// # Errors
/// If it is none; the message shows some.
pub fn address(text: &str) -> Result<SocketAddr, String> {
    let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
    let local = matches!(host, "" | "localhost");
    let loopback = port.parse().ok().filter(|_| local).map(|port: u16| (Ipv4Addr::LOCALHOST, port).into());
    loopback.or_else(|| text.parse().ok()).ok_or_else(|| {
        "not an address with a port; write it as `127.0.0.1:5000`, `[::1]:5000`, `localhost:5000` or `:5000`"
            .to_owned()
    })
}

fn bind_address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    address(&text).map_err(|problem| serde::de::Error::custom(format!("`{text}` is {problem}")))
}

fn networks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Network>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts.iter().map(|text| text.parse().map_err(serde::de::Error::custom)).collect()
}

/// Builds the site again, and reads the settings anew; blocking.
pub type Rebuild = Box<dyn FnMut() -> Result<Rebuilt> + Send>;

/// What a [`Rebuild`] found.
#[derive(Clone, Debug)]
pub struct Rebuilt {
    /// What is to be watched from then on, as [`Daemon::watch`].
    pub watch: Vec<PathBuf>,
    pub settings: ServeSettings,
    /// Why the settings are those that held before: what is wrong with the newest.
    pub complaint: Option<String>,
    pub outcome: Outcome,
}

/// What became of the site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Built,
    /// Someone else is building it right now; it is to be tried again soon.
    Busy,
    /// Something else builds it: the settings are all that is followed.
    Untouched,
}

/// What to serve, and how it is kept up to date.
pub struct Daemon {
    /// The site's folder, where users and tokens are.
    pub root: PathBuf,
    /// The folder of a published site.
    pub output: PathBuf,
    pub settings: ServeSettings,
    /// `None` where neither site nor settings change.
    pub rebuild: Option<Rebuild>,
    /// Where a change calls for a rebuild: files, and folders with all that is in them.
    pub watch: Vec<PathBuf>,
    /// The file of the settings, which is one of these.
    pub config: PathBuf,
    /// Called once the site is served, with a line that says where.
    pub ready: Box<dyn FnOnce(&str) + Send>,
}

impl std::fmt::Debug for Daemon {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Daemon { root, output, settings, rebuild, watch, .. } = self;
        let rebuilds = rebuild.is_some();
        write!(formatter, "Daemon {{ {root:?}, {output:?}, {settings:?}, rebuilds: {rebuilds}, {watch:?} }}")
    }
}

/// Listens as the settings say, for the site in `root`. In a runtime, though it does not wait.
///
/// # Errors
/// If the settings do not hold, or the address cannot be listened on.
pub fn bind(settings: &ServeSettings, root: &Path) -> Result<TcpListener> {
    let asks = Keeper::new(root)?.asks();
    if let Some(problem) = settings.problem().or_else(|| settings.exposure(asks)) {
        bail!("in `[serve]`: {problem}");
    }
    Tls::read(settings)?;
    listen(settings.bind)
}

/// Serves until `shutdown`, and for a few seconds more while clients take their leave.
///
/// # Errors
/// If there is no whole site in the folder.
pub async fn serve(listener: TcpListener, daemon: Daemon, shutdown: impl Future<Output = ()>) -> Result<()> {
    let Daemon { root, output, settings, rebuild, watch, config, ready } = daemon;
    let keeper = Arc::new(Keeper::new(&root)?);
    keeper.follow()?;
    let loaded = watch::manifest_state(&output);
    let first = Current::load(&output, None)?;
    let (current, newest) = tokio_watch::channel(Arc::new(first));
    let (stop, stopped) = tokio_watch::channel(false);
    let (settings_sender, changes) = tokio_watch::channel(settings.clone());
    let Room { connections, clients } = Room::find();
    let seats = Arc::new(Semaphore::new(clients as usize));
    let status = Arc::new(Status::new(SystemTime::now()));
    let shared = Arc::new(Shared {
        current: newest,
        stop: stopped.clone(),
        seats: Arc::clone(&seats),
        clients,
        status: Arc::clone(&status),
        reference: Arc::new(api::reference()),
        base_path: settings.base_path.as_str().into(),
        keeper: Arc::clone(&keeper),
        inbox: Inbox::open(&root, changes.clone())?,
        large_bodies: Semaphore::new(LARGE_BODIES),
        large_reports: Semaphore::new(LARGE_REPORTS),
    });
    let door = Door::open(&settings, &keeper, &shared.current)?;
    let (doors, door) = tokio_watch::channel(Arc::new(door));
    let scheme = if settings.tls_certificate.is_some() { "https" } else { "http" };
    let line = format!("serving {scheme}://{}{}/", listener.local_addr()?, settings.base_path);

    let (bell, rung) = watch::bell();
    let follow = Follow { loaded, current, stop: stopped.clone(), builder: bell.clone() };
    let folder = output.clone();
    thread("follow", move || watch::follow_output(&folder, follow))?;
    if let Some(build) = rebuild {
        let (bell, stop) = (bell.clone(), stopped.clone());
        let (status, settings) = (Arc::clone(&status), settings_sender);
        let around = Loop { status, config, settings, stop, bell, rung };
        thread("rebuild", move || watch::rebuild(watch, &output, build, around))?;
        tokio::spawn(door::renew(doors, changes, keeper, shared.current.clone()));
    }
    ready(&line);
    notify::ready();
    let server = accept(Server { listener, routes: routes(&shared), door, status, connections }, stopped);
    let ending = async {
        until_over(shutdown, &bell).await;
        notify::stopping();
        let _ = stop.send(true);
        let _ = timeout(GOODBYE, seats.acquire_many(clients)).await;
    };
    tokio::join!(server, ending);
    Ok(())
}

/// Waits for the end, and has site and settings looked at whenever a `SIGHUP` comes.
async fn until_over(shutdown: impl Future<Output = ()>, bell: &Bell) {
    let mut shutdown = std::pin::pin!(shutdown);
    let Ok(mut hangup) = signal(SignalKind::hangup()) else { return shutdown.await };
    loop {
        tokio::select! {
            () = &mut shutdown => return,
            _ = hangup.recv() => bell.insist(),
        }
    }
}

/// Threads of their own, which end with the process: a build under way can be cut off at any point, since
/// the manifest is written last.
fn thread(name: &str, run: impl FnOnce() + Send + 'static) -> Result<()> {
    std::thread::Builder::new().name(name.to_owned()).spawn(run).context("starting a thread")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(change: impl FnOnce(&mut ServeSettings)) -> Option<String> {
        let mut settings = ServeSettings::default();
        change(&mut settings);
        settings.problem()
    }

    #[test]
    fn only_loopback_is_open_without_being_asked() {
        let open = ServeSettings { bind: address("0.0.0.0:5000").expect("an address"), ..Default::default() };
        assert_eq!(ServeSettings::default().exposure(false), None);
        assert!(open.exposure(false).is_some_and(|text| text.contains("public = true")));
        assert_eq!(open.exposure(true), None);
        assert_eq!(ServeSettings { public: true, ..open }.exposure(false), None);
    }

    #[test]
    fn addresses_are_read_as_people_write_them() {
        for text in ["127.0.0.1:5000", "localhost:5000", ":5000", "5000"] {
            assert_eq!(address(text), Ok(ServeSettings::default().bind), "{text}");
        }
        assert_eq!(address("[::1]:80").map(|address| address.is_ipv6()), Ok(true));
        for text in ["", "localhost", "nowhere:5000", "127.0.0.1", "::1", "5000:", "70000"] {
            assert!(address(text).is_err_and(|problem| problem.contains("`localhost:5000`")), "{text}");
        }
    }

    #[test]
    fn hosts_are_names_alone() {
        let with = |host: &str| problem(|settings| settings.hosts = vec![host.to_owned()]);
        assert_eq!(with("dash.example.org"), None);
        for host in ["", "https://dash.example.org", "dash.example.org:80", "*", "a b"] {
            assert!(with(host).is_some(), "{host}");
        }
    }

    #[test]
    fn origins_are_whole() {
        let with = |origin: &str| problem(|settings| settings.cors = vec![origin.to_owned()]);
        assert_eq!((with("https://a.example"), with("http://localhost:3000")), (None, None));
        for origin in ["*", "a.example", "https://", "https://a.example/", "https://a b"] {
            assert!(with(origin).is_some(), "{origin}");
        }
    }

    #[test]
    fn base_paths_are_plain() {
        for base in ["", "/x", "/x/y.z"] {
            assert_eq!(problem(|settings| settings.base_path = base.to_owned()), None, "{base}");
        }
        for base in ["x", "/", "/x/", "//x", "/..", "/a b", "/x?y"] {
            assert!(problem(|settings| settings.base_path = base.to_owned()).is_some(), "{base}");
        }
    }
}
