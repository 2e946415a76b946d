//! A chart as a page shows it: a drawing a range, what is drawn for the page's script, and a legend.

use anyhow::Result;
use serde::Serialize;

use crate::analysis::snapshot::{RANGES, Range};
use crate::report::charts::data::Data;
use crate::report::charts::{Across, Chart, Series, Shape, inline};
use crate::report::filters::script_json;
use crate::report::pieces::Pieces;

/// What the template of a chart reads.
#[derive(Debug, Serialize)]
pub struct ChartView {
    name: &'static str,
    title: String,
    /// Titles of the axes of values.
    left: String,
    right: String,
    legend: Vec<Entry>,
    views: Vec<View>,
    /// The mark of [`Data`] for a script block.
    data: String,
    /// Bars below each other, which decide how high the chart is; 0 for other charts.
    rows: usize,
    /// Whether there is nothing to draw in any range.
    empty: bool,
    /// What the marks stand for.
    #[serde(skip)]
    pub pieces: Pieces,
}

/// The drawing of one range; the range is empty where there are none to choose from.
#[derive(Debug, Serialize)]
struct View {
    range: &'static str,
    chosen: bool,
    /// The mark of the drawing.
    svg: String,
}

#[derive(Debug, Serialize)]
struct Entry {
    name: String,
    paint: &'static str,
    dotted: bool,
}

/// A range as its link shows it.
#[derive(Debug, Serialize)]
pub struct Choice {
    label: &'static str,
    hours: u32,
}

/// The ranges, and the one that is chosen until the reader chooses: a day, unless only longer ones have data.
pub fn choices<'a>(ranges: impl Iterator<Item = &'a [Range]>) -> (Vec<Choice>, &'static str) {
    let mut shortest = None;
    for range in ranges.flatten().filter(|range| range.hours >= 24 && !range.points.is_empty()) {
        shortest = Some(shortest.map_or(range.hours, |hours: u32| hours.min(range.hours)));
    }
    let chosen = RANGES.iter().find(|range| range.1 == shortest.unwrap_or(24)).map_or("24H", |range| range.0);
    (RANGES.iter().map(|&(label, hours)| Choice { label, hours }).collect(), chosen)
}

impl ChartView {
    /// A chart that does not go by ranges.
    pub fn single(chart: Chart) -> Result<ChartView> {
        ChartView::of(&[("", chart)], "")
    }

    /// A chart that is drawn once a range.
    pub fn ranged(chosen: &str, draw: impl Fn(usize) -> Chart) -> Result<ChartView> {
        let charts: Vec<_> = RANGES.iter().enumerate().map(|(at, range)| (range.0, draw(at))).collect();
        ChartView::of(&charts, chosen)
    }

    /// The ranges of one chart, which differ in nothing but time and values.
    fn of(charts: &[(&'static str, Chart)], chosen: &str) -> Result<ChartView> {
        let (_, first) = charts.first().expect("a chart has at least one range");
        let mut pieces = Pieces::default();
        let view = |(range, chart): &(&'static str, Chart)| View {
            range,
            chosen: *range == chosen,
            svg: pieces.take(format!("{} {range}", first.name), inline::svg(chart)),
        };
        let views = charts.iter().map(view).collect();
        let data = pieces.take(format!("{} data", first.name), script_json(&Data::of(charts))?);
        Ok(ChartView {
            name: first.name,
            title: first.title.clone(),
            left: titled(first, &first.left.title),
            right: first.right.as_ref().map(|axis| axis.title.clone()).unwrap_or_default(),
            legend: legend(first),
            views,
            data,
            rows: if let Across::Names(names) = &first.across { names.len().max(1) } else { 0 },
            empty: charts.iter().all(|(_, chart)| chart.is_empty()),
            pieces,
        })
    }
}

/// Names beside bars say enough.
fn titled(chart: &Chart, title: &str) -> String {
    if matches!(chart.across, Across::Names(_)) { String::new() } else { title.to_owned() }
}

/// One entry a series, where there are several to tell apart.
fn legend(chart: &Chart) -> Vec<Entry> {
    let entry = |series: &Series| Entry {
        name: series.name.clone(),
        paint: series.paint.name(0),
        dotted: series.shape == Shape::Dotted,
    };
    match chart.across {
        // Rows of a heat map are named by their axis.
        Across::Time(_) if chart.series.iter().any(|series| series.shape == Shape::Heat) => Vec::new(),
        Across::Time(_) if chart.series.len() > 1 => chart.series.iter().map(entry).collect(),
        _ => Vec::new(),
    }
}
