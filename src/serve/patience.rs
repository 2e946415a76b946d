//! How long a connection waits: for a peer that takes nothing of what it is sent, and for the head of a request.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use hyper::rt;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep, sleep_until};

/// How long a client may take nothing of what it is sent.
const STALL_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client may take for the head of a request, or wait with the next one.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// The timer of one connection, of which hyper sets one for each request. Setting and lifting it is a store, and
/// the clock is asked to ring once in a while only; a timer of its own for each request would take, twice, a lock that
/// all connections share.
///
/// hyper sets none while another is set, and each for [`HEAD_TIMEOUT`]: whoever looks that often misses none.
#[derive(Clone, Debug, Default)]
pub struct Alarm(Arc<Mutex<Option<Instant>>>);

impl Alarm {
    fn due(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the moment that it is set to, whenever that is done.
    pub async fn rings(&self) {
        loop {
            let (due, now) = (*self.due(), Instant::now());
            match due {
                Some(due) if due <= now => return,
                due => sleep_until(due.unwrap_or(now + HEAD_TIMEOUT).into()).await,
            }
        }
    }
}

impl rt::Timer for Alarm {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn rt::Sleep>> {
        self.sleep_until(Instant::now() + duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn rt::Sleep>> {
        *self.due() = Some(deadline);
        Box::pin(Set(self.clone()))
    }
}

/// An alarm that is set for as long as this is there. It never says so itself: whoever waits for the alarm ends the
/// connection.
#[derive(Debug)]
struct Set(Alarm);

impl rt::Sleep for Set {}

impl Future for Set {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

impl Drop for Set {
    fn drop(&mut self) {
        *self.0.due() = None;
    }
}

/// A stream whose peer has to take something of what it is sent every `STALL_TIMEOUT`.
#[derive(Debug)]
pub struct Impatient {
    stream: TcpStream,
    /// Runs out when the peer has taken nothing for too long; there while it takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Impatient {
    pub fn new(stream: TcpStream) -> Impatient {
        Impatient { stream, stalled: None }
    }

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
    use hyper::rt::Timer;
    use tokio::time::timeout;

    const SOON: Duration = Duration::from_millis(30);
    const LIMIT: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn an_alarm_rings_when_it_is_due_and_not_when_it_was_lifted() {
        let alarm = Alarm::default();
        let begun = Instant::now();
        let _set = alarm.sleep(SOON);
        timeout(LIMIT, alarm.rings()).await.expect("it rings");
        assert!(begun.elapsed() >= SOON);

        let alarm = Alarm::default();
        let lifted = alarm.sleep(SOON);
        let lift = async {
            drop(lifted);
            std::future::pending::<()>().await;
        };
        let rung = async { tokio::join!(alarm.rings(), lift) };
        assert!(timeout(SOON * 5, rung).await.is_err(), "nobody waits for it any more");
    }

    #[tokio::test]
    async fn an_alarm_that_is_set_again_rings_at_the_later_moment() {
        let (alarm, begun) = (Alarm::default(), Instant::now());
        let first = alarm.sleep(SOON);
        let again = async {
            drop(first);
            let _second = alarm.sleep(SOON * 4);
            std::future::pending::<()>().await;
        };
        tokio::select! {
            biased;
            () = alarm.rings() => {}
            () = again => unreachable!("it waits for ever"),
            () = sleep(LIMIT) => panic!("it does not ring"),
        }
        assert!(begun.elapsed() >= SOON * 4);
    }
}
