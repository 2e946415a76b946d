//! Scales: round numbers for values, round times for time, and how both are written.

use chrono::{DateTime, Timelike, Utc};

use crate::model::time::{DAY_MS, HOUR_MS, MINUTE_MS};
use crate::report::format;

/// Most steps along an axis of values, and along one of time: what fits beside a phone's chart.
const VALUE_TICKS: f64 = 5.0;
const TIME_TICKS: i64 = 7;

/// A place on an axis and what is written there.
#[derive(Clone, Debug, PartialEq)]
pub struct Tick {
    pub at: f64,
    pub label: String,
}

/// What values of an axis are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unit {
    /// 0 to 100.
    Percent,
    Milliseconds,
    /// Whole things.
    Count,
    PerMinute,
    /// An amount in this currency.
    Money(String),
}

/// An axis of values, from 0 to `top`.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    pub title: String,
    pub unit: Unit,
    pub top: f64,
    pub ticks: Vec<Tick>,
}

impl Axis {
    /// 0 to 100 %.
    pub fn percent(title: &str) -> Axis {
        let ticks = (0..=4).map(|at| f64::from(at) * 25.0);
        let ticks = ticks.map(|at| Tick { at, label: format!("{at} %") }).collect();
        Axis { title: title.to_owned(), unit: Unit::Percent, top: 100.0, ticks }
    }

    /// From 0 to the first round number that no value exceeds.
    pub fn up_to(largest: f64, unit: Unit, title: &str) -> Axis {
        let (scale, suffix) = unit.scale(largest);
        let whole = unit == Unit::Count;
        let step = round_step(largest / scale / VALUE_TICKS, whole && scale == 1.0);
        let steps = (largest / scale / step - 1e-9).ceil().clamp(1.0, 2.0 * VALUE_TICKS) as u32;
        let decimals = (-step.log10().floor()).clamp(0.0, 12.0) as usize;
        let exact = (step * 10_f64.powi(decimals as i32)).fract() < 1e-6;
        let decimals = decimals + usize::from(!exact);
        let label = |at: f64| format!("{at:.decimals$}{suffix}");
        let tick = |at: u32| {
            let at = f64::from(at) * step;
            Tick { at: at * scale, label: if at == 0.0 { "0".to_owned() } else { label(at) } }
        };
        let ticks = (0..=steps).map(tick).collect();
        Axis { title: title.to_owned(), unit, top: f64::from(steps) * step * scale, ticks }
    }
}

impl Unit {
    /// What the labels of an axis up to `largest` count in, and the sign for it.
    fn scale(&self, largest: f64) -> (f64, &'static str) {
        let table: &[(f64, &str)] = match self {
            Unit::Percent => &[(1.0, " %")],
            Unit::Milliseconds => &[
                (864e5, " d"),
                (36e5, " h"),
                (6e4, " min"),
                (1e3, " s"),
                (1.0, " ms"),
                (1e-3, " µs"),
                (1e-6, " ns"),
            ],
            _ => &[(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, "")],
        };
        // Two of a unit are enough to count in it.
        let fits = table.iter().find(|(scale, _)| largest >= 2.0 * scale);
        let smallest = if largest > 0.0 { table.last() } else { table.iter().find(|entry| entry.0 == 1.0) };
        *fits.or(smallest).expect("every table has a unit")
    }

    /// A value in words.
    pub fn text(&self, value: f64) -> String {
        match self {
            Unit::Percent => format::percent(value / 100.0),
            Unit::Milliseconds => format::duration(value),
            Unit::Count => format::count(value.max(0.0).round() as u64),
            Unit::PerMinute => format::rate(value),
            Unit::Money(currency) => format!("{} {currency}", format::money(value)),
        }
    }
}

