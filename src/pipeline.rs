//! The whole program on one screen: sources → store → analysis → report → publish.

use std::collections::HashSet;
use std::path::Path;

use anyhow::{Context, Result};

use crate::analysis::facts::{Facts, Settings, WrapperFacts};
use crate::analysis::snapshot::{BREAKDOWN_HOURS, DAY_HOURS, Snapshot, charted, snapshot};
use crate::analysis::window::{MAX_HOURS, Window};
use crate::model::history::WrapperId;
use crate::model::parallel;
use crate::model::quality::{FileState, SourceState};
use crate::model::time::{hour_of, minute_of, rfc3339};
use crate::publish::manifest::{Manifest, SourceEntry};
use crate::publish::{Published, Stamp, publish, sha256, standing};
use crate::report::site::Site;
use crate::report::{SiteSettings, Theme, dataset, datasets, render, summary};
use crate::sources::discover::{Discovery, discover};
use crate::sources::settings::SourceSettings;
use crate::sources::{self, Progress};
use crate::store::chunks::Span;
use crate::store::settings::StoreSettings;
use crate::store::{self, Reading, Store};

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
    pub theme: String,
    pub published: Published,
}

/// Reads what is new, analyses, renders and publishes. Nobody else builds the site until the store is let go.
///
/// # Errors
/// If the store, the theme or the output folder cannot be used. Logs that cannot be read are not errors:
/// they are on the data-quality page.
pub fn build(store: &mut Store, plan: &Plan, progress: &(dyn Fn(Progress) + Sync)) -> Result<Built> {
    let (theme, read) = parallel::join(Theme::embedded, || read(plan, store, progress));
    let (theme, read) = (theme.context("loading the theme")?, read?);
    let troubles = troubles(&read.sources);
    let next = Next::new(plan, store, &theme, &read.sources)?;
    let stands = next.stands(plan, store)?;
    let published = match &stands {
        Some(stands) if stands.is_current => Published::unchanged(stands.manifest.clone()),
        _ => {
            let facts =
                facts(plan, store, read.sources.clone(), stands.map(|stands| stands.changed).as_ref())?;
            let snapshot = snapshot(&facts);
            let site = site(&snapshot, &theme, plan.site)?;
            let published = publish(&site, plan.output, &stamp(&snapshot))?;
            store.set_published(&Next::output(plan)?, &next.record(&published.manifest.id))?;
            published
        }
    };
    let wrappers = store.wrappers()?.len();
    let Gathered { bytes, records, skipped, .. } = read;
    Ok(Built { bytes, records, skipped, wrappers, troubles, theme: theme.fingerprint(), published })
}

fn troubles(sources: &[SourceState]) -> Vec<String> {
    let of = |source: &SourceState| {
        let name = source.name.clone();
        source
            .problems
            .iter()
            .map(move |problem| format!("source `{name}`: {}", problem.reason))
            .collect::<Vec<_>>()
    };
    sources.iter().flat_map(of).collect()
}

/// Reads what is new into the store, and tells what is known at the plan's moment.
pub fn gather(plan: &Plan, progress: &(dyn Fn(Progress) + Sync)) -> Result<Facts> {
    let mut store = Store::open(plan.root)?;
    let read = read(plan, &mut store, progress)?;
    facts(plan, &store, read.sources, None)
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
    let ledger_changed = !read.files.is_empty() || !read.forgotten.is_empty();
    if !read.rollup.is_empty() || ledger_changed || read.in_flight != in_flight {
        let sources::Read { rollup, files, forgotten, in_flight, .. } = read;
        let reading = Reading { rollup, files, forgotten, in_flight };
        store.apply(&reading, &limits)?;
    }
    // From the newest data on, so that a build for a moment far ahead (a wrong clock) drops nothing.
    let newest = read.sources.iter().map(|source| source.last_end_ms).max().unwrap_or(0);
    store.prune(&plan.store.retention(newest.min(plan.moment_ms)))?;
    let (sources, bytes) = (read.sources, read.bytes);
    Ok(Gathered { sources, bytes, records: read.records, skipped: read.skipped })
}

/// What is known. Of wrappers that are not among the `changed`, if these are told, only as much as pages
/// other than their own show.
fn facts(
    plan: &Plan,
    store: &Store,
    sources: Vec<SourceState>,
    changed: Option<&HashSet<String>>,
) -> Result<Facts> {
    let ids = store.wrappers()?;
    let is_changed = |id: &WrapperId| changed.is_none_or(|changed| changed.contains(&id.name));
    let (changed, rest): (Vec<_>, Vec<_>) = ids.into_iter().partition(is_changed);
    let mut wrappers = wrappers(store, changed, &whole_span(plan), true)?;
    wrappers.extend(self::wrappers(store, rest, &glance_span(plan), false)?);
    wrappers.sort_by(|a, b| a.id.cmp(&b.id));
    let has_news = |file: &FileState| file.present && !file.problems.is_empty();
    let mut facts = Facts {
        moment_ms: plan.moment_ms,
        settings: plan.analysis.clone(),
        wrappers,
        in_flight: store.in_flight()?,
        sources,
        files: store.files()?.into_iter().filter(has_news).collect(),
        reached: store.reached(&plan.store.limits())?,
    };
    for at in charted(&facts) {
        if !facts.wrappers[at].detailed {
            let id = facts.wrappers[at].id.clone();
            facts.wrappers[at] = self::wrappers(store, vec![id], &whole_span(plan), true)?.remove(0);
        }
    }
    Ok(facts)
}

