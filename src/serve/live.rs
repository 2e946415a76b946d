//! One live client: what it says, what it is told, and when it is given up.
//!
//! A client holds nothing but its subscriptions and the newest snapshot that it has been told of. When
//! snapshots land faster than it reads, it is told of the newest and to refresh: nothing queues up. Nor does it have
//! the same told again and again: what it may say is counted, and each subscription gives a frame a snapshot.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use hyper::body::Bytes;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};
use warp::http::StatusCode;
use warp::http::header::{CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use warp::reply::Response;

use crate::serve::accept::stopped;
use crate::serve::answer::{Request, TEXT, plain};
use crate::serve::hub::News;
use crate::serve::keeper::{Keeper, Pass};
use crate::serve::limits::{Bucket, Held, Rate};
use crate::serve::routes::Shared;
use crate::serve::state::Current;

/// Largest message that a client may send.
const MAX_MESSAGE_BYTES: usize = 64 << 10;
/// What is read at a time; clients say little.
const READ_BUFFER_BYTES: usize = 1 << 10;
/// Frames that make up fewer bytes go out together: each write on its own costs the system, and the client, as much
/// as all of them.
const WRITE_BUFFER_BYTES: usize = 8 << 10;
/// A client that does not take a frame within this time is dropped.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a client is pinged, and how long it may be silent.
const PING: Duration = Duration::from_secs(30);
const SILENCE: Duration = Duration::from_secs(60);
/// Messages that a client may send a second, and how many at once: one subscription each for 1,000 wrappers.
pub const MESSAGES: Rate = Rate { per_second: 20.0, at_once: 1200.0 };
/// How long a client that is sent away has to read why: what it still says would have the system throw that away.
const FAREWELL: Duration = Duration::from_secs(2);

/// What ties a client to the daemon.
struct Seat {
    current: watch::Receiver<Arc<Current>>,
    notice: watch::Receiver<Option<String>>,
    /// Becomes true when the daemon stops.
    stop: watch::Receiver<bool>,
    guest: Guest,
    /// Count the client for as long as it is there.
    permit: OwnedSemaphorePermit,
    held: Option<Arc<Held>>,
}

/// Who comes in, and what counts them.
#[derive(Debug)]
pub struct Entrant {
    pub pass: Option<Pass>,
    pub held: Option<Arc<Held>>,
}

/// Who was let in, and who knows whether they would be again.
struct Guest {
    keeper: Arc<Keeper>,
    /// Whether people were asked who they are.
    asked: bool,
    pass: Option<Pass>,
}

impl Guest {
    fn is_welcome(&self) -> bool {
        match &self.pass {
            Some(pass) => self.keeper.holds(pass),
            // Came in as nobody in particular: that ends where nobody was asked and now everyone is.
            None => self.asked || !self.keeper.asks(),
        }
    }
}

#[derive(Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Said {
    Hello { snapshot: String },
    SubscribeMetrics { wrapper: String },
    UnsubscribeMetrics { wrapper: String },
}

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// The client is gone or has to go.
struct Gone;

struct Client {
    socket: Socket,
    /// By wrapper, whether it is told of the next snapshot; who has unsubscribed has been told of this one still.
    subscriptions: BTreeMap<String, bool>,
    /// What it may still say.
    allowance: Bucket,
    /// The snapshot that it has been told of.
    told: Arc<Current>,
    /// Whether it was spared some of that, since a newer snapshot had landed.
    spared: bool,
}

/// Takes a client in, if there is room. The gate has seen to it that no page of another site asks.
///
/// warp has checked the handshake; its own sockets would each keep 128 KB to read into.
pub fn open(upgrade: OnUpgrade, request: &Request, entrant: Entrant, shared: &Shared) -> Response {
    let Ok(permit) = Arc::clone(&shared.seats).try_acquire_owned() else {
        return plain(StatusCode::SERVICE_UNAVAILABLE, TEXT, "there are too many live clients\n");
    };
    let (current, stop, notice) =
        (shared.current.clone(), shared.stop.clone(), shared.status.notice.subscribe());
    let Entrant { pass, held } = entrant;
    let guest = Guest { keeper: Arc::clone(&shared.keeper), asked: shared.keeper.asks(), pass };
    let seat = Seat { current, notice, stop, guest, permit, held };
    tokio::spawn(async move {
        if let Ok(upgraded) = upgrade.await {
            let (stream, config) = (TokioIo::new(upgraded), Some(socket_config()));
            talk(WebSocketStream::from_raw_socket(stream, Role::Server, config).await, seat).await;
        }
    });
    let key = request.headers.get(SEC_WEBSOCKET_KEY).map_or(&b""[..], HeaderValue::as_bytes);
    let mut response = Response::default();
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = HeaderValue::from_str(&derive_accept_key(key)) {
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    }
    response
}

