//! The whole program on one screen: sources → store → analysis → report → publish.

use std::path::Path;

use anyhow::{Context, Result};

use crate::analysis::facts::{Facts, Settings, WrapperFacts};
use crate::analysis::snapshot::{BREAKDOWN_HOURS, Snapshot, snapshot};
use crate::analysis::window::{MAX_HOURS, Window};
use crate::model::parallel;
use crate::model::quality::{FileState, SourceState};
use crate::model::time::{hour_of, rfc3339};
use crate::publish::manifest::SourceEntry;
use crate::publish::{Published, Stamp, publish, sha256, standing};
use crate::report::site::Site;
use crate::report::{SiteSettings, Theme, dataset, datasets, render};
use crate::sources::discover::{Discovery, discover};
use crate::sources::settings::SourceSettings;
use crate::sources::{self, Progress};
use crate::store::chunks::Span;
use crate::store::settings::StoreSettings;
use crate::store::{Reading, Store};

/// Everything a build is a function of, besides the logs themselves.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    /// The site's folder.
    pub root: &'a Path,
    pub output: &'a Path,
    pub moment_ms: i64,
    pub sources: &'a [SourceSettings],
    pub store: &'a StoreSettings,
    pub analysis: &'a Settings,
    pub site: &'a SiteSettings,
}

/// What a build did.
#[derive(Debug)]
pub struct Built {
    /// New in this build.
    pub bytes: u64,
    pub records: u64,
    pub skipped: u64,
    pub wrappers: usize,
    pub published: Published,
}

/// Reads what is new, analyses, renders and publishes.
///
/// # Errors
/// If the store, the theme or the output folder cannot be used. Logs that cannot be read are not errors:
/// they are on the data-quality page.
pub fn build(plan: &Plan, progress: &(dyn Fn(Progress) + Sync)) -> Result<Built> {
    let mut store = Store::open(plan.root)?;
    let read = read(plan, &mut store, progress)?;
    let (bytes, records, skipped) = (read.bytes, read.records, read.skipped);
    let theme = Theme::embedded().context("loading the theme")?;
    let inputs = inputs(plan, &theme, &read.sources)?;
    if !read.news
        && let Some(manifest) = standing(plan.output, &inputs)?
    {
        let wrappers = store.wrappers()?.len();
        return Ok(Built { bytes, records, skipped, wrappers, published: Published::unchanged(manifest) });
    }
    let facts = facts(plan, &store, read.sources)?;
    let snapshot = snapshot(&facts);
    let site = site(&snapshot, &theme, plan.site)?;
    let published = publish(&site, plan.output, &stamp(&snapshot, inputs))?;
    Ok(Built { bytes, records, skipped, wrappers: facts.wrappers.len(), published })
}

/// Reads what is new into the store, and tells what is known at the plan's moment.
pub fn gather(plan: &Plan, progress: &(dyn Fn(Progress) + Sync)) -> Result<Facts> {
    let mut store = Store::open(plan.root)?;
    let read = read(plan, &mut store, progress)?;
    facts(plan, &store, read.sources)
}

/// The sources as they are found, without reading or writing anything, and whether the theme loads.
pub fn check(plan: &Plan) -> Result<Vec<SourceState>> {
    Theme::embedded().context("loading the theme")?;
    let state = |source: &SourceSettings| {
        let Discovery { found, problems } = discover(plan.root, source);
        SourceState {
            name: source.title().to_owned(),
            path: source.path.clone(),
            files: found.len() as u64,
            bytes: found.iter().map(|file| file.stat.size).sum(),
            problems,
            ..SourceState::default()
        }
    };
    Ok(plan.sources.iter().map(state).collect())
}

/// Reading and accounting for what was read.
struct Gathered {
    sources: Vec<SourceState>,
    /// Whether anything differs from the last reading.
    news: bool,
    bytes: u64,
    records: u64,
    skipped: u64,
}

fn read(plan: &Plan, store: &mut Store, progress: &(dyn Fn(Progress) + Sync)) -> Result<Gathered> {
    let (retention, limits) = (plan.store.retention(plan.moment_ms), plan.store.limits());
    let in_flight = store.in_flight()?;
    let read = sources::read(&sources::Reading {
        root: plan.root,
        sources: plan.sources,
        ledger: &store.files()?,
        in_flight: &in_flight,
        retention,
        limits,
        max_line_bytes: plan.store.max_line_bytes,
        now_ms: plan.moment_ms,
        threads: parallel::threads(),
        progress,
    });
    let news = !read.rollup.is_empty() || !read.files.is_empty() || read.in_flight != in_flight;
    if news {
        let reading = Reading { rollup: read.rollup, files: read.files, in_flight: read.in_flight };
        store.apply(&reading, &retention, &limits)?;
    }
    let (sources, bytes) = (read.sources, read.bytes);
    Ok(Gathered { sources, news, bytes, records: read.records, skipped: read.skipped })
}

fn facts(plan: &Plan, store: &Store, sources: Vec<SourceState>) -> Result<Facts> {
    let hour = hour_of(plan.moment_ms);
    let span = Span {
        first_minute: plan.store.retention(plan.moment_ms).first_minute,
        first_hour: hour - i64::from(MAX_HOURS),
        first_series_hour: hour - i64::from(BREAKDOWN_HOURS),
        first_note_day: (hour - i64::from(BREAKDOWN_HOURS)) / 24,
    };
    let ids = store.wrappers()?;
    let histories = store.histories(&ids, &span)?;
    let wrappers = ids.into_iter().zip(histories);
    let has_news = |file: &FileState| file.present && !file.problems.is_empty();
    Ok(Facts {
        moment_ms: plan.moment_ms,
        settings: plan.analysis.clone(),
        wrappers: wrappers.map(|(id, history)| WrapperFacts { id, history: history.into() }).collect(),
        in_flight: store.in_flight()?,
        sources,
        files: store.files()?.into_iter().filter(has_news).collect(),
    })
}

/// What the site is made of besides the operations; see [`crate::publish::manifest::Manifest::inputs`].
fn inputs(plan: &Plan, theme: &Theme, sources: &[SourceState]) -> Result<String> {
    let minute = Window::last_minutes(plan.moment_ms, 0).to;
    let inputs = (env!("CARGO_PKG_VERSION"), minute, plan.analysis, plan.site, theme.fingerprint(), sources);
    Ok(sha256(&serde_json::to_vec(&inputs)?))
}

fn site(snapshot: &Snapshot, theme: &Theme, settings: &SiteSettings) -> Result<Site> {
    let mut site = render(snapshot, theme, settings).context("rendering the pages")?;
    dataset::add(&mut site, snapshot.facts, &settings.title, &settings.currency)?;
    datasets::add(&mut site, snapshot)?;
    Ok(site)
}

fn stamp(snapshot: &Snapshot, inputs: String) -> Stamp {
    let sources = snapshot.facts.sources.iter().map(|source| SourceEntry {
        name: source.name.clone(),
        operations: source.operations,
        skipped: source.skipped,
        last_data: (source.last_end_ms > 0).then(|| rfc3339(source.last_end_ms)),
    });
    Stamp {
        moment_ms: snapshot.facts.moment_ms,
        last_data_ms: snapshot.system.last_data_ms,
        sources: sources.collect(),
        inputs,
    }
}
