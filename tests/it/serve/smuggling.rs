//! Requests that a proxy before the daemon may take for one, and the daemon for two: whoever gets a second one past
//! the proxy asks what the proxy does not let them. Each shape hides a request, and is followed by an honest one.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{LIMIT, Server};

/// What is hidden, and what only its answer says.
const HIDDEN: &str = "GET /assets/plain.js HTTP/1.1\r\nhost: localhost\r\n\r\n";
const GIVEN_AWAY: &str = "var y = 1;";

const HONEST: &str = "GET /about HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

/// Headers that say in two ways, or in an odd one, how long the body is: the hidden request alone, or after a last chunk.
const ODD: [(&str, &str); 22] = [
    ("a length and chunks", "content-length: LENGTH\r\ntransfer-encoding: chunked\r\n"),
    ("chunks and a length", "transfer-encoding: chunked\r\ncontent-length: LENGTH\r\n"),
    ("no length and chunks", "content-length: 0\r\ntransfer-encoding: chunked\r\n"),
    ("two lengths", "content-length: LENGTH\r\ncontent-length: 0\r\n"),
    ("two lengths, turned around", "content-length: 0\r\ncontent-length: LENGTH\r\n"),
    ("a list of lengths", "content-length: LENGTH, 0\r\n"),
    ("a length with a sign", "content-length: +LENGTH\r\n"),
    ("a length in hexadecimal", "content-length: 0xff\r\n"),
    ("a length with a space in it", "content-length: LENGTH 0\r\n"),
    ("a length beyond all numbers", "content-length: 18446744073709551616\r\n"),
    ("a space before the colon of a length", "content-length : LENGTH\r\n"),
    ("a space before the colon of chunks", "transfer-encoding : chunked\r\ncontent-length: LENGTH\r\n"),
    ("a tab before the colon of chunks", "transfer-encoding\t: chunked\r\ncontent-length: LENGTH\r\n"),
    ("a vertical tab before chunks", "transfer-encoding: \x0bchunked\r\ncontent-length: LENGTH\r\n"),
    ("something like chunks", "transfer-encoding: xchunked\r\ncontent-length: LENGTH\r\n"),
    ("chunks that are not last", "transfer-encoding: chunked, identity\r\ncontent-length: LENGTH\r\n"),
    ("chunks twice", "transfer-encoding: chunked\r\ntransfer-encoding: cow\r\n"),
    ("chunks in quotes", "transfer-encoding: \"chunked\"\r\ncontent-length: LENGTH\r\n"),
    ("chunks on a folded line", "transfer-encoding:\r\n chunked\r\ncontent-length: LENGTH\r\n"),
    ("chunks after a bare return", "x: a\rtransfer-encoding: chunked\r\ncontent-length: LENGTH\r\n"),
    ("chunks after a null", "x: a\0\r\ntransfer-encoding: chunked\r\ncontent-length: LENGTH\r\n"),
    ("a length with an underscore", "content_length: 0\r\ncontent-length: LENGTH\r\n"),
];

/// Chunks that end elsewhere for those who read them otherwise.
const CHUNKS: [(&str, &str); 7] = [
    ("whole", "LENGTH\r\nHIDDEN\r\n0\r\n\r\n"),
    ("with an extension", "LENGTH;a=\"\\r\\n0\\r\\n\\r\\n\"\r\nHIDDEN\r\n0\r\n\r\n"),
    ("as long as memory and a little more", "10000000000000000\r\nHIDDEN"),
    ("with a sign", "-1\r\nHIDDEN"),
    ("in hexadecimal as people write it", "0x0\r\n\r\nHIDDEN"),
    ("ended by a bare line feed", "0\n\nHIDDEN"),
    ("with a trailer", "0\r\nx: a\r\nHIDDEN"),
];

fn shapes() -> Vec<(String, String)> {
    let mut shapes = Vec::new();
    for method in ["GET /nothing", "POST /api/operations", "GET /about"] {
        for (name, headers) in ODD {
            for body in [HIDDEN.to_owned(), format!("0\r\n\r\n{HIDDEN}")] {
                let headers = headers.replace("LENGTH", &body.len().to_string());
                let head = format!("{method} HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n");
                shapes.push((format!("{method}, {name}"), head + &body));
            }
        }
        for (name, body) in CHUNKS {
            let body = body.replace("LENGTH", &format!("{:x}", HIDDEN.len())).replace("HIDDEN", HIDDEN);
            for version in ["1.1", "1.0"] {
                let head =
                    format!("{method} HTTP/{version}\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n");
                shapes.push((format!("{method} {version}, chunks {name}"), format!("{head}\r\n{body}")));
            }
        }
        let head = format!("{method} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n", HIDDEN.len());
        shapes.push((format!("{method}, an honest body"), format!("{head}\r\n{HIDDEN}")));
    }
    shapes
}

/// All that comes back until the daemon closes.
async fn answers(server: &Server, name: &str, bytes: &str) -> String {
    let mut stream = TcpStream::connect(server.address).await.expect("it listens");
    // Refused before all of it is there, a connection may be gone.
    let _ = stream.write_all(format!("{bytes}{HONEST}").as_bytes()).await;
    let mut said = Vec::new();
    let read = timeout(LIMIT, stream.read_to_end(&mut said)).await;
    assert!(read.is_ok(), "{name}: the connection stays open");
    String::from_utf8_lossy(&said).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_body_is_taken_for_a_request() {
    let server = Server::start().await;
    assert!(answers(&server, "what is not hidden", HIDDEN).await.contains(GIVEN_AWAY));
    for (name, bytes) in shapes() {
        let said = answers(&server, &name, &bytes).await;
        assert!(!said.contains(GIVEN_AWAY), "{name}: {said}");
        assert!(said.matches("HTTP/1.").count() <= 2, "{name}: {said}");
    }
    assert_eq!(server.get("/about").await.status, 200);
}
