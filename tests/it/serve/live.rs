//! The contract of the live updates, over a WebSocket.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::{LIMIT, Server, site};

pub struct Client {
    socket: WebSocketStream<TcpStream>,
}

impl Client {
    /// Connects, and takes the greeting.
    pub async fn connect(server: &Server) -> (Client, Value) {
        let stream = TcpStream::connect(server.address).await.expect("it listens");
        Client::on(server, stream).await
    }

    async fn on(server: &Server, stream: TcpStream) -> (Client, Value) {
        let address = format!("ws://{}/ws", server.address);
        let (socket, _) = client_async(address, stream).await.expect("it upgrades");
        let mut client = Client { socket };
        let status = client.next().await;
        (client, status)
    }

    async fn say(&mut self, text: impl ToString) {
        self.socket.send(Message::text(text.to_string())).await.expect("it is connected");
    }

    /// The next text frame.
    async fn next(&mut self) -> Value {
        let frame = async {
            loop {
                match self.socket.next().await.expect("it is connected").expect("a frame") {
                    Message::Text(text) => return serde_json::from_str(&text).expect("JSON"),
                    Message::Ping(_) => {}
                    other => panic!("{other:?}"),
                }
            }
        };
        timeout(LIMIT, frame).await.expect("a frame in time")
    }

