//! Snapshots that are kept: complete, immutable and verifiable reports in `output/archive/`.
//!
//! An entry is a folder named by its moment, `archive/20260125T130000Z/`, with the pages as they were, the
//! exports, the overview as one self-contained file, and [`entry::MANIFEST`], which lists every file with its
//! size and hash. Styles and scripts are shared between entries, in `archive/assets/`, under names that carry
//! the hash of their content. Entries are written to a hidden folder beside their place and put there whole,
//! by one rename; afterwards nothing writes to them again. [`index::INDEX`] repeats what a list of entries
//! needs to know; it can be made anew from the entries at any time.
//!
//! Unlike the site itself, which can be built again, an entry is the only copy of what it says: its files are
//! on the disk (`fsync`) before it has its name.
//!
//! All that writes here holds the lock of the store.

pub mod settings;
pub mod entry;
pub mod disk;
pub mod page;
pub mod whole;
pub mod index;
pub mod keep;
pub mod retention;
pub mod prune;
pub mod verify;
pub mod numbers;
pub mod calendar;
pub mod list;
pub mod diff;
pub mod compared;
pub mod service;

use std::path::{Path, PathBuf};

/// The archive's folder in the output folder.
pub const FOLDER: &str = "archive";

/// The folder, in the archive, of what entries share.
pub const ASSETS: &str = "assets";

/// The archive of an output folder.
pub fn of(output: &Path) -> PathBuf {
    output.join(FOLDER)
}
