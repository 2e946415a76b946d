//! Attacks as a table: what is sent, what may come back, and that the daemon goes on as if nothing had been.
//! Ways out of the folder are in `files.rs`, bad reports in `operations.rs`, guessing in `access.rs`, bodies that are
//! meant to be taken for requests in `smuggling.rs`.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::{LIMIT, Server};

/// What may come back: one of these statuses, or nothing but the end of the connection.
struct Attack {
    name: &'static str,
    bytes: Vec<u8>,
    statuses: &'static [u16],
    silence: bool,
}

fn attack(name: &'static str, bytes: impl Into<Vec<u8>>, statuses: &'static [u16]) -> Attack {
    Attack { name, bytes: bytes.into(), statuses, silence: false }
}

/// One after which the connection may just end.
fn or_silence(attack: Attack) -> Attack {
    Attack { silence: true, ..attack }
}

fn get(target: &str, headers: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}\r\n").into_bytes()
}

fn post(headers: &str, body: &str) -> Vec<u8> {
    let head = "POST /api/operations HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n";
    format!("{head}content-type: application/json\r\n{headers}\r\n{body}").into_bytes()
}

/// A record that would be taken, as a page of another site can send it.
fn cross_post(media: &str, headers: &str) -> Vec<u8> {
    let body = r#"{"wrapper_name":"forged","end_time":"2026-01-25T12:00:00Z"}"#;
    let length = body.len();
    format!(
        "POST /api/operations HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: {media}\r\n\
         content-length: {length}\r\n{headers}\r\n{body}"
    )
    .into_bytes()
}

fn upgrade(headers: &str) -> Vec<u8> {
    get("/ws", &format!("upgrade: websocket\r\n{headers}")).to_vec()
}

