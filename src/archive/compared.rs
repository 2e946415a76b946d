//! Comparisons as a page: of an entry with those before it, or of any two.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Serialize;
use tera::Context;

use crate::archive::diff::{Diff, compare, summary};
use crate::archive::index::Row;
use crate::archive::keep::milliseconds;
use crate::archive::whole::whole;
use crate::model::time::{DAY_MS, HOUR_MS};
use crate::report::summary::Summary;
use crate::report::{Place, SiteSettings, Theme};

/// What an entry is compared with besides the one before: what, how far back, and how far off that may be.
const BACK: [(&str, i64, i64); 2] =
    [("A day before", DAY_MS, 2 * HOUR_MS), ("A week before", 7 * DAY_MS, DAY_MS)];

/// A comparison, and what it is with.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    pub label: String,
    before_ms: i64,
    after_ms: i64,
    diff: Diff,
}

impl Comparison {
    pub fn new(label: String, diff: Diff) -> Result<Comparison> {
        let (before_ms, after_ms) =
            (milliseconds(&diff.before.generated_at)?, milliseconds(&diff.after.generated_at)?);
        Ok(Comparison { label, before_ms, after_ms, diff })
    }
}

/// A snapshot to be kept, of that moment, against the one before it, about a day before and about a week before.
/// One that cannot be read is left out: `dash verify` tells of it.
pub fn with_earlier(archive: &Path, rows: &[Row], after: (&str, &Summary)) -> Result<Vec<Comparison>> {
    let moment_ms = milliseconds(&after.1.generated_at)?;
    let earlier: Vec<(i64, &Row)> = rows
        .iter()
        .filter_map(|row| Some((milliseconds(&row.generated_at).ok()?, row)))
        .filter(|row| row.0 < moment_ms)
        .collect();
    let last = earlier.iter().max_by_key(|row| row.0);
    let mut chosen: Vec<(String, &Row)> =
        last.map(|(_, row)| ("The snapshot before".to_owned(), *row)).into_iter().collect();
    for (label, back_ms, off_ms) in BACK {
        let off = |row: &&(i64, &Row)| (moment_ms - back_ms - row.0).abs();
        let nearest = earlier.iter().min_by_key(off).filter(|row| off(row) <= off_ms);
        let Some((_, row)) = nearest else { continue };
        match chosen.iter_mut().find(|(_, other)| other.id == row.id) {
            Some((labels, _)) => labels.push_str(&format!(" · {label}")),
            None => chosen.push((label.to_owned(), *row)),
        }
    }
    let mut comparisons = Vec::new();
    for (label, row) in chosen {
        if let Ok(before) = summary(archive, &row.id) {
            comparisons.push(Comparison::new(label, compare((&row.id, &before), after))?);
        }
    }
    Ok(comparisons)
}

/// The page of some comparisons, for a place in an entry.
pub fn page(theme: &Theme, settings: &SiteSettings, comparisons: &[Comparison]) -> Result<String> {
    let mut view = Context::new();
    view.insert("comparisons", comparisons);
    theme.page_of("changes.html", &Place { root: "./", section: "archive", settings }, view)
}

/// The page of one comparison as a file that needs no other.
pub fn whole_page(settings: &SiteSettings, diff: Diff) -> Result<String> {
    let theme = Theme::embedded().context("loading the theme")?;
    let html = page(theme, settings, &[Comparison::new("Before and after".to_owned(), diff)?])?;
    let files: BTreeMap<&str, &[u8]> =
        theme.assets().iter().map(|asset| (asset.path.as_str(), asset.bytes)).collect();
    Ok(whole(&html, &files, None))
}
