//! The first page: is everything well, and if not, where to look.

use anyhow::Result;
use tera::Context;

use crate::analysis::activity::FEED_HOURS;
use crate::analysis::health::Status;
use crate::analysis::snapshot::{Snapshot, Summary, charted};
use crate::report::charts::{health, marks_of, operations, performance};
use crate::report::format;
use crate::report::pages::built;
use crate::report::pages::chart::{ChartView, choices};

/// Entries of the feed on the first page.
const ACTIVITY: usize = 10;

pub fn view(snapshot: &Snapshot) -> Result<Context> {
    let drawn: Vec<_> = charted(snapshot.facts).into_iter().map(|at| &snapshot.wrappers[at]).collect();
    let detailed = drawn.iter().filter_map(|wrapper| Some((wrapper, wrapper.detail.as_ref()?)));
    let ranges = |at: usize| -> Vec<_> {
        detailed.clone().map(|(w, detail)| (w.summary.name.as_str(), &detail.ranges[at])).collect()
    };
    let (choices, chosen) = choices(detailed.clone().map(|(_, detail)| detail.ranges.as_slice()));
    let marks = |at: usize| -> Vec<_> {
        let all = detailed.clone().flat_map(|(w, detail)| marks_of(&detail.ranges[at], &w.activity));
        all.filter(|mark| mark.status <= Status::Unhealthy).collect()
    };
    let summaries: Vec<&Summary> = snapshot.wrappers.iter().map(|wrapper| &wrapper.summary).collect();
    let mut context = Context::new();
    built(snapshot, &mut context);
    context.insert("system", &snapshot.system);
    context.insert("window", &format::stretch(snapshot.facts.settings.health.window_minutes));
    context.insert("choices", &choices);
    context.insert("chosen", chosen);
    context
        .insert("performance", &ChartView::ranged(chosen, |at| performance::system(&ranges(at), marks(at)))?);
    context.insert("operations", &ChartView::ranged(chosen, |at| operations::by_wrapper(&ranges(at)))?);
    let bars = health::bars(drawn.iter().map(|wrapper| &wrapper.summary));
    context.insert("health", &ChartView::single(&bars)?);
    context.insert("drawn", &drawn.len());
    context.insert("wrappers", &summaries);
    context.insert("activity", &snapshot.activity[..snapshot.activity.len().min(ACTIVITY)]);
    context.insert("feed_hours", &FEED_HOURS);
    context.insert("more_activity", &(snapshot.activity.len() > ACTIVITY));
    context.insert("skipped", &snapshot.facts.sources.iter().map(|source| source.skipped).sum::<u64>());
    let failing = snapshot.facts.sources.iter().filter(|source| !source.problems.is_empty()).count();
    context.insert("failing_sources", &failing);
    Ok(context)
}
