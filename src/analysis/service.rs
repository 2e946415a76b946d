//! A month of service: how much of it held, what was left of the error budget, and when it did not hold.
//!
//! Worked out from hours, of operations alone: an hour without operations is neither good nor bad, and a
//! snapshot that was not made is nothing that a wrapper did.

use chrono::{DateTime, Datelike, NaiveDate};
use serde::{Deserialize, Serialize};

use crate::analysis::figures::Figures;
use crate::model::bucket::Bucket;
use crate::model::history::{History, WrapperId, merged, slice};
use crate::model::time::{HOUR_MS, hour_of};

/// `[service]`: what is promised.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServiceSettings {
    /// Share of a month's operations that are to succeed.
    pub objective: f64,
    /// An hour in which more than this share failed is part of an incident.
    pub incident_error_rate: f64,
}

impl Default for ServiceSettings {
    fn default() -> ServiceSettings {
        ServiceSettings { objective: 0.99, incident_error_rate: 0.1 }
    }
}

impl ServiceSettings {
    /// What is out of bounds, as a sentence that names the key.
    pub fn problem(&self) -> Option<String> {
        if !(self.objective > 0.0 && self.objective < 1.0) {
            return Some(format!("`objective = {}` is not between 0 and 1", self.objective));
        }
        let share = (0.0..1.0).contains(&self.incident_error_rate);
        (!share)
            .then(|| format!("`incident_error_rate = {}` is not a share below 1", self.incident_error_rate))
    }
}

/// Most incidents and worst hours that are told.
const MOST: usize = 20;

/// A month of the calendar, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Month {
    first: NaiveDate,
}

impl Month {
    /// That of a moment.
    pub fn of(moment_ms: i64) -> Month {
        let date = DateTime::from_timestamp_millis(moment_ms).unwrap_or_default().date_naive();
        Month { first: date.with_day(1).unwrap_or(date) }
    }

    /// The one before.
    pub fn before(self) -> Month {
        let last_day = self.first.pred_opt().unwrap_or(self.first);
        Month { first: last_day.with_day(1).unwrap_or(last_day) }
    }

    /// `2026-01`.
    pub fn key(self) -> String {
        self.first.format("%Y-%m").to_string()
    }

    /// `January 2026`.
    pub fn name(self) -> String {
        self.first.format("%B %Y").to_string()
    }

    /// Its first hour, since the epoch.
    pub fn first_hour(self) -> i64 {
        hour_of(self.first.and_hms_opt(0, 0, 0).unwrap_or_default().and_utc().timestamp_millis())
    }

    /// The first hour after it.
    fn end_hour(self) -> i64 {
        let next = self.first.checked_add_months(chrono::Months::new(1)).unwrap_or(self.first);
        Month { first: next }.first_hour()
    }
}

/// One wrapper in a month.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Service {
    pub name: String,
    pub slug: String,
    pub figures: Figures,
    /// Share of operations that succeeded, fallbacks credited as `[health]` says; absent without operations.
    pub availability: Option<f64>,
    pub held: Option<bool>,
    /// Failures that the objective allows for so many operations, and how much of that was used: 1 is all.
    pub budget: f64,
    pub budget_used: Option<f64>,
    /// Hours with operations.
    pub hours: usize,
}

/// A stretch of hours in each of which too much failed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Incident {
    pub name: String,
    pub slug: String,
    pub from_ms: i64,
    /// The end of its last hour.
    pub to_ms: i64,
    pub operations: u64,
    pub errors: u64,
}

/// All wrappers in a month.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MonthReport {
    /// Those with the least left of their budget first.
    pub services: Vec<Service>,
    /// Those with the most failures first.
    pub incidents: Vec<Incident>,
    pub incidents_total: usize,
    /// Single hours, those with the most failures first.
    pub worst_hours: Vec<Incident>,
}

/// The report of a month, from the hours of each wrapper, up to a moment.
pub fn report(
    wrappers: &[(WrapperId, History)],
    month: Month,
    moment_ms: i64,
    settings: (&ServiceSettings, f64),
) -> MonthReport {
    let (service_settings, credit) = settings;
    let end = month.end_hour().min(hour_of(moment_ms) + 1);
    let (mut services, mut incidents, mut worst_hours) = (Vec::new(), Vec::new(), Vec::new());
    for (id, history) in wrappers {
        let hours = slice(&history.hours, month.first_hour(), end);
        services.push(service(id, hours, service_settings, credit));
        incidents.extend(incidents_of(id, hours, service_settings.incident_error_rate));
        let failing = hours.iter().filter(|hour| hour.1.error_count() > 0);
        worst_hours.extend(failing.map(|hour| incident(id, std::slice::from_ref(hour))));
    }
    services.sort_by(|a, b| {
        let used = |service: &Service| service.budget_used.unwrap_or(-1.0);
        used(b).total_cmp(&used(a)).then_with(|| a.name.cmp(&b.name))
    });
    let incidents_total = incidents.len();
    MonthReport { services, incidents: worst(incidents), incidents_total, worst_hours: worst(worst_hours) }
}

