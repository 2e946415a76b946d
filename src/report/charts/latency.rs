//! How long operations take: percentiles over time, and the distribution behind them.

use crate::analysis::cells::Latencies;
use crate::analysis::snapshot::Range;
use crate::model::sketch::{RELATIVE_ERROR, Sketch, ZERO_BIN, value_of};
use crate::report::charts::axis::{Axis, Tick, Unit};
use crate::report::charts::{Across, Chart, HEAT, Mark, Paint, Series, Shape, Span, largest, painted};
use crate::report::format;

/// A distribution has at most this many bars.
const BARS: i32 = 28;
/// Bars between two labels.
const LABEL_EVERY: usize = 5;
/// A heat map has at most about this many rows, and a label so many rows.
const ROWS: i32 = 14;
const ROWS_A_LABEL: usize = 3;

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

/// Bins of equal ratio, those without a value between others included, and before them one for zero if there
/// is any. They lie on a grid of their own, so that they stay put when a value beyond them comes in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grid {
    zeros: bool,
    first: i32,
    /// Behind the last; the first where there is none but zeros.
    end: i32,
    /// Bins of the sketch in one of these.
    width: i32,
}

impl Grid {
    /// Holds all values of a sketch in about `most` bins: lying askew, it can take two more.
    pub fn of(sketch: &Sketch, most: i32) -> Grid {
        let bins = || sketch.bins().map(|(bin, _)| i32::from(bin));
        let zeros = bins().next() == Some(ZERO_BIN.into());
        let mut positive = bins().skip(usize::from(zeros));
        let Some(first) = positive.next() else {
            return Grid { zeros, first: 0, end: 0, width: 1 };
        };
        let last = positive.last().unwrap_or(first);
        let width = ((last - first) / (most - 1) + 1).max(1);
        Grid { zeros, first: first.div_euclid(width), end: last.div_euclid(width) + 1, width }
    }

