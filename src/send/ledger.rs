//! What dash has put at a target: the only files there that it replaces or removes.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use crate::publish::manifest::FileEntry;
use crate::report::site::is_plain;
use crate::send::Target;

/// The ledger's path at the target.
pub const LEDGER: &str = ".dash-published.json";

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// Files that are whole, by path.
    pub files: BTreeMap<String, FileEntry>,
    /// Paths that a run is writing to or removing. Where a run has died, nobody knows what they hold.
    pub under_way: BTreeSet<String>,
}

impl Ledger {
    /// The ledger of a target; an empty one where nothing was published yet.
    ///
    /// # Errors
    /// If it cannot be read, or is not what dash writes.
    pub fn read(target: &dyn Target) -> Result<Ledger> {
        let Some(bytes) = target.read(LEDGER)? else { return Ok(Ledger::default()) };
        let ledger = serde_json::from_slice(&bytes).ok().filter(Ledger::stays_inside);
        let Some(ledger) = ledger else {
            let name = target.name();
            bail!(
                "`{LEDGER}` at `{name}` is not what dash writes; publish to another place, or empty this one"
            );
        };
        Ok(ledger)
    }

    fn stays_inside(&self) -> bool {
        self.files.keys().chain(&self.under_way).all(|path| is_plain(path))
    }

    /// Puts it at the target.
    pub fn write(&self, target: &dyn Target) -> Result<()> {
        target.put(LEDGER, &serde_json::to_vec(self)?)
    }

    /// Whether the file at a path is known to be this one.
    pub fn has(&self, path: &str, entry: &FileEntry) -> bool {
        !self.under_way.contains(path) && self.files.get(path) == Some(entry)
    }

    /// Whether what lies at a path is dash's.
    pub fn owns(&self, path: &str) -> bool {
        self.files.contains_key(path) || self.under_way.contains(path)
    }
}
