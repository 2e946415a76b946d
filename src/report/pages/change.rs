//! How a figure stands against the window before, in a word or two.

use serde::Serialize;

use crate::report::format;

/// A difference as a card shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// `up`, `down` or `same`.
    pub direction: &'static str,
    /// `better`, `worse`, or `neutral` where neither is said.
    pub tone: &'static str,
    /// How much: `12 %`, `1.4 points`; empty where nothing changed.
    pub text: String,
}

/// Which way is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Good {
    Up,
    Down,
    Neither,
}

/// Of an amount: by how much of what it was. `None` where there was nothing, or is nothing.
pub fn relative(now: Option<f64>, before: Option<f64>, good: Good) -> Option<Change> {
    let (now, before) = (now?, before.filter(|before| *before > 0.0)?);
    let share = (now - before) / before;
    let text = match share.abs() {
        share if share > 9.99 => format!("{} ×", format::count((now / before).round() as u64)),
        share => format!("{:.0} %", share * 100.0),
    };
    Some(change(share, 0.005, text, good))
}

/// Of a share of 0..=1: by how many percentage points.
pub fn points(now: Option<f64>, before: Option<f64>, good: Good) -> Option<Change> {
    let points = (now? - before?) * 100.0;
    Some(change(points, 0.05, format!("{:.1} points", points.abs()), good))
}

/// Of a count of few.
pub fn count(now: usize, before: usize, good: Good) -> Change {
    let difference = now as f64 - before as f64;
    change(difference, 0.5, now.abs_diff(before).to_string(), good)
}

fn change(difference: f64, least: f64, text: String, good: Good) -> Change {
    if difference.abs() < least {
        return Change { direction: "same", tone: "neutral", text: String::new() };
    }
    let up = difference > 0.0;
    let tone = match good {
        Good::Neither => "neutral",
        Good::Up if up => "better",
        Good::Down if !up => "better",
        Good::Up | Good::Down => "worse",
    };
    Change { direction: if up { "up" } else { "down" }, tone, text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(change: Option<Change>) -> Option<(&'static str, &'static str, String)> {
        change.map(|change| (change.direction, change.tone, change.text))
    }

    #[test]
    fn amounts_change_by_what_they_were() {
        let change = |now, before| said(relative(now, before, Good::Down));
        assert_eq!(change(Some(112.0), Some(100.0)), Some(("up", "worse", "12 %".to_owned())));
        assert_eq!(change(Some(50.0), Some(100.0)), Some(("down", "better", "50 %".to_owned())));
        assert_eq!(change(Some(4000.0), Some(2.0)), Some(("up", "worse", "2,000 ×".to_owned())));
        assert_eq!(change(Some(100.2), Some(100.0)), Some(("same", "neutral", String::new())));
        assert_eq!(change(Some(1.0), Some(0.0)), None);
        assert_eq!(change(None, Some(1.0)), None);
    }

    #[test]
    fn shares_change_by_points() {
        let change = |now, before| said(points(now, before, Good::Up));
        assert_eq!(change(Some(0.986), Some(1.0)), Some(("down", "worse", "1.4 points".to_owned())));
        assert_eq!(change(Some(1.0), Some(1.0)), Some(("same", "neutral", String::new())));
        assert_eq!(change(Some(1.0), None), None);
    }
}
