//! How long operations take: percentiles over time, and the distribution behind them.

use plotly::common::{DashType, Line, Marker};
use plotly::layout::Axis;
use plotly::{Bar, Layout};

use crate::analysis::snapshot::Range;
use crate::model::sketch::{RELATIVE_ERROR, Sketch, ZERO_BIN, value_of};
use crate::report::charts::{
    COLOURS, Figure, HOVER_TEXT, axis_title, line, margin, milliseconds_axis, time_layout,
};
use crate::report::format;

/// A distribution has at most this many bars.
const BARS: i32 = 28;
/// Bars between two labels.
const LABEL_EVERY: usize = 4;

/// p50, p95 and p99 over time.
pub fn percentiles(range: &Range) -> Figure {
    let hover = "%{y:,.1f} ms";
    let p50 = line(range, "p50", |figures| figures.p50).hover_template(hover);
    let p95 = line(range, "p95", |figures| figures.p95).hover_template(hover);
    // Where few operations make both the same, p95 shows between the dots.
    let dots = Line::new().width(1.75).dash(DashType::Dot);
    let p99 = line(range, "p99", |figures| figures.p99).hover_template(hover).line(dots);
    let layout = time_layout().y_axis(milliseconds_axis("Response time"));
    Figure::new(vec![p50, p95, p99], layout)
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
pub fn distribution(sketch: &Sketch) -> Figure {
    let bins = bins(sketch);
    let total = sketch.count().max(1);
    let hover = bins.iter().map(|bin| hover(bin, total)).collect();
    let bar = Bar::new((0..bins.len()).collect(), bins.iter().map(|bin| bin.count).collect())
        .marker(Marker::new().color(COLOURS[0]))
        .hover_text_array(hover)
        .hover_info(HOVER_TEXT)
        .name("Operations");
    // Labels stand between bars, where a bin begins.
    let labelled = || (0..bins.len()).step_by(LABEL_EVERY);
    let layout = Layout::new()
        .auto_size(true)
        .bar_gap(0.06)
        .show_legend(false)
        .margin(margin())
        .x_axis(
            Axis::new()
                .title(axis_title("Response time"))
                .tick_values(labelled().map(|at| at as f64 - 0.5).collect())
                .tick_text(labelled().map(|at| format::duration(bins[at].from_ms)).collect())
                .show_grid(false)
                .zero_line(false),
        )
        .y_axis(Axis::new().title(axis_title("Operations")).zero_line(false));
    Figure::new(vec![bar], layout)
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
