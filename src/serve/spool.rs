//! The files of the inbox, and the journal by which a batch is taken or refused as a whole.
//!
//! A build may read a file while it is written to, so what stands there must never be taken back. A batch is
//! therefore on the disk in the journal first, which no build reads, with the place where it belongs. If that fails,
//! nobody has seen it. From then on it is taken: it is written to its place, once more after a crash or when the disk
//! has room again, and the same bytes at the same place are the same records.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use chrono::Utc;
use serde::{Deserialize, Serialize};

use crate::publish::sha256;
use crate::sources::inbox::{self, FOLDER};

/// The journal, in the site's folder.
const JOURNAL: &str = ".dash/inbox.journal";
/// A file is followed by the next when it is this large, or has this share of what all of them may have.
const ROTATE_BYTES: u64 = 64 << 20;
const ROTATE_SHARE: u64 = 8;

/// See the module.
#[derive(Debug)]
pub struct Spool {
    folder: PathBuf,
    journal: PathBuf,
    current: Option<Current>,
    /// The batch in the journal, until it is known to be on the disk in its place.
    taken: Option<Taken>,
}

/// The file that is added to.
#[derive(Debug)]
struct Current {
    file: File,
    name: String,
}

/// A batch and its place.
#[derive(Debug)]
struct Taken {
    place: Place,
    lines: Vec<u8>,
}

/// The first line of the journal.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Place {
    name: String,
    offset: u64,
    length: usize,
    sha256: String,
}

/// Why a batch is not taken.
#[derive(Debug)]
pub enum Refusal {
    /// The files have as many bytes as they may.
    Full,
    Failed(anyhow::Error),
}

impl From<anyhow::Error> for Refusal {
    fn from(error: anyhow::Error) -> Refusal {
        Refusal::Failed(error)
    }
}

impl Spool {
    /// For the site in `root`, with the batch that a daemon before this one has taken last.
    pub fn open(root: &Path) -> Spool {
        let mut spool =
            Spool { folder: root.join(FOLDER), journal: root.join(JOURNAL), current: None, taken: None };
        spool.taken = read_journal(&spool.journal).filter(|taken| {
            // Where its file is gone, someone has removed it with what it said.
            inbox::is_ours(&taken.place.name) && spool.folder.join(&taken.place.name).is_file()
        });
        spool
    }

    /// Whether there is a batch that [`Spool::rest`] is to be called for.
    pub fn is_unsettled(&self) -> bool {
        self.taken.is_some()
    }

    /// Takes whole lines, as long as all files together have no more than `most` bytes.
    ///
    /// # Errors
    /// If they are not taken; then no build will ever see any of them.
    pub fn take(&mut self, lines: Vec<u8>, most: u64) -> Result<(), Refusal> {
        self.settle()?;
        let held: u64 = inbox::files(&self.folder).iter().map(|file| file.stat.size).sum();
        if held + lines.len() as u64 > most {
            return Err(Refusal::Full);
        }
        let current = self.current(most)?;
        // As it is now: someone may have cut it off.
        let offset = current.file.metadata().context("reading the inbox")?.len();
        let place = Place { name: current.name.clone(), offset, length: lines.len(), sha256: sha256(&lines) };
        let taken = Taken { place, lines };
        self.note(&taken)?;
        self.taken = Some(taken);
        if let Err(error) = self.put() {
            tracing::warn!("reported operations wait until they can be written: {error:#}");
        }
        Ok(())
    }

    /// Sees to it that the batch taken last is in its place, on the disk, and forgets it.
    ///
    /// # Errors
    /// If that does not work yet.
    pub fn settle(&mut self) -> Result<()> {
        if self.taken.is_none() {
            return Ok(());
        }
        self.put()?;
        if let Some(current) = &self.current {
            current.file.sync_data().with_context(|| format!("writing `{}`", current.name))?;
        }
        self.taken = None;
        Ok(())
    }

    /// Settles, and leaves no journal behind.
    ///
    /// # Errors
    /// If that does not work yet.
    pub fn rest(&mut self) -> Result<()> {
        self.settle()?;
        // One that stays says what stands in its place already.
        let _ = fs::remove_file(&self.journal);
        Ok(())
    }