/// The smallest of 1, 2, 2.5, 5 × 10ⁿ that is not below `least`; only whole ones where asked.
fn round_step(least: f64, whole: bool) -> f64 {
    if !(least.is_finite() && least > 0.0) {
        return 1.0;
    }
    let power = 10_f64.powf(least.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().map(|digit| digit * power).find(|&step| step >= least);
    let step = step.unwrap_or(10.0 * power);
    if whole { step.max(1.0).ceil() } else { step }
}

/// Round moments of a stretch, in milliseconds: no more than labels have room.
pub fn time_ticks(from_ms: i64, to_ms: i64) -> Vec<Tick> {
    const STEPS: [i64; 16] = [
        MINUTE_MS,
        2 * MINUTE_MS,
        5 * MINUTE_MS,
        10 * MINUTE_MS,
        15 * MINUTE_MS,
        30 * MINUTE_MS,
        HOUR_MS,
        2 * HOUR_MS,
        4 * HOUR_MS,
        6 * HOUR_MS,
        12 * HOUR_MS,
        DAY_MS,
        2 * DAY_MS,
        5 * DAY_MS,
        10 * DAY_MS,
        30 * DAY_MS,
    ];
    let fits = |step: &&i64| (to_ms - from_ms) / **step <= TIME_TICKS;
    let step = STEPS.iter().find(fits).copied().unwrap_or(30 * DAY_MS);
    let first = (from_ms + step - 1).div_euclid(step);
    let moments = (first..=to_ms.div_euclid(step)).map(|at| at * step).take(TIME_TICKS as usize + 1);
    moments.map(|at_ms| Tick { at: at_ms as f64, label: moment(at_ms) }).collect()
}

/// `12:30`, and midnight as the day that begins: `Jan 25`.
fn moment(at_ms: i64) -> String {
    let at = DateTime::<Utc>::from_timestamp_millis(at_ms).unwrap_or_default();
    match at.num_seconds_from_midnight() {
        0 => at.format("%b %-d").to_string(),
        _ => format!("{:02}:{:02}", at.hour(), at.minute()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn labels(largest: f64, unit: Unit) -> String {
        let axis = Axis::up_to(largest, unit, "");
        axis.ticks.into_iter().map(|tick| tick.label).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn scales_end_at_round_numbers_in_a_unit_that_suits_them() {
        assert_eq!(labels(0.0, Unit::Count), "0, 1");
        assert_eq!(labels(3.0, Unit::Count), "0, 1, 2, 3");
        assert_eq!(labels(870.0, Unit::Milliseconds), "0, 200 ms, 400 ms, 600 ms, 800 ms, 1000 ms");
        assert_eq!(labels(11_000.0, Unit::Milliseconds), "0, 2.5 s, 5.0 s, 7.5 s, 10.0 s, 12.5 s");
        assert_eq!(labels(1e12, Unit::Milliseconds), "0, 2500 d, 5000 d, 7500 d, 10000 d, 12500 d");
        assert_eq!(
            labels(0.0123, Unit::Money("USD".to_owned())),
            "0, 0.0025, 0.0050, 0.0075, 0.0100, 0.0125"
        );
        assert_eq!(labels(1e12, Unit::Count), "0, 200G, 400G, 600G, 800G, 1000G");
    }

    #[test]
    fn times_are_round_and_midnight_is_a_day() {
        let noon = 1_769_342_400_000;
        let labels = |hours: i64| {
            let ticks = time_ticks(noon - hours * HOUR_MS, noon);
            ticks.into_iter().map(|tick| tick.label).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(labels(1), "11:00 11:10 11:20 11:30 11:40 11:50 12:00");
        assert_eq!(labels(24), "12:00 16:00 20:00 Jan 25 04:00 08:00 12:00");
        assert_eq!(labels(168), "Jan 19 Jan 20 Jan 21 Jan 22 Jan 23 Jan 24 Jan 25");
    }

    proptest! {
        #[test]
        fn no_value_is_beyond_its_axis(largest in prop_oneof![1e-6..1e-3f64, 0.0..1e3f64, 0.0..1e13f64]) {
            for unit in [Unit::Count, Unit::Milliseconds, Unit::Money("€".to_owned())] {
                let axis = Axis::up_to(largest, unit, "");
                prop_assert!(axis.top >= largest * (1.0 - 1e-6), "{:?}", axis);
                prop_assert!(axis.ticks.len() <= 7, "{:?}", axis);
                prop_assert!(axis.ticks.iter().all(|tick| tick.label.chars().count() <= 10), "{:?}", axis);
            }
        }

        #[test]
        fn few_times_are_labelled(from in 0i64..4_000_000_000_000, minutes in 1i64..50_000) {
            let ticks = time_ticks(from, from + minutes * MINUTE_MS);
            prop_assert!(ticks.len() <= 8, "{}", ticks.len());
        }
    }
}
