//! Success rate and response time over time.

use plotly::common::{AxisSide, DashType, Line};
use plotly::layout::Axis;

use crate::analysis::facts::{Facts, WrapperFacts};
use crate::analysis::snapshot::{Range, range};
use crate::report::charts::{Figure, in_percent, line, milliseconds_axis, percent_axis, time_layout};

const RATE_HOVER: &str = "%{y:.2f} %";
const TIME_HOVER: &str = "%{y:,.1f} ms";

/// One success-rate line a wrapper, 0 to 100 %, over the last `hours` hours.
pub fn performance_all(facts: &Facts, hours: u32) -> Figure {
    let ranges: Vec<_> = facts.wrappers.iter().map(|wrapper| range(facts, wrapper, hours)).collect();
    let names = facts.wrappers.iter().map(|wrapper| wrapper.id.name.as_str());
    lines(names.zip(&ranges))
}

/// As [`performance_all`], from ranges at hand.
pub fn lines<'a>(wrappers: impl Iterator<Item = (&'a str, &'a Range)>) -> Figure {
    let traces = wrappers.map(|(name, range)| {
        let rate = line(range, name, |figures| in_percent(figures.success_rate));
        rate.hover_template(RATE_HOVER) as Box<dyn plotly::Trace>
    });
    Figure::new(traces.collect(), time_layout().y_axis(percent_axis("Success rate")))
}

/// Success rate on the left axis, 0 to 100 %, and mean and p95 response time on the right one, over the last
/// `hours` hours.
pub fn performance(facts: &Facts, wrapper: &WrapperFacts, hours: u32) -> Figure {
    dual(&range(facts, wrapper, hours))
}

/// As [`performance`], from a range at hand.
pub fn dual(range: &Range) -> Figure {
    let rate =
        line(range, "Success rate", |figures| in_percent(figures.success_rate)).hover_template(RATE_HOVER);
    let mean = line(range, "Mean response time", |figures| figures.avg_response_time)
        .hover_template(TIME_HOVER)
        .y_axis("y2");
    let p95 = line(range, "p95 response time", |figures| figures.p95)
        .hover_template(TIME_HOVER)
        .line(Line::new().width(1.75).dash(DashType::Dot))
        .y_axis("y2");
    let right: Axis =
        milliseconds_axis("Response time").side(AxisSide::Right).overlaying("y").show_grid(false);
    let layout = time_layout().y_axis(percent_axis("Success rate")).y_axis2(right);
    Figure::new(vec![rate, mean, p95], layout)
}
