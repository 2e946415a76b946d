//! A chart as a Plotly figure: for a page, where it takes the place of the drawing, and for the API.
//!
//! A page's figure has the drawing's margins, scales and labels. Its traces and shapes carry the name of their
//! colour, so that `charts.js` can give them the page's own.

use plotly::common::{
    Anchor, ConstrainText, DashType, Font, HoverInfo, Line, Marker, Mode, Orientation, TextAnchor,
    TextPosition, Title,
};
use plotly::layout::{
    Annotation, Axis as PlotlyAxis, AxisType, BarMode, HoverMode, Legend, Margin, RangeMode,
};
use plotly::{Bar, Layout, Scatter};
use serde::ser::SerializeSeq;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Value, json};

use crate::analysis::health::Status;
use crate::model::time::rfc3339;
use crate::report::charts::axis::{Axis, Tick, Unit, time_ticks};
use crate::report::charts::inline::{INSIDE, NAME_CHARS};
use crate::report::charts::{
    Across, COLOURS, Chart, Paint, Series, Shape, Span, shorten_middle, status_colour, status_paint,
};

/// Pixels around the plot of a page's chart, as in `charts.css`.
const TOP: usize = 28;
const BOTTOM: usize = 28;
const SIDE: usize = 58;
const NO_AXIS: usize = 20;
const NAMES: usize = 136;

/// A Plotly figure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    pub data: Vec<Value>,
    pub layout: Value,
}

/// Who reads the figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    Page,
    Api,
}

/// A figure with the values of its traces apart from what is said about them: they are most of it, and a
/// [`Value`] takes ten times the room of a number.
#[derive(Debug)]
pub struct Parts {
    pub traces: Vec<Trace>,
    pub layout: Value,
}

#[derive(Debug)]
pub struct Trace {
    /// A map, without `y` where the values are apart.
    pub fields: Value,
    pub y: Option<Numbers>,
}

/// Values as they are shortest: whole numbers without a fraction, `null` for what is not there.
#[derive(Debug)]
pub struct Numbers(Vec<Option<f64>>);

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

impl From<Value> for Trace {
    fn from(fields: Value) -> Trace {
        Trace { fields, y: None }
    }
}

/// The figure of a chart.
pub fn figure(chart: &Chart, reader: Reader) -> Figure {
    let Parts { traces, layout } = parts(chart, reader);
    let whole = |Trace { mut fields, y }| {
        if let Some(y) = y {
            fields["y"] = value(y);
        }
        fields
    };
    Figure { data: traces.into_iter().map(whole).collect(), layout }
}

/// The figure of a chart, in parts.
pub fn parts(chart: &Chart, reader: Reader) -> Parts {
    let traces = chart.series.iter().enumerate().map(|(at, series)| match &chart.across {
        Across::Time(span) if series.shape == Shape::Heat => heat(at, series, span),
        Across::Time(span) => over_time(chart, series, span, reader),
        Across::Bins { .. } => bins(series).into(),
        Across::Names(names) => rows(series, names, reader).into(),
    });
    let traces = traces.collect();
    let mut layout = value(match &chart.across {
        Across::Time(span) => time_layout(chart, span, reader),
        Across::Bins { count, ticks } => bins_layout(chart, *count, ticks),
        Across::Names(names) => rows_layout(chart, names, reader),
    });
    if let (Across::Time(span), Reader::Page) = (&chart.across, reader) {
        layout["shapes"] = shapes(chart, span);
    }
    Parts { traces, layout }
}

fn value(value: impl Serialize) -> Value {
    serde_json::to_value(value).expect("a figure is maps with text as keys")
}

