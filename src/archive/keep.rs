//! Keeping a snapshot: what stands in the output folder becomes an entry of the archive.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use chrono::DateTime;

use crate::archive::entry::{self, CHANGES, Entry, Input, MANIFEST, SUMMARY, WHOLE};
use crate::archive::index::{Index, Row};
use crate::archive::settings::Span;
use crate::archive::{self, ASSETS, compared, disk, page, whole};
use crate::model::parallel;
use crate::model::time::rfc3339;
use crate::publish::manifest::{FileEntry, Manifest};
use crate::publish::{SNAPSHOT_SCRIPT, sha256, snapshot_script};
use crate::report::parquet;
use crate::report::summary::{self, Summary};
use crate::report::{SiteSettings, Theme};

/// What an entry says of itself besides what the output folder does.
#[derive(Clone, Debug)]
pub struct Occasion<'a> {
    /// When this run began.
    pub started_ms: i64,
    /// How often one is due.
    pub every: Option<Span>,
    /// SHA-256 of the settings file and of the theme.
    pub config: String,
    pub theme: String,
    /// `base_url` is for links out of the self-contained page.
    pub site: &'a SiteSettings,
    pub inputs: Vec<Input>,
}

/// What keeping did.
#[derive(Clone, Debug)]
pub struct Kept {
    pub row: Row,
    /// False where this very snapshot was kept before.
    pub is_new: bool,
    /// The archive as it is now.
    pub index: Index,
}

/// Where an entry is made until it is whole.
const UNFINISHED: &str = ".dash-new-";

/// Where an entry goes before it is removed.
pub const GONE: &str = ".dash-gone-";

/// The export of metrics, and the form of it that only entries have.
const METRICS: &str = "exports/metrics.json";
const PARQUET: &str = "exports/metrics.parquet";

/// Files by path.
type Files = BTreeMap<String, Vec<u8>>;

/// Keeps the snapshot that stands in `output`, unless it is in the archive already.
///
/// # Errors
/// If a file of the snapshot is not what its manifest says, or if the archive cannot be written. There is no
/// half entry then, and what was begun goes with the next run.
pub fn keep(output: &Path, manifest: &Manifest, occasion: &Occasion) -> Result<Kept> {
    let archive = archive::of(output);
    let assets_folder = archive.join(ASSETS);
    fs::create_dir_all(&assets_folder).with_context(|| format!("creating `{}`", assets_folder.display()))?;
    clear(&archive)?;
    let mut index = Index::load(&archive)?;
    if let Some(row) = index.snapshots.iter().rev().find(|row| row.snapshot == manifest.id) {
        return Ok(Kept { row: row.clone(), is_new: false, index });
    }
    let moment_ms = milliseconds(&manifest.generated_at)?;
    let published = published(output, manifest)?;
    let mut files = files(manifest, &published, moment_ms, occasion.site.home().as_deref());
    if let Some(rows) = published.get(METRICS) {
        files.insert(PARQUET.to_owned(), parquet::of_json(rows)?);
    }
    let assets = published
        .iter()
        .filter(|(path, _)| is_asset(path))
        .map(|(path, bytes)| (path.clone(), listed(bytes)));
    let id = free_id(&archive, moment_ms);
    let summary = summary_of(&published)?;
    let comparisons = compared::with_earlier(&archive, &index.snapshots, (&id, &summary))?;
    if !comparisons.is_empty() {
        let theme = Theme::embedded().context("loading the theme")?;
        let html = compared::page(theme, occasion.site, &comparisons)?;
        files.insert(CHANGES.to_owned(), page::kept(&html, CHANGES, moment_ms).into_bytes());
    }
    let mut entry = Entry {
        id,
        files: files.iter().map(|(path, bytes)| (path.clone(), listed(bytes))).collect(),
        assets: assets.collect(),
        ..about(manifest, &summary, occasion)
    };
    schedule(&mut entry, index.snapshots.last(), occasion)?;

    for (path, bytes) in published.iter().filter(|(path, _)| is_asset(path)) {
        share(&archive, path, bytes)?;
    }
    let manifest = serde_json::to_vec_pretty(&entry)?;
    put(&archive, &entry.id, &files, &manifest)?;
    let row = Row::of(&entry, &manifest);
    index.assets.extend(entry.assets);
    index.snapshots.push(row.clone());
    index.snapshots.sort_by(|a, b| a.id.cmp(&b.id));
    index.save(&archive)?;
    Ok(Kept { row, is_new: true, index })
}