    /// Writes the batch to its place; as often as one likes.
    fn put(&mut self) -> Result<()> {
        let Some(taken) = &self.taken else { return Ok(()) };
        let (name, offset) = (taken.place.name.clone(), taken.place.offset);
        let path = self.folder.join(&name);
        let context = || format!("writing `{}`", path.display());
        if self.current.as_ref().is_none_or(|current| current.name != name) {
            let file = OpenOptions::new().write(true).open(&path).with_context(context)?;
            self.current = Some(Current { file, name });
        }
        let current = self.current.as_ref().expect("opened above");
        let metadata = current.file.metadata().with_context(context)?;
        if metadata.nlink() == 0 || metadata.len() < offset {
            // Someone has removed the file or cut it off, just now: the batch goes to another.
            self.current = None;
            return self.put_elsewhere();
        }
        current.file.write_all_at(&taken.lines, offset).with_context(context)
    }

    fn put_elsewhere(&mut self) -> Result<()> {
        let Some(mut taken) = self.taken.take() else { return Ok(()) };
        let next = self.next();
        if let Ok(next) = &next {
            (taken.place.name, taken.place.offset) = (next.name.clone(), 0);
        }
        let noted = next.and_then(|next| self.note(&taken).map(|()| next));
        let written = noted.and_then(|next| {
            let written = next.file.write_all_at(&taken.lines, 0);
            self.current = Some(next);
            written.context("writing to the inbox")
        });
        self.taken = Some(taken);
        written
    }

    /// Puts a batch into the journal, on the disk.
    fn note(&self, taken: &Taken) -> Result<()> {
        let write = || -> Result<()> {
            let folder = self.journal.parent().unwrap_or(Path::new("."));
            fs::create_dir_all(folder)?;
            let mut bytes = serde_json::to_vec(&taken.place)?;
            bytes.push(b'\n');
            bytes.extend_from_slice(&taken.lines);
            let is_new = !self.journal.exists();
            // What it held is settled; a mixture of both is not whole.
            let file = OpenOptions::new().write(true).create(true).truncate(false).open(&self.journal)?;
            file.write_all_at(&bytes, 0)?;
            file.set_len(bytes.len() as u64)?;
            file.sync_all()?;
            if is_new {
                File::open(folder)?.sync_all()?;
            }
            Ok(())
        };
        write().inspect_err(|_| drop(fs::remove_file(&self.journal))).with_context(|| {
            format!("writing `{}`; see whether the disk is full or fails", self.journal.display())
        })
    }

    fn current(&mut self, most: u64) -> Result<&Current> {
        let full = ROTATE_BYTES.min(most / ROTATE_SHARE);
        let fits = |current: &Current| {
            // Someone may have moved it away.
            let (ours, there) =
                (current.file.metadata().ok()?, fs::metadata(self.folder.join(&current.name)).ok()?);
            Some(ours.len() < full && (ours.dev(), ours.ino()) == (there.dev(), there.ino()))
        };
        if self.current.as_ref().and_then(fits) != Some(true) {
            self.current = Some(self.next()?);
        }
        Ok(self.current.as_ref().expect("opened above"))
    }

    fn next(&self) -> Result<Current> {
        let folder = &self.folder;
        let context = || format!("making a file in `{}`", folder.display());
        fs::create_dir_all(folder).with_context(context)?;
        let name = inbox::name(Utc::now());
        // Not for appending: what is written goes to its place.
        let file =
            OpenOptions::new().write(true).create_new(true).open(folder.join(&name)).with_context(context)?;
        // The name is on the disk before anything relies on it.
        File::open(folder).and_then(|folder| folder.sync_all()).with_context(context)?;
        Ok(Current { file, name })
    }
}