fn over_time(chart: &Chart, series: &Series, span: &Span, reader: Reader) -> Trace {
    let times = match reader {
        Reader::Page => Vec::new(),
        Reader::Api => {
            (0..series.values.len()).map(|at| rfc3339(span.first_ms + at as i64 * span.step_ms)).collect()
        }
    };
    let unit = &chart.axis(series).unit;
    let trace = match series.shape {
        Shape::Bar | Shape::Heat => value(
            Bar::new(times, Vec::<f64>::new())
                .name(label(&series.name))
                .offset(0.0)
                .width(span.step_ms as f64 * 0.9)
                .marker(Marker::new().color(series.paint.colour(0)))
                .hover_template(hover(unit)),
        ),
        Shape::Line | Shape::Dotted => {
            let line = Line::new().width(1.75).color(series.paint.colour(0));
            let dotted = series.shape == Shape::Dotted;
            let line = if dotted { line.dash(DashType::Dot) } else { line };
            let trace = Scatter::new(times, Vec::<f64>::new())
                .name(label(&series.name))
                .connect_gaps(false)
                .line(line)
                .hover_template(hover(unit));
            let lonely = series.values.split(Option::is_none).any(|run| run.len() == 1);
            let dots = Marker::new().color(series.paint.colour(0)).size(4);
            // A point between two gaps has no line, and shows as a dot.
            let trace = trace.mode(if lonely { Mode::LinesMarkers } else { Mode::Lines }).marker(dots);
            value(if series.right { trace.y_axis("y2") } else { trace })
        }
    };
    match reader {
        Reader::Page => stepped(trace, &series.values, span, json!(series.paint.name(0))),
        Reader::Api => Trace { fields: trace, y: Some(Numbers(series.values.clone())) },
    }
}

/// A row of a heat map: counts, and the levels of their colours as digits. `charts.js` makes bars of them that
/// reach from the row's lower edge to its upper one, since Plotly's basic bundle has no heat maps.
fn heat(row: usize, series: &Series, span: &Span) -> Trace {
    let bars = Bar::<String, f64>::new(Vec::new(), Vec::new())
        .name(label(&series.name))
        .offset(0.0)
        .width(span.step_ms as f64)
        .hover_template("%{x}<br>%{fullData.name}<br>%{hovertext} operations<extra></extra>");
    let mut trace = value(bars);
    let counts: Vec<_> = series.values.iter().map(|value| value.or(Some(0.0))).collect();
    trace["base"] = json!(row);
    let levels = if let Paint::Heat(levels) = &series.paint { levels.as_slice() } else { &[] };
    let digits: String = levels.iter().map(u8::to_string).collect();
    stepped(trace, &counts, span, json!(format!("heat:{digits}")))
}

/// Times as the first and the step, which is shorter, and without the cells before and after all values; and
/// the names of the colours.
fn stepped(mut fields: Value, values: &[Option<f64>], span: &Span, paint: Value) -> Trace {
    let end = values.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
    let first = values.iter().position(Option::is_some).unwrap_or(0);
    let map = fields.as_object_mut().expect("a trace is a map");
    map.remove("x");
    map.remove("y");
    map.insert("x0".to_owned(), json!(rfc3339(span.first_ms + first as i64 * span.step_ms)));
    map.insert("dx".to_owned(), json!(span.step_ms));
    map.insert("meta".to_owned(), paint);
    Trace { fields, y: Some(Numbers(values[first..end].to_vec())) }
}

/// What all of some values say alike, and the rest of each; objects are looked into, lists are not.
pub fn shared(mut values: Vec<Value>) -> (Value, Vec<Value>) {
    let Some(first) = values.first().cloned() else { return (Value::Null, values) };
    match first {
        Value::Object(fields) => {
            let mut common = serde_json::Map::new();
            for key in fields.keys() {
                if !values.iter().all(|value| value.get(key).is_some()) {
                    continue;
                }
                let parts: Vec<_> = values.iter_mut().map(|value| value[key].take()).collect();
                let (part, rests) = shared(parts);
                if !part.is_null() {
                    common.insert(key.clone(), part);
                }
                for (value, rest) in values.iter_mut().zip(rests) {
                    let fields = value.as_object_mut().expect("all have the key");
                    if rest.is_null() {
                        drop(fields.remove(key))
                    } else {
                        drop(fields.insert(key.clone(), rest))
                    }
                }
            }
            let nothing = |value: Value| {
                if value.as_object().is_some_and(|o| o.is_empty()) { Value::Null } else { value }
            };
            (nothing(Value::Object(common)), values.into_iter().map(nothing).collect())
        }
        first if values.iter().all(|value| *value == first) => {
            let nothing = vec![Value::Null; values.len()];
            (first, nothing)
        }
        _ => (Value::Null, values),
    }
}