fn attacks() -> Vec<Attack> {
    let long = "x".repeat(400 << 10);
    let many = "x-a: b\r\n".repeat(200);
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000)).repeat(130);
    let smuggled = "0\r\n\r\nGET /about HTTP/1.1\r\nhost: localhost\r\n\r\n";
    vec![
        attack("a header without end", get("/", &format!("x-long: {long}\r\n")), &[431]),
        attack("too many headers", get("/", &many), &[431]),
        or_silence(attack("a path without end", get(&format!("/{long}"), ""), &[414, 431])),
        attack(
            "a query without end",
            get(&format!("/api/system/health?hours={}", &long[..60_000]), ""),
            &[400],
        ),
        attack("a header that breaks the line", get("/", "x-a: b\r\n evil: c\r\n"), &[200, 400]),
        attack("a header without a name", get("/", ": b\r\n"), &[400]),
        attack("a null in the path", get("/about\0.html", ""), &[400]),
        attack("a null in the path, encoded", get("/about%00.html", ""), &[404]),
        attack("a line break in the path", get("/archive%0d%0aset-cookie:%20a=b", ""), &[404]),
        attack(
            "a line break in a parameter",
            get("/api/charts/performance?wrapper=%0d%0aevil:b", ""),
            &[404],
        ),
        attack("markup in a parameter", get("/api/system/health?hours=<script>", ""), &[400]),
        attack("two lengths", post("content-length: 2\r\ncontent-length: 3\r\n", "{}"), &[400]),
        attack("a negative length", post("content-length: -1\r\n", "{}"), &[400]),
        attack(
            "a length and chunks",
            post("content-length: 5\r\ntransfer-encoding: chunked\r\n", smuggled),
            &[400],
        ),
        attack("chunks that are none", post("transfer-encoding: chunked\r\n", "zz\r\n{}\r\n"), &[400]),
        attack("an unknown coding of transfer", post("transfer-encoding: gzip\r\n", "{}"), &[400, 501]),
        or_silence(attack("a body without end", post("transfer-encoding: chunked\r\n", &chunk), &[413])),
        or_silence(attack(
            "a body that is announced and huge",
            post("content-length: 99999999999\r\n", ""),
            &[413],
        )),
        or_silence(attack("an old version", "GET /about\r\n\r\n", &[400])),
        or_silence(attack("a newer version", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[400, 505])),
        or_silence(attack(
            "TLS where there is none",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            &[400],
        )),
        attack(
            "TRACE",
            "TRACE / HTTP/1.1\r\nhost: localhost\r\nx-secret: 1\r\nconnection: close\r\n\r\n",
            &[405],
        ),
        attack(
            "CONNECT",
            "CONNECT localhost:22 HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
            &[400],
        ),
        attack("a length with a sign", post("content-length: +2\r\n", "{}"), &[400]),
        attack("a space before a colon", post("content-length : 2\r\n", "{}"), &[400]),
        attack(
            "another host in the target",
            "GET http://evil.example/ HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
            &[421],
        ),
        attack(
            "another host behind a name",
            "GET http://localhost@evil.example/ HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
            &[421],
        ),
        attack("another host behind two slashes", get("//evil.example/%2e%2e", ""), &[404]),
        attack("text in place of JSON", cross_post("text/plain", ""), &[415]),
        attack("a form in place of JSON", cross_post("application/x-www-form-urlencoded", ""), &[415]),
        attack(
            "a report of another site",
            cross_post("application/json", "origin: https://evil.example\r\n"),
            &[403],
        ),
        attack("text of another site", cross_post("text/plain", "origin: https://evil.example\r\n"), &[403]),
        attack(
            "a report of a site with a name like ours",
            cross_post("application/json", "origin: http://localhost.evil.example\r\n"),
            &[403],
        ),
        attack(
            "a report of no site in particular",
            cross_post("application/json", "origin: null\r\n"),
            &[403],
        ),
        attack(
            "a report that a browser says is of another site",
            cross_post("application/json", "sec-fetch-site: cross-site\r\n"),
            &[403],
        ),
        attack(
            "a question of another site whether it may report",
            "OPTIONS /api/operations HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
             origin: https://evil.example\r\naccess-control-request-method: POST\r\n\r\n",
            &[405],
        ),
        attack("another site that reads", get("/about", "origin: https://evil.example\r\n"), &[200]),
        attack(
            "a socket of no site in particular",
            upgrade("connection: upgrade\r\norigin: null\r\n"),
            &[403],
        ),
        attack("another host", "GET / HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n", &[421]),
        attack(
            "a forged proxy",
            get("/about", "x-forwarded-for: 127.0.0.1\r\nx-forwarded-host: evil\r\n"),
            &[200],
        ),
        attack(
            "a cookie without end",
            get("/", &format!("cookie: dash-session={}\r\n", &long[..60_000])),
            &[200],
        ),
        attack(
            "a socket of another site",
            upgrade("connection: upgrade\r\norigin: https://evil.example\r\n"),
            &[403],
        ),
        attack(
            "a socket of another site, by another name of the path",
            get("/ws/", "upgrade: websocket\r\nconnection: upgrade\r\norigin: https://evil.example\r\n"),
            &[403],
        ),
        attack(
            "a socket without a key",
            upgrade("connection: upgrade\r\nsec-websocket-version: 13\r\n"),
            &[400, 426],
        ),
        attack(
            "a range that begins beyond all numbers",
            get("/", "range: bytes=18446744073709551616-\r\n"),
            &[416],
        ),
        attack("a range that ends there", get("/", "range: bytes=1-18446744073709551616\r\n"), &[206]),
        attack("a range from there to the end", get("/", "range: bytes=-18446744073709551616\r\n"), &[206]),
        attack("ranges without end", get("/", &format!("range: bytes={}\r\n", "0-1,".repeat(5000))), &[200]),
        attack(
            "codings without end",
            get("/", &format!("accept-encoding: {}\r\n", "br;q=0,".repeat(5000))),
            &[200],
        ),
        attack(
            "tags without end",
            get("/", &format!("if-none-match: {}\r\n", "\"a\",".repeat(5000))),
            &[200],
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn the_daemon_withstands_the_table() {
    let server = Server::start().await;
    for Attack { name, bytes, statuses, silence } in attacks() {
        match server.raw(&bytes).await {
            None => assert!(silence, "{name}: no answer"),
            Some(answer) => {
                assert!(statuses.contains(&answer.status), "{name}: {}", answer.status);
                for header in ["set-cookie", "evil", "x-secret", "access-control-allow-origin", "location"] {
                    assert!(!answer.headers.contains_key(header), "{name}: {header}");
                }
                let body = String::from_utf8_lossy(&answer.body);
                assert!(
                    answer.header("content-type").contains("json") || !body.contains("<script>"),
                    "{name}"
                );
                assert!(!body.contains("x-secret") && !body.contains("HTTP/1.1 200"), "{name}: {body}");
            }
        }
        assert_eq!(server.get("/about").await.status, 200, "after {name}");
    }
}

/// A masked ping of 126 bytes, one more than there may be.
const LONG_PING: [u8; 134] = {
    let mut frame = [0; 134];
    (frame[0], frame[1], frame[3]) = (0x89, 0xfe, 0x7e);
    frame
};

/// Frames as no client of ours would send them; each ends the connection and nothing else.
const FRAMES: [(&str, &[u8]); 8] = [
    ("without a mask", b"\x81\x02{}"),
    ("of a reserved kind", b"\x83\x80\0\0\0\0"),
    ("with reserved bits", b"\xf1\x80\0\0\0\0"),
    ("a ping in pieces", b"\x09\x80\0\0\0\0"),
    ("a ping that is too long", &LONG_PING),
    ("as long as memory", b"\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0"),
    ("a piece of nothing", b"\x80\x80\0\0\0\0"),
    ("that is not UTF-8", b"\x81\x82\0\0\0\0\xff\xfe"),
];

#[tokio::test(flavor = "multi_thread")]
async fn malformed_frames_end_their_connection_alone() {
    let server = Server::start().await;
    let (mut witness, _) = super::live::Client::connect(&server).await;
    for (name, frame) in FRAMES {
        let mut stream = TcpStream::connect(server.address).await.expect("it listens");
        let key = "connection: upgrade\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";
        let head = format!("GET /ws HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\n{key}\r\n");
        stream.write_all(head.as_bytes()).await.expect("it reads");
        let mut start = [0; 12];
        stream.read_exact(&mut start).await.expect("an answer");
        assert_eq!(&start, b"HTTP/1.1 101", "{name}");
        stream.write_all(frame).await.expect("it reads");
        let ended = timeout(LIMIT, stream.read_to_end(&mut Vec::new())).await;
        assert!(ended.is_ok(), "a frame {name} is waited upon");
    }
    server.publish(1);
    witness.event("refresh").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_say_nothing_keep_no_one_out() {
    let server = Server::start().await;
    let mut idle = Vec::new();
    for _ in 0..300 {
        idle.push(TcpStream::connect(server.address).await.expect("it listens"));
    }
    let begun = Instant::now();
    for _ in 0..1000 {
        drop(TcpStream::connect(server.address).await.expect("it listens"));
    }
    let mut half = TcpStream::connect(server.address).await.expect("it listens");
    half.shutdown().await.expect("it is open");
    let end = timeout(Duration::from_secs(15), half.read_to_end(&mut Vec::new())).await;
    assert!(end.is_ok(), "a half-open connection is given up");
    assert_eq!(server.get("/about").await.status, 200);
    assert!(begun.elapsed() < LIMIT, "{:?}", begun.elapsed());
}