/// The batch in a journal; `None` where there is none that is whole: then it was not taken.
fn read_journal(path: &Path) -> Option<Taken> {
    let read = || -> Result<Taken> {
        let mut bytes = Vec::new();
        File::open(path)?.read_to_end(&mut bytes)?;
        let end = memchr::memchr(b'\n', &bytes).context("it has no first line")?;
        let place: Place = serde_json::from_slice(&bytes[..end])?;
        let lines = bytes.split_off(end + 1);
        if lines.len() != place.length || sha256(&lines) != place.sha256 {
            bail!("it is not whole");
        }
        Ok(Taken { place, lines })
    };
    read().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const MOST: u64 = 1 << 30;

    fn files(root: &Path) -> Vec<(PathBuf, String)> {
        let found = inbox::files(&root.join(FOLDER)).into_iter();
        found.map(|file| (file.file.clone(), fs::read_to_string(file.file).expect("text"))).collect()
    }

    fn text(root: &Path) -> String {
        files(root).into_iter().map(|(_, text)| text).collect()
    }

    fn take(spool: &mut Spool, lines: &str) -> bool {
        spool.take(lines.as_bytes().to_vec(), MOST).is_ok()
    }

    #[test]
    fn what_was_taken_before_a_crash_is_there_after_it() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let mut spool = Spool::open(root.path());
        assert!(take(&mut spool, "one\n") && take(&mut spool, "two\n"));
        drop(spool);
        // The power went before the second batch came to its place, or with half of it there.
        for left in ["one\n", "one\ntw", "one\ntwo\n"] {
            let journal = fs::read(root.path().join(JOURNAL)).expect("not settled");
            fs::write(&files(root.path())[0].0, left).expect("ours");
            Spool::open(root.path()).rest().expect("it can be written");
            assert_eq!(text(root.path()), "one\ntwo\n", "{left}");
            assert!(!root.path().join(JOURNAL).exists());
            fs::write(root.path().join(JOURNAL), journal).expect("ours");
        }
        // What was removed since does not come back.
        fs::remove_file(&files(root.path())[0].0).expect("ours");
        assert!(!Spool::open(root.path()).is_unsettled());
    }

    #[test]
    fn half_a_journal_was_not_taken() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let mut spool = Spool::open(root.path());
        assert!(take(&mut spool, "one\n"));
        spool.settle().expect("it can be written");
        assert!(take(&mut spool, "two\n"));
        drop(spool);
        fs::write(&files(root.path())[0].0, "one\n").expect("ours");
        let journal = fs::read(root.path().join(JOURNAL)).expect("not settled");
        for length in 0..journal.len() {
            fs::write(root.path().join(JOURNAL), &journal[..length]).expect("ours");
            assert!(!Spool::open(root.path()).is_unsettled(), "{length}");
        }
        let mut spool = Spool::open(root.path());
        assert!(take(&mut spool, "three\n"));
        assert_eq!(text(root.path()), "one\nthree\n");
    }

    #[test]
    fn a_batch_that_the_disk_does_not_take_is_seen_by_nobody_and_the_next_one_is() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let mut spool = Spool::open(root.path());
        assert!(take(&mut spool, "one\n"));
        spool.rest().expect("it can be written");
        // A folder where the journal belongs.
        fs::create_dir_all(root.path().join(JOURNAL).join("x")).expect("free");
        for _ in 0..3 {
            assert!(!take(&mut spool, "two\n"));
        }
        fs::remove_dir_all(root.path().join(JOURNAL)).expect("ours");
        assert!(take(&mut spool, "three\n"));
        assert_eq!((text(root.path()).as_str(), files(root.path()).len()), ("one\nthree\n", 1));
    }

    #[test]
    fn files_may_be_removed_moved_and_cut_off_at_any_time() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let mut spool = Spool::open(root.path());
        assert!(take(&mut spool, "one\n"));
        spool.settle().expect("it can be written");
        fs::remove_file(&files(root.path())[0].0).expect("ours");
        assert!(take(&mut spool, "two\n"));
        fs::rename(&files(root.path())[0].0, root.path().join("moved")).expect("ours");
        assert!(take(&mut spool, "three\n"));
        assert_eq!(text(root.path()), "three\n");
        assert_eq!(fs::read_to_string(root.path().join("moved")).expect("moved"), "two\n");
        spool.settle().expect("it can be written");
        fs::write(&files(root.path())[0].0, "").expect("ours");
        assert!(take(&mut spool, "four\n"));
        assert_eq!(text(root.path()), "four\n", "and no hole before it");
    }

    #[test]
    fn a_folder_that_cannot_be_written_to_refuses_until_it_can() {
        let root = tempfile::tempdir().expect("a temporary folder");
        fs::write(root.path().join(FOLDER), "in the way").expect("writable");
        let mut spool = Spool::open(root.path());
        assert!(!take(&mut spool, "one\n"));
        fs::remove_file(root.path().join(FOLDER)).expect("ours");
        assert!(take(&mut spool, "one\n"));
        assert_eq!(text(root.path()), "one\n");
        let mode = fs::metadata(&files(root.path())[0].0).expect("written").permissions().mode();
        assert_ne!(mode & 0o400, 0);
    }

    #[test]
    fn there_are_no_more_bytes_than_there_may_be() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let mut spool = Spool::open(root.path());
        let mut take = || spool.take(b"0123456789\n".to_vec(), 80);
        for _ in 0..7 {
            take().expect("there is room");
        }
        assert!(matches!(take(), Err(Refusal::Full)));
        assert!(files(root.path()).len() > 1, "files are small where there may be few bytes");
        fs::remove_file(&files(root.path())[0].0).expect("ours");
        take().expect("there is room again");
    }
}
