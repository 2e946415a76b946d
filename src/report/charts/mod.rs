//! Charts as data: Plotly figures, the same for a page and for the API.
//!
//! A figure says what is drawn and what it means; `charts.js` gives it the page's colours and size. What has
//! no data is `null` in a line, and drawn as a gap.
//!
//! To add a chart: a file with a function from figures of the analysis to a [`Figure`], and its place on a
//! page.

use plotly::common::{Anchor, Font, HoverInfo, Line, Marker, Mode, Orientation, Title};
use plotly::layout::{Axis, AxisType, HoverMode, Legend, Margin};
use plotly::{Layout, Scatter, Trace};
use serde::Serialize;
use serde_json::Value;

use crate::analysis::figures::Figures;
use crate::analysis::snapshot::Range;
use crate::model::time::{MINUTE_MS, rfc3339};

pub mod health;
pub mod latency;
pub mod performance;

/// Colours of lines, in the order in which they are given out; readable on light and on dark.
const COLOURS: [&str; 12] = [
    "#3f7ad8", "#d9822b", "#8f63cc", "#2f9e77", "#c9507a", "#3a9fbf", "#a3882a", "#b05fb5", "#6f8f3a",
    "#d9614c", "#6a83a6", "#8a8177",
];

/// A Plotly figure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    pub data: Vec<Value>,
    pub layout: Value,
}

impl Figure {
    fn new(traces: Vec<Box<dyn Trace>>, layout: Layout) -> Figure {
        let value = |result: serde_json::Result<Value>| result.expect("a figure is maps with text as keys");
        Figure {
            data: traces.iter().map(|trace| value(serde_json::to_value(trace))).collect(),
            layout: value(serde_json::to_value(layout)),
        }
    }

    /// Whether there is any value to draw.
    pub fn is_empty(&self) -> bool {
        let drawn = |axis: &Value| axis.as_array().is_some_and(|values| values.iter().any(Value::is_number));
        !self.data.iter().any(|trace| drawn(&trace["y"]) || drawn(&trace["x"]))
    }
}

/// A line through the points of a range, broken where cells are missing.
fn line(
    range: &Range,
    name: &str,
    value: impl Fn(&Figures) -> Option<f64>,
) -> Box<Scatter<String, Option<f64>>> {
    let mut x = Vec::with_capacity(range.points.len());
    let mut y = Vec::with_capacity(range.points.len());
    let step_ms = range.step_minutes * MINUTE_MS;
    let mut expected = None;
    for (at_ms, figures) in &range.points {
        if let Some(gap_ms) = expected.filter(|expected| expected < at_ms) {
            x.push(rfc3339(gap_ms));
            y.push(None);
        }
        x.push(rfc3339(*at_ms));
        y.push(value(figures).filter(|value| value.is_finite()).map(thousandth));
        expected = Some(at_ms + step_ms);
    }
    // Markers too, since a point between two gaps has no line.
    Scatter::new(x, y)
        .name(label(name))
        .mode(Mode::LinesMarkers)
        .marker(Marker::new().size(3))
        .line(Line::new().width(1.75))
        .connect_gaps(false)
        .clip_on_axis(false)
}

/// 0..=1 as percent.
fn in_percent(share: Option<f64>) -> Option<f64> {
    share.map(|share| share * 100.0)
}

/// Three decimals are more than a chart can show.
fn thousandth(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// Text as Plotly shows it: it reads some HTML in its texts, and a name must not be read as any.
fn label(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// What all charts over time share.
fn time_layout() -> Layout {
    Layout::new()
        .auto_size(true)
        .colorway(COLOURS.to_vec())
        .hover_mode(HoverMode::XUnified)
        .legend(
            Legend::new()
                .orientation(Orientation::Horizontal)
                .x(0.0)
                .x_anchor(Anchor::Left)
                .y(-0.12)
                .y_anchor(Anchor::Top),
        )
        .margin(margin())
        .x_axis(Axis::new().type_(AxisType::Date).show_grid(false))
}

fn margin() -> Margin {
    Margin::new().left(64).right(20).top(16).bottom(40)
}

/// 0 to 100 %.
fn percent_axis(title: &str) -> Axis {
    Axis::new().title(axis_title(title)).range(vec![0.0, 100.0]).tick_suffix(" %").zero_line(false)
}

fn milliseconds_axis(title: &str) -> Axis {
    Axis::new()
        .title(axis_title(title))
        .range_mode(plotly::layout::RangeMode::ToZero)
        .tick_format(",.12~g")
        .tick_suffix(" ms")
        .auto_margin(true)
        .zero_line(false)
}

fn axis_title(text: &str) -> Title {
    Title::with_text(text).font(Font::new().size(12))
}

/// Bars say what they have to say in their hover text alone.
const HOVER_TEXT: HoverInfo = HoverInfo::Text;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::window::Window;
    use crate::model::bucket::Bucket;

    pub fn range_of(starts: &[i64], step_minutes: i64) -> Range {
        let point = |minute: &i64| {
            let bucket = Bucket { success: 1, ..Bucket::default() };
            (minute * MINUTE_MS, Figures::of(&bucket, 1.0))
        };
        let window = Window { from: 0, to: 60 };
        let points = starts.iter().map(point).collect();
        let total = Figures::of(&Bucket::default(), 1.0);
        Range { label: "1H", hours: 1, window, step_minutes, points, total }
    }

    #[test]
    fn a_missing_cell_breaks_the_line() {
        let range = range_of(&[0, 1, 5, 6], 1);
        let figure = Figure::new(vec![line(&range, "x", |_| Some(1.0))], Layout::new());
        let y = figure.data[0]["y"].as_array().expect("values").clone();
        assert_eq!(y.len(), figure.data[0]["x"].as_array().expect("times").len());
        let broken: Vec<_> = y.iter().map(Value::is_null).collect();
        assert_eq!(broken, [false, false, true, false, false]);
        assert_eq!(figure.data[0]["x"][2], "1970-01-01T00:02:00Z");
        assert_eq!(figure.data[0]["connectgaps"], false);
    }

    #[test]
    fn what_is_no_number_is_null() {
        let range = range_of(&[0, 1], 1);
        for value in [Some(f64::NAN), Some(f64::INFINITY), None] {
            let figure = Figure::new(vec![line(&range, "x", |_| value)], Layout::new());
            assert_eq!(figure.data[0]["y"], serde_json::json!([null, null]));
            assert!(figure.is_empty());
        }
    }

    #[test]
    fn names_are_no_markup() {
        assert_eq!(label("<b>&"), "&lt;b&gt;&amp;");
    }
}
