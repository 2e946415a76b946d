//! What follows the settings while the daemon runs: who is let in, and by which certificate.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::serve::ServeSettings;
use crate::serve::gate::Gate;
use crate::serve::keeper::Keeper;
use crate::serve::state::Current;
use crate::serve::tls::Tls;

/// How often the files of a certificate are looked at.
const LOOK: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Debug)]
pub struct Door {
    pub gate: Gate,
    pub tls: Tls,
}

impl Door {
    /// As the settings say.
    ///
    /// # Errors
    /// If the settings do not hold, or the certificate cannot be used.
    pub fn open(
        settings: &ServeSettings,
        keeper: &Arc<Keeper>,
        current: &watch::Receiver<Arc<Current>>,
    ) -> Result<Door> {
        if let Some(problem) = settings.problem().or_else(|| settings.exposure(keeper.asks())) {
            bail!("in `[serve]`: {problem}");
        }
        let gate = Gate::new(settings, Arc::clone(keeper), current.clone());
        Ok(Door { gate, tls: Tls::read(settings)? })
    }
}

/// Opens another door whenever the settings or the certificate change, for as long as anyone uses one. Where it
/// cannot, the last one stays.
pub async fn renew(
    doors: watch::Sender<Arc<Door>>,
    mut changes: watch::Receiver<ServeSettings>,
    keeper: Arc<Keeper>,
    current: watch::Receiver<Arc<Current>>,
) {
    let mut settings = changes.borrow_and_update().clone();
    let mut certificate = Tls::state(&settings);
    while !doors.is_closed() {
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            () = sleep(LOOK) => {}
        }
        let newest = changes.borrow_and_update().clone();
        let now = Tls::state(&newest);
        if newest == settings && now == certificate {
            continue;
        }
        let lasting = |settings: &ServeSettings| {
            (settings.bind, settings.base_path.clone(), settings.tls_certificate.is_some())
        };
        if lasting(&newest) != lasting(&settings) {
            let keys = "`bind`, `base_path` or whether there is a certificate";
            tracing::warn!("in `[serve]`, {keys} has changed; start `dash serve` again for it to apply");
        }
        // The gate goes by the path that the routes were made for.
        let applied = ServeSettings { bind: settings.bind, base_path: settings.base_path, ..newest.clone() };
        match Door::open(&applied, &keeper, &current) {
            Ok(door) => {
                doors.send_replace(Arc::new(door));
                tracing::info!("the settings of `[serve]` apply as they are now");
            }
            Err(error) => tracing::warn!("`[serve]` stays as it was: {error:#}"),
        }
        (settings, certificate) =
            (ServeSettings { bind: applied.bind, base_path: applied.base_path, ..newest }, now);
    }
}
