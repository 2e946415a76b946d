//! The whole program on one screen: sources → store → analysis → report → publish.
//!
//! [`facts`] says how much of the past a build loads, [`standing`] what of the last snapshot it can keep. To
//! add a step: a room of its own, and its line in [`build`].

pub mod facts;
pub mod standing;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::analysis::facts::{Facts, Settings};
use crate::analysis::service::{self, Month, MonthReport, ServiceSettings};
use crate::analysis::snapshot::{Snapshot, snapshot};
use crate::model::history::WrapperId;
use crate::model::parallel;
use crate::model::quality::SourceState;
use crate::model::time::rfc3339;
use crate::pipeline::standing::{Next, Stands};
use crate::publish::manifest::SourceEntry;
use crate::publish::{Published, Stamp, Standing};
use crate::report::{SiteSettings, Theme, dataset, datasets, render, summary};
use crate::sources::discover::{Discovery, discover};
use crate::sources::resume::try_read;
use crate::sources::settings::SourceSettings;
use crate::sources::{self, Progress};
use crate::store::chunks::Span;
use crate::store::lock::PATIENCE;
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
    /// What is wrong with sources themselves, in words.
    pub troubles: Vec<String>,
    /// Changes with every template and asset.
    pub theme: &'static str,
    pub published: Published,
}

/// Opens the store of the plan's site; see [`Store::open_or_renew`].
pub fn open(plan: &Plan, patience: Duration) -> Result<Store> {
    Store::open_or_renew(plan.root, patience, plan.moment_ms)
}

/// Reads what is new, analyses, renders and publishes. Nobody else builds the site until the store is let go.
///
/// # Errors
/// If the store, the theme or the output folder cannot be used. Logs that cannot be read are not errors:
/// they are on the data-quality page.
pub fn build(store: &mut Store, plan: &Plan, progress: &(dyn Fn(Progress) + Sync)) -> Result<Built> {
    parallel::building(|| store.healed(plan.moment_ms, |store| build_once(store, plan, progress)))
}

fn build_once(store: &mut Store, plan: &Plan, progress: &(dyn Fn(Progress) + Sync)) -> Result<Built> {
    let read = read(plan, store, progress)?;
    let troubles = troubles(&read.sources);
    let next = Next::new(plan, store, &read.sources)?;
    let published = match next.stands(plan, store)? {
        Some(Stands { current: Some(manifest), .. }) => Published::unchanged(manifest),
        stands => {
            let (output, changed) = match stands {
                Some(Stands { output, changed, .. }) => (output, Some(changed)),
                None => (Standing::look(plan.output)?, None),
            };
            let facts = facts::shown(plan, store, read.sources.clone(), changed.as_ref())?;
            let snapshot = snapshot(&facts);
            let theme = Theme::embedded().context("loading the theme")?;
            let published = {
                let minutes = store.minutes(facts::first_kept_minute(plan));
                let minutes = |id: &WrapperId| minutes.of(id);
                let begun = {
                    let mut site = render(&snapshot, theme, plan.site)?;
                    dataset::add(&mut site, &facts, plan.site, &minutes)?;
                    datasets::add(&mut site, &snapshot)?;
                    summary::add(&mut site, &snapshot)?;
                    output.begin(&site, &stamp(&snapshot))?
                };
                drop(snapshot);
                // To leave memory takes a while with many wrappers.
                parallel::join(|| drop(facts), || begun.put()).1?
            };
            store.set_published(&Next::output(plan)?, &next.record(&published.manifest.id))?;
            published
        }
    };
    let wrappers = store.wrappers()?.len();
    let Gathered { bytes, records, skipped, .. } = read;
    Ok(Built { bytes, records, skipped, wrappers, troubles, theme: Theme::fingerprint(), published })
}

fn troubles(sources: &[SourceState]) -> Vec<String> {
    let of = |source: &SourceState| {
        let line = |trouble| format!("source `{}`: {trouble}", source.name);
        source.troubles().into_iter().map(line).collect::<Vec<_>>()
    };
    sources.iter().flat_map(of).collect()
}

/// Reads what is new into the store, and tells what is known at the plan's moment.
pub fn gather(plan: &Plan, progress: &(dyn Fn(Progress) + Sync)) -> Result<Facts> {
    let mut store = open(plan, PATIENCE)?;
    store.healed(plan.moment_ms, |store| {
        let read = read(plan, store, progress)?;
        facts::all(plan, store, read.sources)
    })
}

/// The service level of the plan's month and of the one before it, newest first.
pub fn months(store: &Store, plan: &Plan, settings: &ServiceSettings) -> Result<Vec<(Month, MonthReport)>> {
    let this = Month::of(plan.moment_ms);
    let span = Span { first_hour: this.before().first_hour(), ..Span::NOTHING };
    let ids = store.wrappers()?;
    let histories = store.histories(&ids, |_| span)?;
    let wrappers: Vec<_> = ids.into_iter().zip(histories).collect();
    let settings = (settings, plan.analysis.health.fallback_credit);
    let report = |month| (month, service::report(&wrappers, month, plan.moment_ms, settings));
    let months = [this, this.before()].map(report);
    // A month before the first operation says nothing.
    let some = |(_, report): &(Month, MonthReport)| report.services.iter().any(|service| service.hours > 0);
    Ok(months.into_iter().filter(some).collect())
}

/// The sources as they are found, without reading or writing anything, and whether the theme loads.
pub fn check(plan: &Plan) -> Result<Vec<SourceState>> {
    Theme::embedded().context("loading the theme")?;
    let state = |source: &SourceSettings| {
        let Discovery { found, problems } = discover(plan.root, source);
        let mut state = SourceState {
            name: source.title().to_owned(),
            path: source.path.clone(),
            files: found.len() as u64,
            bytes: found.iter().map(|file| file.stat.size).sum(),
            problems,
            ..SourceState::default()
        };
        for file in &found {
            if let Err(fault) = try_read(&file.file) {
                state.add_unread(&file.path, &fault.reason);
            }
        }
        state
    };
    Ok(plan.sources.iter().map(state).collect())
}

/// Reading and accounting for what was read.
struct Gathered {
    sources: Vec<SourceState>,
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
        known: &store.known()?,
        max_line_bytes: plan.store.max_line_bytes,
        now_ms: plan.moment_ms,
        threads: parallel::threads(),
        progress,
    });
    let ledger_changed = !read.files.is_empty() || !read.forgotten.is_empty();
    if !read.rollup.is_empty() || ledger_changed || read.in_flight != in_flight {
        let sources::Read { rollup, files, forgotten, in_flight, .. } = read;
        let reading = Reading { rollup, files, forgotten, in_flight };
        store.apply(reading)?;
    }
    // From the newest data on, so that a build for a moment far ahead (a wrong clock) drops nothing.
    let newest = read.sources.iter().map(|source| source.last_end_ms).max().unwrap_or(0);
    store.prune(&plan.store.retention(newest.min(plan.moment_ms)))?;
    let (sources, bytes) = (read.sources, read.bytes);
    Ok(Gathered { sources, bytes, records: read.records, skipped: read.skipped })
}

fn stamp(snapshot: &Snapshot) -> Stamp {
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
    }
}