/// Removes what a killed run left: hidden folders that never became an entry, or were one.
fn clear(archive: &Path) -> Result<()> {
    let entries = fs::read_dir(archive).with_context(|| format!("reading `{}`", archive.display()))?;
    for found in entries.flatten() {
        let name = found.file_name().to_string_lossy().into_owned();
        if (name.starts_with(UNFINISHED) || name.starts_with(GONE)) && found.path().is_dir() {
            disk::remove_folder(&found.path())
                .with_context(|| format!("removing `{}`", found.path().display()))?;
        }
    }
    Ok(())
}

fn is_asset(path: &str) -> bool {
    path.strip_prefix(ASSETS).is_some_and(|rest| rest.starts_with('/'))
}

/// Whether a file of the site belongs to an entry: what pages show and link, and not what only a daemon or a
/// program asks a site for. `404.html` is for a host's root.
fn belongs(path: &str) -> bool {
    let folder = path.split('/').next().unwrap_or_default();
    is_asset(path)
        || !(["api", "data", "badges"].contains(&folder) || path == "404.html" || is_for_hosts(path))
}

/// Feeds and lists of addresses, which are about the site as it is now.
fn is_for_hosts(path: &str) -> bool {
    ["feed.xml", "robots.txt", "sitemap.xml"].contains(&path)
}

/// The files of the snapshot that an entry is made of, each as its manifest says.
fn published(output: &Path, manifest: &Manifest) -> Result<Files> {
    let wanted: Vec<_> =
        manifest.files.iter().filter(|(path, _)| belongs(path) || *path == summary::SUMMARY).collect();
    let read = parallel::map(&wanted, |(path, expected)| {
        let at = output.join(path);
        let bytes = fs::read(&at).with_context(|| format!("reading `{}`", at.display()))?;
        if listed(&bytes) != **expected {
            bail!("`{}` was changed since it was built; delete it, and run this again", at.display());
        }
        Ok(((*path).clone(), bytes))
    });
    read.into_iter().collect()
}

/// The entry's own files.
fn files(manifest: &Manifest, published: &Files, moment_ms: i64, home: Option<&str>) -> Files {
    let own: Vec<_> = published.iter().filter(|(path, _)| !is_asset(path)).collect();
    let mut files: Files = parallel::map(&own, |(path, bytes)| match std::str::from_utf8(bytes) {
        _ if *path == summary::SUMMARY => (SUMMARY.to_owned(), bytes.to_vec()),
        Ok(html) if path.ends_with(".html") => {
            ((*path).clone(), page::kept(html, path, moment_ms).into_bytes())
        }
        _ => ((*path).clone(), bytes.to_vec()),
    })
    .into_iter()
    .collect();
    let script = snapshot_script(manifest).into_bytes();
    if let Some(Ok(overview)) = published.get("index.html").map(|bytes| std::str::from_utf8(bytes)) {
        let mut linked: BTreeMap<&str, &[u8]> =
            published.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())).collect();
        linked.insert(SNAPSHOT_SCRIPT, &script);
        files.insert(WHOLE.to_owned(), whole::whole(overview, &linked, home).into_bytes());
    }
    files.insert(SNAPSHOT_SCRIPT.to_owned(), script);
    files
}

fn listed(bytes: &[u8]) -> FileEntry {
    FileEntry { size: bytes.len() as u64, sha256: sha256(bytes) }
}

/// The numbers of the snapshot.
fn summary_of(published: &Files) -> Result<Summary> {
    let bytes = published.get(summary::SUMMARY).context("the site has no summary; build it again")?;
    serde_json::from_slice(bytes)
        .with_context(|| format!("reading `{}`; build the site again", summary::SUMMARY))
}