fn bins(series: &Series) -> Value {
    let mut trace = value(
        Bar::new((0..series.values.len()).collect(), Vec::<f64>::new())
            .offset(0.0)
            .width(0.9)
            .marker(Marker::new().color(series.paint.colour(0)))
            .hover_text_array(series.texts.clone())
            .hover_info(HoverInfo::Text)
            .name(label(&series.name)),
    );
    trace["y"] = value(Numbers(series.values.clone()));
    trace["meta"] = json!(series.paint.name(0));
    trace
}

fn rows(series: &Series, names: &[String], reader: Reader) -> Value {
    // Plotly stacks from below.
    let down = || (0..names.len()).rev();
    let names: Vec<_> = down().map(|at| label(&names[at])).collect();
    let texts: Vec<_> = down().map(|at| label(&series.texts[at])).collect();
    let hover: Vec<_> = names.iter().zip(&texts).map(|(name, text)| format!("{name}: {text}")).collect();
    let colours: Vec<_> = down().map(|at| series.paint.colour(at)).collect();
    let values: Vec<_> = down().map(|at| series.values[at]).collect();
    let inside = |value: &Option<f64>| value.is_some_and(|value| value >= 100.0 * INSIDE);
    let position = |value| if inside(value) { TextPosition::Inside } else { TextPosition::Outside };
    let bar = Bar::new(values.clone(), names)
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
    trace["textposition"] = match reader {
        Reader::Page => json!(values.iter().map(position).collect::<Vec<_>>()),
        Reader::Api => json!("auto"),
    };
    if reader == Reader::Page {
        trace["meta"] = json!(down().map(|at| series.paint.name(at)).collect::<Vec<_>>());
    }
    trace
}

fn time_layout(chart: &Chart, span: &Span, reader: Reader) -> Layout {
    let has = |shape| chart.series.iter().any(|series| series.shape == shape);
    let hover_mode = if has(Shape::Heat) { HoverMode::Closest } else { HoverMode::XUnified };
    let layout = Layout::new().hover_mode(hover_mode);
    let time = PlotlyAxis::new().type_(AxisType::Date).show_grid(false);
    let layout = if has(Shape::Bar) { layout.bar_mode(BarMode::Stack) } else { layout };
    let layout = if has(Shape::Heat) { layout.bar_mode(BarMode::Overlay) } else { layout };
    let layout = match reader {
        Reader::Api => {
            let legend = Legend::new().orientation(Orientation::Horizontal).x(0.0).x_anchor(Anchor::Left);
            layout
                .auto_size(true)
                .colorway(COLOURS.to_vec())
                .legend(legend.y(-0.12).y_anchor(Anchor::Top))
                .x_axis(time)
        }
        Reader::Page => {
            let ticks = time_ticks(span.from_ms, span.to_ms);
            let time = time
                .range(vec![rfc3339(span.from_ms), rfc3339(span.to_ms)])
                .tick_angle(0.0)
                .tick_values(ticks.iter().map(|tick| tick.at).collect())
                .tick_text(ticks.into_iter().map(|tick| tick.label).collect());
            layout.show_legend(false).margin(margin(chart, SIDE)).x_axis(time)
        }
    };
    let layout = layout.y_axis(value_axis(&chart.left, reader));
    let Some(right) = &chart.right else { return layout };
    let right = value_axis(right, reader).overlaying("y").show_grid(false);
    layout.y_axis2(right.side(plotly::common::AxisSide::Right))
}

