//! What each page shows, picked from the snapshot in the shape that its template reads.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Serialize;
use tera::Context;

use crate::analysis::snapshot::Snapshot;
use crate::model::notes::Sample;
use crate::model::parallel;
use crate::model::rollup::InFlight;
use crate::report::charts::table::Row;
use crate::report::pages::chart::ChartView;
use crate::report::pieces::Pieces;

pub mod activity;
pub mod chart;
pub mod change;
pub mod overview;
pub mod quality;
pub mod timeline;
pub mod wrapper;

/// What a page's template is told.
#[derive(Debug, Default)]
pub struct View {
    pub context: Context,
    /// What is put in place of the marks that the context holds.
    pub pieces: Pieces,
}

impl From<Context> for View {
    fn from(context: Context) -> View {
        View { context, pieces: Pieces::default() }
    }
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

/// Tells the context of charts, by name; their long parts are returned.
fn add_charts<S: Sync>(context: &mut Context, rows: &[Row<S>], of: &S, chosen: &str) -> Result<Pieces> {
    let view = |row: &Row<S>| {
        let draw = |at| (row.draw)(of, at);
        let view = if row.ranged { ChartView::ranged(chosen, draw) } else { ChartView::single(draw(0)) };
        Ok((row.name, view?))
    };
    // Charts are most of a page, and pages are few: without, the last page would be waited for.
    let views = parallel::map(rows, view);
    let mut views: BTreeMap<&str, ChartView> = views.into_iter().collect::<Result<_>>()?;
    let mut pieces = Pieces::default();
    views.values_mut().for_each(|view| pieces.extend(std::mem::take(&mut view.pieces)));
    context.insert("charts", &views);
    Ok(pieces)
}
