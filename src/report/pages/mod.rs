//! What each page shows, picked from the snapshot in the shape that its template reads.

use std::collections::BTreeMap;

use serde::Serialize;
use tera::Context;

use crate::analysis::snapshot::{RANGES, Range, Snapshot};
use crate::model::notes::Sample;
use crate::model::rollup::InFlight;
use crate::report::charts::Figure;

pub mod activity;
pub mod change;
pub mod overview;
pub mod quality;
pub mod wrapper;

/// A chart and what the page says about it.
#[derive(Debug, Serialize)]
struct Chart {
    /// Range label → figure; one figure under an empty label where there are no ranges to choose from.
    figures: BTreeMap<&'static str, Figure>,
    /// Whether any of the figures has anything to draw.
    empty: bool,
}

impl Chart {
    fn single(figure: Figure) -> Chart {
        Chart::of([("", figure)].into())
    }

    fn ranged(draw: impl Fn(usize) -> Figure) -> Chart {
        Chart::of(RANGES.iter().enumerate().map(|(at, range)| (range.0, draw(at))).collect())
    }

    fn of(figures: BTreeMap<&'static str, Figure>) -> Chart {
        let empty = figures.values().all(Figure::is_empty);
        Chart { figures, empty }
    }
}

/// A range as its button shows it.
#[derive(Debug, Serialize)]
struct Choice {
    label: &'static str,
    hours: u32,
}

/// The buttons, and the one that is chosen until the reader chooses: a day, unless only a week has data.
fn choices<'a>(ranges: impl Iterator<Item = &'a [Range]>) -> (Vec<Choice>, &'static str) {
    let has_day = ranges.flatten().any(|range| range.hours == 24 && !range.points.is_empty());
    let choices = RANGES.iter().map(|&(label, hours)| Choice { label, hours }).collect();
    (choices, if has_day { "24H" } else { "7D" })
}

/// A notable operation.
#[derive(Debug, Serialize)]
struct SampleRow<'a> {
    end_ms: i64,
    id: &'a str,
    operation_type: &'a str,
    model: &'a str,
    outcome: &'a str,
    message: &'a str,
    duration_ms: Option<f64>,
}

impl<'a> SampleRow<'a> {
    fn of(sample: &'a Sample) -> SampleRow<'a> {
        SampleRow {
            end_ms: sample.end_ms,
            id: &sample.id,
            operation_type: &sample.operation_type,
            model: &sample.model,
            outcome: &sample.outcome,
            message: &sample.message,
            duration_ms: sample.duration_ns.map(|ns| ns as f64 / 1e6),
        }
    }
}

/// An operation that has not ended.
#[derive(Debug, Serialize)]
struct InFlightRow<'a> {
    id: &'a str,
    operation_type: &'a str,
    model: &'a str,
    start_ms: i64,
}

impl<'a> InFlightRow<'a> {
    fn of(operation: &'a InFlight) -> InFlightRow<'a> {
        InFlightRow {
            id: &operation.id,
            operation_type: &operation.operation_type,
            model: &operation.model,
            start_ms: operation.start_ms,
        }
    }
}

/// When the snapshot was made, for the pages that change with each of them anyway.
fn built(snapshot: &Snapshot, context: &mut Context) {
    context.insert("generated_at", &snapshot.facts.moment_ms);
    context.insert("last_data", &snapshot.system.last_data_ms);
}
