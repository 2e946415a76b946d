//! The page of the archive: a calendar, and the entries with their sizes.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Serialize;
use tera::Context;

use crate::analysis::health::Status;
use crate::archive::index::{Index, Row};
use crate::archive::keep::milliseconds;
use crate::archive::{FOLDER, calendar, disk, of, service};
use crate::model::time::rfc3339;
use crate::publish::sha256;
use crate::report::reach::atom::{self, FEED, Feed};
use crate::report::{Place, SiteSettings, Theme, format};

/// The page's path in the archive.
pub const PAGE: &str = "index.html";

/// What the page was made by, besides the entries: tells whether it is to be made again.
const MADE_BY: &str = "page.txt";

/// Most entries that the page lists, and most months of its calendar.
const ROWS: usize = 400;
const MONTHS: usize = 12;

/// Most entries of its feed.
const FEED_ENTRIES: usize = 50;

/// A run that began later than this part of the time from one to the next was late: jobs are often set to some
/// minutes after the hour.
const LATE_PART: i64 = 4;

#[derive(Debug, Serialize)]
struct Line<'a> {
    id: &'a str,
    at_ms: i64,
    status: Status,
    score: Option<f64>,
    wrappers: u64,
    operations: u64,
    errors: u64,
    bytes: u64,
    /// In milliseconds; absent where it was not late.
    late_ms: Option<i64>,
    /// Whether there is a page that compares it with others.
    has_changes: bool,
    missed: u64,
    missed_since_ms: Option<i64>,
}

/// Makes the archive's page for what is there now. All that writes pages of the archive is here.
///
/// # Errors
/// If the archive cannot be read or written.
pub fn write(output: &Path, index: &Index, settings: &SiteSettings) -> Result<()> {
    let theme = Theme::embedded().context("loading the theme")?;
    let place = Place { root: "../", section: "archive", settings };
    let html = theme.page_of("archive.html", &place, view(index, &of(output))?)?;
    let archive = of(output);
    let put = || -> std::io::Result<()> {
        fs::create_dir_all(&archive)?;
        disk::replace(&archive.join(PAGE), html.as_bytes())?;
        if let Some(home) = settings.home() {
            disk::replace(&archive.join(FEED), feed(index, settings, &home).as_bytes())?;
        }
        disk::replace(&archive.join(MADE_BY), made_by(Theme::fingerprint(), settings).as_bytes())
    };
    put().with_context(|| format!("writing the page of `{}`", archive.display()))
}

/// Makes the page where it is missing, or where the theme or the settings have changed since.
pub fn refresh(output: &Path, theme: &str, settings: &SiteSettings) -> Result<()> {
    let archive = of(output);
    let made_by = made_by(theme, settings);
    let stands = archive.join(PAGE).exists()
        && fs::read_to_string(archive.join(MADE_BY)).is_ok_and(|by| by == made_by);
    if stands { Ok(()) } else { write(output, &Index::load(&archive)?, settings) }
}

/// The newest snapshots as an Atom feed.
fn feed(index: &Index, settings: &SiteSettings, home: &str) -> String {
    let newest = index.snapshots.iter().rev().take(FEED_ENTRIES);
    let entry = |row: &Row| {
        let address = format!("{home}{FOLDER}/{}/index.html", row.id);
        let score = row.score.map_or_else(|| format::NOTHING.to_owned(), format::percent);
        atom::Entry {
            id: address.clone(),
            page: address,
            title: format!("{} {score}", row.status.word()),
            updated: row.generated_at.clone(),
            text: format!(
                "{} wrappers; {} operations and {} errors in 24 hours",
                row.wrappers,
                format::count(row.operations),
                format::count(row.errors)
            ),
        }
    };
    let entries: Vec<_> = newest.map(entry).collect();
    atom::write(&Feed {
        title: &format!("{}: snapshots", settings.title),
        address: format!("{home}{FOLDER}/{FEED}"),
        page: format!("{home}{FOLDER}/{PAGE}"),
        updated: entries.first().map_or_else(|| rfc3339(0), |entry| entry.updated.clone()),
        entries,
    })
}

fn made_by(theme: &str, settings: &SiteSettings) -> String {
    sha256(format!("{} {theme} {settings:?}", env!("CARGO_PKG_VERSION")).as_bytes())
}

fn view(index: &Index, archive: &Path) -> Result<Context> {
    let rows = index.snapshots.iter().rev();
    let lines = rows.take(ROWS).map(line).collect::<Result<Vec<_>>>()?;
    let mut context = Context::new();
    context.insert("months", &calendar::months(&index.snapshots, MONTHS));
    context.insert("snapshots", &lines);
    context.insert("more", &index.snapshots.len().saturating_sub(ROWS));
    context.insert("count", &index.snapshots.len());
    context.insert("bytes", &index.snapshots.iter().map(|row| row.bytes).sum::<u64>());
    context.insert("shared", &index.assets.values().map(|file| file.size).sum::<u64>());
    context.insert("service", &service::months(archive));
    context.insert("damaged", &index.damaged);
    Ok(context)
}

fn line(row: &Row) -> Result<Line<'_>> {
    let due = row.scheduled_at.as_deref().map(milliseconds).transpose()?;
    let every_ms = row.every_ms.unwrap_or_default();
    let late_ms = due.map(|due| Ok::<_, anyhow::Error>(milliseconds(&row.started_at)? - due)).transpose()?;
    Ok(Line {
        id: &row.id,
        at_ms: milliseconds(&row.generated_at)?,
        status: row.status,
        score: row.score,
        wrappers: row.wrappers,
        operations: row.operations,
        errors: row.errors,
        bytes: row.bytes,
        late_ms: late_ms.filter(|late| *late > every_ms / LATE_PART),
        has_changes: row.has_changes,
        missed: row.missed,
        missed_since_ms: row.missed_since.as_deref().map(milliseconds).transpose()?,
    })
}
