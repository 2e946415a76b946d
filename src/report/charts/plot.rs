//! The inside of a chart as SVG paths: lines, bars, gaps and marks, without axes or text.
//!
//! Coordinates are rounded and commands relative, so that a page with many charts stays small. Colours are
//! classes: a page's style sheet or a picture's own style gives them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::report::charts::number::write_scaled;
use crate::report::charts::{Across, Chart, Shape, Span, status_paint};

/// Share of a cell that its bar takes, and of a row.
const BAR: f64 = 0.9;
const ROW: f64 = 0.65;

/// The size of the plot in units of its paths, and the decimals that these keep.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    pub width: f64,
    pub height: f64,
    pub decimals: u32,
}

impl Frame {
    /// For a drawing that is stretched to its place: a cell is ten units wide, so that steps are short to
    /// write.
    pub fn stretched(chart: &Chart) -> Frame {
        let width = match &chart.across {
            Across::Time(span) => 10.0 * (span.to_ms - span.from_ms) as f64 / span.step_ms as f64,
            Across::Bins { count, .. } => 10.0 * (*count).max(1) as f64,
            Across::Names(_) => 500.0,
        };
        let height = match &chart.across {
            Across::Names(names) => 20.0 * names.len().max(1) as f64,
            _ => 500.0,
        };
        Frame { width, height, decimals: 0 }
    }
}

/// The paths of a chart, in a frame whose origin is its upper left corner.
pub fn paths(chart: &Chart, frame: Frame) -> String {
    let mut out = String::new();
    grid(chart, frame, &mut out);
    match &chart.across {
        Across::Time(span) => {
            let cells = Cells::of_time(span, frame);
            gaps(chart, &cells, &mut out);
            bars(chart, &cells, &mut out);
            heat(chart, &cells, &mut out);
            lines(chart, &cells, &mut out);
            marks(chart, span, frame, &mut out);
        }
        Across::Bins { count, .. } => {
            let step = frame.width / (*count).max(1) as f64;
            bars(chart, &Cells { frame, first: 0.0, step }, &mut out);
        }
        Across::Names(names) => rows(chart, names.len(), frame, &mut out),
    }
    out
}

/// A line at each tick of the left axis, which lies across where names are below each other.
fn grid(chart: &Chart, frame: Frame, out: &mut String) {
    let mut path = Path::new(frame);
    for tick in &chart.left.ticks {
        let share = tick.at / chart.left.top;
        if matches!(chart.across, Across::Names(_)) {
            path.move_to(share * frame.width, 0.0);
            path.down(frame.height);
        } else {
            path.move_to(0.0, (1.0 - share) * frame.height);
            path.right(frame.width);
        }
    }
    path.write("grid", out);
}

/// Where cells lie across.
struct Cells {
    frame: Frame,
    first: f64,
    step: f64,
}

impl Cells {
    fn of_time(span: &Span, frame: Frame) -> Cells {
        let per_ms = frame.width / (span.to_ms - span.from_ms).max(1) as f64;
        let first = (span.first_ms - span.from_ms) as f64 * per_ms;
        Cells { frame, first, step: span.step_ms as f64 * per_ms }
    }

    fn left(&self, cell: usize) -> f64 {
        self.first + cell as f64 * self.step
    }

    /// Height of a value above the lower edge, as a place from the upper one.
    fn down(&self, value: f64, top: f64) -> f64 {
        // What is beyond the axis leaves the plot by a little, however far it is.
        self.frame.height * (1.0 - (value / top).clamp(-0.1, 1.1))
    }
}

fn gaps(chart: &Chart, cells: &Cells, out: &mut String) {
    let mut path = Path::new(cells.frame);
    for (first, count) in chart.gaps() {
        path.rectangle((cells.left(first), 0.0), (count as f64 * cells.step, cells.frame.height));
    }
    path.write("gap", out);
}

fn lines(chart: &Chart, cells: &Cells, out: &mut String) {
    for series in chart.series.iter().filter(|series| matches!(series.shape, Shape::Line | Shape::Dotted)) {
        let top = chart.axis(series).top;
        let (mut line, mut dots) = (Path::new(cells.frame), Path::new(cells.frame));
        let places: Vec<_> = series.values.iter().enumerate().collect();
        for run in places.chunk_by(|a, b| a.1.is_some() == b.1.is_some()) {
            let mut points = run.iter().filter_map(|(cell, value)| Some((*cell, (**value)?)));
            let Some((cell, value)) = points.next() else { continue };
            let path = if run.len() == 1 { &mut dots } else { &mut line };
            path.move_to(cells.left(cell), cells.down(value, top));
            if run.len() == 1 {
                path.d.push_str("h0");
            }
            points.for_each(|(cell, value)| line.line_to(cells.left(cell), cells.down(value, top)));
        }
        let dotted = if series.shape == Shape::Dotted { " dotted" } else { "" };
        let paint = series.paint.name(0);
        line.write(&format!("line{dotted} {paint}"), out);
        dots.write(&format!("dot {paint}"), out);
    }
}

fn bars(chart: &Chart, cells: &Cells, out: &mut String) {
    let bars = || chart.series.iter().filter(|series| series.shape == Shape::Bar);
    let mut below: Vec<f64> = vec![0.0; bars().map(|series| series.values.len()).max().unwrap_or(0)];
    for series in bars() {
        let top = chart.axis(series).top;
        let mut path = Path::new(cells.frame);
        for (cell, value) in series.values.iter().enumerate() {
            let Some(value) = value.filter(|value| *value > 0.0) else { continue };
            let from = below[cell];
            below[cell] += value;
            let (upper, lower) = (cells.down(below[cell], top), cells.down(from, top));
            path.rectangle((cells.left(cell), upper), (cells.step * BAR, lower - upper));
        }
        path.write(&format!("fill {}", series.paint.name(0)), out);
    }
}

