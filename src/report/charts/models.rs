//! What models cost, over time.

use crate::analysis::cells::{Cells, Use};
use crate::report::charts::axis::{Axis, Unit};
use crate::report::charts::{Across, Chart, Series, Span, stacked, tallest};

/// Cost by model, one bar an hour or a day.
pub fn cost(models: &[String], cells: &Cells<Vec<Use>>, currency: &str) -> Chart {
    let series = by_model(models, cells, |used| used.cost);
    Chart {
        name: "cost",
        title: "Cost by model over time".to_owned(),
        across: Across::Time(Span::over(cells.window, cells.step_minutes)),
        left: Axis::up_to(tallest(&series), Unit::Money(currency.to_owned()), &format!("Cost, {currency}")),
        right: None,
        series,
        marks: Vec::new(),
    }
}

/// Tokens by model, one bar an hour or a day.
pub fn tokens(models: &[String], cells: &Cells<Vec<Use>>) -> Chart {
    let series = by_model(models, cells, |used| Some(used.tokens as f64));
    Chart {
        name: "tokens",
        title: "Tokens by model over time".to_owned(),
        across: Across::Time(Span::over(cells.window, cells.step_minutes)),
        left: Axis::up_to(tallest(&series), Unit::Count, "Tokens"),
        right: None,
        series,
        marks: Vec::new(),
    }
}

fn by_model(models: &[String], cells: &Cells<Vec<Use>>, value: impl Fn(&Use) -> Option<f64>) -> Vec<Series> {
    let span = Span::over(cells.window, cells.step_minutes);
    let points = || cells.points.iter().map(|(at, uses)| (*at, uses));
    stacked(models, |at| span.spread(points(), |uses| value(&uses[at])))
}
