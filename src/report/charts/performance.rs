//! Success rate and response time over time.

use crate::analysis::facts::{Facts, WrapperFacts};
use crate::analysis::snapshot::{Range, range};
use crate::report::charts::axis::{Axis, Unit};
use crate::report::charts::figure::{Figure, figure};
use crate::report::charts::{Across, Chart, Mark, Series, Shape, Span, in_percent, largest, painted};

/// The API's figure: one success-rate line a wrapper, 0 to 100 %, over the last `hours` hours.
pub fn performance_all(facts: &Facts, hours: u32) -> Figure {
    let ranges: Vec<_> = facts.wrappers.iter().map(|wrapper| range(facts, wrapper, hours)).collect();
    let names = facts.wrappers.iter().map(|wrapper| wrapper.id.name.as_str());
    lines(names.zip(&ranges))
}

/// As [`performance_all`], from ranges at hand.
pub fn lines<'a>(wrappers: impl Iterator<Item = (&'a str, &'a Range)>) -> Figure {
    figure(&system(&wrappers.collect::<Vec<_>>(), Vec::new()))
}

/// The success rate of each wrapper over one range, the same for all.
pub fn system(wrappers: &[(&str, &Range)], marks: Vec<Mark>) -> Chart {
    let rate = |(name, range): &(&str, &Range)| {
        Series::line(name, range, |figures| in_percent(figures.success_rate))
    };
    let nothing = Span { from_ms: 0, to_ms: 1, first_ms: 0, step_ms: 1, cells: 0 };
    Chart {
        name: "system",
        title: "Success rate of each wrapper over time".to_owned(),
        across: Across::Time(wrappers.first().map_or(nothing, |(_, range)| Span::of(range))),
        left: Axis::percent("Success rate"),
        right: None,
        series: painted(wrappers.iter().map(rate).collect()),
        marks,
    }
}

/// The API's figure: success rate on the left axis, 0 to 100 %, and mean and p95 response time on the right
/// one, over the last `hours` hours.
pub fn performance(facts: &Facts, wrapper: &WrapperFacts, hours: u32) -> Figure {
    figure(&dual(&range(facts, wrapper, hours), Vec::new()))
}

/// Success rate and response time of one wrapper over a range.
pub fn dual(range: &Range, marks: Vec<Mark>) -> Chart {
    let rate = Series::line("Success rate", range, |figures| in_percent(figures.success_rate));
    let mean = Series::line("Mean response time", range, |figures| figures.avg_response_time);
    let p95 = Series::line("p95 response time", range, |figures| figures.p95);
    let times = [mean, Series { shape: Shape::Dotted, ..p95 }].map(|series| Series { right: true, ..series });
    let right = Axis::up_to(largest(&times), Unit::Milliseconds, "Response time");
    Chart {
        name: "performance",
        title: "Success rate and response time over time".to_owned(),
        across: Across::Time(Span::of(range)),
        left: Axis::percent("Success rate"),
        right: Some(right),
        series: painted([rate].into_iter().chain(times).collect()),
        marks,
    }
}
