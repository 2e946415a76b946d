//! A wrapper's own page: how it does, and why.
//!
//! Nothing here may depend on when the snapshot was made: the page is to change only when its data does.

use anyhow::Result;
use serde::Serialize;
use tera::Context;

use crate::analysis::activity::FEED_HOURS;
use crate::analysis::snapshot::{BREAKDOWN_HOURS, Detail, Snapshot};
use crate::report::charts::{latency, performance};
use crate::report::format;
use crate::report::pages::{Chart, InFlightRow, SampleRow, choices};

/// Shown on a wrapper's page, or used to lead to its neighbour's.
#[derive(Debug, Serialize)]
struct Neighbour<'a> {
    name: &'a str,
    slug: &'a str,
}

#[derive(Debug, Serialize)]
struct ErrorRow<'a> {
    kind: &'a str,
    count: u64,
    /// Of all failures of the breakdown, 0..=1.
    share: f64,
    samples: Vec<SampleRow<'a>>,
}

/// The page of the wrapper at that place in the snapshot.
pub fn view(snapshot: &Snapshot, at: usize, detail: &Detail) -> Result<Context> {
    let wrapper = &snapshot.wrappers[at];
    let (choices, chosen) = choices(std::iter::once(detail.ranges.as_slice()));
    let neighbour = |at: Option<usize>| {
        let summary = at.and_then(|at| snapshot.wrappers.get(at)).map(|wrapper| &wrapper.summary);
        summary.map(|summary| Neighbour { name: &summary.name, slug: &summary.slug })
    };
    let mut context = Context::new();
    context.insert("wrapper", &wrapper.summary);
    context.insert("previous", &neighbour(at.checked_sub(1)));
    context.insert("next", &neighbour(Some(at + 1)));
    context.insert("window", &format::stretch(snapshot.facts.settings.health.window_minutes));
    context.insert("breakdown_window", &format::stretch(BREAKDOWN_HOURS * 60));
    context.insert("choices", &choices);
    context.insert("chosen", chosen);
    context.insert("performance", &Chart::ranged(|at| performance::dual(&detail.ranges[at])));
    context.insert("percentiles", &Chart::ranged(|at| latency::percentiles(&detail.ranges[at])));
    context.insert("distribution", &Chart::single(latency::distribution(&detail.latency.latency)));
    context.insert("breakdown", &detail.breakdown);
    context.insert("errors", &errors(detail));
    context.insert("series", &detail.by_series);
    context.insert("slowest", &detail.slowest.iter().map(SampleRow::of).collect::<Vec<_>>());
    context.insert("in_flight", &detail.in_flight.iter().map(InFlightRow::of).collect::<Vec<_>>());
    context.insert("feed_hours", &FEED_HOURS);
    context.insert("activity", &wrapper.activity);
    Ok(context)
}

fn errors(detail: &Detail) -> Vec<ErrorRow<'_>> {
    let total: u64 = detail.errors.iter().map(|error| error.count).sum();
    let mut rows = Vec::with_capacity(detail.errors.len());
    for error in &detail.errors {
        rows.push(ErrorRow {
            kind: &error.kind,
            count: error.count,
            share: error.count as f64 / total.max(1) as f64,
            samples: error.samples.iter().map(SampleRow::of).collect(),
        });
    }
    rows
}
