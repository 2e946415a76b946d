//! A chart as a Plotly figure, for the API: whoever asks draws it as it is.

use std::sync::Arc;

use plotly::common::{
    Anchor, AxisSide, ConstrainText, DashType, Font, HoverInfo, Line, Marker, Mode, Orientation, TextAnchor,
    Title,
};
use plotly::layout::{Annotation, Axis as PlotlyAxis, AxisType, BarMode, HoverMode, Legend, RangeMode};
use plotly::{Bar, Layout, Scatter};
use serde::ser::SerializeSeq;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use crate::analysis::health::Status;
use crate::model::time::rfc3339;
use crate::report::charts::axis::{Axis, Unit};
use crate::report::charts::{Across, COLOURS, Chart, Series, Shape, Span};

/// A Plotly figure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    pub data: Vec<Trace>,
    pub layout: Value,
}

/// A trace with its values apart from what is said about them: they are nearly all of it, and a [`Value`] takes
/// ten times the room of a number.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trace {
    #[serde(flatten)]
    said: Map<String, Value>,
    /// The same for all traces over time; bars say their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    x: Option<Arc<Vec<String>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    y: Option<Numbers>,
}

/// Values as they are shortest: whole numbers without a fraction, `null` for what is not there.
#[derive(Clone, Debug, PartialEq)]
struct Numbers(Vec<Option<f64>>);

impl Serialize for Numbers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0.len()))?;
        for number in &self.0 {
            match number {
                Some(whole) if whole.fract() == 0.0 && whole.abs() < 1e15 => {
                    list.serialize_element(&(*whole as i64))?;
                }
                number => list.serialize_element(number)?,
            }
        }
        list.end()
    }
}

/// The figure of a chart.
pub fn figure(chart: &Chart) -> Figure {
    let times = if let Across::Time(span) = &chart.across { times(span) } else { Vec::new() };
    let times = Arc::new(times);
    let trace = |series: &Series| match &chart.across {
        Across::Time(span) => {
            let said = said(over_time(chart, series, span));
            Trace { said, x: Some(times.clone()), y: Some(Numbers(series.values.clone())) }
        }
        Across::Bins { .. } => {
            Trace { said: said(bins(series)), x: None, y: Some(Numbers(series.values.clone())) }
        }
        Across::Names(names) => Trace { said: said(rows(series, names)), x: None, y: None },
    };
    let layout = match &chart.across {
        Across::Time(_) => time_layout(chart),
        Across::Bins { .. } => Layout::new().y_axis(value_axis(&chart.left)),
        Across::Names(names) => rows_layout(chart, names),
    };
    Figure { data: chart.series.iter().map(trace).collect(), layout: value(layout.auto_size(true)) }
}

fn value(value: impl Serialize) -> Value {
    serde_json::to_value(value).expect("a figure is maps with text as keys")
}

/// What is said of values, without those that stand apart.
fn said(mut trace: Value) -> Map<String, Value> {
    let fields = trace.as_object_mut().expect("a trace is a map");
    fields.retain(|_, field| !field.as_array().is_some_and(Vec::is_empty));
    std::mem::take(fields)
}

fn times(span: &Span) -> Vec<String> {
    (0..span.cells).map(|at| rfc3339(span.first_ms + at as i64 * span.step_ms)).collect()
}

fn over_time(chart: &Chart, series: &Series, span: &Span) -> Value {
    let (x, y) = (Vec::<f64>::new(), Vec::<f64>::new());
    let hover = hover(&chart.axis(series).unit);
    let colour = series.paint.colour(0);
    match series.shape {
        Shape::Bar | Shape::Heat => value(
            Bar::new(x, y)
                .name(label(&series.name))
                .offset(0.0)
                .width(span.step_ms as f64 * 0.9)
                .marker(Marker::new().color(colour))
                .hover_template(hover),
        ),
        Shape::Line | Shape::Dotted => {
            let line = Line::new().width(1.75).color(colour);
            let dotted = series.shape == Shape::Dotted;
            let line = if dotted { line.dash(DashType::Dot) } else { line };
            // A point between two gaps has no line, and shows as a dot.
            let lonely = series.values.split(Option::is_none).any(|run| run.len() == 1);
            let trace = Scatter::new(x, y)
                .name(label(&series.name))
                .connect_gaps(false)
                .line(line)
                .hover_template(hover)
                .mode(if lonely { Mode::LinesMarkers } else { Mode::Lines })
                .marker(Marker::new().color(colour).size(4));
            value(if series.right { trace.y_axis("y2") } else { trace })
        }
    }
}

