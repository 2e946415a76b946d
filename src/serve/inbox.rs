//! Where reported records go in: on the disk before anyone is told so, in the files of `spool.rs`. What comes in
//! while a write is under way goes into the next one together, so that many clients share the cost of a `fsync`.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::sync::{oneshot, watch};

use crate::serve::ServeSettings;
use crate::serve::spool::{Refusal, Spool};

/// Most batches, and bytes of them, that wait; and bytes of one write.
const MOST_WAITING: usize = 1024;
const WAITING_BYTES: usize = 64 << 20;
const WRITE_BYTES: usize = 8 << 20;
/// How long after a write what is left of it is done.
const REST: Duration = Duration::from_secs(1);

/// See the module. Its thread ends with the last clone of the sender.
#[derive(Clone, Debug)]
pub struct Inbox {
    sender: SyncSender<Batch>,
    waiting: Arc<AtomicUsize>,
}

/// Whole lines, and who waits for them to be on the disk.
#[derive(Debug)]
struct Batch {
    lines: Vec<u8>,
    done: oneshot::Sender<Result<(), Refused>>,
}

/// Why a batch was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Too many wait already.
    Busy,
    /// The inbox holds as much as it may.
    Full,
    /// The disk does not take it; the log says why.
    Failed,
}

impl Inbox {
    /// For the site in `root`. The folder is made when it is first needed.
    ///
    /// # Errors
    /// If there can be no thread for it.
    pub fn open(root: &Path, settings: watch::Receiver<ServeSettings>) -> Result<Inbox> {
        let (sender, receiver) = sync_channel(MOST_WAITING);
        let waiting = Arc::new(AtomicUsize::new(0));
        let (spool, counted) = (Spool::open(root), Arc::clone(&waiting));
        let write = move || write_all(&receiver, spool, &counted, &settings);
        thread::Builder::new().name("inbox".to_owned()).spawn(write).context("starting a thread")?;
        Ok(Inbox { sender, waiting })
    }

    /// Appends whole lines; they are on the disk when this ends well.
    ///
    /// # Errors
    /// If they are not; then none of them will ever be in the inbox.
    pub async fn append(&self, lines: Vec<u8>) -> Result<(), Refused> {
        let ((done, written), size) = (oneshot::channel(), lines.len());
        let before = self.waiting.fetch_add(size, Ordering::SeqCst);
        let sent = match before + size > WAITING_BYTES && before > 0 {
            true => Err(Refused::Busy),
            false => self.sender.try_send(Batch { lines, done }).map_err(|_| Refused::Busy),
        };
        if sent.is_err() {
            self.waiting.fetch_sub(size, Ordering::SeqCst);
        }
        sent?;
        written.await.unwrap_or(Err(Refused::Failed))
    }
}

fn write_all(
    batches: &Receiver<Batch>,
    mut spool: Spool,
    waiting: &AtomicUsize,
    settings: &watch::Receiver<ServeSettings>,
) {
    loop {
        let first = match spool.is_unsettled() {
            true => batches.recv_timeout(REST),
            false => batches.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        let first = match first {
            Ok(first) => first,
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {
                if let Err(error) = spool.rest() {
                    tracing::debug!("reported operations wait until they can be written: {error:#}");
                }
                continue;
            }
        };
        let (mut lines, mut told) = (first.lines, vec![first.done]);
        while lines.len() < WRITE_BYTES
            && let Ok(next) = batches.try_recv()
        {
            lines.extend(next.lines);
            told.push(next.done);
        }
        let size = lines.len();
        let written = spool.take(lines, settings.borrow().inbox_max_bytes).map_err(|refusal| match refusal {
            Refusal::Full => Refused::Full,
            Refusal::Failed(error) => {
                tracing::error!("reported operations were refused: {error:#}");
                Refused::Failed
            }
        });
        waiting.fetch_sub(size, Ordering::SeqCst);
        // Who does not wait any more will report again.
        for done in told {
            let _ = done.send(written);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::inbox::{FOLDER, files};
    use std::fs;

    fn inbox(root: &Path) -> Inbox {
        let (_, settings) = watch::channel(ServeSettings::default());
        Inbox::open(root, settings).expect("a thread")
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn batches_of_many_are_all_there_and_whole() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let inbox = inbox(root.path());
        let append = |at: usize| {
            let inbox = inbox.clone();
            tokio::spawn(async move { inbox.append(format!("{at} a\n{at} b\n").into_bytes()).await })
        };
        let tasks: Vec<_> = (0..100).map(append).collect();
        for task in tasks {
            assert_eq!(task.await.expect("no panic"), Ok(()));
        }
        let text = fs::read_to_string(&files(&root.path().join(FOLDER))[0].file).expect("written");
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 200);
        for pair in lines.chunks(2) {
            assert_eq!(pair[0].replace(" a", " b"), pair[1]);
        }
        assert_eq!(inbox.waiting.load(Ordering::SeqCst), 0);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn more_than_may_wait_is_refused_at_once() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let inbox = inbox(root.path());
        inbox.waiting.store(WAITING_BYTES, Ordering::SeqCst);
        assert_eq!(inbox.append(b"one\n".to_vec()).await, Err(Refused::Busy));
        inbox.waiting.store(0, Ordering::SeqCst);
        assert_eq!(inbox.append(b"one\n".to_vec()).await, Ok(()));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_cannot_be_written_is_refused() {
        let root = tempfile::tempdir().expect("a temporary folder");
        fs::write(root.path().join(FOLDER), "in the way").expect("writable");
        let inbox = inbox(root.path());
        assert_eq!(inbox.append(b"one\n".to_vec()).await, Err(Refused::Failed));
        fs::remove_file(root.path().join(FOLDER)).expect("ours");
        assert_eq!(inbox.append(b"one\n".to_vec()).await, Ok(()));
    }
}
