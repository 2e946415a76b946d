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
    let started = changes.borrow_and_update().clone();
    let (mut seen, mut certificate) = (started.clone(), Tls::state(&started));
    while !doors.is_closed() {
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            () = sleep(LOOK) => {}
        }
        let newest = changes.borrow_and_update().clone();
        let applied = applied(&started, &newest);
        let now = Tls::state(&applied);
        if newest == seen && now == certificate {
            continue;
        }
        if newest != seen && applied != newest {
            let keys = "`bind`, `base_path` or whether there is a certificate";
            tracing::warn!("in `[serve]`, {keys} has changed; start `dash serve` again for it to apply");
            if let Err(error) = Tls::read(&newest) {
                tracing::warn!("it would not start as `[serve]` is now: {error:#}");
            }
        }
        match Door::open(&applied, &keeper, &current) {
            Ok(door) => {
                doors.send_replace(Arc::new(door));
                tracing::info!("the settings of `[serve]` apply as they are now");
            }
            Err(error) => tracing::warn!("`[serve]` stays as it was: {error:#}"),
        }
        (seen, certificate) = (newest, now);
    }
}

/// The newest settings, but for those that take another start: the gate goes by the path that the routes were
/// made for, and a port that speaks TLS goes on to.
fn applied(started: &ServeSettings, newest: &ServeSettings) -> ServeSettings {
    let fixed = ServeSettings { bind: started.bind, base_path: started.base_path.clone(), ..newest.clone() };
    if newest.tls_certificate.is_some() == started.tls_certificate.is_some() {
        return fixed;
    }
    let (tls_certificate, tls_key) = (started.tls_certificate.clone(), started.tls_key.clone());
    ServeSettings { tls_certificate, tls_key, ..fixed }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_port_was_opened_with_stays() {
        let started = ServeSettings {
            tls_certificate: Some("a.pem".into()),
            tls_key: Some("a.key".into()),
            ..ServeSettings::default()
        };
        let plain = ServeSettings { base_path: "/x".to_owned(), public: true, ..ServeSettings::default() };
        assert_eq!(applied(&started, &plain), ServeSettings { public: true, ..started.clone() });
        let renewed = ServeSettings { tls_certificate: Some("b.pem".into()), ..started.clone() };
        assert_eq!(applied(&started, &renewed), renewed);
        let secured = applied(&plain, &started);
        assert_eq!((secured.tls_certificate, secured.tls_key), (None, None));
    }
}
