//! `index.json` of the archive: one row an entry, so that a list of thousands need not open thousands of files.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::analysis::health::Status;
use crate::archive::disk;
use crate::archive::entry::{self, CHANGES, Entry, is_id};
use crate::publish::manifest::FileEntry;
use crate::publish::sha256;
use crate::report::site::is_plain;

/// The index's path in the archive.
pub const INDEX: &str = "index.json";

/// What a list of entries shows of one; see [`Entry`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    pub id: String,
    pub snapshot: String,
    pub generated_at: String,
    pub started_at: String,
    pub scheduled_at: Option<String>,
    /// The time from one such to the next, in milliseconds.
    pub every_ms: Option<i64>,
    pub missed: u64,
    /// Whether it has a page that compares it with those before.
    pub has_changes: bool,
    pub missed_since: Option<String>,
    pub last_data: Option<String>,
    pub status: Status,
    pub score: Option<f64>,
    pub wrappers: u64,
    pub operations: u64,
    pub errors: u64,
    /// Of its own files.
    pub bytes: u64,
    /// Paths in the archive.
    pub assets: Vec<String>,
    /// SHA-256 of the manifest.
    pub manifest: String,
}

impl Row {
    /// The row of an entry whose manifest is these bytes.
    pub fn of(entry: &Entry, manifest: &[u8]) -> Row {
        Row {
            id: entry.id.clone(),
            snapshot: entry.snapshot.clone(),
            generated_at: entry.generated_at.clone(),
            started_at: entry.started_at.clone(),
            scheduled_at: entry.scheduled_at.clone(),
            every_ms: entry.every_ms,
            missed: entry.missed,
            has_changes: entry.files.contains_key(CHANGES),
            missed_since: entry.missed_since.clone(),
            last_data: entry.last_data.clone(),
            status: entry.status,
            score: entry.score,
            wrappers: entry.wrappers,
            operations: entry.operations,
            errors: entry.errors,
            bytes: entry.bytes(),
            assets: entry.assets.keys().cloned().collect(),
            manifest: sha256(manifest),
        }
    }
}

/// All entries of an archive.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Index {
    /// Sorted by id, which is by moment.
    pub snapshots: Vec<Row>,
    /// What entries share, by path in the archive.
    pub assets: BTreeMap<String, FileEntry>,
    /// Folders that are named like entries and have no whole manifest.
    #[serde(skip)]
    pub damaged: Vec<String>,
}

impl Index {
    /// The entries that are there: as the index has them, and where it does not, as their manifests do. An
    /// archive that is not there is empty.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn load(archive: &Path) -> Result<Index> {
        let mut ids = ids(archive)?;
        ids.sort();
        let written: Index = fs::read(archive.join(INDEX))
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .filter(Index::stays_inside)
            .unwrap_or_default();
        let mut known: BTreeMap<String, Row> =
            written.snapshots.into_iter().map(|row| (row.id.clone(), row)).collect();
        let mut index = Index { assets: written.assets, ..Index::default() };
        for id in ids {
            if let Some(row) = known.remove(&id) {
                index.snapshots.push(row);
            } else if let Ok((entry, bytes)) = entry::read(archive, &id) {
                index.snapshots.push(Row::of(&entry, &bytes));
                index.assets.extend(entry.assets);
            } else {
                index.damaged.push(id);
            }
        }
        Ok(index)
    }

    /// Whether it names only assets of the archive: what no entry needs is removed by its path.
    fn stays_inside(&self) -> bool {
        let mut named = self.snapshots.iter().flat_map(|row| &row.assets).chain(self.assets.keys());
        named.all(|path| is_plain(path) && path.starts_with("assets/"))
    }

    /// Puts the index in place.
    pub fn save(&self, archive: &Path) -> Result<()> {
        let path = archive.join(INDEX);
        disk::replace(&path, &serde_json::to_vec(self)?)
            .with_context(|| format!("writing `{}`", path.display()))
    }

    /// The id that a person means: that of an entry, `latest` or `previous`.
    ///
    /// # Errors
    /// If there are not as many entries.
    pub fn named(&self, name: &str) -> Result<String> {
        let back = match name {
            "latest" => 0,
            "previous" => 1,
            id => return Ok(id.to_owned()),
        };
        let row = self.snapshots.iter().nth_back(back);
        let row =
            row.with_context(|| format!("there is no {name} snapshot yet; `dash snapshot` keeps one"))?;
        Ok(row.id.clone())
    }

    pub fn find(&self, id: &str) -> Option<&Row> {
        self.snapshots.iter().find(|row| row.id == id)
    }
}

/// The names of the folders that are entries, in no order.
fn ids(archive: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(archive) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| format!("reading the folder `{}`", archive.display()))?,
    };
    let mut ids = Vec::new();
    for entry in entries {
        let entry = entry.with_context(|| format!("reading the folder `{}`", archive.display()))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if is_id(&name) && entry.path().is_dir() {
            ids.push(name);
        }
    }
    Ok(ids)
}
