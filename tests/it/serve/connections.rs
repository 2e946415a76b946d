//! Listening, stopping, and following what others build.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use dash::access::Role;
use dash::access::accounts::Accounts;
use dash::serve::{Daemon, Outcome, Rebuild, Rebuilt, ServeSettings, bind, serve};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::live::Client;
use super::{LIMIT, Server, site};

/// A build that went well.
fn rebuilt(watch: Vec<PathBuf>) -> Rebuilt {
    Rebuilt { watch, settings: ServeSettings::default(), complaint: None, outcome: Outcome::Built }
}

#[tokio::test]
async fn a_port_in_use_is_an_error_that_says_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("bound");
    let settings = ServeSettings { bind: address, ..ServeSettings::default() };
    let error = bind(&settings, Path::new(".")).expect_err("it is taken").to_string();
    assert!(error.contains(&format!("port {} is in use", address.port())), "{error}");
    assert!(error.contains("--bind 127.0.0.1:0"), "{error}");
}

#[tokio::test]
async fn an_empty_folder_is_an_error_that_says_what_to_do() {
    let output = tempfile::tempdir().expect("a temporary folder");
    let settings = ServeSettings { bind: "127.0.0.1:0".parse().expect("valid"), ..Default::default() };
    let root = output.path().to_owned();
    let listener = bind(&settings, &root).expect("a free port");
    let (watch, ready) = (Vec::new(), Box::new(|_: &str| {}));
    let (output, config) = (root.clone(), root.join("dash.toml"));
    let daemon = Daemon { output, root, settings, rebuild: None, watch, config, ready };
    let error = serve(listener, daemon, std::future::pending()).await.expect_err("there is nothing to serve");
    assert!(error.to_string().contains("run `dash build` first"), "{error:#}");
}

