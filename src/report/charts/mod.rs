//! Charts as values: what is drawn and what it means, said once.
//!
//! A [`Chart`] becomes a drawing in a page ([`inline`]), the values with which the page's script lets Plotly
//! take the drawing's place ([`data`]), and a Plotly figure for the API ([`figure`]). What has no data is `None`,
//! and drawn as a gap.
//!
//! To add a chart: a file with a function from figures of the analysis to a [`Chart`], and its place on a page.

use crate::analysis::activity::{Event, EventKind, FEED_HOURS};
use crate::analysis::figures::Figures;
use crate::analysis::health::Status;
use crate::analysis::snapshot::Range;
use crate::analysis::window::Window;
use crate::model::time::MINUTE_MS;

pub mod performance;
pub mod health;
pub mod latency;
pub mod operations;
pub mod models;
pub mod errors;
pub mod axis;
pub mod plot;
pub mod number;
pub mod figure;
pub mod data;
pub mod inline;

use crate::report::charts::axis::{Axis, Tick};
use crate::report::charts::number::rounded;

/// Colours of series in the order in which they are given out, as a figure for the API has them; readable on
/// light and on dark. `colours.css` has the same for pages.
pub const COLOURS: [&str; 12] = [
    "#3f7ad8", "#d9822b", "#8f63cc", "#2f9e77", "#c9507a", "#3a9fbf", "#a3882a", "#b05fb5", "#6f8f3a",
    "#d9614c", "#6a83a6", "#8a8177",
];

/// What [`COLOURS`] are called in drawings and style sheets.
const SERIES_NAMES: [&str; COLOURS.len()] = [
    "series-0",
    "series-1",
    "series-2",
    "series-3",
    "series-4",
    "series-5",
    "series-6",
    "series-7",
    "series-8",
    "series-9",
    "series-10",
    "series-11",
];

/// Colours of cells of a heat map, from nothing to the most.
pub const HEAT: [&str; 7] = ["#00000000", "#d6e3f8", "#adc7f0", "#83a9e6", "#5b8bdb", "#3668bd", "#1c4489"];

/// What [`HEAT`] are called.
const HEAT_NAMES: [&str; HEAT.len()] = ["heat-0", "heat-1", "heat-2", "heat-3", "heat-4", "heat-5", "heat-6"];

/// A run of at least this many empty cells is marked as a time without data.
const MARKED_GAP: usize = 3;

/// What is drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    /// `performance`: a word of `[a-z]`, part of ids and paths.
    pub name: &'static str,
    /// What it shows, in words.
    pub title: String,
    pub across: Across,
    pub left: Axis,
    pub right: Option<Axis>,
    pub series: Vec<Series>,
    pub marks: Vec<Mark>,
}

/// What the values of a series are one after the other.
#[derive(Clone, Debug, PartialEq)]
pub enum Across {
    /// Cells on the clock, left to right.
    Time(Span),
    /// Bars side by side, left to right; a tick lies between bars, in numbers of bars from the left.
    Bins { count: usize, ticks: Vec<Tick> },
    /// Bars below each other, top to bottom, along the left axis' scale.
    Names(Vec<String>),
}

/// A stretch of time and the cells in it: `cells` of them, the first of which may begin before the stretch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub from_ms: i64,
    pub to_ms: i64,
    pub first_ms: i64,
    pub step_ms: i64,
    pub cells: usize,
}

/// Values of one name.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    pub name: String,
    pub shape: Shape,
    pub paint: Paint,
    /// Whether it is measured on the right axis.
    pub right: bool,
    /// One a cell; `None` where there is no data.
    pub values: Vec<Option<f64>>,
    /// What a value is in words, one a cell; empty where the number with its unit says it.
    pub texts: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Line,
    Dotted,
    /// Bars; those of one cell stand on each other.
    Bar,
    /// A row of cells, the darker the more; rows stand on each other.
    Heat,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Paint {
    /// The colour at this place in [`COLOURS`].
    Series(usize),
    /// One a bar, or one for all.
    Statuses(Vec<Status>),
    /// One a cell, a place in [`HEAT`]; 0 where there is nothing.
    Heat(Vec<u8>),
}

/// Something that happened, on the time axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    pub at_ms: i64,
    pub status: Status,
}

