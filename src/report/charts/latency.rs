//! How long operations take: percentiles over time, and the distribution behind them.

use crate::analysis::snapshot::Range;
use crate::model::sketch::{RELATIVE_ERROR, Sketch, ZERO_BIN, value_of};
use crate::report::charts::axis::{Axis, Tick, Unit};
use crate::report::charts::{Across, Chart, Mark, Paint, Series, Shape, Span, largest, painted};
use crate::report::format;

/// A distribution has at most this many bars.
const BARS: i32 = 28;
/// Bars between two labels.
const LABEL_EVERY: usize = 5;

/// p50, p95 and p99 over time.
pub fn percentiles(range: &Range, marks: Vec<Mark>) -> Chart {
    let p50 = Series::line("p50", range, |figures| figures.p50);
    let p95 = Series::line("p95", range, |figures| figures.p95);
    let p99 = Series::line("p99", range, |figures| figures.p99);
    // Where few operations make both the same, p95 shows between the dots.
    let series = painted(vec![p50, p95, Series { shape: Shape::Dotted, ..p99 }]);
    Chart {
        name: "percentiles",
        title: "Response time percentiles over time".to_owned(),
        across: Across::Time(Span::of(range)),
        left: Axis::up_to(largest(&series), Unit::Milliseconds, "Response time"),
        right: None,
        series,
        marks,
    }
}

/// One bar of a distribution: the operations that took longer than `from_ms` and up to `to_ms`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bin {
    pub from_ms: f64,
    pub to_ms: f64,
    pub count: u64,
}

/// A sketch in at most `BARS` bins of equal ratio, empty ones between others included, and one for zero.
pub fn bins(sketch: &Sketch) -> Vec<Bin> {
    let counts = sketch.bins();
    let zeros = counts.iter().find(|bin| bin.0 == ZERO_BIN).map(|bin| u64::from(bin.1));
    let positive = &counts[usize::from(zeros.is_some())..];
    let mut bins = Vec::new();
    if let Some(count) = zeros {
        bins.push(Bin { from_ms: 0.0, to_ms: 0.0, count });
    }
    let (Some(first), Some(last)) = (positive.first(), positive.last()) else { return bins };
    let (first, last) = (i32::from(first.0), i32::from(last.0));
    // Bins lie on a grid of their own, so that they stay put when a value beyond them comes in. Lying askew
    // can take one bin more.
    let width = ((last - first) / (BARS - 1) + 1).max(1);
    for group in first.div_euclid(width)..=last.div_euclid(width) {
        let (low, high) = (group * width, group * width + width - 1);
        let from = positive.partition_point(|bin| i32::from(bin.0) < low);
        let to = positive.partition_point(|bin| i32::from(bin.0) <= high);
        bins.push(Bin {
            from_ms: value_of(low as i16) / (1.0 + RELATIVE_ERROR),
            to_ms: value_of(high as i16) / (1.0 - RELATIVE_ERROR),
            count: positive[from..to].iter().map(|bin| u64::from(bin.1)).sum(),
        });
    }
    bins
}

/// How many operations took how long; each bar is wider than the one before by the same ratio.
pub fn distribution(sketch: &Sketch) -> Chart {
    let bins = bins(sketch);
    let total = sketch.count().max(1);
    let bars = Series {
        name: "Operations".to_owned(),
        shape: Shape::Bar,
        paint: Paint::Series(0),
        right: false,
        values: bins.iter().map(|bin| Some(bin.count as f64)).collect(),
        texts: bins.iter().map(|bin| hover(bin, total)).collect(),
    };
    // Labels stand between bars, where a bin begins.
    let labelled = (0..bins.len()).step_by(LABEL_EVERY);
    let ticks = labelled.map(|at| Tick { at: at as f64, label: format::duration(bins[at].from_ms) });
    Chart {
        name: "distribution",
        title: "How many operations took how long".to_owned(),
        across: Across::Bins { count: bins.len(), ticks: ticks.collect() },
        left: Axis::up_to(largest([&bars]), Unit::Count, "Operations"),
        right: None,
        series: vec![bars],
        marks: Vec::new(),
    }
}

fn hover(bin: &Bin, total: u64) -> String {
    let share = format::percent(bin.count as f64 / total as f64);
    let count = format::count(bin.count);
    let operations = if bin.count == 1 { "operation" } else { "operations" };
    let span = if bin.to_ms == 0.0 {
        "0 ms".to_owned()
    } else {
        format!("{} to {}", format::duration(bin.from_ms), format::duration(bin.to_ms))
    };
    format!("{span}<br>{count} {operations}, {share}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::sketch::bin_of;
    use proptest::prelude::*;

    #[test]
    fn nothing_has_no_bars() {
        assert!(bins(&Sketch::default()).is_empty());
        assert!(distribution(&Sketch::default()).is_empty());
    }

    proptest! {
        #[test]
        fn bins_hold_every_operation_once_and_touch(
            values in prop::collection::vec(prop_oneof![Just(0.0), 1e-6f64..1e12, 1.0f64..1000.0], 1..200),
        ) {
            let mut sketch = Sketch::default();
            for &value in &values {
                sketch.add(bin_of(value));
            }
            let bins = bins(&sketch);
            prop_assert!(bins.len() <= BARS as usize + 2, "{} bars", bins.len());
            prop_assert_eq!(bins.iter().map(|bin| bin.count).sum::<u64>(), values.len() as u64);
            for pair in bins.windows(2).filter(|pair| pair[0].to_ms > 0.0) {
                prop_assert!((pair[0].to_ms / pair[1].from_ms - 1.0).abs() < 1e-9);
            }
            for value in values {
                let holds = |bin: &Bin| value <= bin.to_ms * 1.000001 && value >= bin.from_ms * 0.999999;
                prop_assert!(bins.iter().any(holds), "{value}");
            }
        }
    }
}
