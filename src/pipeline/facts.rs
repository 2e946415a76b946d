//! From the store to [`Facts`]: how far back each wrapper's past is loaded, and how much of it.

use std::collections::HashSet;

use anyhow::Result;

use crate::analysis::activity::FEED_HOURS;
use crate::analysis::facts::{Facts, WrapperFacts};
use crate::analysis::snapshot::{BREAKDOWN_HOURS, DAY_HOURS, charted};
use crate::analysis::trend::hours_last_week;
use crate::analysis::window::{MAX_HOURS, Window, next_ten};
use crate::model::history::WrapperId;
use crate::model::quality::{FileState, SourceState};
use crate::model::tens::TEN;
use crate::model::time::{hour_of, minute_of};
use crate::pipeline::Plan;
use crate::store::Store;
use crate::store::chunks::Span;

/// What a site shows. Of wrappers that are not among the `changed`, if these are told, only as much as pages
/// other than their own show.
pub fn shown(
    plan: &Plan,
    store: &Store,
    sources: Vec<SourceState>,
    changed: Option<&HashSet<String>>,
) -> Result<Facts> {
    let ids = store.wrappers()?;
    let is_changed = |id: &WrapperId| changed.is_none_or(|changed| changed.contains(&id.name));
    let (changed, rest): (Vec<_>, Vec<_>) = ids.into_iter().partition(is_changed);
    let page = page_span(plan);
    let mut loaded = wrappers(plan, store, changed, &page)?;
    let rest = wrappers(plan, store, rest, &glance_span(plan))?;
    loaded.extend(rest.into_iter().map(|wrapper| WrapperFacts { detailed: false, stands: true, ..wrapper }));
    loaded.sort_by(|a, b| a.id.cmp(&b.id));
    let mut facts = with_wrappers(plan, store, sources, loaded)?;
    let mut lines = charted(&facts);
    lines.retain(|&at| !facts.wrappers[at].detailed);
    let ids = lines.iter().map(|&at| facts.wrappers[at].id.clone()).collect();
    for (at, wrapper) in lines.into_iter().zip(wrappers(plan, store, ids, &page)?) {
        facts.wrappers[at] = WrapperFacts { stands: true, ..wrapper };
    }
    Ok(facts)
}

/// All that can be asked for.
pub fn all(plan: &Plan, store: &Store, sources: Vec<SourceState>) -> Result<Facts> {
    let wrappers = wrappers(plan, store, store.wrappers()?, &whole_span(plan))?;
    with_wrappers(plan, store, sources, wrappers)
}

fn with_wrappers(
    plan: &Plan,
    store: &Store,
    sources: Vec<SourceState>,
    wrappers: Vec<WrapperFacts>,
) -> Result<Facts> {
    let has_news = |file: &FileState| file.present && !file.problems.is_empty();
    Ok(Facts {
        moment_ms: plan.moment_ms,
        settings: plan.analysis.clone(),
        wrappers,
        in_flight: store.in_flight()?,
        sources,
        files: store.files()?.into_iter().filter(has_news).collect(),
        reached: store.reached(&plan.store.limits())?,
        set_aside: store.set_aside()?,
    })
}

fn wrappers(plan: &Plan, store: &Store, ids: Vec<WrapperId>, span: &Span) -> Result<Vec<WrapperFacts>> {
    let health = &plan.analysis.health;
    // Held against a target, latency is looked at in every window of the day.
    let has_target = |id: &WrapperId| health.target_of(&id.name).is_some();
    let span = |id: &WrapperId| if has_target(id) { Span { tens: (0, 0), ..*span } } else { *span };
    let histories = store.histories(&ids, span)?;
    let wrappers = ids.into_iter().zip(histories);
    Ok(wrappers.map(|(id, history)| WrapperFacts::whole(id, history)).collect())
}

/// The oldest minute that the published dataset has.
pub fn first_kept_minute(plan: &Plan) -> i64 {
    plan.store.retention(plan.moment_ms).first_minute
}

fn whole_span(plan: &Plan) -> Span {
    let hour = hour_of(plan.moment_ms);
    let first_minute = first_kept_minute(plan);
    Span {
        first_minute,
        tens: (0, 0),
        first_hour: hour - i64::from(MAX_HOURS),
        older_hours: (0, 0),
        first_series_hour: hour - i64::from(BREAKDOWN_HOURS),
        first_series_day: (hour - i64::from(MAX_HOURS)) / 24,
        first_note_day: (hour - i64::from(MAX_HOURS)) / 24,
    }
}

/// What a wrapper's page is made of.
fn page_span(plan: &Plan) -> Span {
    Span { first_minute: first_shown_minute(plan), tens: tens(plan), ..whole_span(plan) }
}

/// Minutes whose latency pages show no closer than by [`TEN`]: those of the last day that lie before the shortest range,
/// the health window and the window before that.
fn tens(plan: &Plan) -> (i64, i64) {
    let day = Window::last_hours(plan.moment_ms, DAY_HOURS);
    let health = &plan.analysis.health;
    let judged = health.window_minutes + health.window_minutes.max(health.recent_minutes);
    let shown = i64::from(judged).max(60);
    let (from, to) = (next_ten(day.from), (day.to - shown).div_euclid(TEN) * TEN);
    if from < to { (from, to) } else { (0, 0) }
}

/// What the overview, the feed and the exports show.
fn glance_span(plan: &Plan) -> Span {
    let first_minute = first_shown_minute(plan);
    Span {
        first_hour: first_minute / 60,
        older_hours: hours_last_week(plan.moment_ms, plan.analysis),
        first_series_hour: i64::MAX,
        first_series_day: i64::MAX,
        first_note_day: (hour_of(plan.moment_ms) - FEED_HOURS) / 24,
        ..page_span(plan)
    }
}

/// A day, and the health window at its beginning.
fn first_shown_minute(plan: &Plan) -> i64 {
    let minutes = i64::from(DAY_HOURS) * 60 + i64::from(plan.analysis.health.window_minutes);
    (minute_of(plan.moment_ms) - minutes).max(first_kept_minute(plan))
}
