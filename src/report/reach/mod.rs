//! How a site is reached by other than its pages: an Atom feed, badges, and lists of its addresses for search
//! engines. What must be absolute comes from `base_url`, and is left out where there is none.
//!
//! To add one: a file here and its line in [`add`].

pub mod atom;
pub mod badges;
mod addresses;

use anyhow::Result;

use crate::analysis::snapshot::Snapshot;
use crate::report::SiteSettings;
use crate::report::site::Site;

/// Adds to a site that has all of its pages.
pub fn add(site: &mut Site, snapshot: &Snapshot, settings: &SiteSettings) -> Result<()> {
    badges::add(site, snapshot)?;
    let Some(home) = settings.home() else { return Ok(()) };
    atom::add(site, snapshot, &settings.title, &home)?;
    addresses::add(site, &home)
}
