//! Which entries have outlived their time.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Datelike};

use crate::archive::index::Row;
use crate::archive::keep::milliseconds;
use crate::archive::settings::{Keep, Span};
use crate::model::time::{day_of, hour_of};

/// The ids of the entries that no rule keeps. `now_ms` is what age is counted from: see [`reference()`].
///
/// The newest entry always stays. One that is dated later than `now_ms` is young to every rule.
pub fn outdated(rows: &[Row], keep: &Keep, now_ms: i64) -> Vec<String> {
    let moments: Vec<_> =
        rows.iter().filter_map(|row| Some((milliseconds(&row.generated_at).ok()?, row))).collect();
    let mut kept: BTreeSet<&str> = BTreeSet::new();
    kept.extend(moments.iter().max_by_key(|(ms, row)| (*ms, &row.id)).map(|(_, row)| row.id.as_str()));
    let young = |span: Option<Span>| {
        let limit_ms = span.map_or(i64::MIN, |span| span.ms);
        moments.iter().filter(move |(ms, _)| now_ms.saturating_sub(*ms) <= limit_ms)
    };
    kept.extend(young(keep.all).map(|(_, row)| row.id.as_str()));
    let rules = [(keep.hourly, hour_of as fn(i64) -> i64), (keep.daily, day_of), (keep.monthly, month_of)];
    for (span, period) in rules {
        let mut newest: BTreeMap<i64, (i64, &str)> = BTreeMap::new();
        for (ms, row) in young(span) {
            let entry = newest.entry(period(*ms)).or_insert((*ms, &row.id));
            *entry = (*entry).max((*ms, &row.id));
        }
        kept.extend(newest.into_values().map(|(_, id)| id));
    }
    let outdated = moments.iter().filter(|(_, row)| !kept.contains(row.id.as_str()));
    outdated.map(|(_, row)| row.id.clone()).collect()
}

/// What age is counted from: the newest data, or the last run but one where that is later; never later than the
/// moment. A single run with a clock that is years ahead ages nothing, and logs that ended do not keep entries
/// for ever.
pub fn reference(rows: &[Row], moment_ms: i64) -> i64 {
    let data = rows.last().and_then(|row| milliseconds(row.last_data.as_deref()?).ok());
    let mut runs: Vec<i64> = rows.iter().filter_map(|row| milliseconds(&row.started_at).ok()).collect();
    runs.sort_unstable();
    let run = runs.iter().nth_back(1).copied();
    data.max(run).map_or(moment_ms, |known| known.min(moment_ms))
}

fn month_of(ms: i64) -> i64 {
    let at = DateTime::from_timestamp_millis(ms).unwrap_or_default();
    i64::from(at.year()) * 12 + i64::from(at.month0())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::health::Status;
    use crate::archive::calendar::tests::row;
    use crate::model::time::{DAY_MS, HOUR_MS, rfc3339};
    use proptest::prelude::*;

    const NOW: i64 = 1_769_346_000_000;

    fn rows(moments: impl IntoIterator<Item = i64>) -> Vec<Row> {
        let row =
            |(at, ms): (usize, i64)| Row { id: format!("{at:05}"), ..row(&rfc3339(ms), Status::Healthy) };
        moments.into_iter().enumerate().map(row).collect()
    }

    /// Runs so long after the last data, each kept.
    fn runs(after_ms: impl IntoIterator<Item = i64>, data_ms: i64) -> Vec<Row> {
        let mut rows = rows(after_ms.into_iter().map(|ms| data_ms + ms));
        for row in &mut rows {
            row.started_at.clone_from(&row.generated_at);
            row.last_data = Some(rfc3339(data_ms));
        }
        rows
    }

    fn keep() -> Keep {
        let days = |days| Some(Span { ms: days * DAY_MS });
        Keep { all: None, hourly: days(2), daily: days(30), monthly: Some(Span::FOREVER) }
    }

    #[test]
    fn a_year_of_hours_becomes_hours_days_and_months() {
        let rows = rows((0..365 * 24).map(|hours| NOW - (365 * 24 - 1 - hours) * HOUR_MS));
        let gone = outdated(&rows, &keep(), NOW);
        let left = rows.len() - gone.len();
        // 49 hours with both ends, 28 further days, 11 further months.
        assert!((87..=92).contains(&left), "{left}");
        assert!(!gone.contains(&rows[rows.len() - 1].id));
    }

    #[test]
    fn all_of_an_hour_are_kept_only_where_that_is_asked_for() {
        let rows = rows((0..6).map(|at| NOW - at * 10 * 60_000 + 1));
        assert_eq!(outdated(&rows, &keep(), NOW).len(), 4, "the hour that began at the last, and the newest");
        let all = Keep { all: Some(Span { ms: DAY_MS }), ..keep() };
        assert_eq!(outdated(&rows, &all, NOW), Vec::<String>::new());
    }

    #[test]
    fn a_clock_far_ahead_ages_nothing() {
        let mut rows = runs([-HOUR_MS, 0], NOW);
        assert_eq!(reference(&rows, NOW + 3650 * DAY_MS), NOW);
        assert_eq!(reference(&rows, NOW - DAY_MS), NOW - DAY_MS);
        rows.extend(runs([3650 * DAY_MS], NOW));
        assert_eq!(reference(&rows, NOW + 3650 * DAY_MS), NOW);
    }

    #[test]
    fn entries_age_after_the_last_data() {
        let rows = runs((0..90).map(|day| day * DAY_MS), NOW);
        let now_ms = reference(&rows, NOW + 89 * DAY_MS);
        assert_eq!(now_ms, NOW + 88 * DAY_MS);
        assert!(!outdated(&rows, &keep(), now_ms).is_empty());
    }

    proptest! {
        #[test]
        fn the_newest_stays_and_pruning_again_removes_nothing(
            ages in prop::collection::vec(-48i64..10_000, 1..80),
            spans in prop::collection::vec(prop::option::of(1i64..9000), 4),
        ) {
            let span = |at: usize| spans[at].map(|hours: i64| Span { ms: hours * HOUR_MS });
            let keep = Keep { all: span(0), hourly: span(1), daily: span(2), monthly: span(3) };
            let rows = rows(ages.iter().map(|hours| NOW - hours * HOUR_MS));
            let gone = outdated(&rows, &keep, NOW);
            let left: Vec<Row> = rows.iter().filter(|row| !gone.contains(&row.id)).cloned().collect();
            let newest = rows.iter().map(|row| &row.generated_at).max();
            prop_assert_eq!(left.iter().map(|row| &row.generated_at).max(), newest);
            prop_assert_eq!(outdated(&left, &keep, NOW), Vec::<String>::new());
        }
    }
}
