//! A finished site in memory: what publishing writes, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};

/// Files by path, relative to the output folder, with `/` between segments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Site {
    files: BTreeMap<String, Vec<u8>>,
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
        self.files.insert(path, bytes.into());
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
        part.files.into_iter().try_for_each(|(path, bytes)| self.add(path, bytes))
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

    pub fn files(&self) -> &BTreeMap<String, Vec<u8>> {
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