    pub fn len(&self) -> usize {
        usize::from(self.zeros) + (self.end - self.first) as usize
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Milliseconds: the bin at that place holds what took longer than the first and up to the second.
    pub fn edges(&self, at: usize) -> (f64, f64) {
        let Some(at) = at.checked_sub(usize::from(self.zeros)) else { return (0.0, 0.0) };
        let low = (self.first + at as i32) * self.width;
        let high = low + self.width - 1;
        (value_of(low as i16) / (1.0 + RELATIVE_ERROR), value_of(high as i16) / (1.0 - RELATIVE_ERROR))
    }

    /// How many values of a sketch lie in each bin.
    pub fn counts(&self, sketch: &Sketch) -> Vec<u64> {
        let mut counts = vec![0; self.len()];
        // Bins rise, so where the next begins is all there is to know of them.
        let (mut at, mut next) = (0, (self.first + 1) * self.width);
        for (bin, count) in sketch.bins() {
            let place = if bin == ZERO_BIN {
                0
            } else {
                while i32::from(bin) >= next {
                    (at, next) = (at + 1, next + self.width);
                }
                at + usize::from(self.zeros)
            };
            if let Some(sum) = counts.get_mut(place) {
                *sum += u64::from(count);
            }
        }
        counts
    }
}

/// How many operations took how long; each bar is wider than the one before by the same ratio.
pub fn distribution(latencies: &Latencies) -> Chart {
    let sketch = &latencies.total;
    let grid = Grid::of(sketch, BARS);
    let (counts, total) = (grid.counts(sketch), sketch.count().max(1));
    let bars = Series {
        name: "Operations".to_owned(),
        shape: Shape::Bar,
        paint: Paint::Series(0),
        right: false,
        values: counts.iter().map(|count| Some(*count as f64)).collect(),
        texts: counts.iter().enumerate().map(|(at, count)| told(grid.edges(at), *count, total)).collect(),
    };
    // Labels stand between bars, where a bin begins.
    let labelled = (0..grid.len()).step_by(LABEL_EVERY);
    let ticks = labelled.map(|at| Tick { at: at as f64, label: format::duration(grid.edges(at).0) });
    Chart {
        name: "distribution",
        title: "How many operations took how long".to_owned(),
        across: Across::Bins { count: grid.len(), ticks: ticks.collect() },
        left: Axis::up_to(largest([&bars]), Unit::Count, "Operations"),
        right: None,
        series: vec![bars],
        marks: Vec::new(),
    }
}

/// How the distribution changes: a column a cell of time, a row a bin, the darker the more operations.
pub fn heat(Latencies { cells, total }: &Latencies) -> Chart {
    let span = Span::over(cells.window, cells.step_minutes);
    let grid = Grid::of(total, ROWS);
    let columns: Vec<_> = cells.points.iter().map(|(at, sketch)| (*at, grid.counts(sketch))).collect();
    let most = columns.iter().flat_map(|(_, counts)| counts).copied().max().unwrap_or(0);
    let row = |at: usize| {
        let values = span.spread(columns.iter().map(|(at, counts)| (*at, counts)), |counts| {
            Some(counts[at] as f64).filter(|count| *count > 0.0)
        });
        let levels = values.iter().map(|value| level(value.unwrap_or(0.0), most)).collect();
        let (from, to) = grid.edges(at);
        Series {
            name: stretch(from, to),
            shape: Shape::Heat,
            paint: Paint::Heat(levels),
            right: false,
            values,
            texts: Vec::new(),
        }
    };
    let rows = grid.len();
    let ticks = (0..=rows).step_by(ROWS_A_LABEL).map(|at| Tick {
        at: at as f64,
        label: format::duration(if at < rows {
            grid.edges(at).0
        } else {
            grid.edges(rows.saturating_sub(1)).1
        }),
    });
    let left = Axis {
        title: "Response time".to_owned(),
        unit: Unit::Count,
        top: rows.max(1) as f64,
        ticks: if rows == 0 { Vec::new() } else { ticks.collect() },
    };
    Chart {
        name: "heat",
        title: "How long operations took, over time".to_owned(),
        across: Across::Time(span),
        left,
        right: None,
        series: (0..rows).map(row).collect(),
        marks: Vec::new(),
    }
}

/// The colour of a count: by its root, so that few show beside many.
fn level(count: f64, most: u64) -> u8 {
    let levels = (HEAT.len() - 1) as f64;
    (levels * (count / most.max(1) as f64).sqrt()).ceil() as u8
}

fn stretch(from_ms: f64, to_ms: f64) -> String {
    if to_ms == 0.0 {
        return "0 ms".to_owned();
    }
    format!("{} to {}", format::duration(from_ms), format::duration(to_ms))
}

fn told((from_ms, to_ms): (f64, f64), count: u64, total: u64) -> String {
    let share = format::percent(count as f64 / total as f64);
    let operations = if count == 1 { "operation" } else { "operations" };
    format!("{}<br>{} {operations}, {share}", stretch(from_ms, to_ms), format::count(count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::cells::Cells;
    use crate::analysis::window::Window;
    use crate::model::sketch::bin_of;
    use proptest::prelude::*;

    fn sketch_of(values: &[f64]) -> Sketch {
        let mut sketch = Sketch::default();
        values.iter().for_each(|&value| sketch.add(bin_of(value)));
        sketch
    }

    fn latencies(values: &[f64]) -> Latencies {
        let total = sketch_of(values);
        let points = if values.is_empty() { vec![] } else { vec![(0, total.clone())] };
        Latencies { cells: Cells { window: Window { from: 0, to: 60 }, step_minutes: 2, points }, total }
    }

    #[test]
    fn nothing_has_no_bars() {
        assert!(distribution(&latencies(&[])).is_empty());
        assert!(heat(&latencies(&[])).is_empty());
        assert_eq!(Grid::of(&Sketch::default(), BARS).len(), 0);
    }

    #[test]
    fn few_show_beside_many() {
        assert_eq!((level(0.0, 1_000_000), level(1.0, 1_000_000)), (0, 1));
        assert_eq!((level(250.0, 1000), level(1000.0, 1000)), (3, 6));
    }

    proptest! {
        #[test]
        fn bins_hold_every_operation_once_and_touch(
            values in prop::collection::vec(prop_oneof![Just(0.0), 1e-6f64..1e12, 1.0f64..1000.0], 1..200),
        ) {
            let sketch = sketch_of(&values);
            let grid = Grid::of(&sketch, BARS);
            prop_assert!(grid.len() <= BARS as usize + 2, "{} bars", grid.len());
            prop_assert_eq!(grid.counts(&sketch).iter().sum::<u64>(), values.len() as u64);
            for at in 1..grid.len() {
                let (before, this) = (grid.edges(at - 1), grid.edges(at));
                prop_assert!(before.1 == 0.0 || (before.1 / this.0 - 1.0).abs() < 1e-9);
            }
            for &value in &values {
                let holds = |at: usize| {
                    let (from, to) = grid.edges(at);
                    value <= to * 1.000001 && value >= from * 0.999999
                };
                prop_assert!((0..grid.len()).any(holds), "{value}");
            }
            let drawn: f64 = heat(&latencies(&values)).series.iter().flat_map(|row| row.values.iter().flatten()).sum();
            prop_assert_eq!(drawn, values.len() as f64);
        }
    }
}
