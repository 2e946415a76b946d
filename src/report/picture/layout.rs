//! Where everything of a picture lies, as SVG: the plot, and what a page writes around it.

use std::fmt::Write as _;

use crate::report::charts::axis::{Axis, time_ticks};
use crate::report::charts::inline::{INSIDE, NAME_CHARS};
use crate::report::charts::plot::{Frame, paths};
use crate::report::charts::{Across, Chart, Series, Shape, shorten_middle};
use crate::report::escape::markup;
use crate::report::picture::Caption;
use crate::report::picture::drawing::FONT;
use crate::report::picture::palette::{Look, Palette};

const WIDTH: f64 = 960.0;
const PAD: f64 = 24.0;
/// The upper edge of the plot, with and without titles of axes above it; its height where rows do not decide it,
/// and that of a row.
const TOP: f64 = 108.0;
const TOP_UNTITLED: f64 = 84.0;
const HEIGHT: f64 = 320.0;
const ROW: f64 = 34.0;
/// Room beside the plot for values, for names, and for neither.
const VALUES: f64 = 52.0;
const NAMES: f64 = 140.0;
const NOTHING: f64 = 12.0;
/// From the lower edge of the plot to the first line of the legend, and from that to the next.
const LEGEND: f64 = 46.0;
const LINE: f64 = 22.0;
/// Strokes on the edge of the plot keep their other half.
const BLEED: f64 = 2.0;
/// What letters of 12 pixels are wide, about; text is shortened rather than measured.
const LETTER: f64 = 7.0;
const TITLE_CHARS: usize = 84;
const NOTE_CHARS: usize = 120;
const LEGEND_CHARS: usize = 40;

/// The plot in the picture.
struct Plot {
    left: f64,
    top: f64,
    width: f64,
    height: f64,
}

impl Plot {
    fn of(chart: &Chart) -> Plot {
        let (before, rows) = match &chart.across {
            Across::Names(names) => (NAMES, Some(names.len().max(1))),
            _ => (VALUES, None),
        };
        let behind = if chart.right.is_some() { VALUES } else { NOTHING };
        Plot {
            left: PAD + before,
            top: if rows.is_some() { TOP_UNTITLED } else { TOP },
            width: WIDTH - 2.0 * PAD - before - behind,
            height: rows.map_or(HEIGHT, |rows| ROW * rows as f64),
        }
    }

    fn right(&self) -> f64 {
        self.left + self.width
    }

    fn bottom(&self) -> f64 {
        self.top + self.height
    }
}

/// The whole picture.
pub fn svg(chart: &Chart, caption: &Caption, look: Look) -> String {
    let (plot, palette) = (Plot::of(chart), look.palette());
    let mut legend = String::new();
    let lines = self::legend(chart, plot.bottom() + LEGEND, &mut legend);
    let height = plot.bottom() + LINE + if lines > 0 { LINE * lines as f64 + 4.0 } else { 0.0 } + PAD;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\"><style>{}</style><rect class=\"ground\" width=\"{WIDTH}\" \
         height=\"{height}\"/>",
        style(palette)
    );
    put(&mut out, "title", (PAD, 42.0), &shorten_middle(caption.title, TITLE_CHARS));
    put(&mut out, "note", (PAD, 64.0), &shorten_middle(caption.note, NOTE_CHARS));
    axes(chart, &plot, &mut out);
    let (x, y, width, height) =
        (plot.left - BLEED, plot.top - BLEED, plot.width + 2.0 * BLEED, plot.height + 2.0 * BLEED);
    write!(
        out,
        "<svg x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" viewBox=\"-{BLEED} -{BLEED} {width} \
         {height}\">{}</svg>",
        paths(chart, Frame { width: plot.width, height: plot.height, decimals: 1 })
    )
    .expect("writing to memory");
    if matches!(chart.across, Across::Names(_)) {
        bars(chart, &plot, palette, &mut out);
    }
    if chart.is_empty() {
        let middle = (plot.left + plot.width / 2.0, plot.top + plot.height / 2.0);
        put(&mut out, "middle", middle, "No operations in this time");
    }
    out.push_str(&legend);
    out.push_str("</svg>");
    out
}

fn style(palette: &Palette) -> String {
    let colour = |name| palette.colour(name);
    let mut style = format!(
        "text{{font-family:{FONT};font-size:12px;fill:{}}}.title{{font-size:18px;font-weight:600;fill:{}}}\
         .note{{fill:{}}}.end{{text-anchor:end}}.middle{{text-anchor:middle}}.ground{{fill:{}}}\
         .grid{{fill:none;stroke:{};shape-rendering:crispEdges}}.gap{{fill:{}}}.fill{{fill:currentColor}}\
         .line,.dot,.mark,.key{{fill:none;stroke:currentColor;stroke-width:1.75;stroke-linejoin:round}}\
         .dot{{stroke-width:4;stroke-linecap:round}}.dotted{{stroke-dasharray:3 3}}\
         .mark{{stroke-width:1;stroke-dasharray:3 3}}.key{{stroke-width:3}}",
        colour("chart-text"),
        colour("bs-body-color"),
        colour("muted"),
        colour("panel"),
        colour("chart-grid"),
        colour("chart-gap"),
    );
    for start in ["series-", "bar-", "heat-"] {
        for (name, colour) in palette.starting_with(start) {
            write!(style, ".{name}{{color:{colour}}}").expect("writing to memory");
        }
    }
    style
}