    /// The next frame of this event.
    pub async fn event(&mut self, event: &str) -> Value {
        loop {
            let frame = self.next().await;
            if frame["event"] == event {
                return frame;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_greeted_and_told_of_new_snapshots() {
    let server = Server::start().await;
    let (mut client, status) = Client::connect(&server).await;
    let current = server.get("/health").await.json()["snapshot"].clone();
    assert_eq!((&status["event"], &status["snapshot"]), (&json!("status"), &current));
    assert!(status["msg"].is_string() && status["version"] == env!("CARGO_PKG_VERSION"));

    let id = server.publish(1);
    let refresh = client.next().await;
    assert_eq!((&refresh["event"], &refresh["snapshot"]), (&json!("refresh"), &json!(id)));
    assert_eq!(refresh["generated_at"], "2026-09-21T14:14:20.500Z");
    assert_eq!(refresh["changed"], json!(["index.html"]));
    let broadcast = client.next().await;
    assert_eq!(broadcast["event"], "metrics_broadcast");
    let health = server.get("/api/system/health").await.json();
    assert_eq!(
        (&broadcast["system_health"], &broadcast["timestamp"]),
        (&health["data"], &health["timestamp"])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_slept_is_told_at_once() {
    let server = Server::start().await;
    let first = server.get("/health").await.json()["snapshot"].clone();
    let second = server.publish(1);
    server.until("/health", |answer| answer.json()["snapshot"] == json!(second)).await;
    let (mut client, _) = Client::connect(&server).await;
    client.say(json!({"event": "hello", "snapshot": first})).await;
    let refresh = client.next().await;
    assert_eq!((&refresh["event"], &refresh["snapshot"]), (&json!("refresh"), &json!(second)));
    assert_eq!(refresh["changed"], json!(["index.html"]));

    client.say(json!({"event": "hello", "snapshot": "19990101T000000Z-000000000000"})).await;
    let pages = client.next().await["changed"].clone();
    assert_eq!(pages, json!(["404.html", "about.html", "archive/index.html", "index.html"]));

    // Up to date: nothing is said, and the next word is the answer to the next question.
    client.say(json!({"event": "hello", "snapshot": second})).await;
    client.say(json!({"event": "subscribe_metrics", "wrapper": "nobody"})).await;
    assert_eq!(client.next().await["code"], "unknown_wrapper");
}

#[tokio::test(flavor = "multi_thread")]
async fn subscribers_get_what_the_api_says() {
    let server = Server::start().await;
    let (mut client, _) = Client::connect(&server).await;
    client.say(json!({"event": "subscribe_metrics", "wrapper": "RouteLLM"})).await;
    let update = client.next().await;
    let health = server.get("/api/wrappers/health").await.json();
    assert_eq!((&update["event"], &update["wrapper"]), (&json!("metrics_update"), &json!("RouteLLM")));
    assert_eq!((&update["data"], &update["timestamp"]), (&health["data"]["RouteLLM"], &health["timestamp"]));

    client.say(json!({"event": "subscribe_metrics", "wrapper": "silent"})).await;
    assert_eq!(client.next().await["data"]["status"], "No data");
    client.say(json!({"event": "subscribe_metrics", "wrapper": "all"})).await;
    assert_eq!(client.next().await["data"], health["data"]);
    client.say(json!({"event": "unsubscribe_metrics", "wrapper": "all"})).await;

    server.publish(1);
    client.event("refresh").await;
    let second = server.publish(2);
    let mut told = Vec::new();
    loop {
        let frame = client.next().await;
        match frame["event"].as_str() {
            Some("metrics_update") => told.push(frame["wrapper"].clone()),
            Some("refresh") if frame["snapshot"] == json!(second) => break,
            _ => {}
        }
    }
    assert_eq!(told, [json!("RouteLLM")], "the silent one has not changed, and all were unsubscribed");
}

#[tokio::test(flavor = "multi_thread")]
async fn new_entries_of_the_feed_are_told() {
    let server = Server::start().await;
    let (mut client, _) = Client::connect(&server).await;
    let mut facts = site::facts(1);
    let fresh = facts.wrappers.iter_mut().find(|wrapper| wrapper.id.name == "silent").expect("made up");
    let mut history = (*fresh.history).clone();
    history.first_end_ms = site::MOMENT_MS;
    fresh.history = history.into();
    site::publish_facts(&server.output(), &facts);
    let activity = client.event("activity").await;
    let entries = activity["entries"].as_array().expect("entries");
    assert!(entries.iter().any(|entry| entry["kind"] == "first_seen" && entry["wrapper"] == "silent"));
    let published = server.get("/api/activity").await.json()["data"].clone();
    assert!(entries.iter().all(|entry| published.as_array().expect("entries").contains(entry)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_frame_gets_an_error_and_the_connection_lives_on() {
    let server = Server::start().await;
    let (mut client, _) = Client::connect(&server).await;
    let deep = "[".repeat(20_000);
    for bad in ["", "{", "null", "[]", "{}", "{\"event\":\"refresh\"}", "{\"event\":\"hello\"}", &deep] {
        client.say(bad).await;
        let error = client.next().await;
        assert_eq!((&error["event"], &error["code"]), (&json!("error"), &json!("malformed")), "{bad}");
    }
    client.socket.send(Message::binary(vec![0, 255])).await.expect("it is connected");
    assert_eq!(client.next().await["code"], "malformed");
    client.say(json!({"event": "subscribe_metrics", "wrapper": "RouteLLM"})).await;
    assert_eq!(client.next().await["event"], "metrics_update");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_that_is_repeated_gives_nothing_again() {
    let server = Server::start().await;
    let (mut client, _) = Client::connect(&server).await;
    for _ in 0..20 {
        client.say(json!({"event": "subscribe_metrics", "wrapper": "all"})).await;
        client.say(json!({"event": "unsubscribe_metrics", "wrapper": "all"})).await;
    }
    client.say(json!({"event": "subscribe_metrics", "wrapper": "all"})).await;
    client.say(json!({"event": "subscribe_metrics", "wrapper": "nobody"})).await;
    assert_eq!(client.next().await["event"], "metrics_update");
    assert_eq!(client.next().await["code"], "unknown_wrapper", "it was told of this snapshot");
    server.publish(1);
    assert_eq!(client.event("metrics_update").await["wrapper"], "all", "and is of the next");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_too_much_is_sent_away_and_told_why() {
    let server = Server::start().await;
    let (client, _) = Client::connect(&server).await;
    let page = json!({"event": "hello", "snapshot": "19990101T000000Z-000000000000"}).to_string();
    let (mut sender, mut receiver) = client.socket.split();
    // It goes on for as long as it is listened to.
    let flood = tokio::spawn(async move { while sender.send(Message::text(&page)).await.is_ok() {} });
    let mut answers = 0;
    let close = async {
        loop {
            match receiver.next().await.expect("it is connected").expect("a frame") {
                Message::Close(frame) => return frame.expect("with its reason"),
                _ => answers += 1,
            }
        }
    };
    let close = timeout(LIMIT, close).await.expect("in time");
    assert_eq!((u16::from(close.code), close.reason.as_str()), (1008, "too many messages"));
    assert!((1000..5000).contains(&answers), "{answers}");
    timeout(LIMIT, flood).await.expect("it ends").expect("no panic");
    assert_eq!(server.get("/about").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_that_are_none_end_the_connection_with_the_reason() {
    let server = Server::start().await;
    let huge = [&[0x81, 0xff, 0, 0, 0, 0, 0, 1, 4, 0, 0, 0, 0, 0][..], &[b'x'; 65 << 10]].concat();
    let frames: [(&str, &[u8], u16); 4] = [
        ("a huge one", &huge, 1009),
        ("an unknown kind", &[0x83, 0x80, 0, 0, 0, 0], 1002),
        ("one without a mask", &[0x81, 1, b'x'], 1002),
        ("text that is none", &[0x81, 0x82, 0, 0, 0, 0, 0xc3, 0x28], 1007),
    ];
    for (name, bytes, code) in frames {
        let (mut client, _) = Client::connect(&server).await;
        client.socket.get_mut().write_all(bytes).await.expect("it reads");
        match timeout(LIMIT, client.socket.next()).await.expect("in time") {
            Some(Ok(Message::Close(Some(frame)))) => assert_eq!(u16::from(frame.code), code, "{name}"),
            other => panic!("{name}: {other:?}"),
        }
    }
    assert_eq!(server.get("/about").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_sites_are_turned_away() {
    let server = Server::start().await;
    let own = format!("http://{}", server.address);
    for (origin, welcome) in [(own.as_str(), true), ("https://evil.example", false), ("null", false)] {
        let mut request = format!("ws://{}/ws", server.address).into_client_request().expect("valid");
        request.headers_mut().insert("origin", origin.parse().expect("valid"));
        let stream = TcpStream::connect(server.address).await.expect("it listens");
        let refused = match client_async(request, stream).await {
            Ok(_) => None,
            Err(Error::Http(response)) => Some(response.status().as_u16()),
            Err(error) => panic!("{error}"),
        };
        assert_eq!(refused, (!welcome).then_some(403), "{origin}");
    }
    let bare = server.get("/ws").await;
    assert_eq!((bare.status, bare.header("upgrade")), (426, "websocket"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_delays_no_one_and_skips_what_it_missed() {
    const ROUNDS: u32 = 12;
    let server = Server::start().await;
    let small = TcpSocket::new_v4().expect("a socket");
    small.set_recv_buffer_size(4096).expect("supported");
    let stream = small.connect(server.address).await.expect("it listens");
    let (mut slow, _) = Client::on(&server, stream).await;
    slow.say(json!({"event": "subscribe_metrics", "wrapper": "all"})).await;
    let (mut quick, _) = Client::connect(&server).await;

    // Long names make large frames, of which the kernel cannot hold all for the slow reader.
    let mut facts = site::facts(0);
    let silent = facts.wrapper("silent").expect("made up").clone();
    facts.wrappers.retain(|wrapper| wrapper.id.name == "RouteLLM");
    facts.wrappers.extend((0..60).map(|at| {
        let mut wrapper = silent.clone();
        (wrapper.id.name, wrapper.id.slug) = (format!("n{at:02}{}", "n".repeat(20_000)), format!("n{at}"));
        wrapper
    }));
    let mut newest = String::new();
    for round in 1..=ROUNDS {
        facts.moment_ms = site::MOMENT_MS + i64::from(round) * 60_000;
        newest = site::publish_bare(&server.output(), &facts);
        let published = Instant::now();
        while quick.event("refresh").await["snapshot"] != json!(newest) {}
        assert!(published.elapsed() < Duration::from_secs(5), "round {round}");
    }
    let mut refreshes = 0;
    loop {
        let refresh = slow.event("refresh").await;
        refreshes += 1;
        if refresh["snapshot"] == json!(newest) {
            break;
        }
    }
    assert!(refreshes < ROUNDS, "nothing was skipped, so everything was queued");
}
