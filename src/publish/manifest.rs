//! `snapshot.json`: which snapshot stands in an output folder, and every file of it.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::report::site::is_plain;

/// The manifest's path in the output folder.
pub const MANIFEST: &str = "snapshot.json";

/// Size in bytes and SHA-256 in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    pub size: u64,
    pub sha256: String,
}

/// How fresh a source is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceEntry {
    pub name: String,
    pub operations: u64,
    pub skipped: u64,
    /// RFC 3339; absent where the source has given nothing yet.
    pub last_data: Option<String>,
}

/// The state of an output folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The snapshot's time and the hash of its files: `20260125T130500Z-0123456789ab`.
    pub id: String,
    /// The moment that the snapshot shows; RFC 3339.
    pub generated_at: String,
    /// End of the newest operation; RFC 3339.
    pub last_data: Option<String>,
    /// Of dash.
    pub version: String,
    /// The id of the snapshot before.
    pub previous: Option<String>,
    /// Pages that differ from the snapshot before.
    pub changed: Vec<String>,
    pub sources: Vec<SourceEntry>,
    /// Every file of the site but the manifest itself and `snapshot.js`, by path.
    pub files: BTreeMap<String, FileEntry>,
}

/// What lies where the manifest belongs.
#[derive(Clone, Debug)]
pub enum Found {
    Nothing,
    /// Something that is not a whole manifest, or names files outside of the folder.
    Damaged,
    Whole(Manifest),
}

/// Looks for the manifest of an output folder.
///
/// # Errors
/// If something is there and cannot be read.
pub fn find(output: &Path) -> Result<Found> {
    let path = output.join(MANIFEST);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => return Err(error).with_context(|| format!("reading `{}`", path.display())),
    };
    let manifest = serde_json::from_slice(&bytes).ok();
    let plain = |manifest: &Manifest| manifest.files.keys().all(|path| is_plain(path));
    Ok(manifest.filter(plain).map_or(Found::Damaged, Found::Whole))
}

/// The manifest of an output folder; `None` where there is none yet.
///
/// # Errors
/// If it cannot be read, or is not what dash writes.
pub fn read(output: &Path) -> Result<Option<Manifest>> {
    match find(output)? {
        Found::Nothing => Ok(None),
        Found::Whole(manifest) => Ok(Some(manifest)),
        Found::Damaged => bail!("`{}` is damaged; build the site again", output.join(MANIFEST).display()),
    }
}
