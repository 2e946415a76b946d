//! TLS by certificate files, made by the `openssl` that tests/run installs.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use dash::serve::{ServeSettings, bind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::{Answer, LIMIT, Server};

/// A key and a certificate of its own for `localhost`.
fn make_certificate(folder: &Path) {
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
        ])
        .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
        .args([
            "-addext",
            "basicConstraints=critical,CA:FALSE",
            "-keyout",
            "key.pem",
            "-out",
            "certificate.pem",
        ])
        .current_dir(folder)
        .output()
        .expect("`openssl` can be run; `tests/run` installs it");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

fn with_certificate(folder: &Path) -> impl FnOnce(&mut ServeSettings) + use<> {
    let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
    move |settings| {
        settings.tls_certificate = Some(certificate);
        settings.tls_key = Some(key);
    }
}

/// Asks by TLS, trusting only the certificate that lies in the folder now; `None` where that fails.
async fn ask(server: &Server, target: &str) -> Option<Answer> {
    let mut roots = RootCertStore::empty();
    let path = server.home.path().join("certificate.pem");
    roots.add(CertificateDer::from_pem_file(path).expect("it was made")).expect("a certificate");
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("supported")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(server.address).await.expect("it listens");
    let name = ServerName::try_from("localhost").expect("a name");
    let exchange = async {
        let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.ok()?;
        let head = format!("GET {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.ok()?;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        Answer::parse(&answer)
    };
    timeout(LIMIT, exchange).await.expect("in time")
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_travel_by_tls_and_a_renewed_certificate_is_taken_up() {
    let home = tempfile::tempdir().expect("a temporary folder");
    make_certificate(home.path());
    let change = with_certificate(home.path());
    // The daemon follows the certificate for as long as something rebuilds its site.
    let rebuild: Box<dyn FnOnce(std::path::PathBuf) -> Option<dash::serve::Rebuild>> =
        Box::new(|_| Some(Box::new(|| anyhow::bail!("nothing to build"))));
    let server = Server::listening(home, change, rebuild).await;
    let page = ask(&server, "/about").await.expect("an answer");
    assert_eq!((page.status, page.text()), (200, "about"));
    assert!(server.raw(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.is_none(), "nothing without TLS");

    make_certificate(server.home.path());
    let renewed = async {
        while ask(&server, "/about").await.is_none() {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    };
    timeout(LIMIT, renewed).await.expect("the new certificate is used");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_begins_too_many_connections_has_to_wait() {
    let home = tempfile::tempdir().expect("a temporary folder");
    make_certificate(home.path());
    let with_certificate = with_certificate(home.path());
    let change = |settings: &mut ServeSettings| {
        with_certificate(settings);
        settings.requests_per_second = Some(1);
    };
    let server = Server::listening(home, change, |_| None).await;
    assert_eq!(ask(&server, "/about").await.map(|page| page.status), Some(200));
    // Ten at once: what one asked for before is among them, and each asks for a page besides.
    let mut answered = 0;
    while ask(&server, "/about").await.is_some() {
        answered += 1;
        assert!(answered < 10, "nobody is refused");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_cannot_be_used_is_an_error_that_names_it() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let mut settings = ServeSettings { bind: "127.0.0.1:0".parse().expect("valid"), ..Default::default() };
    with_certificate(home.path())(&mut settings);
    let error = bind(&settings, home.path()).expect_err("there is none");
    assert!(format!("{error:#}").contains("certificate.pem"), "{error:#}");
    settings.tls_key = None;
    let error = bind(&settings, home.path()).expect_err("half of it is missing");
    assert!(format!("{error:#}").contains("go together"), "{error:#}");
}
