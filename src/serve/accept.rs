//! The accept loop: connections in bounded number, slow ones given up, all of them ended politely.

use std::convert::Infallible;
use std::future::{self, Future, Ready};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use futures_util::future::Either;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::TokioIo;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use warp::reply::Response;

use crate::serve::client::Client;
use crate::serve::door::Door;
use crate::serve::patience::{Alarm, HEAD_TIMEOUT, Impatient};
use crate::serve::routes::Routes;
use crate::serve::status::Status;

/// Most HTTP connections and most live clients at a time, where the system has room for them.
const MAX_CONNECTIONS: u32 = 4096;
const MAX_CLIENTS: u32 = 10_000;
/// File descriptors kept free for all else: builds must go on however many clients there are.
const OTHER_FILES: u64 = 256;
/// Connections that may wait to be accepted: after a restart, all live clients come back at once.
const BACKLOG: u32 = 4096;
/// How long answers under way may take once the daemon stops.
const GOODBYE: Duration = Duration::from_secs(4);
/// Pause after a failure to accept: most often there are no file descriptors left, and one will come free.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Listens on an address.
///
/// # Errors
/// If it is taken or may not be used; the message names the next step.
pub fn listen(address: SocketAddr) -> Result<TcpListener> {
    let open = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // A daemon started again must not wait for the connections of the last one to fade.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    open().map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => anyhow!(
            "port {} is in use; stop what listens on `{address}`, or take a free port with \
             `--bind {}:0`",
            address.port(),
            address.ip()
        ),
        _ => {
            anyhow!(error).context(format!("listening on `{address}`; choose another address with `--bind`"))
        }
    })
}

/// How many may be connected at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    pub connections: u32,
    /// Live clients, which are not counted as connections.
    pub clients: u32,
}

impl Room {
    /// What the system allows this process. The usual limit of 1,024 open files is raised as far as may be.
    pub fn find() -> Room {
        let wanted = u64::from(MAX_CONNECTIONS + MAX_CLIENTS) + OTHER_FILES;
        let limit = getrlimit(Resource::Nofile);
        let reachable = limit.maximum.unwrap_or(u64::MAX).min(wanted);
        let current = limit.current.unwrap_or(u64::MAX);
        if current >= reachable {
            return Room::within(current);
        }
        let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(reachable), ..limit });
        Room::within(if raised.is_ok() { reachable } else { current })
    }

    fn within(files: u64) -> Room {
        let half = files.saturating_sub(OTHER_FILES) / 2;
        let at_most = |most: u32| u32::try_from(half).map_or(most, |half| half.clamp(1, most));
        Room { connections: at_most(MAX_CONNECTIONS), clients: at_most(MAX_CLIENTS) }
    }
}

/// What is answered, and how many at a time.
#[derive(Debug)]
pub struct Server {
    pub listener: TcpListener,
    pub routes: Routes,
    /// Who is let in, as the settings say at the time.
    pub door: watch::Receiver<Arc<Door>>,
    pub status: Arc<Status>,
    /// Most connections.
    pub connections: u32,
}

/// Answers connections until `stop` becomes true, and then ends them.
pub async fn accept(server: Server, mut stop: watch::Receiver<bool>) {
    let Server { listener, routes, door, status, connections } = server;
    let room = Arc::new(Semaphore::new(connections as usize));
    loop {
        let next = async {
            let permit = Arc::clone(&room).acquire_owned().await.expect("the semaphore is never closed");
            (listener.accept().await, permit)
        };
        let (accepted, permit) = tokio::select! {
            next = next => next,
            () = stopped(&mut stop) => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!("accepting a connection: {error}");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some(held) = door.borrow().gate.connection(peer.ip()) else {
            tracing::debug!("{} has too many connections", peer.ip());
            continue;
        };
        // Frames and answers are written whole: waiting to fill a packet would only delay them.
        let _ = stream.set_nodelay(true);
        let stream = Impatient::new(stream);
        let (tls, mut stop) = (door.borrow().tls.0.clone(), stop.clone());
        if tls.is_some() && !door.borrow().gate.greets(peer.ip()) {
            tracing::debug!("{} begins too many connections", peer.ip());
            continue;
        }
        let service = Asked {
            routes: routes.clone(),
            door: door.clone(),
            status: Arc::clone(&status),
            peer: Client { address: peer.ip(), https: tls.is_some() },
        };
        tokio::spawn(async move {
            let ended = match tls {
                None => converse(stream, service, &mut stop).await,
                Some(tls) => match timeout(HEAD_TIMEOUT, TlsAcceptor::from(tls).accept(stream)).await {
                    Ok(Ok(stream)) => converse(stream, service, &mut stop).await,
                    Ok(Err(error)) => Err(error.into()),
                    Err(_) => Err(anyhow!("no handshake")),
                },
            };
            if let Err(error) = ended {
                tracing::debug!("a connection ended: {error}");
            }
            drop((permit, held));
        });
    }
    drop(listener);
    let _ = timeout(GOODBYE, room.acquire_many(connections)).await;
}

/// Answers the requests of one connection.
async fn converse<S>(stream: S, service: Asked, stop: &mut watch::Receiver<bool>) -> Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let alarm = Alarm::default();
    let mut http = http1::Builder::new();
    http.timer(alarm.clone()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(64 << 10);
    let mut connection = Box::pin(http.serve_connection(TokioIo::new(stream), service).with_upgrades());
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        () = alarm.rings() => bail!("no request came"),
        () = stopped(stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    Ok(ended?)
}

/// What answers the requests of one connection.
#[derive(Clone)]
struct Asked {
    routes: Routes,
    door: watch::Receiver<Arc<Door>>,
    status: Arc<Status>,
    peer: Client,
}

impl Service<Request<Incoming>> for Asked {
    type Response = Response;
    type Error = Infallible;
    type Future = Answering;

    fn call(&self, mut request: Request<Incoming>) -> Answering {
        let door = self.door.borrow();
        let around = door.gate.around(&request);
        let answer = match door.gate.admit(&request, self.peer) {
            Err(refusal) => *refusal,
            Ok(admitted) => match self.routes.at_once(&request) {
                Some(answer) => answer,
                None => {
                    admitted.mark(&mut request);
                    let (answer, status) = (self.routes.answer(request), Arc::clone(&self.status));
                    return Either::Right(Box::pin(async move {
                        let answer = answer.await?;
                        status.answered(answer.status());
                        Ok(around.dress(answer))
                    }));
                }
            },
        };
        self.status.answered(answer.status());
        Either::Left(future::ready(Ok(around.dress(answer))))
    }
}

type Answered = Result<Response, Infallible>;

/// An answer that is there, or is being made.
type Answering = Either<Ready<Answered>, Pin<Box<dyn Future<Output = Answered> + Send>>>;

/// Waits until the daemon stops.
pub async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that the daemon is gone, which is as good.
    let _ = stop.wait_for(|stop| *stop).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_never_take_the_last_files() {
        assert_eq!(Room::within(1024), Room { connections: 384, clients: 384 });
        assert_eq!(Room::within(u64::MAX), Room { connections: MAX_CONNECTIONS, clients: MAX_CLIENTS });
        assert_eq!(Room::within(10), Room { connections: 1, clients: 1 });
    }
}
