//! The daemon: serves what is published, answers the API from it, and tells live clients when it changes.
//!
//! It reads nothing but the output folder. `watch.rs` loads each snapshot that lands there, `state.rs` holds it
//! in memory, `routes.rs` is every URL on one screen, `hub.rs` makes the frames of the live updates and
//! `live.rs` talks with one client.
//!
//! To add an answer: a function in `report/datasets.rs`, a handler in `api.rs`, a line in `routes.rs`.

pub mod accept;
pub mod answer;
pub mod api;
pub mod files;
pub mod hub;
pub mod live;
pub mod routes;
pub mod state;
pub mod watch;

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch as tokio_watch};
use tokio::time::timeout;

use crate::serve::accept::{Room, Server, accept, listen};
use crate::serve::routes::{Shared, routes};
use crate::serve::state::Current;

/// How long clients have to leave when the daemon stops.
const GOODBYE: Duration = Duration::from_secs(4);

/// `[serve]` of `dash.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServeSettings {
    /// Port 0 takes a free one.
    pub bind: SocketAddr,
    /// Where the site lies below the root of the host: empty, or `/x` behind a proxy that keeps the path.
    pub base_path: String,
    /// Whether an address that others can reach may be listened on: whoever reaches it sees everything.
    pub public: bool,
}

impl Default for ServeSettings {
    fn default() -> ServeSettings {
        let bind = SocketAddr::from((Ipv4Addr::LOCALHOST, 5000));
        ServeSettings { bind, base_path: String::new(), public: false }
    }
}

impl ServeSettings {
    /// What is wrong with these settings, as a sentence that names the key; `None` if nothing is.
    pub fn problem(&self) -> Option<String> {
        if !self.bind.ip().is_loopback() && !self.public {
            return Some(format!(
                "`bind = \"{}\"` can be reached by others, and nothing asks them who they are; keep to \
                 `127.0.0.1` behind a proxy that does, or set `public = true` in `[serve]`",
                self.bind
            ));
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._~/".contains(c);
        let base = &self.base_path;
        let segments = base.split('/').skip(1).all(|segment| !matches!(segment, "" | "." | ".."));
        let valid = base.is_empty() || (base.starts_with('/') && segments && base.chars().all(plain));
        (!valid).then(|| format!("`base_path = \"{base}\"` is not empty and not like `/x` or `/x/y`"))
    }
}

/// Builds the site again; blocking.
pub type Rebuild = Box<dyn FnMut() -> Result<()> + Send>;

/// What to serve, and how it is kept up to date.
pub struct Daemon {
    /// The folder of a published site.
    pub output: PathBuf,
    pub settings: ServeSettings,
    /// `None` where something else builds the site.
    pub rebuild: Option<Rebuild>,
    /// Folders in which a change calls for a rebuild, with all that is in them.
    pub watch: Vec<PathBuf>,
}

impl std::fmt::Debug for Daemon {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Daemon { output, settings, rebuild, watch } = self;
        let rebuilds = rebuild.is_some();
        write!(formatter, "Daemon {{ {output:?}, {settings:?}, rebuilds: {rebuilds}, {watch:?} }}")
    }
}

/// Serves until `shutdown`, and for a few seconds more while clients take their leave.
///
/// # Errors
/// If the settings do not hold, the address cannot be listened on, or there is no whole site in the folder.
pub async fn serve(daemon: Daemon, shutdown: impl Future<Output = ()>) -> Result<()> {
    let listener = bind(&daemon.settings)?;
    serve_on(listener, daemon, shutdown).await
}

/// Listens as the settings say. In a runtime, though it does not wait.
///
/// # Errors
/// If the settings do not hold, or the address cannot be listened on.
pub fn bind(settings: &ServeSettings) -> Result<TcpListener> {
    if let Some(problem) = settings.problem() {
        bail!("in `[serve]`: {problem}");
    }
    listen(settings.bind)
}

/// As [`serve`], on a listener that is there already.
///
/// # Errors
/// If there is no whole site in the folder.
pub async fn serve_on(
    listener: TcpListener,
    daemon: Daemon,
    shutdown: impl Future<Output = ()>,
) -> Result<()> {
    let Daemon { output, settings, rebuild, watch } = daemon;
    let loaded = watch::manifest_state(&output);
    let first = Current::load(&output, None)?;
    let (current, newest) = tokio_watch::channel(Arc::new(first));
    let (stop, stopped) = tokio_watch::channel(false);
    let Room { connections, clients } = Room::find();
    let seats = Arc::new(Semaphore::new(clients as usize));
    let shared = Shared { current: newest, stop: stopped.clone(), seats: Arc::clone(&seats) };

    let (folder, ends) = (output.clone(), stopped.clone());
    thread("follow", move || watch::follow_output(&folder, loaded, &current, &ends))?;
    if let Some(build) = rebuild {
        let ends = stopped.clone();
        thread("rebuild", move || watch::rebuild(watch, &output, build, &ends))?;
    }
    eprintln!("serving http://{}{}/", listener.local_addr()?, settings.base_path);
    let routes = routes(&shared, &settings.base_path);
    let server = accept(Server { listener, routes, connections }, stopped);
    let ending = async {
        shutdown.await;
        let _ = stop.send(true);
        let _ = timeout(GOODBYE, seats.acquire_many(clients)).await;
    };
    tokio::join!(server, ending);
    Ok(())
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
        let open: SocketAddr = "0.0.0.0:5000".parse().expect("an address");
        assert_eq!(problem(|_| {}), None);
        assert!(problem(|settings| settings.bind = open).is_some_and(|text| text.contains("public = true")));
        assert_eq!(problem(|settings| (settings.bind, settings.public) = (open, true)), None);
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