fn service(id: &WrapperId, hours: &[(i64, Bucket)], settings: &ServiceSettings, credit: f64) -> Service {
    let sum = merged(hours);
    let availability = sum.success_rate(credit);
    let budget = (1.0 - settings.objective) * sum.total() as f64;
    Service {
        name: id.name.clone(),
        slug: id.slug.clone(),
        figures: Figures::of(&sum, credit),
        availability,
        held: availability.map(|availability| availability >= settings.objective),
        budget,
        budget_used: availability.map(|availability| (1.0 - availability) / (1.0 - settings.objective)),
        hours: hours.iter().filter(|hour| hour.1.total() > 0).count(),
    }
}

fn incidents_of(id: &WrapperId, hours: &[(i64, Bucket)], limit: f64) -> Vec<Incident> {
    let failing = |hour: &(i64, Bucket)| hour.1.error_rate().is_some_and(|rate| rate > limit);
    let joined = |a: &(i64, Bucket), b: &(i64, Bucket)| failing(a) == failing(b) && a.0 + 1 == b.0;
    hours
        .chunk_by(joined)
        .filter(|stretch| failing(&stretch[0]))
        .map(|stretch| incident(id, stretch))
        .collect()
}

fn incident(id: &WrapperId, hours: &[(i64, Bucket)]) -> Incident {
    let sum = |count: fn(&Bucket) -> u64| hours.iter().map(|hour| count(&hour.1)).sum();
    Incident {
        name: id.name.clone(),
        slug: id.slug.clone(),
        from_ms: hours[0].0 * HOUR_MS,
        to_ms: (hours[hours.len() - 1].0 + 1) * HOUR_MS,
        operations: sum(Bucket::total),
        errors: sum(Bucket::error_count),
    }
}

fn worst(mut incidents: Vec<Incident>) -> Vec<Incident> {
    incidents.sort_by(|a, b| {
        b.errors.cmp(&a.errors).then_with(|| a.from_ms.cmp(&b.from_ms)).then_with(|| a.name.cmp(&b.name))
    });
    incidents.truncate(MOST);
    incidents
}

#[cfg(test)]
mod tests {
    use super::*;

    fn month() -> Month {
        Month::of(1_769_346_000_000)
    }

    fn report_of(hours: &[(i64, u64, u64)]) -> MonthReport {
        let first = month().first_hour();
        let bucket = |&(hour, success, error): &(i64, u64, u64)| {
            (first + hour, Bucket { success, error, ..Bucket::default() })
        };
        let history = History { hours: hours.iter().map(bucket).collect(), ..History::default() };
        report(&[(WrapperId::default(), history)], month(), i64::MAX / 2, (&ServiceSettings::default(), 1.0))
    }

    #[test]
    fn months_follow_the_calendar() {
        assert_eq!((month().key(), month().name()), ("2026-01".to_owned(), "January 2026".to_owned()));
        assert_eq!(month().before().key(), "2025-12");
        assert_eq!(month().end_hour() - month().first_hour(), 31 * 24);
        assert_eq!(month().before().end_hour(), month().first_hour());
    }

    #[test]
    fn the_budget_is_what_the_objective_leaves() {
        let service = &report_of(&[(0, 990, 5), (1, 0, 5)]).services[0];
        assert_eq!((service.availability, service.held), (Some(0.99), Some(true)));
        assert!((service.budget - 10.0).abs() < 1e-9);
        assert!(service.budget_used.is_some_and(|used| (used - 1.0).abs() < 1e-9));
        let silent = &report_of(&[]).services[0];
        assert_eq!((silent.availability, silent.held, silent.budget_used), (None, None, None));
    }

    #[test]
    fn hours_of_failures_in_a_row_are_one_incident_and_silence_is_none() {
        let report = report_of(&[(-1, 0, 9), (3, 8, 2), (4, 0, 7), (5, 9, 1), (7, 1, 1), (31 * 24, 0, 9)]);
        let incidents: Vec<_> = report
            .incidents
            .iter()
            .map(|incident| {
                (
                    incident.from_ms / HOUR_MS - month().first_hour(),
                    incident.to_ms - incident.from_ms,
                    incident.errors,
                )
            })
            .collect();
        assert_eq!(incidents, [(3, 2 * HOUR_MS, 9), (7, HOUR_MS, 1)]);
        assert_eq!(report.worst_hours.iter().map(|hour| hour.errors).collect::<Vec<_>>(), [7, 2, 1, 1]);
    }
}