fn bins_layout(chart: &Chart, count: usize, ticks: &[Tick]) -> Layout {
    Layout::new()
        .show_legend(false)
        .margin(margin(chart, SIDE))
        .y_axis(value_axis(&chart.left, Reader::Page))
        .x_axis(
            PlotlyAxis::new()
                .range(vec![0.0, count.max(1) as f64])
                .tick_angle(0.0)
                .tick_values(ticks.iter().map(|tick| tick.at).collect())
                .tick_text(ticks.iter().map(|tick| tick.label.clone()).collect())
                .show_grid(false)
                .zero_line(false),
        )
}

fn rows_layout(chart: &Chart, names: &[String], reader: Reader) -> Layout {
    let unknown = |series: &Series| {
        let missing = names.iter().zip(&series.values).filter(|(_, value)| value.is_none());
        missing.map(|(name, _)| no_data(name)).collect::<Vec<_>>()
    };
    let layout = Layout::new()
        .bar_gap(0.35)
        .show_legend(false)
        .annotations(chart.series.iter().flat_map(unknown).collect());
    let across = value_axis(&chart.left, reader);
    let down = PlotlyAxis::new().type_(AxisType::Category);
    match reader {
        Reader::Api => layout.auto_size(true).x_axis(across).y_axis(down.auto_margin(true)),
        Reader::Page => {
            let shown = names.iter().rev().map(|name| label(&shorten_middle(name, NAME_CHARS)));
            let places = (0..names.len()).map(|at| at as f64).collect();
            let down = down.tick_values(places).tick_text(shown.collect());
            layout.margin(margin(chart, NAMES)).x_axis(across.tick_angle(0.0)).y_axis(down)
        }
    }
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

fn margin(chart: &Chart, left: usize) -> Margin {
    let right = if chart.right.is_some() { SIDE } else { NO_AXIS };
    Margin::new().left(left).right(right).top(TOP).bottom(BOTTOM)
}

fn value_axis(axis: &Axis, reader: Reader) -> PlotlyAxis {
    let plain = PlotlyAxis::new().zero_line(false);
    match reader {
        Reader::Page => plain
            .range(vec![0.0, axis.top])
            .tick_values(axis.ticks.iter().map(|tick| tick.at).collect())
            .tick_text(axis.ticks.iter().map(|tick| tick.label.clone()).collect()),
        Reader::Api => {
            let plain = plain.title(axis_title(&axis.title));
            match axis.unit {
                Unit::Percent => plain.range(vec![0.0, 100.0]).tick_suffix(" %"),
                Unit::Milliseconds => {
                    plain.range_mode(RangeMode::ToZero).tick_format(",.12~g").tick_suffix(" ms")
                }
                _ => plain.range_mode(RangeMode::ToZero),
            }
        }
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

/// Gaps behind the series, and what happened before them.
fn shapes(chart: &Chart, span: &Span) -> Value {
    let upright = |from_ms: i64, to_ms: i64| json!({"x0": rfc3339(from_ms), "x1": rfc3339(to_ms), "yref": "paper", "y0": 0, "y1": 1});
    let gaps = chart.gaps().into_iter().map(|(first, count)| {
        let from_ms = span.first_ms + first as i64 * span.step_ms;
        let mut shape = upright(from_ms, from_ms + count as i64 * span.step_ms);
        shape["type"] = json!("rect");
        shape["layer"] = json!("below");
        shape["name"] = json!("gap");
        shape["line"] = json!({"width": 0});
        shape
    });
    let marks = chart.marks.iter().map(|mark| {
        let mut shape = upright(mark.at_ms, mark.at_ms);
        shape["type"] = json!("line");
        shape["name"] = json!(status_paint(mark.status));
        shape["line"] = json!({"width": 1, "dash": "dot", "color": status_colour(mark.status)});
        shape
    });
    gaps.chain(marks).collect()
}

/// Text as Plotly shows it: it reads some HTML in its texts, and a name must not be read as any.
fn label(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