/// Where a wrapper's status became worse. Over more than the feed's hours there are no marks, since they would
/// look as if nothing had happened before.
pub fn marks_of(range: &Range, activity: &[Event]) -> Vec<Mark> {
    if i64::from(range.hours) > FEED_HOURS {
        return Vec::new();
    }
    let from_ms = range.window.from * MINUTE_MS;
    let worse =
        activity.iter().filter(|event| event.kind == EventKind::StatusChange && event.at_ms >= from_ms);
    worse.filter_map(|event| Some(Mark { at_ms: event.at_ms, status: event.status? })).collect()
}

impl Chart {
    /// Whether there is any value to draw.
    pub fn is_empty(&self) -> bool {
        !self.series.iter().any(|series| series.values.iter().any(Option::is_some))
    }

    /// Runs of cells in which no series has a value, as (first, count), those that are long enough to tell.
    pub fn gaps(&self) -> Vec<(usize, usize)> {
        let Across::Time(span) = &self.across else { return Vec::new() };
        let empty: Vec<bool> = (0..span.cells)
            .map(|cell| self.series.iter().all(|series| series.values.get(cell).is_none_or(Option::is_none)))
            .collect();
        let mut runs = Vec::new();
        let mut first = 0;
        for run in empty.chunk_by(|a, b| a == b) {
            if run[0] && run.len() >= MARKED_GAP && run.len() < span.cells {
                runs.push((first, run.len()));
            }
            first += run.len();
        }
        runs
    }

    /// The axis of a series.
    pub fn axis(&self, series: &Series) -> &Axis {
        self.right.as_ref().filter(|_| series.right).unwrap_or(&self.left)
    }
}

impl Paint {
    /// The name of the colour of the bar at that place: a class in drawings, and a variable of `colours.css`.
    pub fn name(&self, at: usize) -> &'static str {
        match self {
            Paint::Series(colour) => SERIES_NAMES[colour % COLOURS.len()],
            Paint::Statuses(statuses) => status_paint(statuses.get(at).copied().unwrap_or(Status::NoData)),
            Paint::Heat(levels) => HEAT_NAMES[level(levels, at)],
        }
    }

    /// The colour itself, as `colours.css` has it for light pages.
    pub fn colour(&self, at: usize) -> &'static str {
        match self {
            Paint::Series(colour) => COLOURS[colour % COLOURS.len()],
            Paint::Statuses(statuses) => status_colour(statuses.get(at).copied().unwrap_or(Status::NoData)),
            Paint::Heat(levels) => HEAT[level(levels, at)],
        }
    }
}

/// The level of a heat map's cell, a place in [`HEAT`].
fn level(levels: &[u8], at: usize) -> usize {
    levels.get(at).map_or(0, |&level| usize::from(level) % HEAT.len())
}

/// The name of the colour of a status.
pub fn status_paint(status: Status) -> &'static str {
    match status {
        Status::Healthy => "bar-healthy",
        Status::Degraded => "bar-degraded",
        Status::Unhealthy => "bar-unhealthy",
        Status::Critical => "bar-critical",
        Status::NoData => "bar-no-data",
    }
}

/// The colour of a status where it fills an area, as `colours.css` has it for light pages.
pub fn status_colour(status: Status) -> &'static str {
    match status {
        Status::Healthy => "#25854b",
        Status::Degraded => "#d9a514",
        Status::Unhealthy => "#e2762b",
        Status::Critical => "#cf3f3f",
        Status::NoData => "#8a94a3",
    }
}

impl Span {
    /// The cells of a range: all of them, those without operations too.
    pub fn of(range: &Range) -> Span {
        Span::over(range.window, range.step_minutes)
    }

    /// The cells of so many minutes that a window lies in.
    pub fn over(window: Window, step_minutes: i64) -> Span {
        let (from_ms, to_ms) = (window.from * MINUTE_MS, window.to * MINUTE_MS);
        let step_ms = step_minutes * MINUTE_MS;
        let first_ms = from_ms.div_euclid(step_ms) * step_ms;
        let cells = usize::try_from((to_ms - first_ms + step_ms - 1) / step_ms).unwrap_or(0);
        Span { from_ms, to_ms, first_ms, step_ms, cells }
    }

