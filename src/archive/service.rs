//! The service level of a month as a page and as CSV: `archive/service/2026-01.html`. They are made anew with
//! each snapshot as long as the month or the one after it lasts, and stay then as they are.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Serialize;
use tera::Context;

use crate::analysis::service::{Month, MonthReport, Service, ServiceSettings};
use crate::archive::whole::whole;
use crate::archive::{disk, of};
use crate::report::export::inert;
use crate::report::{Place, SiteSettings, Theme, format};

/// The folder, in the archive, of these pages.
pub const FOLDER: &str = "service";

/// Leads from such a page to the site.
const HOME: &str = "../../";

/// What the pages say besides the report itself.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    pub site: &'a SiteSettings,
    pub service: &'a ServiceSettings,
    pub moment_ms: i64,
}

#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    service: &'a Service,
    /// Whole operations.
    budget_operations: u64,
    used: String,
}

/// Writes the page and the CSV of some months.
pub fn write(output: &Path, months: &[(Month, MonthReport)], about: &About) -> Result<()> {
    let theme = Theme::embedded().context("loading the theme")?;
    let folder = of(output).join(FOLDER);
    fs::create_dir_all(&folder).with_context(|| format!("creating `{}`", folder.display()))?;
    for (month, report) in months {
        let html = page(theme, *month, report, about)?;
        for (ending, bytes) in [("html", html), ("csv", csv(report)?)] {
            let path = folder.join(format!("{}.{ending}", month.key()));
            disk::replace(&path, bytes.as_bytes())
                .with_context(|| format!("writing `{}`", path.display()))?;
        }
    }
    Ok(())
}

/// The months that have a page, newest first.
pub fn months(archive: &Path) -> Vec<String> {
    let found = fs::read_dir(archive.join(FOLDER)).into_iter().flatten().flatten();
    let key =
        |name: String| name.strip_suffix(".html").map(str::to_owned).filter(|key| !key.starts_with('.'));
    let mut months: Vec<_> =
        found.filter_map(|file| key(file.file_name().to_string_lossy().into_owned())).collect();
    months.sort_by(|a, b| b.cmp(a));
    months
}

/// One file that needs no other, to be handed on.
fn page(theme: &Theme, month: Month, report: &MonthReport, about: &About) -> Result<String> {
    let mut view = Context::new();
    view.insert("month", &month.name());
    view.insert("objective", &about.service.objective);
    view.insert("incident_error_rate", &about.service.incident_error_rate);
    view.insert("generated_at", &about.moment_ms);
    view.insert("services", &report.services.iter().map(line).collect::<Vec<_>>());
    view.insert("report", report);
    let place = Place { root: "./", section: "archive", settings: about.site };
    let html = theme.page_of("service.html", &place, view)?;
    let files: BTreeMap<&str, &[u8]> =
        theme.assets().iter().map(|asset| (asset.path.as_str(), asset.bytes)).collect();
    Ok(whole(&html, &files, Some(HOME)))
}

fn line(service: &Service) -> Line<'_> {
    let share = |used: f64| if used > 1.0 { format!("{:.0} %", used * 100.0) } else { format::percent(used) };
    let used = service.budget_used.map_or_else(|| format::NOTHING.to_owned(), share);
    Line { service, budget_operations: service.budget as u64, used }
}

fn csv(report: &MonthReport) -> Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record([
        "wrapper_name",
        "availability",
        "objective_held",
        "error_budget_operations",
        "error_budget_used",
        "total_operations",
        "error_count",
        "p95",
        "hours_with_data",
        "cost",
    ])?;
    let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
    for service in &report.services {
        let (figures, held) = (&service.figures, service.held.map(|held| held.to_string()));
        writer.write_record([
            inert(&service.name).into_owned(),
            number(service.availability),
            held.unwrap_or_default(),
            number(Some(service.budget)),
            number(service.budget_used),
            figures.total_operations.to_string(),
            figures.error_count.to_string(),
            number(figures.p95),
            service.hours.to_string(),
            number(figures.cost),
        ])?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}
