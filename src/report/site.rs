//! A site: what publishing writes, and nothing else.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use anyhow::{Result, bail};

/// Files by path, relative to the output folder, with `/` between segments.
#[derive(Debug, Default)]
pub struct Site<'a> {
    files: BTreeMap<String, File<'a>>,
    kept: BTreeSet<String>,
}

/// A file of a site.
pub enum File<'a> {
    Made(Vec<u8>),
    /// What the program brings along, with its SHA-256 in hexadecimal.
    Carried {
        bytes: &'static [u8],
        sha256: &'static str,
    },
    /// Made when its turn comes to be published, and let go then: what all pages take is never in memory.
    Later(Make<'a>),
}

/// Makes a file; the same bytes each time.
pub type Make<'a> = Box<dyn Fn() -> Result<Vec<u8>> + Send + Sync + 'a>;

impl File<'_> {
    /// # Errors
    /// Those of making it.
    pub fn bytes(&self) -> Result<Cow<'_, [u8]>> {
        match self {
            File::Made(bytes) => Ok(Cow::Borrowed(bytes)),
            File::Carried { bytes, .. } => Ok(Cow::Borrowed(bytes)),
            File::Later(make) => make().map(Cow::Owned),
        }
    }
}

impl fmt::Debug for File<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            File::Made(bytes) => write!(formatter, "Made({} bytes)", bytes.len()),
            File::Carried { sha256, .. } => write!(formatter, "Carried({sha256})"),
            File::Later(_) => formatter.write_str("Later"),
        }
    }
}

impl<'a> Site<'a> {
    /// Adds a file.
    ///
    /// # Errors
    /// If another part of the report has written that path already, or if the path leaves the folder: both
    /// are mistakes that would otherwise show as a page with the wrong content.
    pub fn add(&mut self, path: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Result<()> {
        self.insert(path.into(), File::Made(bytes.into()))
    }

    /// Adds a file that is made when its turn comes.
    ///
    /// # Errors
    /// As [`Site::add`].
    pub fn later<B: Into<Vec<u8>>>(
        &mut self,
        path: impl Into<String>,
        make: impl Fn() -> Result<B> + Send + Sync + 'a,
    ) -> Result<()> {
        self.insert(path.into(), File::Later(Box::new(move || make().map(B::into))))
    }

    /// Adds a file that the program carries, with its SHA-256 in hexadecimal.
    ///
    /// # Errors
    /// As [`Site::add`].
    pub fn add_asset(&mut self, path: &str, bytes: &'static [u8], sha256: &'static str) -> Result<()> {
        self.insert(path.to_owned(), File::Carried { bytes, sha256 })
    }

    /// Says that the snapshot that stands has this file already, and that it is not to change.
    ///
    /// # Errors
    /// As [`Site::add`].
    pub fn keep(&mut self, path: impl Into<String>) -> Result<()> {
        let path = self.free(path.into())?;
        self.kept.insert(path);
        Ok(())
    }

    fn insert(&mut self, path: String, file: File<'a>) -> Result<()> {
        let path = self.free(path)?;
        self.files.insert(path, file);
        Ok(())
    }

    fn free(&self, path: String) -> Result<String> {
        if !is_plain(&path) {
            bail!("`{path}` is not a plain relative path, so it cannot be written to the output folder");
        }
        if self.files.contains_key(&path) || self.kept.contains(&path) {
            bail!("two parts of the site write `{path}`; rename one of them");
        }
        Ok(path)
    }

    /// Paths of the files that stand already.
    pub fn kept(&self) -> &BTreeSet<String> {
        &self.kept
    }

    pub fn files(&self) -> &BTreeMap<String, File<'a>> {
        &self.files
    }
}

/// Whether a path stays in its folder, and names nothing hidden.
pub fn is_plain(path: &str) -> bool {
    let plain = |segment: &str| !segment.is_empty() && !segment.starts_with('.') && !segment.contains('\\');
    path.split('/').all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_writers_of_one_path_are_an_error() {
        let mut site = Site::default();
        site.add("index.html", "one").expect("the path is free");
        assert!(site.add("index.html", "two").is_err());
    }

    #[test]
    fn what_is_kept_is_not_written_too() {
        let mut site = Site::default();
        site.keep("index.html").expect("the path is free");
        assert!(site.later("index.html", || Ok("")).is_err());
        site.later("other.html", || Ok("")).expect("the path is free");
        assert!(site.keep("other.html").is_err());
    }

    #[test]
    fn paths_stay_in_the_folder() {
        for path in ["../x", "/x", "a//b", "a/../b", ".hidden", "a\\b", ""] {
            assert!(Site::default().add(path, "").is_err(), "{path}");
        }
    }
}
