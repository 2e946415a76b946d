//! A finished site in memory: what publishing writes, and nothing else.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};

/// Files by path, relative to the output folder, with `/` between segments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Site {
    files: BTreeMap<String, Cow<'static, [u8]>>,
    /// SHA-256 of files, where it is known.
    hashes: BTreeMap<String, &'static str>,
    kept: BTreeSet<String>,
}

impl Site {
    /// Adds a file.
    ///
    /// # Errors
    /// If another part of the report has written that path already, or if the path leaves the folder: both
    /// are mistakes that would otherwise show as a page with the wrong content.
    pub fn add(&mut self, path: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Result<()> {
        let path = self.free(path.into())?;
        self.files.insert(path, Cow::Owned(bytes.into()));
        Ok(())
    }

    /// Adds a file that the program carries, with its SHA-256 in hexadecimal.
    ///
    /// # Errors
    /// As [`Site::add`].
    pub fn add_asset(&mut self, path: &str, bytes: &'static [u8], sha256: &'static str) -> Result<()> {
        let path = self.free(path.to_owned())?;
        self.hashes.insert(path.clone(), sha256);
        self.files.insert(path, Cow::Borrowed(bytes));
        Ok(())
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

    /// Takes up another part of the site.
    ///
    /// # Errors
    /// As [`Site::add`].
    pub fn merge(&mut self, part: Site) -> Result<()> {
        part.kept.into_iter().try_for_each(|path| self.keep(path))?;
        self.hashes.extend(part.hashes);
        for (path, bytes) in part.files {
            let path = self.free(path)?;
            self.files.insert(path, bytes);
        }
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

    pub fn files(&self) -> &BTreeMap<String, Cow<'static, [u8]>> {
        &self.files
    }

    /// The SHA-256 of a file, if it is known without looking at the file.
    pub fn known_hash(&self, path: &str) -> Option<&'static str> {
        self.hashes.get(path).copied()
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
    fn two_parts_with_one_path_are_an_error() {
        let part = |path: &str| {
            let mut site = Site::default();
            site.add(path, "").expect("the path is free");
            site
        };
        let mut site = part("index.html");
        site.merge(part("other.html")).expect("the path is free");
        assert_eq!(site.files().len(), 2);
        assert!(site.merge(part("index.html")).is_err());
        let mut kept = Site::default();
        kept.keep("other.html").expect("the path is free");
        assert!(site.merge(kept).is_err());
    }

    #[test]
    fn paths_stay_in_the_folder() {
        for path in ["../x", "/x", "a//b", "a/../b", ".hidden", "a\\b", ""] {
            assert!(Site::default().add(path, "").is_err(), "{path}");
        }
    }
}
