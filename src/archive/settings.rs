//! `[archive]` of `dash.toml`: how often snapshots are due, and how long they are kept.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::model::time::{DAY_MS, HOUR_MS, MINUTE_MS};

/// `[archive]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ArchiveSettings {
    /// How often a snapshot is due, on the clock in UTC; without it, no snapshot is ever late or missed.
    pub every: Option<Span>,
    pub keep: Keep,
}

impl Default for ArchiveSettings {
    fn default() -> ArchiveSettings {
        ArchiveSettings { every: None, keep: Keep::standard() }
    }
}

/// How far back snapshots are kept: all of them, and one an hour, day and month. A rule that is not named
/// keeps nothing; the newest snapshot is always kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Keep {
    pub all: Option<Span>,
    pub hourly: Option<Span>,
    pub daily: Option<Span>,
    pub monthly: Option<Span>,
}

impl Keep {
    /// What is kept where the settings do not say.
    fn standard() -> Keep {
        let days = |days| Some(Span { ms: days * DAY_MS });
        Keep { all: days(1), hourly: days(2), daily: days(30), monthly: Some(Span::FOREVER) }
    }
}

impl ArchiveSettings {
    /// What is out of bounds, as a sentence that names the key.
    pub fn problem(&self) -> Option<String> {
        let every = self.every?;
        let regular = every.ms >= MINUTE_MS && DAY_MS % every.ms.max(1) == 0;
        (!regular).then(|| {
            "`every` is not a whole part of a day; write it as `\"1h\"`, `\"15m\"` or `\"1d\"`".to_owned()
        })
    }
}

/// A length of time, as `90s`, `10m`, `48h`, `30d` or `forever`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    pub ms: i64,
}

impl Span {
    pub const FOREVER: Span = Span { ms: i64::MAX };

    /// Reads a span.
    ///
    /// # Errors
    /// Says how to write one.
    pub fn parse(text: &str) -> Result<Span, String> {
        if text == "forever" {
            return Ok(Span::FOREVER);
        }
        let wrong = || {
            format!("`{text}` is not a length of time; write it as `90s`, `10m`, `48h`, `30d` or `forever`")
        };
        let unit = text.chars().next_back().ok_or_else(wrong)?;
        let number: i64 = text[..text.len() - unit.len_utf8()].trim().parse().map_err(|_| wrong())?;
        let unit_ms = match unit {
            's' => 1000,
            'm' => MINUTE_MS,
            'h' => HOUR_MS,
            'd' => DAY_MS,
            _ => return Err(wrong()),
        };
        let ms = number.checked_mul(unit_ms).filter(|ms| *ms > 0).ok_or_else(wrong)?;
        Ok(Span { ms })
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Span, D::Error> {
        Span::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_a_number_and_a_unit() {
        let table = [("90s", 90_000), ("10m", 600_000), ("48h", 48 * HOUR_MS), ("30d", 30 * DAY_MS)];
        for (text, ms) in table {
            assert_eq!(Span::parse(text), Ok(Span { ms }));
        }
        assert_eq!(Span::parse("forever"), Ok(Span::FOREVER));
        for text in ["", "h", "5", "-1h", "0d", "1 week", "99999999999999999d", "5é"] {
            assert!(Span::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_rule_that_is_not_named_keeps_nothing() {
        let settings: ArchiveSettings = toml::from_str("keep = { daily = '7d' }").expect("valid");
        assert_eq!(settings.keep, Keep { daily: Some(Span { ms: 7 * DAY_MS }), ..Keep::default() });
        assert_eq!(toml::from_str::<ArchiveSettings>("").ok(), Some(ArchiveSettings::default()));
    }

    #[test]
    fn slots_lie_on_the_clock() {
        let problem = |every: &str| {
            let settings: ArchiveSettings = toml::from_str(&format!("every = '{every}'")).expect("valid");
            settings.problem()
        };
        assert_eq!((problem("1h"), problem("15m"), problem("1d")), (None, None, None));
        assert!(problem("7h").is_some() && problem("2d").is_some() && problem("30s").is_some());
    }
}
