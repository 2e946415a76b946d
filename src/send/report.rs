//! A kept snapshot as it is told to people and programs: read from the archive, so that what is sent is what is kept.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::analysis::health::Status;
use crate::archive::entry::{SUMMARY, WHOLE};
use crate::archive::index::Row;
use crate::archive::keep::milliseconds;
use crate::archive::{self, FOLDER};
use crate::report::SiteSettings;
use crate::report::summary::{Line, Summary};

/// See the module.
#[derive(Clone, Debug)]
pub struct Report {
    pub title: String,
    pub currency: String,
    pub row: Row,
    pub moment_ms: i64,
    /// Each wrapper, those that need looking at first.
    pub wrappers: Vec<Line>,
    /// The overview as one file.
    pub page: Vec<u8>,
    /// Where the snapshot is to be found; `None` where `base_url` does not say.
    pub address: Option<String>,
}

impl Report {
    /// Reads the kept snapshot of a row.
    ///
    /// # Errors
    /// If a file of it cannot be read.
    pub fn read(output: &Path, row: &Row, site: &SiteSettings) -> Result<Report> {
        let read = |name: &str| {
            let path = archive::of(output).join(&row.id).join(name);
            fs::read(&path).with_context(|| format!("reading `{}`", path.display()))
        };
        let summary: Summary = serde_json::from_slice(&read(SUMMARY)?).context("reading the summary")?;
        let mut wrappers = summary.wrappers;
        wrappers.sort_by_key(|line| (place(line.status), std::cmp::Reverse(line.day.error_count)));
        Ok(Report {
            title: site.title.clone(),
            currency: site.currency.clone(),
            row: row.clone(),
            moment_ms: milliseconds(&row.generated_at)?,
            wrappers,
            page: read(WHOLE)?,
            address: site.home().map(|home| format!("{home}{FOLDER}/{}/index.html", row.id)),
        })
    }

    /// Operations of the last 24 hours that ended well, of all; `None` without any.
    pub fn success_rate(&self) -> Option<f64> {
        let (operations, errors) = (self.row.operations, self.row.errors);
        (operations > 0).then(|| (operations - errors) as f64 / operations as f64)
    }

    /// Of the last 24 hours; `None` where no wrapper tells any.
    pub fn cost(&self) -> Option<f64> {
        let costs: Vec<f64> = self.wrappers.iter().filter_map(|line| line.day.cost).collect();
        (!costs.is_empty()).then(|| costs.iter().sum())
    }
}

/// What needs looking at first.
fn place(status: Status) -> usize {
    Status::ALL.iter().position(|known| *known == status).unwrap_or(Status::ALL.len())
}
