//! What dash has in its output folder, to be sent: the site that stands there, and its archive.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::archive::index::{INDEX, Index};
use crate::archive::{self, FOLDER, entry, list, service};
use crate::publish::manifest::{self, FileEntry, MANIFEST};
use crate::publish::{JOURNAL, SNAPSHOT_SCRIPT, sha256, snapshot_script};
use crate::report::reach::atom::FEED;
use crate::send::ledger::Ledger;

/// See the module.
#[derive(Debug)]
pub struct Local {
    output: PathBuf,
    /// Every file that dash wrote, by path.
    pub files: BTreeMap<String, FileEntry>,
    /// Those that the next build may replace, as they are now. All others never change.
    held: BTreeMap<String, Vec<u8>>,
    /// Ids of kept snapshots, and of those whose manifests cannot be read.
    pub snapshots: BTreeSet<String>,
    pub damaged: Vec<String>,
}

impl Local {
    /// Reads what stands in an output folder. Of what a target has already, only the hash is taken. Nobody may
    /// write to the folder meanwhile; afterwards, anyone may.
    ///
    /// # Errors
    /// If no whole site stands there: says how to get one.
    pub fn read(output: &Path, ledger: &Ledger) -> Result<Local> {
        let found = manifest::read(output)?;
        let Some(manifest) = found else {
            bail!("nothing is built in `{}` yet; run `dash build` first", output.display());
        };
        if output.join(JOURNAL).exists() {
            bail!("a build of `{}` was cut short; run `dash build` first", output.display());
        }
        let index = Index::load(&archive::of(output))?;
        let mut local = Local {
            output: output.to_owned(),
            files: BTreeMap::new(),
            held: BTreeMap::new(),
            snapshots: index.snapshots.into_iter().map(|row| row.id).collect(),
            damaged: index.damaged,
        };
        local.add_archive()?;
        for (path, entry) in &manifest.files {
            if ledger.has(path, entry) {
                local.files.insert(path.clone(), entry.clone());
            } else {
                let bytes = local.checked(path, entry)?;
                local.hold(path, bytes);
            }
        }
        local.hold(SNAPSHOT_SCRIPT, snapshot_script(&manifest).into_bytes());
        local.hold(MANIFEST, serde_json::to_vec_pretty(&manifest)?);
        Ok(local)
    }

    /// Kept snapshots never change; what lists and sums them up does.
    fn add_archive(&mut self) -> Result<()> {
        let archive = archive::of(&self.output);
        for id in &self.snapshots {
            let (entry, bytes) = entry::read(&archive, id)?;
            let own = entry.files.into_iter().map(|(path, file)| (format!("{FOLDER}/{id}/{path}"), file));
            self.files.extend(own);
            let shared = entry.assets.into_iter().map(|(path, file)| (format!("{FOLDER}/{path}"), file));
            self.files.extend(shared);
            self.files.insert(format!("{FOLDER}/{id}/{}", entry::MANIFEST), listed(&bytes));
        }
        let months = service::months(&archive);
        let months = months.iter().flat_map(|month| ["html", "csv"].map(|kind| format!("{month}.{kind}")));
        let months = months.map(|name| format!("{}/{name}", service::FOLDER));
        for name in [list::PAGE, FEED, INDEX].map(str::to_owned).into_iter().chain(months) {
            let at = archive.join(&name);
            if at.is_file() {
                let bytes = fs::read(&at).with_context(|| format!("reading `{}`", at.display()))?;
                self.hold(&format!("{FOLDER}/{name}"), bytes);
            }
        }
        Ok(())
    }

    fn hold(&mut self, path: &str, bytes: Vec<u8>) {
        self.files.insert(path.to_owned(), listed(&bytes));
        self.held.insert(path.to_owned(), bytes);
    }

    /// The file at a path, as it was when this was read.
    pub fn bytes(&self, path: &str) -> Result<Vec<u8>> {
        match self.held.get(path) {
            Some(bytes) => Ok(bytes.clone()),
            None => self.checked(path, &self.files[path]),
        }
    }

    /// A file that is what a manifest says.
    fn checked(&self, path: &str, entry: &FileEntry) -> Result<Vec<u8>> {
        let at = self.output.join(path);
        let bytes = fs::read(&at).with_context(|| format!("reading `{}`; run this again", at.display()))?;
        if listed(&bytes) != *entry {
            let step = match path.starts_with(FOLDER) {
                true => "`dash verify` says more",
                false => "delete it, and build again",
            };
            bail!("`{}` is not what dash wrote there; {step}", at.display());
        }
        Ok(bytes)
    }
}

fn listed(bytes: &[u8]) -> FileEntry {
    FileEntry { size: bytes.len() as u64, sha256: sha256(bytes) }
}