fn wrappers(store: &Store, ids: Vec<WrapperId>, span: &Span, detailed: bool) -> Result<Vec<WrapperFacts>> {
    let histories = store.histories(&ids, span)?;
    let wrappers = ids.into_iter().zip(histories);
    Ok(wrappers.map(|(id, history)| WrapperFacts { id, history: history.into(), detailed }).collect())
}

/// All that pages show and the API can be asked for.
fn whole_span(plan: &Plan) -> Span {
    let hour = hour_of(plan.moment_ms);
    Span {
        first_minute: plan.store.retention(plan.moment_ms).first_minute,
        first_hour: hour - i64::from(MAX_HOURS),
        first_series_hour: hour - i64::from(BREAKDOWN_HOURS),
        first_note_day: (hour - i64::from(BREAKDOWN_HOURS)) / 24,
    }
}

/// What the overview, the feed and the exports show: a day, and the health window at its beginning.
fn glance_span(plan: &Plan) -> Span {
    let whole = whole_span(plan);
    let minutes = i64::from(DAY_HOURS) * 60 + i64::from(plan.analysis.health.window_minutes);
    let first_minute = (minute_of(plan.moment_ms) - minutes).max(whole.first_minute);
    Span { first_minute, first_hour: first_minute / 60, first_series_hour: i64::MAX, ..whole }
}

/// What the next snapshot will be made of, as far as it can be known without making it.
struct Next {
    /// Hash of what every page is made of besides operations: version, minute, settings, theme, and who the
    /// wrappers are, since each page links to its neighbours.
    inputs: String,
    /// Hash of the state of the sources.
    sources: String,
    revision: i64,
}

/// The snapshot that stands, where the next one can build upon it.
struct Stands {
    manifest: Manifest,
    changed: HashSet<String>,
    /// Whether the next snapshot would be the same.
    is_current: bool,
}

impl Next {
    fn new(plan: &Plan, store: &Store, theme: &Theme, sources: &[SourceState]) -> Result<Next> {
        let minute = Window::last_minutes(plan.moment_ms, 0).to;
        let version = env!("CARGO_PKG_VERSION");
        let inputs = (version, minute, plan.analysis, plan.site, theme.fingerprint(), store.wrappers()?);
        Ok(Next {
            inputs: sha256(&serde_json::to_vec(&inputs)?),
            sources: sha256(&serde_json::to_vec(sources)?),
            revision: store.revision()?,
        })
    }

    fn record(self, snapshot: &str) -> store::Published {
        let Next { inputs, sources, revision } = self;
        store::Published { snapshot: snapshot.to_owned(), inputs, sources, revision }
    }

    /// Known by what is in the output folder and what the store remembers of it, together: either can be
    /// deleted or moved.
    fn stands(&self, plan: &Plan, store: &Store) -> Result<Option<Stands>> {
        if !plan.output.exists() {
            return Ok(None);
        }
        let Some(last) = store.published(&Next::output(plan)?)? else { return Ok(None) };
        if last.inputs != self.inputs {
            return Ok(None);
        }
        let Some(manifest) = standing(plan.output, &last.snapshot)? else { return Ok(None) };
        let changed = store.changed_since(last.revision)?;
        let is_current = last.revision == self.revision && last.sources == self.sources;
        Ok(Some(Stands { manifest, changed, is_current }))
    }

    /// The name under which the store remembers an output folder.
    fn output(plan: &Plan) -> Result<String> {
        let output = plan.output;
        let path = output.canonicalize().with_context(|| format!("finding `{}`", output.display()))?;
        Ok(path.to_string_lossy().into_owned())
    }
}

fn site(snapshot: &Snapshot, theme: &Theme, settings: &SiteSettings) -> Result<Site> {
    let data = || -> Result<Site> {
        let mut site = Site::default();
        dataset::add(&mut site, snapshot.facts, &settings.title, &settings.currency)?;
        datasets::add(&mut site, snapshot)?;
        summary::add(&mut site, snapshot)?;
        Ok(site)
    };
    let (data, pages) = parallel::join(data, || render(snapshot, theme, settings));
    let mut site = pages.context("rendering the pages")?;
    site.merge(data?)?;
    Ok(site)
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
