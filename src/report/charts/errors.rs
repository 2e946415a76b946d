//! What goes wrong, over time.

use crate::analysis::cells::Cells;
use crate::report::charts::axis::{Axis, Unit};
use crate::report::charts::{Across, Chart, Mark, Span, stacked, tallest};

/// Failures by kind, one bar an hour or a day.
pub fn by_kind(kinds: &[String], cells: &Cells<Vec<u64>>, marks: Vec<Mark>) -> Chart {
    let span = Span::over(cells.window, cells.step_minutes);
    let series = stacked(kinds, |at| {
        span.spread(cells.points.iter().map(|(at, counts)| (*at, counts)), |counts| Some(counts[at] as f64))
    });
    Chart {
        name: "errors",
        title: "Errors by kind over time".to_owned(),
        across: Across::Time(span),
        left: Axis::up_to(tallest(&series), Unit::Count, "Errors"),
        right: None,
        series,
        marks,
    }
}