/// What the entry says of itself, but for its files and when it was due.
fn about(manifest: &Manifest, summary: &Summary, occasion: &Occasion) -> Entry {
    let day = |count: fn(&summary::Tally) -> u64| summary.wrappers.iter().map(|line| count(&line.day)).sum();
    Entry {
        id: String::new(),
        snapshot: manifest.id.clone(),
        title: occasion.site.title.clone(),
        generated_at: manifest.generated_at.clone(),
        started_at: rfc3339(occasion.started_ms),
        scheduled_at: None,
        every_ms: occasion.every.map(|every| every.ms),
        missed: 0,
        missed_since: None,
        previous: None,
        last_data: manifest.last_data.clone(),
        version: manifest.version.clone(),
        config: occasion.config.clone(),
        theme: occasion.theme.clone(),
        status: summary.status,
        score: summary.score,
        wrappers: summary.wrappers.len() as u64,
        operations: day(|day| day.total_operations),
        errors: day(|day| day.error_count),
        inputs: occasion.inputs.clone(),
        files: BTreeMap::new(),
        assets: BTreeMap::new(),
    }
}

/// When the entry was due, and which runs since the one before it did not happen. A run is of the slot that it
/// began in, however late.
fn schedule(entry: &mut Entry, before: Option<&Row>, occasion: &Occasion) -> Result<()> {
    entry.previous = before.map(|row| row.id.clone());
    let Some(every) = occasion.every else { return Ok(()) };
    let slot = occasion.started_ms.div_euclid(every.ms);
    entry.scheduled_at = Some(rfc3339(slot * every.ms));
    let Some(before) = before.and_then(|row| row.scheduled_at.as_deref()) else { return Ok(()) };
    let next = milliseconds(before)?.div_euclid(every.ms) + 1;
    // None where the clock was set back.
    entry.missed = (slot - next).max(0).cast_unsigned();
    entry.missed_since = (entry.missed > 0).then(|| rfc3339(next * every.ms));
    Ok(())
}

/// A time that dash wrote, in milliseconds since the epoch.
pub fn milliseconds(time: &str) -> Result<i64> {
    let time = DateTime::parse_from_rfc3339(time).with_context(|| format!("`{time}` is not a time"))?;
    Ok(time.timestamp_millis())
}

/// The first name of the moment that no entry has.
fn free_id(archive: &Path, moment_ms: i64) -> String {
    let mut names = (0..).map(|taken| entry::id(moment_ms, taken));
    names.find(|id| !archive.join(id).exists()).expect("there are more names than entries")
}

/// Puts a file where entries share it. One that is there with other content was changed by hand, and is made
/// whole again.
fn share(archive: &Path, path: &str, bytes: &[u8]) -> Result<()> {
    let at = archive.join(path);
    if fs::read(&at).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    let put = || {
        fs::create_dir_all(at.parent().unwrap_or(archive))?;
        disk::replace(&at, bytes)
    };
    put().with_context(|| format!("writing `{}`", at.display()))
}

/// Makes the entry's folder beside its place, waits until it is on the disk, and gives it its name.
fn put(archive: &Path, id: &str, files: &Files, manifest: &[u8]) -> Result<()> {
    let unfinished = archive.join(format!("{UNFINISHED}{id}"));
    let result = (|| {
        let mut folders: Vec<_> = files.keys().filter_map(|path| Some(path.rsplit_once('/')?.0)).collect();
        folders.dedup();
        folders.iter().try_for_each(|folder| fs::create_dir_all(unfinished.join(folder)))?;
        fs::create_dir_all(&unfinished)?;
        let all: Vec<_> = files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())).collect();
        let written = parallel::map(&all, |(path, bytes)| disk::write(&unfinished.join(path), bytes));
        written.into_iter().collect::<std::io::Result<()>>()?;
        disk::write(&unfinished.join(MANIFEST), manifest)?;
        folders.iter().try_for_each(|folder| disk::sync_folder(&unfinished.join(folder)))?;
        disk::sync_folder(&unfinished)?;
        // Fails where an entry of that name is there: a folder with files in it is never replaced.
        fs::rename(&unfinished, archive.join(id))?;
        disk::sync_folder(archive)
    })();
    if result.is_err() {
        // What was begun takes room that may be what is missing.
        let _ = disk::remove_folder(&unfinished);
    }
    result.with_context(|| {
        format!("keeping the snapshot `{id}` in `{}`; nothing was added to the archive", archive.display())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_holds_what_pages_link() {
        for path in
            ["index.html", "wrappers/a.html", "exports/metrics.csv", "live.json", "assets/a.12345678.css"]
        {
            assert!(belongs(path), "{path}");
        }
        for path in ["404.html", "api/system/health.json", "data/site.json", "sitemap.xml"] {
            assert!(!belongs(path), "{path}");
        }
    }
}
