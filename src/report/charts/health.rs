//! How each wrapper does now, side by side.

use plotly::common::{ConstrainText, Marker, Orientation, TextPosition};
use plotly::layout::{Annotation, Axis, AxisType};
use plotly::{Bar, Layout};

use crate::analysis::facts::Facts;
use crate::analysis::health::Status;
use crate::analysis::snapshot::{Summary, summary};
use crate::analysis::window::Window;
use crate::report::charts::{Figure, HOVER_TEXT, label, margin, percent_axis, thousandth};
use crate::report::format;

/// Pixels: one bar with the space around it, and what is around all bars.
const BAR_HEIGHT: usize = 34;
const FRAME_HEIGHT: usize = 64;

/// One bar a wrapper, 0 to 100 %, coloured by status, over the health window. The worst is on top.
pub fn health(facts: &Facts) -> Figure {
    let minutes = i64::from(facts.settings.health.window_minutes);
    let window = Window::last_minutes(facts.moment_ms, minutes);
    let summaries: Vec<_> = facts.wrappers.iter().map(|wrapper| summary(facts, wrapper, window)).collect();
    bars(summaries.iter())
}

/// As [`health`], from summaries at hand.
pub fn bars<'a>(summaries: impl Iterator<Item = &'a Summary>) -> Figure {
    let mut summaries: Vec<_> = summaries.collect();
    // Plotly stacks from below.
    summaries.sort_by(|a, b| {
        let score = |summary: &Summary| summary.health.score.unwrap_or(f64::INFINITY);
        score(b).total_cmp(&score(a)).then_with(|| b.name.cmp(&a.name))
    });
    let names: Vec<_> = summaries.iter().map(|summary| label(&summary.name)).collect();
    let scores = summaries.iter().map(|summary| summary.health.score.map(|score| thousandth(score * 100.0)));
    let colours = summaries.iter().map(|summary| colour(summary.health.status)).collect();
    let texts: Vec<_> = summaries.iter().map(|summary| text(summary)).collect();
    let hover = names.iter().zip(&texts).map(|(name, text)| format!("{name}: {text}")).collect();
    let bar = Bar::new(scores.collect::<Vec<_>>(), names.clone())
        .orientation(Orientation::Horizontal)
        .marker(Marker::new().color_array(colours))
        .text_array(texts)
        .text_position(TextPosition::Auto)
        .constrain_text(ConstrainText::None)
        .hover_text_array(hover)
        .hover_info(HOVER_TEXT)
        .name("Health");
    let unknown = summaries.iter().zip(names).filter(|(summary, _)| summary.health.score.is_none());
    let layout = Layout::new()
        .auto_size(true)
        .height(FRAME_HEIGHT + BAR_HEIGHT * summaries.len().max(1))
        .bar_gap(0.35)
        .show_legend(false)
        .margin(margin())
        .x_axis(percent_axis("Health score").dtick(25.0))
        .y_axis(Axis::new().type_(AxisType::Category).auto_margin(true))
        .annotations(unknown.map(|(_, name)| no_data(name)).collect());
    Figure::new(vec![bar], layout)
}

fn text(summary: &Summary) -> String {
    let status = summary.health.status.word();
    match summary.health.score {
        Some(score) => format!("{} {status}", format::percent(score)),
        None => status.to_owned(),
    }
}

/// Stands where a bar would be: a score of zero is something else.
fn no_data(name: String) -> Annotation {
    Annotation::new()
        .text(Status::NoData.word())
        .x(0.0)
        .x_anchor(plotly::common::Anchor::Left)
        .y(name)
        .show_arrow(false)
}

/// The colour of a status, as the theme's style sheet has it.
fn colour(status: Status) -> &'static str {
    match status {
        Status::Healthy => "#25854b",
        Status::Degraded => "#d9a514",
        Status::Unhealthy => "#e2762b",
        Status::Critical => "#cf3f3f",
        Status::NoData => "#8a94a3",
    }
}
