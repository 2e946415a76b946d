//! A chart as a page's script reads it: values and what they are, without what the drawing beside them says.
//!
//! `figure.js` makes Plotly's figures of it. Scales, their labels and the times below a plot are those of the
//! drawing, and the script reads them there.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use crate::report::charts::axis::{Axis, Unit};
use crate::report::charts::number::write_rounded;
use crate::report::charts::{Across, Chart, Mark, Paint, Series, Shape, Span, status_paint};

/// A chart, with one view a range; the range is empty where there are none to choose from.
#[derive(Debug, Serialize)]
pub struct Data<'a> {
    /// `time`, `bins` or `names`.
    across: &'static str,
    /// Of the left axis, and of the right one if there is any.
    units: Vec<UnitData<'a>>,
    /// What is the same in all ranges.
    series: Vec<SeriesData<'a>>,
    views: BTreeMap<&'static str, View<'a>>,
}

#[derive(Debug, Serialize)]
struct UnitData<'a> {
    unit: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    currency: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct SeriesData<'a> {
    name: &'a str,
    shape: &'static str,
    /// Names of colours; one, or one a bar.
    paint: Vec<&'static str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    right: bool,
}

#[derive(Debug, Serialize)]
struct View<'a> {
    /// The beginning and end of the plot, the beginning of its first cell, and how long a cell is; ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<[i64; 4]>,
    /// The ends of the axes, as of `units`.
    tops: Vec<f64>,
    /// One a series; of a heat map, one a row.
    values: Vec<Values<'a>>,
    /// What the series are called where that differs from range to range, or whose bars they are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    names: Vec<&'a str>,
    /// What the bars of the first series say.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    texts: &'a [String],
    /// When something happened, and the name of its colour.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    marks: Vec<(i64, &'static str)>,
}

/// One number a cell, separated by commas, with nothing between two commas where there is no data. A list would
/// say `null` there, which is most of the page of a wrapper that is seldom used.
#[derive(Debug)]
struct Values<'a>(&'a [Option<f64>]);

impl Serialize for Values<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = String::with_capacity(self.0.len() * 4);
        for (at, value) in self.0.iter().enumerate() {
            if at > 0 {
                text.push(',');
            }
            if let Some(value) = value {
                write_rounded(*value, &mut text);
            }
        }
        serializer.serialize_str(&text)
    }
}

impl<'a> Data<'a> {
    /// The ranges of one chart, which differ in nothing but time and values.
    pub fn of(charts: &'a [(&'static str, Chart)]) -> Data<'a> {
        let (_, first) = charts.first().expect("a chart has at least one range");
        let axes = [Some(&first.left), first.right.as_ref()];
        Data {
            across: match first.across {
                Across::Time(_) => "time",
                Across::Bins { .. } => "bins",
                Across::Names(_) => "names",
            },
            units: axes.into_iter().flatten().map(|axis| unit(&axis.unit)).collect(),
            series: first.series.iter().filter(|series| series.shape != Shape::Heat).map(series).collect(),
            views: charts.iter().map(|(range, chart)| (*range, view(chart))).collect(),
        }
    }
}

fn unit(unit: &Unit) -> UnitData<'_> {
    let (unit, currency) = match unit {
        Unit::Percent => ("percent", None),
        Unit::Milliseconds => ("milliseconds", None),
        Unit::Count => ("count", None),
        Unit::PerMinute => ("per-minute", None),
        Unit::Money(currency) => ("money", Some(currency.as_str())),
    };
    UnitData { unit, currency }
}

fn series(series: &Series) -> SeriesData<'_> {
    let paints = if let Paint::Statuses(statuses) = &series.paint { statuses.len() } else { 1 };
    SeriesData {
        name: &series.name,
        shape: match series.shape {
            Shape::Line => "line",
            Shape::Dotted => "dotted",
            Shape::Bar => "bar",
            Shape::Heat => "heat",
        },
        paint: (0..paints).map(|at| series.paint.name(at)).collect(),
        right: series.right,
    }
}

fn view(chart: &Chart) -> View<'_> {
    let names = match &chart.across {
        Across::Names(names) => names.iter().map(String::as_str).collect(),
        _ => {
            let rows = chart.series.iter().filter(|series| series.shape == Shape::Heat);
            rows.map(|series| series.name.as_str()).collect()
        }
    };
    let axes = [Some(&chart.left), chart.right.as_ref()];
    let mark = |mark: &Mark| (mark.at_ms, status_paint(mark.status));
    View {
        time: if let Across::Time(span) = &chart.across { Some(times(span)) } else { None },
        tops: axes.into_iter().flatten().map(|axis: &Axis| axis.top).collect(),
        values: chart.series.iter().map(|series| Values(&series.values)).collect(),
        names,
        texts: chart.series.first().map(|series| series.texts.as_slice()).unwrap_or_default(),
        marks: chart.marks.iter().map(mark).collect(),
    }
}

fn times(span: &Span) -> [i64; 4] {
    [span.from_ms, span.to_ms, span.first_ms, span.step_ms]
}
