//! Whether entries are what they were: every file against its manifest, the numbers of the overview and of the
//! exports against the summary.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::archive::entry::{self, Entry, MANIFEST};
use crate::archive::index::Index;
use crate::archive::numbers;
use crate::model::parallel;
use crate::publish::manifest::FileEntry;
use crate::publish::sha256;

/// What was looked at, and what is wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verified {
    pub snapshots: usize,
    pub files: usize,
    pub bytes: u64,
    pub problems: Vec<Problem>,
}

/// What is wrong with one file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Problem {
    /// In the archive.
    pub path: String,
    pub what: String,
}

/// A file of the archive, and what it is to be.
struct Expected {
    path: String,
    file: FileEntry,
}

/// Verifies the entry `only`, or all.
///
/// # Errors
/// If the archive cannot be read, or if there is no such entry.
pub fn verify(archive: &Path, only: Option<&str>) -> Result<Verified> {
    let index = Index::load(archive)?;
    let damaged = index.damaged.iter().map(String::as_str);
    let mut ids: Vec<&str> = index.snapshots.iter().map(|row| row.id.as_str()).chain(damaged).collect();
    ids.sort_unstable();
    if let Some(only) = only {
        ids.retain(|id| *id == only);
        if ids.is_empty() {
            bail!("there is no snapshot `{only}` in `{}`; leave it out to verify all", archive.display());
        }
    }
    let mut problems = Vec::new();
    let mut expected: BTreeMap<String, FileEntry> = BTreeMap::new();
    for id in &ids {
        match entry::read(archive, id) {
            Ok((entry, bytes)) => {
                let known = index.find(id).is_none_or(|row| row.manifest == sha256(&bytes));
                if !known {
                    problems.push(problem(
                        &format!("{id}/{MANIFEST}"),
                        "differs from what the index of the archive says",
                    ));
                }
                problems.extend(strangers(archive, &entry)?);
                let own = entry.files.into_iter().map(|(path, file)| (format!("{id}/{path}"), file));
                expected.extend(own.chain(entry.assets));
            }
            Err(error) => problems.push(problem(&format!("{id}/{MANIFEST}"), &format!("{error:#}"))),
        }
    }
    let expected: Vec<_> = expected.into_iter().map(|(path, file)| Expected { path, file }).collect();
    let buffer = || vec![0; 1 << 18];
    let found = parallel::map_with(&expected, buffer, |buffer, expected| differs(archive, expected, buffer));
    for (expected, found) in expected.iter().zip(found) {
        problems.extend(found.map(|what| problem(&expected.path, &what)));
    }
    let numbers = parallel::map(&ids, |id| numbers::problems(archive, id));
    problems.extend(numbers.into_iter().flatten());
    problems.sort();
    let bytes = expected.iter().map(|expected| expected.file.size).sum();
    Ok(Verified { snapshots: ids.len(), files: expected.len(), bytes, problems })
}

pub fn problem(path: &str, what: &str) -> Problem {
    Problem { path: path.to_owned(), what: what.to_owned() }
}

/// How a file differs from what it is to be.
fn differs(archive: &Path, expected: &Expected, buffer: &mut [u8]) -> Option<String> {
    let at = archive.join(&expected.path);
    let hash = (|| -> std::io::Result<Result<String, String>> {
        let found = fs::symlink_metadata(&at)?;
        if !found.is_file() {
            return Ok(Err("is not a file".to_owned()));
        }
        if found.len() != expected.file.size {
            return Ok(Err(format!("has {} bytes instead of {}", found.len(), expected.file.size)));
        }
        let (mut file, mut hasher) = (File::open(&at)?, Sha256::new());
        loop {
            match file.read(buffer)? {
                0 => return Ok(Ok(format!("{:x}", hasher.finalize()))),
                read => hasher.update(&buffer[..read]),
            }
        }
    })();
    match hash {
        Ok(Ok(hash)) if hash == expected.file.sha256 => None,
        Ok(Ok(_)) => Some("has other content, of the same size".to_owned()),
        Ok(Err(what)) => Some(what),
        Err(error) if error.kind() == ErrorKind::NotFound => Some("is missing".to_owned()),
        Err(error) => Some(format!("cannot be read: {error}")),
    }
}

/// Files in an entry's folder that its manifest does not list.
fn strangers(archive: &Path, entry: &Entry) -> Result<Vec<Problem>> {
    let (mut found, mut folders) = (Vec::new(), vec![entry.id.clone()]);
    while let Some(folder) = folders.pop() {
        let at = archive.join(&folder);
        for item in fs::read_dir(&at).with_context(|| format!("reading `{}`", at.display()))? {
            let item = item.with_context(|| format!("reading `{}`", at.display()))?;
            let path = format!("{folder}/{}", item.file_name().to_string_lossy());
            let own =
                path.strip_prefix(&entry.id).and_then(|path| path.strip_prefix('/')).unwrap_or_default();
            if item.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(path);
            } else if own != MANIFEST && !entry.files.contains_key(own) {
                found.push(problem(&path, "is not in the manifest"));
            }
        }
    }
    Ok(found)
}
