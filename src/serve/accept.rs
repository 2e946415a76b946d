//! The accept loop: connections in bounded number, slow ones given up, all of them ended politely.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use anyhow::{Result, anyhow};
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Sleep, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use warp::filters::BoxedFilter;
use warp::reply::Response;

use crate::serve::client::Client;
use crate::serve::door::Door;
use crate::serve::status::Status;

/// Most HTTP connections and most live clients at a time, where the system has room for them.
const MAX_CONNECTIONS: u32 = 4096;
const MAX_CLIENTS: u32 = 10_000;
/// File descriptors kept free for all else: builds must go on however many clients there are.
const OTHER_FILES: u64 = 256;
/// Connections that may wait to be accepted: after a restart, all live clients come back at once.
const BACKLOG: u32 = 4096;
/// How long a client may take for the head of a request, or wait with the next one.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client may take nothing of what it is sent.
const STALL_TIMEOUT: Duration = Duration::from_secs(10);
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
    pub routes: BoxedFilter<(Response,)>,
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
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(64 << 10);
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
        let stream = Impatient { stream, stalled: None };
        let (tls, http, mut stop) = (door.borrow().tls.0.clone(), http.clone(), stop.clone());
        let answers = TowerToHyperService::new(warp::service(routes.clone()));
        let service = Asked {
            answers,
            door: door.clone(),
            status: Arc::clone(&status),
            peer: Client { address: peer.ip(), https: tls.is_some() },
        };
        tokio::spawn(async move {
            let ended = match tls {
                None => converse(&http, stream, service, &mut stop).await,
                Some(tls) => match timeout(HEAD_TIMEOUT, TlsAcceptor::from(tls).accept(stream)).await {
                    Ok(Ok(stream)) => converse(&http, stream, service, &mut stop).await,
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
async fn converse<S, A>(
    http: &http1::Builder,
    stream: S,
    service: Asked<A>,
    stop: &mut watch::Receiver<bool>,
) -> Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    A: Service<Request<Incoming>, Response = Response, Error = Infallible> + Send,
    A::Future: Send + 'static,
{
    let mut connection = Box::pin(http.serve_connection(TokioIo::new(stream), service).with_upgrades());
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopped(stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    Ok(ended?)
}

/// What answers the requests of one connection.
#[derive(Clone)]
struct Asked<A> {
    answers: A,
    door: watch::Receiver<Arc<Door>>,
    status: Arc<Status>,
    peer: Client,
}

impl<A> Service<Request<Incoming>> for Asked<A>
where
    A: Service<Request<Incoming>, Response = Response, Error = Infallible>,
    A::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let door = Arc::clone(&self.door.borrow());
        let refusal = door.gate.refusal(&mut request, self.peer);
        let around = door.gate.around(&request);
        let answer = refusal.ok_or_else(|| self.answers.call(request));
        let status = Arc::clone(&self.status);
        Box::pin(async move {
            let answer = match answer {
                Ok(refusal) => refusal,
                Err(answer) => answer.await?,
            };
            status.answered(answer.status());
            Ok(around.dress(answer))
        })
    }
}

/// Waits until the daemon stops.
pub async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that the daemon is gone, which is as good.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// A stream whose peer has to take something of what it is sent every [`STALL_TIMEOUT`].
struct Impatient {
    stream: TcpStream,
    /// Runs out when the peer has taken nothing for too long; there while it takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Impatient {
    fn taken<T>(&mut self, context: &mut Context<'_>, poll: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if poll.is_ready() {
            self.stalled = None;
            return poll;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(STALL_TIMEOUT)));
        ready!(stalled.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Impatient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Impatient {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.taken(context, poll)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.taken(context, poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
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
