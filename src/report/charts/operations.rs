//! How much is asked, over time.

use crate::analysis::figures::Figures;
use crate::analysis::health::Status;
use crate::analysis::snapshot::Range;
use crate::report::charts::axis::{Axis, Unit};
use crate::report::charts::number::rounded;
use crate::report::charts::{Across, Chart, Mark, Paint, Series, Shape, Span, painted, tallest};

/// Operations a minute of each wrapper over one range, the same for all.
pub fn by_wrapper(wrappers: &[(&str, &Range)]) -> Chart {
    let series =
        wrappers.iter().map(|(name, range)| a_minute(name, range, |figures| figures.total_operations));
    let series = painted(series.collect());
    let nothing = Span { from_ms: 0, to_ms: 1, first_ms: 0, step_ms: 1, cells: 0 };
    Chart {
        name: "operations",
        title: "Operations a minute of each wrapper".to_owned(),
        across: Across::Time(wrappers.first().map_or(nothing, |(_, range)| Span::of(range))),
        left: Axis::up_to(tallest(&series), Unit::PerMinute, "Operations a minute"),
        right: None,
        series,
        marks: Vec::new(),
    }
}

/// Operations a minute of one wrapper, by how they ended.
pub fn by_outcome(range: &Range, marks: Vec<Mark>) -> Chart {
    let of = |name, status, count: fn(&Figures) -> u64| Series {
        paint: Paint::Statuses(vec![status]),
        ..a_minute(name, range, count)
    };
    let series = vec![
        of("Success", Status::Healthy, |figures| figures.success_count),
        of("Fallback", Status::Degraded, |figures| figures.fallback_count),
        of("Error", Status::Critical, |figures| figures.error_count),
    ];
    Chart {
        name: "operations",
        title: "Operations a minute by how they ended".to_owned(),
        across: Across::Time(Span::of(range)),
        left: Axis::up_to(tallest(&series), Unit::PerMinute, "Operations a minute"),
        right: None,
        series,
        marks,
    }
}

/// Counts of a range's cells, by the minutes of each cell that lie in the range.
fn a_minute(name: &str, range: &Range, count: impl Fn(&Figures) -> u64) -> Series {
    let line = Series::line(name, range, |figures| Some(count(figures) as f64));
    let span = Span::of(range);
    let rate = |(cell, count): (usize, Option<f64>)| Some(rounded(count? / span.minutes(cell).max(1.0)));
    let values = line.values.into_iter().enumerate().map(rate).collect();
    Series { shape: Shape::Bar, values, ..line }
}