fn socket_config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_message_size(Some(MAX_MESSAGE_BYTES))
        .max_frame_size(Some(MAX_MESSAGE_BYTES))
}

/// `/ws` asked for as if it were a page.
pub fn upgrade_required() -> Response {
    let mut response = plain(StatusCode::UPGRADE_REQUIRED, TEXT, "this is a WebSocket\n");
    response.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
    response
}

/// Talks with a client until it leaves, falls silent, does not read, or the daemon stops.
async fn talk(socket: Socket, seat: Seat) {
    let Seat { mut current, mut notice, mut stop, guest, permit, held } = seat;
    let told = Arc::clone(&current.borrow_and_update());
    let allowance = MESSAGES.full(Instant::now().into_std());
    let mut client = Client { socket, subscriptions: BTreeMap::new(), allowance, told, spared: false };
    let mut ping = interval_at(Instant::now() + PING, PING);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heard = Instant::now();
    let standing = notice.borrow_and_update().is_some();
    let mut guests = guest.keeper.changes();
    let mut state = client.check(&guest).await;
    if state.is_ok() {
        state = client.greet().await;
    }
    if standing && state.is_ok() {
        state = client.notice(&mut notice).await;
    }
    while state.is_ok() {
        state = tokio::select! {
            message = client.socket.next() => {
                heard = Instant::now();
                match message {
                    Some(Ok(_)) if MESSAGES.take(&mut client.allowance, heard.into_std()).is_err() => {
                        client.send_away(CloseCode::Policy, "too many messages").await
                    }
                    Some(Ok(message)) => client.hear(&message).await,
                    Some(Err(error)) => client.misheard(&error).await,
                    None => Err(Gone),
                }
            }
            // The keeper is there as long as the guest is.
            _ = guests.changed() => client.check(&guest).await,
            // Whoever would make changes may end before this hears that the daemon stops.
            changed = current.changed() => {
                if changed.is_ok() { client.tell(&mut current).await } else { client.say_goodbye().await }
            }
            changed = notice.changed() => {
                if changed.is_ok() { client.notice(&mut notice).await } else { client.say_goodbye().await }
            }
            () = stopped(&mut stop) => client.say_goodbye().await,
            _ = ping.tick() => {
                if heard.elapsed() < SILENCE { client.ping(&guest).await } else { Err(Gone) }
            }
        };
    }
    drop((permit, held));
}

/// A client that takes nothing for too long is gone.
async fn taken(sending: impl Future<Output = Result<(), Error>>) -> Result<(), Gone> {
    match timeout(SEND_TIMEOUT, sending).await {
        Ok(Ok(())) => Ok(()),
        _ => Err(Gone),
    }
}

impl Client {
    async fn send(&mut self, message: Message) -> Result<(), Gone> {
        taken(self.socket.send(message)).await
    }

    /// Has a frame go out with those after it; the last of them is followed by a flush.
    async fn feed(&mut self, frame: Utf8Bytes) -> Result<(), Gone> {
        taken(self.socket.feed(Message::Text(frame))).await
    }

    async fn flush(&mut self) -> Result<(), Gone> {
        taken(self.socket.flush()).await
    }

    async fn say(&mut self, frame: impl Into<Utf8Bytes>) -> Result<(), Gone> {
        self.send(Message::Text(frame.into())).await
    }

    async fn close(&mut self, code: CloseCode, reason: &'static str) -> Result<(), Gone> {
        self.send(Message::Close(Some(CloseFrame { code, reason: reason.into() }))).await?;
        Err(Gone)
    }

    /// The same for a client that may be saying more just now.
    async fn send_away(&mut self, code: CloseCode, reason: &'static str) -> Result<(), Gone> {
        let state = self.close(code, reason).await;
        let mut unheard = [0; READ_BUFFER_BYTES];
        let rest = async { while matches!(self.socket.get_mut().read(&mut unheard).await, Ok(1..)) {} };
        // A client that goes on is cut off.
        let _ = timeout(FAREWELL, rest).await;
        state
    }

    /// Ends it with a client whose frames are none, and tells it so, where it is still there.
    async fn misheard(&mut self, error: &Error) -> Result<(), Gone> {
        match error {
            Error::Capacity(_) => self.send_away(CloseCode::Size, "at most 64 KB").await,
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Err(Gone),
            Error::Protocol(_) => self.send_away(CloseCode::Protocol, "not a WebSocket frame").await,
            Error::Utf8(_) => self.send_away(CloseCode::Invalid, "not UTF-8").await,
            _ => Err(Gone),
        }
    }

