//! A folder as a target: a mounted disk, or what a web server shows.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::send::Target;

/// See the module.
#[derive(Clone, Debug)]
pub struct Folder {
    name: String,
    path: PathBuf,
}

impl Folder {
    pub fn new(name: &str, path: &Path) -> Folder {
        Folder { name: name.to_owned(), path: path.to_owned() }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.path.join(path)
    }

    /// Where a file waits for its place: beside it, since only there a rename is all that is left to do.
    fn staged(&self, path: &str) -> PathBuf {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        self.path.join(folder).join(format!(".dash-new-{name}"))
    }
}

impl Target for Folder {
    fn name(&self) -> &str {
        &self.name
    }

    fn folder(&self) -> Option<&Path> {
        Some(&self.path)
    }

    fn read(&self, path: &str) -> Result<Option<Vec<u8>>> {
        let path = self.at(path);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("reading `{}`", path.display())),
        }
    }

    fn taken(&self, paths: &[&str]) -> Result<Vec<String>> {
        let taken = paths.iter().filter(|path| fs::symlink_metadata(self.at(path)).is_ok());
        Ok(taken.map(|path| (*path).to_owned()).collect())
    }

    fn put(&self, path: &str, bytes: &[u8]) -> Result<()> {
        self.stage(path, bytes)?;
        self.place(path)
    }

    fn stage(&self, path: &str, bytes: &[u8]) -> Result<()> {
        let staged = self.staged(path);
        let write = || -> io::Result<()> {
            fs::create_dir_all(staged.parent().unwrap_or(&self.path))?;
            fs::write(&staged, bytes)
        };
        write().with_context(|| {
            format!("writing `{}`; when that works, run this again", self.at(path).display())
        })
    }

    fn place(&self, path: &str) -> Result<()> {
        let (staged, at) = (self.staged(path), self.at(path));
        fs::rename(&staged, &at).with_context(|| format!("writing `{}`; run this again", at.display()))
    }

    fn remove(&self, path: &str) -> Result<()> {
        let at = self.at(path);
        gone(fs::remove_file(&at)).with_context(|| format!("removing `{}`; run this again", at.display()))?;
        // Folders go with their last file; those that hold something else stay.
        let above = at.ancestors().skip(1).take_while(|above| *above != self.path);
        for folder in above {
            if fs::remove_dir(folder).is_err() {
                break;
            }
        }
        Ok(())
    }

    fn unstage(&self, path: &str) -> Result<()> {
        let staged = self.staged(path);
        gone(fs::remove_file(&staged)).with_context(|| format!("removing `{}`", staged.display()))
    }
}

/// Fine if there was nothing to remove.
fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Err(error),
        _ => Ok(()),
    }
}
