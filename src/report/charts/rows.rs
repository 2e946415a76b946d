//! The values of a chart as CSV: a row a cell, a column a series.

use crate::model::time::rfc3339;
use crate::report::charts::axis::Unit;
use crate::report::charts::number::write_rounded;
use crate::report::charts::{Across, Chart, Shape};
use crate::report::export::inert;

/// What is drawn, in numbers (RFC 4180, UTF-8). What has no value is empty, and text cannot be a formula.
pub fn csv(chart: &Chart) -> Vec<u8> {
    let cells = match &chart.across {
        Across::Time(span) => span.cells,
        Across::Bins { count, .. } => *count,
        Across::Names(names) => names.len(),
    };
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    let mut put =
        |row: Vec<String>| writer.write_record(row).expect("rows are as long, and memory takes them");
    put(head(chart));
    for cell in 0..cells {
        let values = chart.series.iter().map(|series| match series.values.get(cell).copied().flatten() {
            Some(value) => {
                let mut text = String::new();
                write_rounded(value, &mut text);
                text
            }
            None if series.shape == Shape::Heat => "0".to_owned(),
            None => String::new(),
        });
        put([place(chart, cell)].into_iter().chain(values).collect());
    }
    writer.into_inner().expect("memory takes what is left")
}

fn head(chart: &Chart) -> Vec<String> {
    let first = match chart.across {
        Across::Time(_) => "time",
        Across::Bins { .. } => "range",
        Across::Names(_) => "name",
    };
    let series = chart.series.iter().map(|series| {
        let unit = sign(&chart.axis(series).unit);
        let comma = if unit.is_empty() { "" } else { ", " };
        inert(&format!("{}{comma}{unit}", series.name)).into_owned()
    });
    [first.to_owned()].into_iter().chain(series).collect()
}

/// What values are counted in, as `save.js` tells it too.
fn sign(unit: &Unit) -> &str {
    match unit {
        Unit::Percent => "%",
        Unit::Milliseconds => "ms",
        Unit::Count => "",
        Unit::PerMinute => "/ min",
        Unit::Money(currency) => currency,
    }
}

/// When, between what, or of whom the values of a row are.
fn place(chart: &Chart, cell: usize) -> String {
    match &chart.across {
        Across::Time(span) => rfc3339(span.first_ms + cell as i64 * span.step_ms),
        Across::Bins { .. } => {
            let text = chart.series.first().and_then(|series| series.texts.get(cell));
            text.and_then(|text| text.split("<br>").next()).unwrap_or_default().to_owned()
        }
        Across::Names(names) => inert(&names[cell]).into_owned(),
    }
}
