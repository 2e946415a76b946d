//! Making a target hold what dash has.
//!
//! First the ledger says what is about to change. Files under new names are put in place, which nothing that
//! stands links yet; those that replace others are brought to the target, and wait. Only when all are there do
//! they take their places, the manifest last; then what is no longer needed goes. So a run that ends while it
//! uploads, which is what takes time, changes nothing of the site at the target, and the next run goes on.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Result, bail};

use crate::archive::{FOLDER, entry};
use crate::publish::SNAPSHOT_SCRIPT;
use crate::publish::manifest::MANIFEST;
use crate::send::Target;
use crate::send::ledger::Ledger;
use crate::send::local::Local;

/// Requests under way at once.
const AT_ONCE: usize = 8;

/// Most paths that an error names.
const NAMED: usize = 3;

/// What is to be done, by path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Files under names that are new at the target.
    pub added: Vec<String>,
    pub replaced: Vec<String>,
    pub removed: Vec<String>,
    pub unchanged: usize,
    /// Of what is added and replaced.
    pub bytes: u64,
}

impl Plan {
    /// What makes a target with this ledger hold what is here. Nothing of damaged snapshots is removed: they may
    /// be restored from there.
    pub fn new(local: &Local, ledger: &Ledger) -> Plan {
        let mut plan = Plan::default();
        for (path, entry) in &local.files {
            if ledger.has(path, entry) {
                plan.unchanged += 1;
                continue;
            }
            plan.bytes += entry.size;
            if ledger.owns(path) { plan.replaced.push(path.clone()) } else { plan.added.push(path.clone()) }
        }
        let owned: BTreeSet<&String> = ledger.files.keys().chain(&ledger.under_way).collect();
        let may_go = |path: &&&String| {
            let damaged = snapshot(path).is_some_and(|id| local.damaged.iter().any(|damaged| damaged == id));
            !local.files.contains_key(**path) && !damaged
        };
        plan.removed = owned.iter().filter(may_go).map(|path| (*path).clone()).collect();
        plan
    }

    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.replaced.is_empty() && self.removed.is_empty()
    }
}

/// The kept snapshot that a path is of.
fn snapshot(path: &str) -> Option<&str> {
    let id = path.strip_prefix(FOLDER)?.strip_prefix('/')?.split('/').next()?;
    entry::is_id(id).then_some(id)
}

/// Refuses to remove all kept snapshots of a target where this archive knows none of them: it may be that of
/// another site, or the only copy left.
///
/// # Errors
/// Says how many there are, and how to go on.
pub fn check_archive(local: &Local, ledger: &Ledger) -> Result<()> {
    let there: BTreeSet<&str> = ledger.files.keys().filter_map(|path| snapshot(path)).collect();
    if there.is_empty() || there.iter().any(|id| local.snapshots.contains(*id)) {
        return Ok(());
    }
    bail!(
        "the target holds {}, and this archive none of them; copy them to `{FOLDER}/` in the output folder, \
         or remove them there with `--replace`",
        match there.len() {
            1 => "one kept snapshot".to_owned(),
            count => format!("{count} kept snapshots"),
        }
    )
}

/// Carries out a plan.
///
/// # Errors
/// If a file cannot be read, or the target takes something no more; or if a new file's place is taken by one that
/// dash did not put there.
pub fn carry_out(plan: &Plan, local: &Local, target: &dyn Target, before: &Ledger) -> Result<()> {
    let added: Vec<&str> = plan.added.iter().map(String::as_str).collect();
    let mut taken = if added.is_empty() { Vec::new() } else { target.taken(&added)? };
    if !taken.is_empty() {
        taken.truncate(NAMED);
        let (name, taken) = (target.name(), taken.join("`, `"));
        bail!("dash did not put `{taken}` at `{name}`; move it away, or publish to another place");
    }
    let touched = plan.added.iter().chain(&plan.replaced).chain(&plan.removed);
    let under_way = Ledger { files: before.files.clone(), under_way: touched.cloned().collect() };
    under_way.write(target)?;

    for paths in in_order(&plan.added) {
        side_by_side(&paths, |path| target.put(path, &local.bytes(path)?))?;
    }
    side_by_side(&plan.replaced, |path| target.stage(path, &local.bytes(path)?))?;
    for paths in in_order(&plan.replaced) {
        side_by_side(&paths, |path| target.place(path))?;
    }
    let left: Vec<String> = plan.replaced.iter().chain(&before.under_way).cloned().collect();
    side_by_side(&left, |path| target.unstage(path))?;
    side_by_side(&plan.removed, |path| target.remove(path))?;
    let damaged = before
        .files
        .iter()
        .filter(|(path, _)| !local.files.contains_key(*path) && !plan.removed.contains(path));
    let mut files = local.files.clone();
    files.extend(damaged.map(|(path, entry)| (path.clone(), entry.clone())));
    Ledger { files, under_way: BTreeSet::new() }.write(target)
}

/// In steps, each of which needs those before: what pages load, pages, and what tells of a new snapshot.
fn in_order(paths: &[String]) -> Vec<Vec<String>> {
    let step = |path: &str| match path {
        MANIFEST => 3,
        SNAPSHOT_SCRIPT => 2,
        _ if path.ends_with(".html") => 1,
        _ => 0,
    };
    (0..4).map(|at| paths.iter().filter(|path| step(path) == at).cloned().collect()).collect()
}

/// Does the same for all paths, some at a time: more than there are cores, since the work is to wait for others.
/// After a failure, no more are begun.
fn side_by_side(paths: &[String], work: impl Fn(&str) -> Result<()> + Sync) -> Result<()> {
    let (next, failure) = (AtomicUsize::new(0), Mutex::new(None));
    let failed = || failure.lock().unwrap_or_else(PoisonError::into_inner);
    thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(paths.len()) {
            scope.spawn(|| {
                while let Some(path) = paths.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(error) = work(path) {
                        failed().get_or_insert(error);
                        next.store(paths.len(), Ordering::Relaxed);
                    }
                }
            });
        }
    });
    failed().take().map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_comes_last() {
        let paths =
            ["assets/a.css", "index.html", "snapshot.js", "snapshot.json", "x.html"].map(str::to_owned);
        let steps = in_order(&paths);
        assert_eq!(
            steps,
            [
                vec!["assets/a.css".to_owned()],
                vec!["index.html".to_owned(), "x.html".to_owned()],
                vec!["snapshot.js".to_owned()],
                vec!["snapshot.json".to_owned()]
            ]
        );
    }

    #[test]
    fn after_a_failure_no_more_is_begun() {
        let paths: Vec<String> = (0..1000).map(|at| at.to_string()).collect();
        let begun = std::sync::atomic::AtomicUsize::new(0);
        let error = side_by_side(&paths, |_| {
            begun.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            bail!("no room")
        });
        assert_eq!(error.expect_err("all failed").to_string(), "no room");
        // Those that were under way on other threads.
        assert!(begun.into_inner() <= AT_ONCE);
    }

    #[test]
    fn kept_snapshots_are_told_by_their_folder() {
        assert_eq!(snapshot("archive/20260125T130000Z/index.html"), Some("20260125T130000Z"));
        assert_eq!(snapshot("archive/assets/a.css"), None);
        assert_eq!(snapshot("index.html"), None);
    }
}