fn put(out: &mut String, class: &str, (x, y): (f64, f64), text: &str) {
    let (x, y) = (tenths(x), tenths(y));
    write!(out, "<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{}</text>", markup(text))
        .expect("writing to memory");
}

fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// Titles and labels of the axes.
fn axes(chart: &Chart, plot: &Plot, out: &mut String) {
    let mut below = |share: f64, label: &str| {
        put(out, "middle", (plot.left + share * plot.width, plot.bottom() + 18.0), label);
    };
    match &chart.across {
        Across::Time(span) => {
            let whole = (span.to_ms - span.from_ms).max(1) as f64;
            for tick in time_ticks(span.from_ms, span.to_ms) {
                below((tick.at - span.from_ms as f64) / whole, &tick.label);
            }
        }
        Across::Bins { count, ticks } => {
            let whole = (*count).max(1) as f64;
            ticks.iter().for_each(|tick| below(tick.at / whole, &tick.label));
        }
        Across::Names(names) => {
            chart.left.ticks.iter().for_each(|tick| below(tick.at / chart.left.top, &tick.label));
            for (row, name) in names.iter().enumerate() {
                let place = (plot.left - 8.0, plot.top + ROW * (row as f64 + 0.5) + 4.0);
                put(out, "end", place, &shorten_middle(name, NAME_CHARS));
            }
            return;
        }
    }
    put(out, "note", (PAD, plot.top - 16.0), &chart.left.title);
    values(&chart.left, ("end", plot.left - 8.0), plot, out);
    if let Some(right) = &chart.right {
        put(out, "note end", (WIDTH - PAD, plot.top - 16.0), &right.title);
        values(right, ("start", plot.right() + 8.0), plot, out);
    }
}

fn values(axis: &Axis, (class, x): (&str, f64), plot: &Plot, out: &mut String) {
    for tick in &axis.ticks {
        put(out, class, (x, plot.top + plot.height * (1.0 - tick.at / axis.top) + 4.0), &tick.label);
    }
}

/// What bars say, in them where they are long enough, else behind them.
fn bars(chart: &Chart, plot: &Plot, palette: &Palette, out: &mut String) {
    for series in &chart.series {
        for (row, text) in series.texts.iter().enumerate() {
            let value = series.values.get(row).copied().flatten();
            let share = value.map_or(0.0, |value| (value / chart.left.top).clamp(0.0, 1.0));
            let (x, y) = (plot.left + share * plot.width, plot.top + ROW * (row as f64 + 0.5) + 4.0);
            if share >= INSIDE {
                let (on, x) = (on_colour(palette.colour(series.paint.name(row))), tenths(x - 6.0));
                let text = markup(text);
                write!(out, "<text class=\"end\" style=\"fill:{on}\" x=\"{x}\" y=\"{y}\">{text}</text>")
                    .expect("writing to memory");
            } else {
                put(out, "start", (x + 6.0, y), text);
            }
        }
    }
}

/// What is read best on a colour: white or nearly black, by the contrast of WCAG 2.
fn on_colour(colour: &str) -> &'static str {
    let channel = |at: usize| {
        let value = colour.get(at..at + 2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let value = f64::from(value.unwrap_or(0)) / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    let luminance = 0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5);
    // (1 + 0.05) / (l + 0.05) against (l + 0.05) / (0.019 + 0.05), that of #1c2632.
    if (luminance + 0.05).powi(2) < 1.05 * 0.069 { "#ffffff" } else { "#1c2632" }
}

/// Writes what the series are called, in columns, and returns the number of its lines.
fn legend(chart: &Chart, top: f64, out: &mut String) -> usize {
    let over_time = matches!(chart.across, Across::Time(_));
    let named: Vec<&Series> = chart.series.iter().filter(|series| series.shape != Shape::Heat).collect();
    if !over_time || named.len() < 2 {
        return 0;
    }
    let names: Vec<_> = named.iter().map(|series| shorten_middle(&series.name, LEGEND_CHARS)).collect();
    let longest = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    let column = (longest as f64 * LETTER + 44.0).max(110.0);
    let columns = (((WIDTH - 2.0 * PAD) / column) as usize).clamp(1, named.len());
    for (at, (series, name)) in named.iter().zip(&names).enumerate() {
        let (x, y) = (PAD + (at % columns) as f64 * column, top + (at / columns) as f64 * LINE);
        let dotted = if series.shape == Shape::Dotted { " dotted" } else { "" };
        let (paint, above) = (series.paint.name(0), y - 4.0);
        write!(out, "<path class=\"key{dotted} {paint}\" d=\"M{x} {above}h18\"/>")
            .expect("writing to memory");
        put(out, "start", (x + 26.0, y), name);
    }
    named.len().div_ceil(columns)
}
