//! A wrapper's own page: how it does, and why.
//!
//! Nothing here may depend on when the snapshot was made: the page is to change only when its data does.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Serialize;
use tera::Context;

use crate::analysis::activity::FEED_HOURS;
use crate::analysis::health::Status;
use crate::analysis::snapshot::{Detail, Snapshot};
use crate::model::time::HOUR_MS;
use crate::report::charts::{latency, performance};
use crate::report::format;
use crate::report::pages::chart::{ChartView, choices};
use crate::report::pages::{InFlightRow, SampleRow};

/// Entries of the wrapper's own feed.
const ACTIVITY: usize = 30;

/// The wrapper before or after this one, by name.
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

/// How one hour went.
#[derive(Debug, Serialize)]
struct HourRow {
    start_ms: i64,
    status: Status,
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
    context.insert("breakdown_since", &format::time(detail.breakdown_from_ms));
    context.insert("choices", &choices);
    context.insert("chosen", chosen);
    context.insert("hours", &hours(&detail.statuses));
    context.insert(
        "performance",
        &ChartView::ranged(chosen, |at| performance::dual(&detail.ranges[at], Vec::new()))?,
    );
    context.insert(
        "percentiles",
        &ChartView::ranged(chosen, |at| latency::percentiles(&detail.ranges[at], Vec::new()))?,
    );
    context.insert("distribution", &ChartView::single(&latency::distribution(&detail.latency.latency))?);
    context.insert("breakdown", &detail.breakdown);
    context.insert("errors", &errors(detail));
    context.insert("series", &detail.by_series);
    context.insert("slowest", &detail.slowest.iter().map(SampleRow::of).collect::<Vec<_>>());
    context.insert("in_flight", &detail.in_flight.iter().map(InFlightRow::of).collect::<Vec<_>>());
    context.insert("feed_hours", &FEED_HOURS);
    context.insert("activity", &wrapper.activity[..wrapper.activity.len().min(ACTIVITY)]);
    context.insert("most_activity", &ACTIVITY);
    context.insert("more_activity", &(wrapper.activity.len() > ACTIVITY));
    Ok(context)
}

/// The worst status of each of the last hours that the statuses cover in full; an hour without data has none.
fn hours(statuses: &[(i64, Status)]) -> Vec<HourRow> {
    let mut worst = BTreeMap::new();
    for &(at_ms, status) in statuses {
        // A status is of what led up to it.
        let hour = (at_ms - 1).div_euclid(HOUR_MS);
        let entry = worst.entry(hour).or_insert(status);
        *entry = status.min(*entry);
    }
    let rows = worst.into_iter().skip(1).map(|(hour, status)| HourRow { start_ms: hour * HOUR_MS, status });
    rows.collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_as_bad_as_its_worst_moment_and_silence_is_no_moment() {
        let statuses = [
            (HOUR_MS, Status::Critical),
            (HOUR_MS + 1, Status::NoData),
            (2 * HOUR_MS, Status::Degraded),
            (3 * HOUR_MS - 1, Status::Healthy),
            (3 * HOUR_MS, Status::Unhealthy),
            (3 * HOUR_MS + 1, Status::NoData),
        ];
        let hours: Vec<_> = hours(&statuses).iter().map(|row| (row.start_ms, row.status)).collect();
        let expected =
            [(HOUR_MS, Status::Degraded), (2 * HOUR_MS, Status::Unhealthy), (3 * HOUR_MS, Status::NoData)];
        assert_eq!(hours, expected);
    }
}
