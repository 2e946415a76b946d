//! One builder at a time: whoever writes to the store, the output folder or the archive of a site holds its lock.

use std::error::Error;
use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::process;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::store::FOLDER;

/// How long to wait for another builder, unless told otherwise: most builds take less.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// Between two looks at whether it is free.
const LOOK: Duration = Duration::from_millis(20);

/// Held as long as the value lives, and no longer than the process.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Someone else holds the lock. Nothing is wrong then, and whoever has time tries again later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy {
    /// The process that holds it, where that is known.
    pub pid: Option<u32>,
}

impl fmt::Display for Busy {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let pid = self.pid.map(|pid| format!(" (process {pid})")).unwrap_or_default();
        write!(f, "another `dash`{pid} is building this site; wait for it, or stop it")
    }
}

impl Error for Busy {}

impl Lock {
    /// Takes the lock of the site in `root`, and waits so long for whoever holds it.
    ///
    /// # Errors
    /// [`Busy`] if it is not free by then; or if its file cannot be written.
    pub fn take(root: &Path, patience: Duration) -> Result<Lock> {
        let folder = root.join(FOLDER);
        fs::create_dir_all(&folder).with_context(|| format!("creating the folder `{}`", folder.display()))?;
        let path = folder.join("lock");
        // Not truncated: it names its holder.
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .with_context(|| format!("creating `{}`", path.display()))?;
        let begun = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if begun.elapsed() < patience => sleep(LOOK),
                Err(TryLockError::WouldBlock) => return Err(Busy { pid: holder(&mut file) }.into()),
                Err(TryLockError::Error(error)) => {
                    return Err(error).with_context(|| format!("locking `{}`", path.display()));
                }
            }
        }
        // Only helps others to say who is building; a full disk is found by what needs the room.
        let _ = sign(&mut file);
        Ok(Lock { _file: file })
    }
}

fn sign(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", process::id())
}

/// Who has signed the file; a line that is not whole yet names nobody.
fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().and_then(|()| file.read_to_string(&mut text)).ok()?;
    text.strip_suffix('\n')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_at_a_time_and_it_is_named() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let held = Lock::take(folder.path(), PATIENCE).expect("it is free");
        let error = Lock::take(folder.path(), Duration::ZERO).expect_err("it is held");
        assert_eq!(error.downcast_ref::<Busy>(), Some(&Busy { pid: Some(process::id()) }));
        assert!(error.to_string().contains("another `dash` (process "), "{error}");
        drop(held);
        Lock::take(folder.path(), Duration::ZERO).expect("it is free again");
    }

    #[test]
    fn whoever_waits_gets_it_when_it_is_free() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let held = Lock::take(folder.path(), PATIENCE).expect("it is free");
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| Lock::take(folder.path(), Duration::from_secs(30)));
            drop(held);
            waits.join().expect("it does not panic").expect("it is free in time");
        });
    }
}
