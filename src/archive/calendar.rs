//! Days of snapshots as a calendar: months of weeks, each day with the worst status that a kept snapshot of it
//! shows.

use std::collections::BTreeMap;

use chrono::{Datelike, Days, NaiveDate};
use serde::Serialize;

use crate::analysis::health::Status;
use crate::archive::index::Row;

/// One month, newest first in a list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Month {
    /// `January 2026`.
    pub name: String,
    /// Weeks from Monday to Sunday; days of other months are absent.
    pub weeks: Vec<Vec<Option<Day>>>,
}

/// One day of the month.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Day {
    pub number: u32,
    /// `2026-01-25`.
    pub date: String,
    /// The worst of the day's snapshots; absent where there are none.
    pub status: Option<Status>,
    /// How many there are, and the newest of them.
    pub snapshots: usize,
    pub newest: String,
    /// Runs that were due and did not happen before one of this day.
    pub missed: u64,
}

/// The months in which there are snapshots, newest first, at most so many.
pub fn months(rows: &[Row], most: usize) -> Vec<Month> {
    let mut days: BTreeMap<NaiveDate, Day> = BTreeMap::new();
    for row in rows {
        let Some(date) = row.generated_at.get(..10).and_then(|date| date.parse::<NaiveDate>().ok()) else {
            continue;
        };
        let day = days.entry(date).or_insert_with(|| empty(date));
        // No data is no status that is worse than another.
        let known = |status: &Status| *status != Status::NoData;
        let worst = day.status.into_iter().chain([row.status]).filter(known).min();
        day.status = Some(worst.unwrap_or(Status::NoData));
        day.snapshots += 1;
        day.newest.clone_from(&row.id);
        day.missed += row.missed;
    }
    let mut firsts: Vec<NaiveDate> = days.keys().filter_map(|date| date.with_day(1)).collect();
    firsts.dedup();
    firsts.iter().rev().take(most).map(|first| month(*first, &mut days)).collect()
}

fn empty(date: NaiveDate) -> Day {
    Day {
        number: date.day(),
        date: date.to_string(),
        status: None,
        snapshots: 0,
        newest: String::new(),
        missed: 0,
    }
}

fn month(first: NaiveDate, days: &mut BTreeMap<NaiveDate, Day>) -> Month {
    let mut cells: Vec<Option<Day>> = vec![None; first.weekday().num_days_from_monday() as usize];
    let mut date = first;
    while date.month() == first.month() {
        cells.push(Some(days.remove(&date).unwrap_or_else(|| empty(date))));
        let Some(next) = date.checked_add_days(Days::new(1)) else { break };
        date = next;
    }
    cells.resize(cells.len().next_multiple_of(7), None);
    let weeks = cells.chunks(7).map(<[_]>::to_vec).collect();
    Month { name: first.format("%B %Y").to_string(), weeks }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// An entry's row of a moment, as far as lists are concerned.
    pub fn row(generated_at: &str, status: Status) -> Row {
        let id = generated_at.replace(['-', ':'], "");
        Row {
            snapshot: id.clone(),
            id,
            generated_at: generated_at.to_owned(),
            started_at: generated_at.to_owned(),
            scheduled_at: None,
            every_ms: None,
            missed: 0,
            has_changes: false,
            missed_since: None,
            last_data: None,
            status,
            score: None,
            wrappers: 0,
            operations: 0,
            errors: 0,
            bytes: 0,
            assets: Vec::new(),
            manifest: String::new(),
        }
    }

    #[test]
    fn a_day_is_as_bad_as_its_worst_snapshot() {
        let rows = [
            row("2025-12-31T23:00:00Z", Status::NoData),
            row("2026-02-01T01:00:00Z", Status::Degraded),
            row("2026-02-01T02:00:00Z", Status::Critical),
            row("2026-02-01T03:00:00Z", Status::NoData),
        ];
        let months = months(&rows, 12);
        assert_eq!(
            months.iter().map(|month| month.name.as_str()).collect::<Vec<_>>(),
            ["February 2026", "December 2025"]
        );
        // 2026-02-01 was a Sunday.
        let first = months[0].weeks[0][6].as_ref().expect("the first of the month");
        assert_eq!((first.number, first.status, first.snapshots), (1, Some(Status::Critical), 3));
        assert_eq!(first.newest, "20260201T030000Z");
        assert!(months[0].weeks[0][..6].iter().all(Option::is_none));
        assert_eq!(months[0].weeks.len(), 5);
        let last = months[1].weeks.last().and_then(|week| week[2].as_ref()).expect("a Wednesday");
        assert_eq!((last.number, last.status), (31, Some(Status::NoData)));
    }
}