fn bins(series: &Series) -> Value {
    value(
        Bar::new((0..series.values.len()).collect(), Vec::<f64>::new())
            .offset(0.0)
            .width(0.9)
            .marker(Marker::new().color(series.paint.colour(0)))
            .hover_text_array(series.texts.clone())
            .hover_info(HoverInfo::Text)
            .name(label(&series.name)),
    )
}

fn rows(series: &Series, names: &[String]) -> Value {
    // Plotly stacks from below.
    let down = || (0..names.len()).rev();
    let names: Vec<_> = down().map(|at| label(&names[at])).collect();
    let texts: Vec<_> = down().map(|at| label(&series.texts[at])).collect();
    let hover: Vec<_> = names.iter().zip(&texts).map(|(name, text)| format!("{name}: {text}")).collect();
    let colours: Vec<_> = down().map(|at| series.paint.colour(at)).collect();
    let values: Vec<_> = down().map(|at| series.values[at]).collect();
    let bar = Bar::new(values, names)
        .orientation(Orientation::Horizontal)
        .marker(Marker::new().color_array(colours))
        .text_array(texts)
        .inside_text_anchor(TextAnchor::End)
        .constrain_text(ConstrainText::None)
        .text_angle(0.0)
        .hover_text_array(hover)
        .hover_info(HoverInfo::Text)
        .name(series.name.clone());
    let mut trace = value(bar);
    trace["textposition"] = json!("auto");
    trace
}

fn time_layout(chart: &Chart) -> Layout {
    let layout = Layout::new()
        .hover_mode(HoverMode::XUnified)
        .colorway(COLOURS.to_vec())
        .legend(
            Legend::new()
                .orientation(Orientation::Horizontal)
                .x(0.0)
                .x_anchor(Anchor::Left)
                .y(-0.12)
                .y_anchor(Anchor::Top),
        )
        .x_axis(PlotlyAxis::new().type_(AxisType::Date).show_grid(false))
        .y_axis(value_axis(&chart.left));
    let stacked = chart.series.iter().any(|series| series.shape == Shape::Bar);
    let layout = if stacked { layout.bar_mode(BarMode::Stack) } else { layout };
    let Some(right) = &chart.right else { return layout };
    layout.y_axis2(value_axis(right).overlaying("y").show_grid(false).side(AxisSide::Right))
}

fn rows_layout(chart: &Chart, names: &[String]) -> Layout {
    let unknown = |series: &Series| {
        let missing = names.iter().zip(&series.values).filter(|(_, value)| value.is_none());
        missing.map(|(name, _)| no_data(name)).collect::<Vec<_>>()
    };
    Layout::new()
        .bar_gap(0.35)
        .show_legend(false)
        .annotations(chart.series.iter().flat_map(unknown).collect())
        .x_axis(value_axis(&chart.left))
        .y_axis(PlotlyAxis::new().type_(AxisType::Category).auto_margin(true))
}

/// Stands where a bar would be: a score of zero is something else.
fn no_data(name: &str) -> Annotation {
    Annotation::new()
        .text(Status::NoData.word())
        .x(0.0)
        .x_anchor(Anchor::Left)
        .y(label(name))
        .show_arrow(false)
}

fn value_axis(axis: &Axis) -> PlotlyAxis {
    let plain = PlotlyAxis::new().zero_line(false).title(axis_title(&axis.title));
    match axis.unit {
        Unit::Percent => plain.range(vec![0.0, 100.0]).tick_suffix(" %"),
        Unit::Milliseconds => plain.range_mode(RangeMode::ToZero).tick_format(",.12~g").tick_suffix(" ms"),
        _ => plain.range_mode(RangeMode::ToZero),
    }
}

fn axis_title(text: &str) -> Title {
    Title::with_text(text).font(Font::new().size(12))
}

fn hover(unit: &Unit) -> String {
    match unit {
        Unit::Percent => "%{y:.2f} %".to_owned(),
        Unit::Milliseconds => "%{y:,.1f} ms".to_owned(),
        Unit::Count => "%{y:,}".to_owned(),
        Unit::PerMinute => "%{y:,.2~f} / min".to_owned(),
        Unit::Money(currency) => format!("%{{y:,.6~f}} {}", label(currency)),
    }
}

/// Text as Plotly shows it: it reads some HTML in its texts, and a name must not be read as any.
fn label(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
