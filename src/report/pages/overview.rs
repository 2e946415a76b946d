//! The first page: is everything well, and if not, where to look.

use anyhow::Result;
use tera::Context;

use crate::analysis::activity::FEED_HOURS;
use crate::analysis::snapshot::{Snapshot, Summary, WrapperReport};
use crate::report::charts::{health, performance};
use crate::report::format;
use crate::report::pages::{Chart, built, choices};

/// Lines or bars that one chart can show and still be read.
const CHART_WRAPPERS: usize = 12;

/// Entries of the feed on the first page.
const ACTIVITY: usize = 10;

pub fn view(snapshot: &Snapshot) -> Result<Context> {
    let drawn = busiest(snapshot);
    let ranges = |at: usize| drawn.iter().map(move |w| (w.summary.name.as_str(), &w.ranges[at]));
    let (choices, chosen) = choices(drawn.iter().map(|wrapper| wrapper.ranges.as_slice()));
    let summaries: Vec<&Summary> = snapshot.wrappers.iter().map(|wrapper| &wrapper.summary).collect();
    let mut context = Context::new();
    built(snapshot, &mut context);
    context.insert("system", &snapshot.system);
    context.insert("window", &format::stretch(snapshot.facts.settings.health.window_minutes));
    context.insert("choices", &choices);
    context.insert("chosen", chosen);
    context.insert("performance", &Chart::ranged(|at| performance::lines(ranges(at))));
    context.insert("health", &Chart::single(health::bars(drawn.iter().map(|wrapper| &wrapper.summary))));
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

/// The wrappers that charts show: all, or those with the most operations over the longest range. By name.
fn busiest<'a>(snapshot: &'a Snapshot) -> Vec<&'a WrapperReport> {
    let operations = |wrapper: &WrapperReport| -> u64 {
        let longest = wrapper.ranges.last().map(|range| range.points.as_slice()).unwrap_or_default();
        longest.iter().map(|point| point.1.total_operations).sum()
    };
    let mut wrappers: Vec<_> = snapshot.wrappers.iter().collect();
    wrappers.sort_by_cached_key(|wrapper| std::cmp::Reverse(operations(wrapper)));
    wrappers.truncate(CHART_WRAPPERS);
    wrappers.sort_by(|a, b| a.summary.name.cmp(&b.summary.name));
    wrappers
}
