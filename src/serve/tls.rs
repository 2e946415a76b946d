//! TLS by the files of a certificate, which whoever renews it may replace while the daemon runs.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::serve::ServeSettings;
use crate::serve::watch::State;

/// What a connection is accepted with; `None` inside where the settings name no certificate.
#[derive(Clone, Debug, Default)]
pub struct Tls(pub Option<Arc<ServerConfig>>);

impl Tls {
    /// Reads the files that the settings name.
    ///
    /// # Errors
    /// If they cannot be read, or do not belong together.
    pub fn read(settings: &ServeSettings) -> Result<Tls> {
        let (Some(certificate), Some(key)) = (&settings.tls_certificate, &settings.tls_key) else {
            return Ok(Tls(None));
        };
        let reading = |path: &Path| format!("reading `{}`, which `[serve]` names", path.display());
        let chain = CertificateDer::pem_file_iter(certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .with_context(|| reading(certificate))?;
        let private = PrivateKeyDer::from_pem_file(key).with_context(|| reading(key))?;
        let provider = Arc::new(ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .context("choosing the versions of TLS")?
            .with_no_client_auth()
            .with_single_cert(chain, private)
            .with_context(|| format!("using the certificate `{}`", certificate.display()))?;
        Ok(Tls(Some(Arc::new(config))))
    }

    /// The state of the files, which differs once they are replaced.
    pub fn state(settings: &ServeSettings) -> [Option<State>; 2] {
        [&settings.tls_certificate, &settings.tls_key].map(|path| State::at(path.as_deref()?))
    }
}
