//! How each wrapper does now, side by side.

use crate::analysis::facts::Facts;
use crate::analysis::snapshot::{Summary, summary};
use crate::analysis::window::Window;
use crate::report::charts::axis::Axis;
use crate::report::charts::figure::{Figure, figure};
use crate::report::charts::number::rounded;
use crate::report::charts::{Across, Chart, Paint, Series, Shape};
use crate::report::format;

/// The API's figure: one bar a wrapper, 0 to 100 %, coloured by status, over the health window.
pub fn health(facts: &Facts) -> Figure {
    let minutes = i64::from(facts.settings.health.window_minutes);
    let window = Window::last_minutes(facts.moment_ms, minutes);
    let summaries: Vec<_> = facts.wrappers.iter().map(|wrapper| summary(facts, wrapper, window)).collect();
    figure(&bars(summaries.iter()))
}

/// One bar a wrapper. The worst is on top, and those without data are below.
pub fn bars<'a>(summaries: impl Iterator<Item = &'a Summary>) -> Chart {
    let mut summaries: Vec<_> = summaries.collect();
    summaries.sort_by(|a, b| {
        let score = |summary: &Summary| summary.health.score.unwrap_or(f64::INFINITY);
        score(a).total_cmp(&score(b)).then_with(|| a.name.cmp(&b.name))
    });
    let percent = |summary: &&Summary| summary.health.score.map(|score| rounded(score * 100.0));
    let bars = Series {
        name: "Health".to_owned(),
        shape: Shape::Bar,
        paint: Paint::Statuses(summaries.iter().map(|summary| summary.health.status).collect()),
        right: false,
        values: summaries.iter().map(percent).collect(),
        texts: summaries.iter().map(|summary| text(summary)).collect(),
    };
    Chart {
        name: "health",
        title: "Health score of each wrapper".to_owned(),
        across: Across::Names(summaries.iter().map(|summary| summary.name.clone()).collect()),
        left: Axis::percent("Health score"),
        right: None,
        series: vec![bars],
        marks: Vec::new(),
    }
}

fn text(summary: &Summary) -> String {
    let status = summary.health.status.word();
    match summary.health.score {
        Some(score) => format!("{} {status}", format::percent(score)),
        None => status.to_owned(),
    }
}
