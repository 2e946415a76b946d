//! `dash prune`: removes kept snapshots that have outlived their time.

use std::io::Write;

use anyhow::Result;
use chrono::Utc;
use clap::Args;
use serde_json::json;

use crate::archive::index::{Index, Row};
use crate::archive::{self, list, prune, retention};
use crate::cli::Common;
use crate::cli::build::bytes;
use crate::cli::site::Site;
use crate::cli::talk::Talk;
use crate::store::lock::{Lock, PATIENCE};

#[derive(Debug, Args)]
pub struct Prune {
    /// Only say what would be removed
    #[arg(long)]
    dry_run: bool,
}

pub fn run(arguments: &Prune, common: &Common, talk: &Talk) -> Result<()> {
    let site = Site::open(common)?;
    let moment_ms = common.now.unwrap_or_else(Utc::now).timestamp_millis();
    let _lock = Lock::take(&site.config.root, PATIENCE)?;
    let mut index = Index::load(&archive::of(&site.output))?;
    let outdated = outdated(&site, &index, moment_ms);
    let removed: Vec<Row> =
        index.snapshots.iter().filter(|row| outdated.contains(&row.id)).cloned().collect();
    if !arguments.dry_run && !removed.is_empty() {
        remove(&site, &mut index, &outdated)?;
    }
    if talk.json {
        let answer =
            json!({"removed": outdated, "dry_run": arguments.dry_run, "left": index.snapshots.len()});
        writeln!(std::io::stdout(), "{answer}")?;
        return Ok(());
    }
    let verb = if arguments.dry_run { "would remove" } else { "removed" };
    for row in &removed {
        talk.say(&format!("{verb} `{}`, {}", row.id, bytes(row.bytes)));
    }
    if removed.is_empty() {
        talk.say("no snapshot has outlived `keep` of `[archive]`");
    }
    Ok(())
}

/// The snapshots that `[archive]` no longer keeps.
pub fn outdated(site: &Site, index: &Index, moment_ms: i64) -> Vec<String> {
    let rows = prune::candidates(&archive::of(&site.output), &index.snapshots);
    retention::outdated(rows, &site.config.archive.keep, retention::reference(rows, moment_ms))
}

/// Removes them, and from the archive's page as well.
pub fn remove(site: &Site, index: &mut Index, ids: &[String]) -> Result<()> {
    prune::prune(&archive::of(&site.output), index, ids)?;
    list::write(&site.output, index, &site.config.site)
}
