//! Removing entries, and what only they shared.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::archive::index::{Index, Row};
use crate::archive::keep::GONE;
use crate::archive::{disk, entry};

/// The entries up to the newest whose manifest is whole: what rules may choose from. The index alone does not tell
/// whether the one that is to stay for all others can be read; damaged ones after it may be restored, and stay.
pub fn candidates<'a>(archive: &Path, rows: &'a [Row]) -> &'a [Row] {
    let whole = rows.iter().rposition(|row| entry::read(archive, &row.id).is_ok());
    &rows[..whole.map_or(0, |at| at + 1)]
}

/// Removes the entries of these ids. Each loses its name before the first of its files goes, so that no half
/// entry is ever seen; what a killed run leaves of it goes with the next.
pub fn prune(archive: &Path, index: &mut Index, ids: &[String]) -> Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    for id in ids {
        let (from, to) = (archive.join(id), archive.join(format!("{GONE}{id}")));
        fs::rename(&from, &to).with_context(|| format!("removing `{}`", from.display()))?;
    }
    disk::sync_folder(archive).with_context(|| format!("writing `{}`", archive.display()))?;
    index.snapshots.retain(|row| !ids.contains(&row.id));
    let unused = unused(index);
    index.assets.retain(|path, _| !unused.contains(path));
    index.save(archive)?;
    for id in ids {
        let gone = archive.join(format!("{GONE}{id}"));
        disk::remove_folder(&gone).with_context(|| format!("removing `{}`", gone.display()))?;
    }
    for path in unused {
        // One that is gone already is as well.
        let _ = fs::remove_file(archive.join(path));
    }
    Ok(())
}

/// What no entry shares any more. A damaged entry may be restored, and need anything.
fn unused(index: &Index) -> BTreeSet<String> {
    if !index.damaged.is_empty() {
        return BTreeSet::new();
    }
    let used: BTreeSet<&String> = index.snapshots.iter().flat_map(|row| &row.assets).collect();
    index.assets.keys().filter(|path| !used.contains(path)).cloned().collect()
}