    /// How much of a cell lies in the stretch, in minutes.
    pub fn minutes(&self, cell: usize) -> f64 {
        let start = self.first_ms + cell as i64 * self.step_ms;
        let end = (start + self.step_ms).min(self.to_ms);
        (end - start.max(self.from_ms)) as f64 / MINUTE_MS as f64
    }

    /// The place of a cell that begins at that time.
    pub fn place(&self, at_ms: i64) -> Option<usize> {
        usize::try_from((at_ms - self.first_ms).div_euclid(self.step_ms)).ok().filter(|&at| at < self.cells)
    }

    /// One value a cell, from those of the cells that have any.
    pub fn spread<T>(
        &self,
        points: impl IntoIterator<Item = (i64, T)>,
        value: impl Fn(&T) -> Option<f64>,
    ) -> Vec<Option<f64>> {
        let mut values = vec![None; self.cells];
        for (at_ms, point) in points {
            if let Some(place) = self.place(at_ms) {
                values[place] = value(&point).filter(|value| value.is_finite()).map(rounded);
            }
        }
        values
    }
}

impl Series {
    /// A line through the points of a range, broken where cells are missing.
    fn line(name: &str, range: &Range, value: impl Fn(&Figures) -> Option<f64>) -> Series {
        let points = range.points.iter().map(|(at_ms, figures)| (*at_ms, figures));
        Series {
            name: name.to_owned(),
            shape: Shape::Line,
            paint: Paint::Series(0),
            right: false,
            values: Span::of(range).spread(points, |figures| value(figures)),
            texts: Vec::new(),
        }
    }
}

/// Bars of some names, which stand on each other; `values` tells those of the name at a place.
fn stacked(names: &[String], values: impl Fn(usize) -> Vec<Option<f64>>) -> Vec<Series> {
    let series = |(at, name): (usize, &String)| Series {
        name: name.clone(),
        shape: Shape::Bar,
        paint: Paint::Series(at),
        right: false,
        values: values(at),
        texts: Vec::new(),
    };
    names.iter().enumerate().map(series).collect()
}

/// Gives each series its colour, in order.
fn painted(mut series: Vec<Series>) -> Vec<Series> {
    for (at, series) in series.iter_mut().enumerate() {
        series.paint = Paint::Series(at);
    }
    series
}

/// The largest sum of values that stand on each other in one cell; 0 where there is none.
fn tallest(series: &[Series]) -> f64 {
    let cells = series.iter().map(|series| series.values.len()).max().unwrap_or(0);
    let sum = |cell| series.iter().filter_map(|series| series.values.get(cell).copied().flatten()).sum();
    (0..cells).map(sum).fold(0.0, f64::max)
}

/// The largest value of some series; 0 where there is none.
fn largest<'a>(series: impl IntoIterator<Item = &'a Series>) -> f64 {
    series.into_iter().flat_map(|series| series.values.iter().flatten()).copied().fold(0.0, f64::max)
}

/// 0..=1 as percent.
fn in_percent(share: Option<f64>) -> Option<f64> {
    share.map(|share| share * 100.0)
}

