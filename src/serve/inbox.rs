//! Where reported records are written: appended to files in the site's inbox, and on the disk before anyone is
//! told so. What comes in while a write is under way goes into the next one together, so that many clients share
//! the cost of a `fsync`.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use chrono::Utc;
use tokio::sync::oneshot;

use crate::sources::inbox::FOLDER;

/// A file is followed by the next when it is this large.
const ROTATE_BYTES: u64 = 64 << 20;
/// Most batches, and bytes of them, in one write.
const MOST_WAITING: usize = 1024;
const WRITE_BYTES: usize = 8 << 20;
/// Files that nothing was written to for so long are removed: what they say has long been read.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// See the module. Its thread ends with the last clone of the sender.
#[derive(Clone, Debug)]
pub struct Inbox {
    sender: SyncSender<Batch>,
}

/// Whole lines, and who waits for them to be on the disk.
#[derive(Debug)]
struct Batch {
    lines: Vec<u8>,
    done: oneshot::Sender<bool>,
}

/// Why a batch was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Too many wait already.
    Busy,
    /// The disk does not take it; the log says why.
    Failed,
}

impl Inbox {
    /// For the site in `root`. The folder is made when it is first needed.
    ///
    /// # Errors
    /// If there can be no thread for it.
    pub fn open(root: &Path) -> Result<Inbox> {
        let (sender, receiver) = sync_channel(MOST_WAITING);
        let folder = root.join(FOLDER);
        let write = move || write_all(&receiver, Files { folder, current: None });
        thread::Builder::new().name("inbox".to_owned()).spawn(write).context("starting a thread")?;
        Ok(Inbox { sender })
    }

    /// Appends whole lines; they are on the disk when this ends well.
    ///
    /// # Errors
    /// If they are not; then none of them is in the inbox.
    pub async fn append(&self, lines: Vec<u8>) -> Result<(), Refused> {
        let (done, written) = oneshot::channel();
        self.sender.try_send(Batch { lines, done }).map_err(|_| Refused::Busy)?;
        if written.await.unwrap_or(false) { Ok(()) } else { Err(Refused::Failed) }
    }
}

fn write_all(batches: &Receiver<Batch>, mut files: Files) {
    while let Ok(first) = batches.recv() {
        let (mut lines, mut waiting) = (first.lines, vec![first.done]);
        while lines.len() < WRITE_BYTES
            && let Ok(next) = batches.try_recv()
        {
            lines.extend(next.lines);
            waiting.push(next.done);
        }
        let written = files.append(&lines);
        if let Err(error) = &written {
            tracing::error!("reported operations were refused: {error:#}");
        }
        // Who does not wait any more will report again.
        for done in waiting {
            let _ = done.send(written.is_ok());
        }
    }
}

#[derive(Debug)]
struct Files {
    folder: PathBuf,
    current: Option<Current>,
}

#[derive(Debug)]
struct Current {
    file: File,
    path: PathBuf,
    length: u64,
}

impl Files {
    fn append(&mut self, lines: &[u8]) -> Result<()> {
        let mut current = match self.current.take() {
            // Someone may have moved it away.
            Some(current) if current.length < ROTATE_BYTES && current.path.exists() => current,
            _ => self.next()?,
        };
        let result = current.append(lines);
        let path = current.path.clone();
        if result.is_ok() {
            self.current = Some(current);
        }
        result.with_context(|| format!("writing `{}`", path.display()))
    }

    fn next(&self) -> Result<Current> {
        let folder = &self.folder;
        let context = || format!("making a file in `{}`", folder.display());
        fs::create_dir_all(folder).with_context(context)?;
        remove_old(folder);
        let path = folder.join(format!("operations-{}.jsonl", Utc::now().format("%Y%m%dT%H%M%S%.6fZ")));
        let file = OpenOptions::new().append(true).create_new(true).open(&path).with_context(context)?;
        // The name is on the disk before anything relies on it.
        File::open(folder).and_then(|folder| folder.sync_all()).with_context(context)?;
        Ok(Current { file, path, length: 0 })
    }
}

impl Current {
    fn append(&mut self, lines: &[u8]) -> std::io::Result<()> {
        let written = self.file.write_all(lines).and_then(|()| self.file.sync_data());
        if written.is_err() {
            // Half a batch would be read, and reported again.
            self.file.set_len(self.length)?;
            self.file.rewind()?;
        } else {
            self.length += lines.len() as u64;
        }
        written
    }
}

/// What cannot be removed is in nobody's way.
fn remove_old(folder: &Path) {
    let Some(before) = SystemTime::now().checked_sub(KEPT) else { return };
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let ours =
            name.to_str().is_some_and(|name| name.starts_with("operations-") && name.ends_with(".jsonl"));
        let modified = entry.metadata().and_then(|metadata| metadata.modified());
        if ours && modified.is_ok_and(|modified| modified < before) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(root: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(root.join(FOLDER)).expect("made").flatten();
        let mut files: Vec<_> = entries.map(|entry| entry.path()).collect();
        files.sort();
        files
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn batches_of_many_are_all_there_and_whole() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let inbox = Inbox::open(root.path()).expect("a thread");
        let append = |at: usize| {
            let inbox = inbox.clone();
            tokio::spawn(async move { inbox.append(format!("{at} a\n{at} b\n").into_bytes()).await })
        };
        let tasks: Vec<_> = (0..100).map(append).collect();
        for task in tasks {
            assert_eq!(task.await.expect("no panic"), Ok(()));
        }
        let text = fs::read_to_string(&files(root.path())[0]).expect("written");
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 200);
        for pair in lines.chunks(2) {
            assert_eq!(pair[0].replace(" a", " b"), pair[1]);
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_file_that_is_moved_away_is_followed_by_another() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let inbox = Inbox::open(root.path()).expect("a thread");
        inbox.append(b"one\n".to_vec()).await.expect("written");
        fs::remove_file(&files(root.path())[0]).expect("ours");
        inbox.append(b"two\n".to_vec()).await.expect("written");
        assert_eq!(fs::read(&files(root.path())[0]).expect("written"), b"two\n");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_cannot_be_written_is_refused() {
        let root = tempfile::tempdir().expect("a temporary folder");
        fs::write(root.path().join(FOLDER), "in the way").expect("writable");
        let inbox = Inbox::open(root.path()).expect("a thread");
        assert_eq!(inbox.append(b"one\n".to_vec()).await, Err(Refused::Failed));
        fs::remove_file(root.path().join(FOLDER)).expect("ours");
        assert_eq!(inbox.append(b"one\n".to_vec()).await, Ok(()));
    }
}
