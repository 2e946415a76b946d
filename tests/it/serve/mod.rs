//! The daemon over a real socket: a made-up site is published to a folder and served on a free port.

mod access;
mod api;
mod attacks;
mod connections;
mod files;
mod live;
mod operations;
mod proxy;
mod reference;
mod site;
mod smuggling;
mod tls;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use dash::serve::{Daemon, Rebuild, ServeSettings, bind, serve};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Nothing here takes this long unless it hangs.
const LIMIT: Duration = Duration::from_secs(20);

/// A daemon that serves a folder for as long as a test goes on.
struct Server {
    address: SocketAddr,
    /// Holds the folder being served, `output`.
    home: TempDir,
    stop: oneshot::Sender<()>,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Server {
    /// Serves the first made-up snapshot.
    async fn start() -> Server {
        Server::with(|_| {}, |_| None).await
    }

    /// The same with other settings, and with something that builds the site, given its folder.
    async fn with(
        change: impl FnOnce(&mut ServeSettings),
        rebuild: impl FnOnce(PathBuf) -> Option<Rebuild>,
    ) -> Server {
        Server::at(tempfile::tempdir().expect("a temporary folder"), change, rebuild).await
    }

    /// The same for a site's folder with something in it.
    async fn at(
        home: TempDir,
        change: impl FnOnce(&mut ServeSettings),
        rebuild: impl FnOnce(PathBuf) -> Option<Rebuild>,
    ) -> Server {
        let server = Server::listening(home, change, rebuild).await;
        // It answers once it has loaded the site.
        server.get("/").await;
        server
    }

    /// The same, without having been asked anything.
    async fn listening(
        home: TempDir,
        change: impl FnOnce(&mut ServeSettings),
        rebuild: impl FnOnce(PathBuf) -> Option<Rebuild>,
    ) -> Server {
        let (root, output) = (home.path().to_owned(), home.path().join("output"));
        site::publish(&output, 0);
        let mut settings =
            ServeSettings { bind: "127.0.0.1:0".parse().expect("valid"), ..Default::default() };
        change(&mut settings);
        let listener = bind(&settings, &root).expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let watch = vec![home.path().to_owned()];
        let (rebuild, ready) = (rebuild(output.clone()), Box::new(|_: &str| {}));
        let config = root.join("dash.toml");
        let daemon = Daemon { root, output, settings, rebuild, watch, config, ready };
        let (stop, stopped) = oneshot::channel();
        let shutdown = async {
            let _ = stopped.await;
        };
        let task = tokio::spawn(serve(listener, daemon, shutdown));
        Server { address, home, stop, task }
    }

    fn output(&self) -> PathBuf {
        self.home.path().join("output")
    }

    /// Publishes another snapshot of the made-up site into the folder being served.
    fn publish(&self, round: u32) -> String {
        site::publish(&self.output(), round)
    }

    async fn get(&self, target: &str) -> Answer {
        self.ask("GET", target, &[]).await
    }

    async fn ask(&self, method: &str, target: &str, headers: &[(&str, &str)]) -> Answer {
        self.raw(&self.head(method, target, headers)).await.expect("an answer")
    }

    /// Sends a body.
    async fn post(&self, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let length = body.len().to_string();
        let headers = [headers, &[("content-length", length.as_str())]].concat();
        let head = self.head("POST", target, &headers);
        self.raw(&[&head, body].concat()).await.expect("an answer")
    }

    fn head(&self, method: &str, target: &str, headers: &[(&str, &str)]) -> Vec<u8> {
        let mut head = format!("{method} {target} HTTP/1.1\r\nconnection: close\r\n");
        if !headers.iter().any(|header| header.0 == "host") {
            head += &format!("host: {}\r\n", self.address);
        }
        headers.iter().for_each(|(name, value)| head += &format!("{name}: {value}\r\n"));
        (head + "\r\n").into_bytes()
    }

    /// Sends these bytes and reads until the daemon closes; `None` where it answers nothing.
    async fn raw(&self, bytes: &[u8]) -> Option<Answer> {
        self.exchange(TcpStream::connect(self.address).await.expect("it listens"), bytes).await
    }

    /// The same over a connection that stands.
    async fn exchange(&self, mut stream: TcpStream, bytes: &[u8]) -> Option<Answer> {
        let exchange = async {
            stream.write_all(bytes).await.expect("it reads");
            let mut answer = Vec::new();
            // A reset after the answer is one way to say that the rest of a request is not wanted.
            let _ = stream.read_to_end(&mut answer).await;
            answer
        };
        Answer::parse(&timeout(LIMIT, exchange).await.expect("an answer in time"))
    }

    /// Waits for an answer that holds; time passes between a change and its effect.
    async fn until(&self, target: &str, holds: impl Fn(&Answer) -> bool) -> Answer {
        let wait = async {
            loop {
                let answer = self.get(target).await;
                if holds(&answer) {
                    return answer;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(LIMIT, wait).await.expect("it comes to hold")
    }
}

/// An HTTP response.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Answer {
    fn parse(bytes: &[u8]) -> Option<Answer> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = std::str::from_utf8(&bytes[..end]).expect("a head is text");
        let mut lines = head.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().expect("a status");
        let pair = |line: &str| {
            let (name, value) = line.split_once(':').expect("a header");
            (name.to_ascii_lowercase(), value.trim().to_owned())
        };
        let headers: BTreeMap<_, _> = lines.map(pair).collect();
        let rest = &bytes[end + 4..];
        let chunked = headers.get("transfer-encoding").is_some_and(|coding| coding == "chunked");
        let body = if chunked { unchunked(rest) } else { rest.to_vec() };
        Some(Answer { status, headers, body })
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is text")
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}

fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n").expect("a chunk's size");
        let size = std::str::from_utf8(&rest[..end]).expect("a number");
        let size = usize::from_str_radix(size, 16).expect("a number");
        if size == 0 {
            return body;
        }
        body.extend_from_slice(&rest[end + 2..end + 2 + size]);
        rest = &rest[end + 2 + size + 2..];
    }
}