fn heat(chart: &Chart, cells: &Cells, out: &mut String) {
    let mut paths: BTreeMap<&str, Path> = BTreeMap::new();
    let rows = chart.series.iter().filter(|series| series.shape == Shape::Heat).enumerate();
    for (row, series) in rows {
        let (upper, lower) =
            (cells.down(row as f64 + 1.0, chart.left.top), cells.down(row as f64, chart.left.top));
        for (cell, value) in series.values.iter().enumerate() {
            if value.is_some() {
                let path = paths.entry(series.paint.name(cell)).or_insert_with(|| Path::new(cells.frame));
                path.rectangle((cells.left(cell), upper), (cells.step, lower - upper));
            }
        }
    }
    paths.into_iter().for_each(|(paint, path)| path.write(&format!("fill {paint}"), out));
}

fn rows(chart: &Chart, count: usize, frame: Frame, out: &mut String) {
    let step = frame.height / count.max(1) as f64;
    let mut paths: BTreeMap<&str, Path> = BTreeMap::new();
    for series in &chart.series {
        for (row, value) in series.values.iter().enumerate() {
            let Some(value) = value else { continue };
            let path = paths.entry(series.paint.name(row)).or_insert_with(|| Path::new(frame));
            let upper = (row as f64 + (1.0 - ROW) / 2.0) * step;
            let share = (value / chart.left.top).clamp(0.0, 1.0);
            path.rectangle((0.0, upper), (share * frame.width, step * ROW));
        }
    }
    paths.into_iter().for_each(|(paint, path)| path.write(&format!("fill {paint}"), out));
}

fn marks(chart: &Chart, span: &Span, frame: Frame, out: &mut String) {
    let per_ms = frame.width / (span.to_ms - span.from_ms).max(1) as f64;
    let mut paths: BTreeMap<&str, Path> = BTreeMap::new();
    for mark in chart.marks.iter().filter(|mark| (span.from_ms..=span.to_ms).contains(&mark.at_ms)) {
        let path = paths.entry(status_paint(mark.status)).or_insert_with(|| Path::new(frame));
        path.move_to((mark.at_ms - span.from_ms) as f64 * per_ms, 0.0);
        path.down(frame.height);
    }
    paths.into_iter().for_each(|(paint, path)| path.write(&format!("mark {paint}"), out));
}

/// As `f64::round`, which is a call, and a page has tens of thousands: the same for all that is drawn, but not for the
/// largest number below a half, nor beyond 2^52.
fn rounded(value: f64) -> i64 {
    (value + 0.5_f64.copysign(value)) as i64
}

/// Path data in the making, in whole units of the frame's smallest decimal.
struct Path {
    d: String,
    decimals: u32,
    /// Units in one of the frame's.
    scale: f64,
    x: i64,
    y: i64,
    /// The command that more numbers would go on with.
    open: char,
}

impl Path {
    fn new(frame: Frame) -> Path {
        let scale = 10_f64.powi(frame.decimals as i32);
        Path { d: String::new(), decimals: frame.decimals, scale, x: 0, y: 0, open: ' ' }
    }

    fn round(&self, value: f64) -> i64 {
        rounded(value * self.scale)
    }

    fn move_to(&mut self, x: f64, y: f64) {
        self.to('m', x, y);
        // Numbers that follow a move are lines.
        self.open = 'l';
    }

    fn line_to(&mut self, x: f64, y: f64) {
        self.to('l', x, y);
    }

    fn to(&mut self, command: char, x: f64, y: f64) {
        let (x, y) = (self.round(x), self.round(y));
        let goes_on = command == self.open && command == 'l';
        if !goes_on {
            self.d.push(command);
        }
        self.number(x - self.x, goes_on);
        self.number(y - self.y, true);
        (self.x, self.y, self.open) = (x, y, command);
    }

    fn down(&mut self, height: f64) {
        let height = self.round(height);
        self.d.push('v');
        self.number(height, false);
        self.y += height;
        self.open = 'v';
    }

    fn right(&mut self, width: f64) {
        let width = self.round(width);
        self.d.push('h');
        self.number(width, false);
        self.x += width;
        self.open = 'h';
    }

    /// A rectangle; one that would vanish by rounding is a hair high.
    fn rectangle(&mut self, (x, y): (f64, f64), (width, height): (f64, f64)) {
        self.to('m', x, y);
        let (right, bottom) = (self.round(x + width), self.round(y + height));
        let (width, height) = ((right - self.x).max(1), (bottom - self.y).max(1));
        self.d.push('h');
        self.number(width, false);
        self.d.push('v');
        self.number(height, false);
        self.d.push('h');
        self.number(-width, false);
        self.d.push('z');
        self.open = 'z';
    }

    /// Appends a number, apart from one before it.
    fn number(&mut self, value: i64, apart: bool) {
        if apart && value >= 0 {
            self.d.push(' ');
        }
        write_scaled(value, self.decimals, &mut self.d);
    }

    /// Appends the element, if there is anything in it.
    fn write(&self, class: &str, out: &mut String) {
        if !self.d.is_empty() {
            write!(out, "<path class=\"{class}\" d=\"{}\"/>", self.d).expect("writing to memory");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn places_are_rounded_as_usual(value in prop_oneof![-1e9..1e9f64, (-1000i32..1000).prop_map(|half| f64::from(half) / 2.0)]) {
            prop_assert_eq!(rounded(value), value.round() as i64);
        }
    }
}