#[tokio::test]
async fn others_are_kept_out_until_they_are_let_in() {
    let settings = ServeSettings { bind: "0.0.0.0:0".parse().expect("valid"), ..Default::default() };
    let home = tempfile::tempdir().expect("a temporary folder");
    let error = bind(&settings, home.path()).expect_err("it is open to all").to_string();
    assert!(error.contains("public = true") && error.contains("dash user add"), "{error}");
    assert!(bind(&ServeSettings { public: true, ..settings.clone() }, home.path()).is_ok());
    let mut accounts = Accounts::default();
    accounts.add_token("ci", "secret", Role::Viewer).expect("free");
    accounts.write(&home.path().join("access.toml")).expect("writable");
    assert!(bind(&settings, home.path()).is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_without_a_path_are_answered() {
    let server = Server::start().await;
    for (line, status) in [
        ("CONNECT a:1 HTTP/1.1", 400),
        ("GET a:1 HTTP/1.1", 400),
        ("OPTIONS * HTTP/1.1", 405),
        ("GET http://localhost/about HTTP/1.1", 200),
        ("GET http://evil.example/about HTTP/1.1", 421),
    ] {
        let head = format!("{line}\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        let answer = server.raw(head.as_bytes()).await.unwrap_or_else(|| panic!("{line}: no answer"));
        assert_eq!(answer.status, status, "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_names_that_nobody_else_can_own_are_answered() {
    let host = |name: &str, target: &str| {
        format!("GET {target} HTTP/1.1\r\nhost: {name}\r\nconnection: close\r\n\r\n").into_bytes()
    };
    let named = |settings: &mut ServeSettings| settings.hosts = vec!["Dash.example.org".to_owned()];
    let server = Server::with(named, |_| None).await;
    let own =
        ["localhost", "LOCALHOST:5000", "127.0.0.1:1", "[::1]:5000", "10.1.2.3", "dash.example.org:443"];
    let others =
        ["evil.example", "evil.example:5000", "localhost.evil.example", "127.0.0.1.evil.example", "@"];
    for (names, expected) in [(&own[..], true), (&others[..], false)] {
        for name in names {
            let status = server.raw(&host(name, "/about")).await.expect("an answer").status;
            assert_eq!(status, if expected { 200 } else { 421 }, "{name}");
        }
    }
    let unnamed = server.raw(b"GET /about HTTP/1.0\r\n\r\n").await.expect("an answer");
    assert_eq!(unnamed.status, 200);
    let two = b"GET /about HTTP/1.1\r\nhost: localhost\r\nhost: evil.example\r\nconnection: close\r\n\r\n";
    assert_ne!(server.raw(two).await.expect("an answer").status, 200);
    let error = server.raw(&host("evil.example", "/api/system/health")).await.expect("an answer").json();
    assert_eq!(error["error"]["code"], "misdirected_request");
    assert!(error["error"]["message"].as_str().is_some_and(|text| text.contains("`hosts`")), "{error}");

    let public = Server::with(|settings| settings.public = true, |_| None).await;
    assert_eq!(public.raw(&host("evil.example", "/about")).await.expect("an answer").status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_half_published_site_leaves_the_last_one_standing() {
    let server = Server::start().await;
    let output = &server.output();
    let before = server.get("/").await;
    let page = fs::read(output.join("index.html")).expect("published");

    // As a copy by rsync may arrive: the manifest first.
    let elsewhere = tempfile::tempdir().expect("a temporary folder");
    let id = site::publish(elsewhere.path(), 3);
    fs::copy(elsewhere.path().join("snapshot.json"), output.join("snapshot.json")).expect("writable");
    let deadline = Instant::now() + Duration::from_millis(1500);
    while Instant::now() < deadline {
        let now = server.get("/").await;
        assert_eq!((now.status, &now.body), (200, &before.body));
        assert_eq!(now.body, page);
    }
    let manifest = dash::publish::manifest::read(elsewhere.path()).expect("read").expect("published");
    for path in manifest.files.keys() {
        fs::copy(elsewhere.path().join(path), output.join(path)).expect("writable");
    }
    server.until("/health", |answer| answer.json()["snapshot"] == json!(id)).await;
    assert_ne!(server.get("/").await.body, before.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_output_folder_made_again_is_followed() {
    let server = Server::start().await;
    let output = &server.output();
    fs::remove_dir_all(output).expect("ours");
    let id = site::publish(output, 5);
    server.until("/health", |answer| answer.json()["snapshot"] == json!(id)).await;
    let id = server.publish(6);
    server.until("/health", |answer| answer.json()["snapshot"] == json!(id)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_sources_rebuilds_the_site_and_errors_do_not_end_it() {
    let rounds = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&rounds);
    let build = |output: PathBuf| -> Option<Rebuild> {
        Some(Box::new(move || {
            match count.fetch_add(1, Ordering::SeqCst) + 1 {
                1 => anyhow::bail!("a template does not parse"),
                2 => panic!("a bug"),
                round => site::publish(&output, round),
            };
            let watch = vec![output.parent().expect("it is in a folder").to_owned()];
            Ok(rebuilt(watch))
        }))
    };
    let server = Server::with(|_| {}, build).await;
    let logs = server.home.path().join("logs");
    let (mut client, _) = Client::connect(&server).await;
    // The first build comes by itself; those after it, because a log was made and written to.
    for round in 1..=3 {
        let built = async {
            while rounds.load(Ordering::SeqCst) < round {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(LIMIT, built).await.expect("a change is noticed");
        assert_eq!(server.get("/about").await.status, 200);
        if round < 3 {
            fs::create_dir_all(&logs).expect("writable");
            fs::write(logs.join("a.jsonl"), "x".repeat(round as usize)).expect("writable");
        }
    }
    server.until("/health", |answer| answer.json()["timestamp"] == "2026-09-21T14:16:20.500Z").await;
    let told = client.event("notice").await["message"].clone();
    assert!(told.as_str().is_some_and(|told| told.contains("building the site fails")), "{told}");
    assert!(!told.to_string().contains("template"), "why it fails is not for visitors: {told}");
    assert_eq!(client.event("notice").await["message"], json!(null));
    let counted = server.get("/metrics").await;
    for line in ["dash_builds_total{result=\"failed\"} 2", "dash_builds_total{result=\"ok\"} 1"] {
        assert!(counted.text().lines().any(|found| found == line), "{line}: {}", counted.text());
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(rounds.load(Ordering::SeqCst), 3, "publishing is no change of the sources");
}

#[tokio::test(flavor = "multi_thread")]
async fn visitors_are_told_that_settings_are_wrong_but_not_what_is() {
    let wrong = Arc::new(AtomicBool::new(true));
    let is_wrong = Arc::clone(&wrong);
    let build = |output: PathBuf| -> Option<Rebuild> {
        Some(Box::new(move || {
            let watch = vec![output.parent().expect("it is in a folder").to_owned()];
            let complaint = is_wrong.load(Ordering::SeqCst).then(|| "unknown field `secret`".to_owned());
            Ok(Rebuilt { complaint, ..rebuilt(watch) })
        }))
    };
    let server = Server::with(|_| {}, build).await;
    let (mut client, _) = Client::connect(&server).await;
    let told = client.event("notice").await["message"].clone();
    assert!(
        told.as_str().is_some_and(|told| told.contains("settings") && !told.contains("secret")),
        "{told}"
    );
    wrong.store(false, Ordering::SeqCst);
    fs::write(server.home.path().join("dash.toml"), "").expect("writable");
    assert_eq!(client.event("notice").await["message"], json!(null));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_changes_is_built_a_second_at_a_time() {
    let rounds = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&rounds);
    let build = |output: PathBuf| -> Option<Rebuild> {
        Some(Box::new(move || {
            count.fetch_add(1, Ordering::SeqCst);
            let watch = vec![output.parent().expect("it is in a folder").to_owned()];
            Ok(rebuilt(watch))
        }))
    };
    let server = Server::with(|_| {}, build).await;
    let log = server.home.path().join("a.jsonl");
    let mut changes = 0;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(2500) {
        changes += 1;
        fs::write(&log, "x".repeat(changes)).expect("writable");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let built = rounds.load(Ordering::SeqCst) as usize;
    assert!(built >= 1 && built * 5 < changes, "{built} builds for {changes} changes");
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_takes_leave_of_everyone_in_time() {
    let server = Server::start().await;
    let mut idle = TcpStream::connect(server.address).await.expect("it listens");
    idle.write_all(b"GET /about HTTP/1.1\r\nhost: localhost\r\n\r\n").await.expect("it reads");
    let mut start = [0; 12];
    idle.read_exact(&mut start).await.expect("an answer");
    assert_eq!(&start, b"HTTP/1.1 200");
    let address = format!("ws://{}/ws", server.address);
    let stream = TcpStream::connect(server.address).await.expect("it listens");
    let (mut socket, _) = tokio_tungstenite::client_async(address, stream).await.expect("it upgrades");

    let stopping = Instant::now();
    server.stop.send(()).expect("it runs");
    let close = async {
        use futures_util::StreamExt;
        loop {
            match socket.next().await {
                Some(Ok(tokio_tungstenite::tungstenite::Message::Close(frame))) => return frame,
                Some(Ok(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    };
    let frame = timeout(LIMIT, close).await.expect("a goodbye").expect("with its reason");
    assert_eq!(u16::from(frame.code), 1001);
    timeout(Duration::from_secs(6), server.task)
        .await
        .expect("in time")
        .expect("no panic")
        .expect("no error");
    assert!(stopping.elapsed() < Duration::from_secs(5));
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_finishes_its_head_or_reads_nothing_is_given_up() {
    let server = Server::start().await;
    let given_up = async |begun: &[u8]| {
        let mut slow = TcpStream::connect(server.address).await.expect("it listens");
        slow.write_all(begun).await.expect("it reads");
        let end = timeout(Duration::from_secs(15), slow.read_to_end(&mut Vec::new())).await;
        assert!(end.is_ok(), "still connected after {:?}", String::from_utf8_lossy(begun));
    };
    let deaf = async {
        let mut stream = TcpStream::connect(server.address).await.expect("it listens");
        let asks = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(100);
        // Once all that lies between is full, the daemon waits for the client, and closes.
        while stream.write_all(&asks).await.is_ok() {}
    };
    let deaf = async { timeout(LIMIT, deaf).await.expect("who reads nothing is let go") };
    let dribbling = async {
        let mut stream = TcpStream::connect(server.address).await.expect("it listens");
        let _ = stream.write_all(b"GET / HTTP/1.1\r\nx-slow: ").await;
        while stream.write_all(b"a").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let dribbling = async { timeout(LIMIT, dribbling).await.expect("letters do not keep it open") };
    tokio::join!(given_up(b""), given_up(b"GET / HTTP/1.1\r\nx-slow: "), deaf, dribbling);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_holds_so_many_connections_and_no_more() {
    let limit = |settings: &mut ServeSettings| settings.connections_per_client = Some(3);
    let server = Server::with(limit, |_| None).await;
    let ask = format!("GET /health HTTP/1.1\r\nhost: {}\r\n\r\n", server.address);
    let connect = async || {
        let mut stream = TcpStream::connect(server.address).await.expect("it listens");
        // A connection that is refused may be gone before it is written to.
        let _ = stream.write_all(ask.as_bytes()).await;
        let answered = timeout(LIMIT, stream.read(&mut [0; 16])).await.expect("in time").unwrap_or(0) > 0;
        answered.then_some(stream)
    };
    // The daemon may not have seen yet that the connection is closed by which the test knew that it is there.
    let mut held = Vec::new();
    let three = async {
        while held.len() < 3 {
            held.extend(connect().await);
        }
    };
    timeout(LIMIT, three).await.expect("there is room for three");
    for _ in 0..5 {
        assert!(connect().await.is_none(), "a fourth");
    }
    held.pop();
    let again = async { while connect().await.is_none() {} };
    timeout(LIMIT, again).await.expect("there is room again");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clients_of_a_proxy_are_told_apart() {
    let limit = |settings: &mut ServeSettings| {
        settings.connections_per_client = Some(2);
        settings.trusted_proxies = vec!["127.0.0.1".parse().expect("valid")];
    };
    let server = Server::with(limit, |_| None).await;
    let open = async |address: &str| {
        let stream = TcpStream::connect(server.address).await.expect("it listens");
        let mut request = format!("ws://{}/ws", server.address).into_client_request().expect("valid");
        request.headers_mut().insert("x-forwarded-for", address.parse().expect("a header"));
        tokio_tungstenite::client_async(request, stream).await.map(|(socket, _)| socket)
    };
    let first = open("192.0.2.7").await.expect("the first");
    let _second = open("192.0.2.7").await.expect("the second");
    match open("192.0.2.7").await {
        Err(Error::Http(response)) => assert_eq!(response.status().as_u16(), 429),
        other => panic!("{other:?}"),
    }
    assert!(open("192.0.2.8").await.is_ok(), "others are not held up");
    drop(first);
    let again = async { while open("192.0.2.7").await.is_err() {} };
    timeout(LIMIT, again).await.expect("there is room again");
}