/// A name that is longer than `most` characters loses its middle: what tells names apart is often at the end.
/// The letters of East Asia and emoji are as wide as two.
pub fn shorten_middle(name: &str, most: usize) -> String {
    let width = |c: char| if c >= '\u{1100}' { 2 } else { 1 };
    if name.chars().map(width).sum::<usize>() <= most {
        return name.to_owned();
    }
    let part = |letters: &mut dyn Iterator<Item = char>, room: usize| -> Vec<char> {
        let mut taken = 0;
        let fits = |c: &char| {
            taken += width(*c);
            taken <= room
        };
        letters.take_while(fits).collect()
    };
    let tail = most / 3;
    let head = part(&mut name.chars(), most - tail - 1);
    let tail = part(&mut name.chars().rev(), tail);
    head.into_iter().chain(['…']).chain(tail.into_iter().rev()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::bucket::Bucket;
    use crate::report::charts::figure::figure;
    use proptest::prelude::*;
    use serde_json::Value;

    fn range_of(minutes: &[i64]) -> Range {
        let point = |minute: &i64| {
            let bucket = Bucket { success: 1, ..Bucket::default() };
            (minute * MINUTE_MS, Figures::of(&bucket, 1.0))
        };
        let (window, points) = (Window { from: 0, to: 60 }, minutes.iter().map(point).collect());
        let total = Figures::of(&Bucket::default(), 1.0);
        Range { label: "1H", hours: 1, window, step_minutes: 1, points, total }
    }

    fn chart_of(values: &[(i64, f64)]) -> Chart {
        let range = range_of(&values.iter().map(|value| value.0).collect::<Vec<_>>());
        let mut line = Series::line("x", &range, |_| Some(0.0));
        for (minute, value) in values {
            line.values[*minute as usize] = Some(*value).filter(|value| value.is_finite());
        }
        let left = Axis::up_to(largest([&line]), axis::Unit::Count, "");
        let across = Across::Time(Span::of(&range));
        Chart {
            name: "x",
            title: "X".to_owned(),
            across,
            left,
            right: None,
            series: vec![line],
            marks: vec![],
        }
    }

    #[test]
    fn a_missing_cell_breaks_the_line() {
        let chart = chart_of(&[(0, 1.0), (1, 1.0), (5, 1.0), (7, 1.0), (8, 1.0)]);
        let trace = serde_json::to_value(&figure(&chart).data[0]).expect("JSON");
        let y = trace["y"].as_array().expect("values").clone();
        assert_eq!(y.len(), trace["x"].as_array().expect("times").len());
        let there: Vec<_> = y.iter().take(9).map(Value::is_number).collect();
        assert_eq!(there, [true, true, false, false, false, true, false, true, true]);
        assert_eq!(trace["x"][2], "1970-01-01T00:02:00Z");
        assert_eq!(trace["connectgaps"], false);
        // Two runs are lines, the single point is a dot, and long silences are marked.
        let drawn = plot::paths(&chart, plot::Frame::stretched(&chart));
        assert_eq!(drawn.matches('m').count(), 5 + chart.left.ticks.len(), "{drawn}");
        assert!(drawn.contains("h0"), "{drawn}");
        assert_eq!(chart.gaps(), [(2, 3), (9, 51)]);
    }

    #[test]
    fn nothing_is_empty_and_says_so() {
        let chart = chart_of(&[]);
        assert!(chart.is_empty());
        assert!(inline::svg(&chart).contains("No operations in this time"));
    }

    #[test]
    fn colours_are_those_of_the_style_sheet() {
        let css = include_str!("../../../themes/default/assets/charts.css");
        for (at, colour) in COLOURS.iter().enumerate() {
            assert!(css.contains(&format!("--series-{at}: {colour};")), "{colour}");
        }
        for (at, colour) in HEAT.iter().enumerate().skip(1) {
            assert!(css.contains(&format!("--heat-{at}: {colour};")), "{colour}");
        }
        for status in [Status::Healthy, Status::Degraded, Status::Unhealthy, Status::Critical, Status::NoData]
        {
            let line = format!("--{}: {};", status_paint(status), status_colour(status));
            assert!(css.contains(&line), "{line}");
        }
    }

    #[test]
    fn long_names_lose_their_middle_and_wide_letters_count_twice() {
        assert_eq!(shorten_middle("short", 9), "short");
        assert_eq!(shorten_middle("a-very-long-name", 9), "a-ver…ame");
        assert_eq!(shorten_middle("一二三四五六七八", 9), "一二…八");
        assert_eq!(shorten_middle("", 9), "");
    }

    proptest! {
        #[test]
        fn whatever_is_drawn_is_one_element_without_markup_of_names(
            values in prop::collection::btree_map(0i64..60, prop_oneof![Just(0.0), 0.0..1e12f64, Just(f64::NAN)], 0..60),
            name in any::<String>(),
        ) {
            let mut chart = chart_of(&values.into_iter().collect::<Vec<_>>());
            chart.title.clone_from(&name);
            let svg = inline::svg(&chart);
            prop_assert!(!svg.contains("NaN") && !svg.contains("inf"), "{}", svg);
            chart.title.clear();
            prop_assert_eq!(svg.matches('<').count(), inline::svg(&chart).matches('<').count());
            chart.across = Across::Names(vec![name.clone()]);
            chart.series[0].values.truncate(1);
            chart.series[0].texts = vec![name];
            let tags = |svg: String| svg.matches('<').count();
            let named = tags(inline::svg(&chart));
            chart.across = Across::Names(vec![String::new()]);
            prop_assert_eq!(named, tags(inline::svg(&chart)));
        }
    }
}
