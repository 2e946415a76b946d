//! From the store to [`Facts`]: how far back each wrapper's past is loaded, and how much of it.

use std::collections::HashSet;

use anyhow::Result;

use crate::analysis::activity::FEED_HOURS;
use crate::analysis::facts::{Facts, WrapperFacts};
use crate::analysis::snapshot::{BREAKDOWN_HOURS, DAY_HOURS, charted};
use crate::analysis::trend::hours_last_week;
use crate::analysis::window::{MAX_HOURS, Window};
use crate::model::history::WrapperId;
use crate::model::quality::{FileState, SourceState};
use crate::model::tens::{next_ten, ten_of};
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

/// Minutes whose latency pages show no closer than by ten: those of the last day that lie before the shortest range,
/// the health window and the window before that.
fn tens(plan: &Plan) -> (i64, i64) {
    let day = Window::last_hours(plan.moment_ms, DAY_HOURS);
    let shown = (2 * i64::from(plan.analysis.health.window_minutes)).max(60);
    let (from, to) = (next_ten(day.from), ten_of(day.to - shown));
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    use crate::analysis::facts::Settings;
    use crate::analysis::health::HealthSettings;
    use crate::analysis::snapshot::snapshot;
    use crate::analysis::trend::{system_before, system_yesterday, wrapper_before};
    use crate::model::operation::{Operation, Outcome};
    use crate::model::rollup::Rollup;
    use crate::model::time::MINUTE_MS;
    use crate::report::{SiteSettings, export};
    use crate::store::Reading;
    use crate::store::settings::StoreSettings;

    const MOMENT_MS: i64 = 1_769_342_400_000 + 17 * MINUTE_MS + 5000;

    /// Three days of two wrappers, thinner and thicker.
    fn rollup(settings: &StoreSettings) -> Rollup {
        let (mut rollup, retention) = (Rollup::default(), settings.retention(MOMENT_MS));
        for at in 0..9000u64 {
            let chance = at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
            let operation = Operation {
                id: None,
                wrapper: if chance.is_multiple_of(7) { "thin" } else { "thick" }.into(),
                operation_type: "chat".into(),
                model: "m".into(),
                outcome: if chance.is_multiple_of(11) { Outcome::Error } else { Outcome::Success },
                end_ms: MOMENT_MS - (at * 29_000) as i64,
                duration_ns: Some(chance % 100_000 * 100_000),
                error_code: None,
                error_message: None,
                cost_pico: None,
                tokens: Default::default(),
            };
            rollup.add(&operation, &retention);
        }
        rollup
    }

    #[test]
    fn sums_of_ten_are_enough_for_all_that_is_shown() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let settings = StoreSettings::default();
        let mut store = Store::open(root.path()).expect("a new store");
        let reading = Reading {
            rollup: rollup(&settings),
            files: Vec::new(),
            forgotten: Vec::new(),
            in_flight: Vec::new(),
        };
        store.apply(reading).expect("it is stored");
        for (window_minutes, target, summed) in [
            (1, None, true),
            (7, None, true),
            (60, None, true),
            (719, None, false),
            (1440, None, false),
            (60, Some(900.0), false),
        ] {
            let health = HealthSettings {
                window_minutes,
                recent_minutes: window_minutes.min(10),
                latency_target_ms: target,
                ..HealthSettings::default()
            };
            let plan = Plan {
                root: root.path(),
                output: Path::new("not written"),
                moment_ms: MOMENT_MS,
                sources: &[],
                store: &settings,
                analysis: &Settings { health, quiet_after_minutes: 60 },
                site: &SiteSettings::default(),
            };
            let shown = shown(&plan, &store, Vec::new(), None).expect("the store answers");
            let all = all(&plan, &store, Vec::new()).expect("the store answers");
            let tens = shown.wrappers.iter().all(|wrapper| !wrapper.history.tens.buckets.is_empty());
            assert_eq!(tens, summed, "{window_minutes} minutes, {target:?}");
            let (one, other) = (snapshot(&shown), snapshot(&all));
            assert_eq!((&one.wrappers, &one.system), (&other.wrappers, &other.system), "{window_minutes}");
            assert_eq!(export::all(&shown, DAY_HOURS), export::all(&all, DAY_HOURS));
            assert_eq!(system_before(&shown), system_before(&all));
            assert_eq!(system_yesterday(&shown), system_yesterday(&all));
            for (one, other) in shown.wrappers.iter().zip(&all.wrappers) {
                assert_eq!(wrapper_before(&shown, one), wrapper_before(&all, other));
            }
        }
    }
}