    async fn say_goodbye(&mut self) -> Result<(), Gone> {
        self.close(CloseCode::Away, "the server stops").await
    }

    /// Ends it with whom would not be let in any more.
    async fn check(&mut self, guest: &Guest) -> Result<(), Gone> {
        if guest.is_welcome() { Ok(()) } else { self.close(CloseCode::Policy, "signed out").await }
    }

    /// A session also ends by its age, of which nobody tells.
    async fn ping(&mut self, guest: &Guest) -> Result<(), Gone> {
        self.check(guest).await?;
        self.send(Message::Ping(Bytes::new())).await
    }

    async fn error(&mut self, code: &str, message: &str) -> Result<(), Gone> {
        self.say(json!({"event": "error", "code": code, "message": message}).to_string()).await
    }

    async fn greet(&mut self) -> Result<(), Gone> {
        let status = json!({
            "event": "status",
            "msg": "connected",
            "snapshot": self.told.manifest.id,
            "version": env!("CARGO_PKG_VERSION"),
        });
        self.say(status.to_string()).await
    }

    /// Tells what is wrong with the site, or that nothing is any more.
    async fn notice(&mut self, notice: &mut watch::Receiver<Option<String>>) -> Result<(), Gone> {
        let frame = json!({"event": "notice", "message": *notice.borrow_and_update()}).to_string();
        self.say(frame).await
    }

    /// Tells the news of the newest snapshot, and not to the end where a newer one lands meanwhile: a slow
    /// client with many subscriptions must not keep an old snapshot in memory.
    async fn tell(&mut self, current: &mut watch::Receiver<Arc<Current>>) -> Result<(), Gone> {
        let newest = Arc::clone(&current.borrow_and_update());
        let known = std::mem::replace(&mut self.told, Arc::clone(&newest));
        let news: &News = &newest.news;
        let known = Some(known.manifest.id.as_str());
        let in_step = news.follows(known) && !std::mem::take(&mut self.spared);
        self.feed(news.refresh(known).clone()).await?;
        self.feed(news.broadcast.clone()).await?;
        if let Some(activity) = news.activity.as_ref().filter(|_| in_step) {
            self.feed(activity.clone()).await?;
        }
        self.subscriptions.retain(|wrapper, stands| *stands && news.update(wrapper).is_some());
        for wrapper in self.subscriptions.keys().cloned().collect::<Vec<_>>() {
            self.spared = current.has_changed().unwrap_or(false);
            if self.spared {
                break;
            }
            let update = news.update(&wrapper).filter(|update| update.changed || !in_step);
            if let Some(update) = update {
                self.feed(update.frame.clone()).await?;
            }
        }
        self.flush().await
    }

    async fn hear(&mut self, message: &Message) -> Result<(), Gone> {
        let text = match message {
            Message::Text(text) => text,
            Message::Close(_) => return Err(Gone),
            Message::Binary(_) => {
                return self.error("malformed", "binary frames are not understood; send JSON as text").await;
            }
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => return Ok(()),
        };
        let newest = Arc::clone(&self.told);
        match serde_json::from_str(text) {
            Ok(Said::Hello { snapshot }) if snapshot == newest.manifest.id => Ok(()),
            Ok(Said::Hello { snapshot }) => self.say(newest.news.refresh(Some(&snapshot)).clone()).await,
            Ok(Said::SubscribeMetrics { wrapper }) => match newest.news.update(&wrapper) {
                Some(update) => match self.subscriptions.insert(wrapper, true) {
                    Some(_) => Ok(()),
                    None => self.say(update.frame.clone()).await,
                },
                None => self.error("unknown_wrapper", "there is no wrapper of that name").await,
            },
            Ok(Said::UnsubscribeMetrics { wrapper }) => {
                self.subscriptions.entry(wrapper).and_modify(|stands| *stands = false);
                Ok(())
            }
            Err(_) => self.error("malformed", EXPECTED).await,
        }
    }
}

const EXPECTED: &str = "expected `{\"event\": \"hello\", \"snapshot\": …}`, or `subscribe_metrics` or \
                        `unsubscribe_metrics` with `wrapper`";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_may_say_runs_out_and_comes_back() {
        let start = std::time::Instant::now();
        let mut allowance = MESSAGES.full(start);
        let mut said = |now| (0..5000).filter(|_| MESSAGES.take(&mut allowance, now).is_ok()).count() as f64;
        assert_eq!(said(start), MESSAGES.at_once);
        assert_eq!(said(start + Duration::from_secs(1)), MESSAGES.per_second);
        assert_eq!(said(start + Duration::from_secs(86_400)), MESSAGES.at_once);
    }
}
