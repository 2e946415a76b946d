//! A wrapper's own page: how it does, and why.
//!
//! Nothing here may depend on when the snapshot was made: the page is to change only when its data does.

use anyhow::Result;
use serde::Serialize;
use tera::Context;

use crate::analysis::activity::FEED_HOURS;
use crate::analysis::breakdown::parts;
use crate::analysis::snapshot::{Detail, Snapshot};
use crate::analysis::trend::{cells, scores, stretches, wrapper_before};
use crate::report::charts::table::OfWrapper;
use crate::report::format;
use crate::report::pages::change::{Change, Good, points, relative};
use crate::report::pages::chart::choices;
use crate::report::pages::timeline::TimelineView;
use crate::report::pages::{InFlightRow, SampleRow, View, add_charts};
use crate::report::spark::{Spark, from_zero, share, spark};

/// Entries of the wrapper's own feed.
const ACTIVITY: usize = 30;

/// Values of a card's sparkline over the day, and its pixels.
const SPARK_POINTS: usize = 48;
const SPARK_HEIGHT: u32 = 40;

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

/// What the cards say besides the wrapper's own figures.
#[derive(Debug, Serialize)]
struct Cards {
    score: Option<Change>,
    operations: Option<Change>,
    success: Option<Change>,
    p95: Option<Change>,
    score_spark: Option<Spark>,
    operations_spark: Option<Spark>,
    success_spark: Option<Spark>,
    p95_spark: Option<Spark>,
}

/// The page of the wrapper at that place in the snapshot.
pub fn view(snapshot: &Snapshot, at: usize, detail: &Detail, currency: &str) -> Result<View> {
    let wrapper = &snapshot.wrappers[at];
    let (choices, chosen) = choices(std::iter::once(detail.ranges.as_slice()));
    let neighbour = |at: Option<usize>| {
        let summary = at.and_then(|at| snapshot.wrappers.get(at)).map(|wrapper| &wrapper.summary);
        summary.map(|summary| Neighbour { name: &summary.name, slug: &summary.slug })
    };
    let mut context = Context::new();
    context.insert("wrapper", &wrapper.summary);
    context.insert("cards", &cards(snapshot, at));
    context.insert("previous", &neighbour(at.checked_sub(1)));
    context.insert("next", &neighbour(Some(at + 1)));
    context.insert("window", &format::stretch(snapshot.facts.settings.health.window_minutes));
    context.insert("breakdown_since", &format::time(detail.breakdown_from_ms));
    context.insert("choices", &choices);
    context.insert("chosen", chosen);
    context.insert("timeline", &TimelineView::of(&detail.cells.ranges, chosen));
    let of = OfWrapper { wrapper, detail, currency };
    let pieces = add_charts(&mut context, &OfWrapper::CHARTS, &of, chosen)?;
    context.insert("breakdown", &detail.breakdown);
    context.insert("errors", &error_rows(detail));
    context.insert("series", &detail.by_series);
    let credit = snapshot.facts.settings.health.fallback_credit;
    context.insert("by_model", &parts(&detail.by_series, credit, |row| &row.model));
    context.insert("by_type", &parts(&detail.by_series, credit, |row| &row.operation_type));
    context.insert("slowest", &detail.slowest.iter().map(SampleRow::of).collect::<Vec<_>>());
    context.insert("in_flight", &detail.in_flight.iter().map(InFlightRow::of).collect::<Vec<_>>());
    context.insert("feed_hours", &FEED_HOURS);
    context.insert("activity", &wrapper.activity[..wrapper.activity.len().min(ACTIVITY)]);
    context.insert("most_activity", &ACTIVITY);
    context.insert("more_activity", &(wrapper.activity.len() > ACTIVITY));
    Ok(View { context, pieces })
}

fn cards(snapshot: &Snapshot, at: usize) -> Cards {
    let (facts, report) = (snapshot.facts, &snapshot.wrappers[at]);
    let (now, before) = (&report.summary, wrapper_before(facts, &facts.wrappers[at]));
    let day = stretches([&report.day].into_iter(), SPARK_POINTS);
    let operations: Vec<_> = day.iter().map(|sum| Some(sum.total() as f64)).collect();
    let success: Vec<_> =
        day.iter().map(|sum| sum.success_rate(facts.settings.health.fallback_credit)).collect();
    let p95 = cells(&report.day, |figures| figures.p95);
    let score = scores(facts, &facts.wrappers[at], FEED_HOURS);
    let total = |operations: u64| Some(operations as f64);
    Cards {
        score: points(now.health.score, before.score, Good::Up),
        operations: relative(
            total(now.figures.total_operations),
            total(before.figures.total_operations),
            Good::Neither,
        ),
        success: points(now.figures.success_rate, before.figures.success_rate, Good::Up),
        p95: relative(now.figures.p95, before.figures.p95, Good::Down),
        score_spark: spark(&score, share(&score), SPARK_HEIGHT),
        operations_spark: spark(&operations, from_zero(&operations), SPARK_HEIGHT),
        success_spark: spark(&success, share(&success), SPARK_HEIGHT),
        p95_spark: spark(&p95, from_zero(&p95), SPARK_HEIGHT),
    }
}

fn error_rows(detail: &Detail) -> Vec<ErrorRow<'_>> {
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
