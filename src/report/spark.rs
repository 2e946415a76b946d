//! Sparklines: a row of values as the outline of a small SVG, drawn at build time.
//!
//! A path's unit is one value to the right and one pixel down. The picture that shows it is stretched to any
//! width (`preserveAspectRatio="none"`), and its stroke is not.

use std::fmt::Write as _;

use serde::Serialize;

/// What a sparkline is drawn of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Spark {
    /// Of the view box.
    pub width: usize,
    pub height: u32,
    /// The line, broken where values are missing.
    pub line: String,
    /// What lies below the line.
    pub area: String,
}

/// Draws values between `low`, at the bottom, and `high`. `None` where there is nothing to draw.
pub fn spark(values: &[Option<f64>], (low, high): (f64, f64), height: u32) -> Option<Spark> {
    let span = if high > low { high - low } else { 1.0 };
    let level = |value: f64| {
        let share = ((value - low) / span).clamp(0.0, 1.0);
        i64::from(height) - (share * f64::from(height)).round() as i64
    };
    let levels: Vec<Option<i64>> =
        values.iter().map(|value| value.filter(|value| value.is_finite()).map(level)).collect();
    let width = values.len().saturating_sub(1).max(1);
    let mut spark = Spark { width, height, line: String::new(), area: String::new() };
    let mut at = 0;
    for run in levels.chunk_by(|a, b| a.is_some() == b.is_some()) {
        let drawn: Vec<i64> = run.iter().copied().flatten().collect();
        if !drawn.is_empty() {
            spark.add(at, &drawn);
        }
        at += run.len();
    }
    (!spark.line.is_empty()).then_some(spark)
}

impl Spark {
    /// One unbroken stretch, from its place on; relative steps are the shortest to write.
    fn add(&mut self, at: usize, levels: &[i64]) {
        let mut steps = String::new();
        for pair in levels.windows(2) {
            let step = pair[1] - pair[0];
            // A minus sign separates numbers as well as a space does.
            let gap = if step < 0 { "" } else { " " };
            let first = if steps.is_empty() { "" } else { " " };
            write!(steps, "{first}1{gap}{step}").expect("writing to memory");
        }
        // A lone value is a dot: a line of no length, with round ends.
        let steps = if steps.is_empty() { "h0".to_owned() } else { format!("l{steps}") };
        write!(self.line, "M{at} {}{steps}", levels[0]).expect("writing to memory");
        if levels.len() > 1 {
            write!(self.area, "M{at} {}{steps}V{}H{at}z", levels[0], self.height).expect("writing to memory");
        }
    }
}

/// From zero to the largest value.
pub fn from_zero(values: &[Option<f64>]) -> (f64, f64) {
    (0.0, values.iter().flatten().copied().fold(0.0, f64::max))
}

/// For shares of 0..=1: up to one, from the smallest but at most from nine tenths, so that what is fine does
/// not look like a fall.
pub fn share(values: &[Option<f64>]) -> (f64, f64) {
    (values.iter().flatten().copied().fold(0.9, f64::min), 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_gap_is_a_gap_and_a_lone_value_a_dot() {
        let values = [Some(0.0), Some(1.0), None, Some(0.5), None];
        let drawn = spark(&values, (0.0, 1.0), 20).expect("there is something to draw");
        assert_eq!(drawn.line, "M0 20l1-20M3 10h0");
        assert_eq!(drawn.area, "M0 20l1-20V20H0z");
        assert_eq!((drawn.width, drawn.height), (4, 20));
    }

    #[test]
    fn nothing_is_not_drawn() {
        assert_eq!(spark(&[], (0.0, 1.0), 20), None);
        assert_eq!(spark(&[None, Some(f64::NAN)], (0.0, 1.0), 20), None);
    }

    #[test]
    fn one_value_and_equal_values_have_a_place() {
        assert_eq!(spark(&[Some(3.0)], from_zero(&[Some(3.0)]), 20).expect("a dot").line, "M0 0h0");
        assert_eq!(spark(&[Some(0.0); 3], (0.0, 0.0), 20).expect("a line").line, "M0 20l1 0 1 0");
    }

    proptest! {
        #[test]
        fn whatever_the_values_the_line_stays_in_the_picture(
            values in prop::collection::vec(any::<Option<f64>>(), 0..60),
        ) {
            let Some(drawn) = spark(&values, from_zero(&values), 40) else { return Ok(()) };
            prop_assert!(!drawn.line.contains("NaN") && !drawn.line.contains("inf"));
            for stretch in drawn.line.split('M').skip(1) {
                let (start, steps) = stretch.split_once(['l', 'h']).expect("a start and steps");
                let mut y: i64 = start.split(' ').nth(1).expect("its height").parse().expect("a number");
                prop_assert!((0..=40).contains(&y));
                let numbers = steps.replace('-', " -");
                for step in numbers.split_whitespace().skip(1).step_by(2) {
                    y += step.parse::<i64>().expect("a number");
                    prop_assert!((0..=40).contains(&y), "{}", stretch);
                }
            }
        }
    }
}
