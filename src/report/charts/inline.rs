//! A chart as a part of a page: SVG that fills its box at any width, drawn without a script.
//!
//! The outer element is the plot's box, without a view box: text keeps its size, and its place is a share of
//! the box. The paths in it are stretched, their strokes are not. Around the box lie the margins that
//! `charts.css` gives it and `figure.js` gives Plotly.

use std::fmt::Write as _;

use crate::report::charts::axis::{Axis, time_ticks};
use crate::report::charts::number::write_scaled;
use crate::report::charts::plot::{Frame, paths};
use crate::report::charts::{Across, Chart, shorten_middle};
use crate::report::escape::markup;

/// Most characters of a name beside a bar; wide ones count twice.
pub const NAME_CHARS: usize = 19;

/// From this share of the axis on, the text of a bar stands in it.
pub const INSIDE: f64 = 0.5;

/// The SVG of a chart, to stand in a page.
pub fn svg(chart: &Chart) -> String {
    let mut out = String::with_capacity(4096);
    write!(out, "<svg class=\"plot\" role=\"img\" aria-label=\"{}\">", markup(&chart.title))
        .expect("writing to memory");
    match &chart.across {
        Across::Time(span) => {
            values(&chart.left, false, &mut out);
            if let Some(right) = &chart.right {
                values(right, true, &mut out);
            }
            let whole = (span.to_ms - span.from_ms).max(1) as f64;
            let ticks = time_ticks(span.from_ms, span.to_ms).into_iter();
            bottom(ticks.map(|tick| ((tick.at - span.from_ms as f64) / whole, tick.label)), &mut out);
        }
        Across::Bins { count, ticks, .. } => {
            values(&chart.left, false, &mut out);
            let whole = (*count).max(1) as f64;
            bottom(ticks.iter().map(|tick| (tick.at / whole, tick.label.clone())), &mut out);
        }
        Across::Names(names) => {
            let ticks = chart.left.ticks.iter();
            bottom(ticks.map(|tick| (tick.at / chart.left.top, tick.label.clone())), &mut out);
            self::names(names, &mut out);
        }
    }
    let frame = Frame::stretched(chart);
    let (width, height) = (frame.width, frame.height);
    write!(out, "<svg viewBox=\"0 0 {width} {height}\" preserveAspectRatio=\"none\">").expect("in memory");
    out.push_str(&paths(chart, frame));
    out.push_str("</svg>");
    if let Across::Names(names) = &chart.across {
        texts(chart, names.len(), &mut out);
    }
    if chart.is_empty() {
        out.push_str("<text class=\"none\" x=\"50%\" y=\"50%\">No operations in this time</text>");
    }
    out.push_str("</svg>");
    out
}

/// The labels of an axis of values.
fn values(axis: &Axis, right: bool, out: &mut String) {
    let start = if right {
        "<g class=\"start\" transform=\"translate(1 4)\">"
    } else {
        "<g class=\"end\" transform=\"translate(-1 4)\">"
    };
    out.push_str(start);
    let x = if right { " x=\"100%\"" } else { "" };
    for tick in &axis.ticks {
        let y = share(1.0 - tick.at / axis.top);
        write!(out, "<text{x} y=\"{y}\">{}</text>", tick.label).expect("writing to memory");
    }
    out.push_str("</g>");
}

/// Labels below the plot, each at its share of the width.
fn bottom(labels: impl Iterator<Item = (f64, String)>, out: &mut String) {
    out.push_str("<g class=\"middle\" transform=\"translate(0 16)\">");
    for (at, label) in labels {
        let (x, label) = (share(at), markup(&label));
        write!(out, "<text x=\"{x}\" y=\"100%\">{label}</text>").expect("writing to memory");
    }
    out.push_str("</g>");
}

/// Names beside the plot, each in the middle of its row.
fn names(names: &[String], out: &mut String) {
    out.push_str("<g class=\"end\" transform=\"translate(-1 4)\">");
    for (row, name) in names.iter().enumerate() {
        let y = share((row as f64 + 0.5) / names.len() as f64);
        let name = markup(&shorten_middle(name, NAME_CHARS));
        write!(out, "<text y=\"{y}\">{name}</text>").expect("writing to memory");
    }
    out.push_str("</g>");
}

/// What bars say, in them where they are long enough, else behind them.
fn texts(chart: &Chart, rows: usize, out: &mut String) {
    for series in &chart.series {
        for (row, text) in series.texts.iter().enumerate() {
            let value = series.values.get(row).copied().flatten();
            let at = value.map_or(0.0, |value| (value / chart.left.top).clamp(0.0, 1.0));
            let (class, dx) = if at >= INSIDE { ("end in", -4) } else { ("start", 4) };
            let (x, y) = (share(at), share((row as f64 + 0.5) / rows as f64));
            let (paint, text) = (series.paint.name(row), markup(text));
            write!(
                out,
                "<text class=\"{class} {paint}\" x=\"{x}\" y=\"{y}\" dx=\"{dx}\" dy=\".33em\">{text}</text>"
            )
            .expect("writing to memory");
        }
    }
}

/// `12.5%`, to a hundredth.
fn share(of_one: f64) -> String {
    let mut text = String::with_capacity(8);
    write_scaled((of_one * 1e4).round() as i64, 2, &mut text);
    text.push('%');
    text
}
