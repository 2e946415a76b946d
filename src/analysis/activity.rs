//! What happened lately, worked out from the buckets: errors, status changes, recoveries, wrappers first
//! seen and gone quiet.
//!
//! Derived and not recorded, so that the feed is the same whether builds ran every minute or once a day.

use std::borrow::Borrow;

use serde::Serialize;

use crate::analysis::facts::{Settings, WrapperFacts};
use crate::analysis::health::{Health, Status, health};
use crate::analysis::window::Window;
use crate::model::bucket::Bucket;
use crate::model::history::{History, slice};
use crate::model::time::{DAY_MS, HOUR_MS, MINUTE_MS, rfc3339};

/// How far back the feed goes.
pub const FEED_HOURS: i64 = 24;
/// Statuses are looked at on the clock, every so many minutes.
pub const STEP_MINUTES: i64 = 5;
/// Most entries of the feed, newest first.
pub const FEED_ENTRIES: usize = 200;

/// What an entry of the feed is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    Error,
    StatusChange,
    Recovery,
    FirstSeen,
    GoneQuiet,
}

/// One entry of the activity feed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Event {
    /// The same from one snapshot to the next as long as it is the same event.
    pub id: String,
    pub kind: EventKind,
    pub at_ms: i64,
    pub timestamp: String,
    pub wrapper: String,
    pub slug: String,
    /// In words, without the wrapper's name.
    pub message: String,
    /// How many operations it stands for; 1 where it is not about operations.
    pub count: u64,
    /// The status it led to, where it is about one.
    pub status: Option<Status>,
}

/// All events of one wrapper in the feed's span, in no order.
pub fn events(wrapper: &WrapperFacts, moment_ms: i64, settings: &Settings) -> Vec<Event> {
    let mut events = errors(wrapper, moment_ms);
    events.extend(status_changes(wrapper, moment_ms, settings));
    events.extend(arrivals(wrapper, moment_ms, settings));
    events
}

/// Newest first, cut to [`FEED_ENTRIES`].
pub fn feed<E: Borrow<Event>>(mut events: Vec<E>) -> Vec<E> {
    events.sort_by(|a, b| {
        let (a, b) = (a.borrow(), b.borrow());
        b.at_ms.cmp(&a.at_ms).then_with(|| a.id.cmp(&b.id))
    });
    events.truncate(FEED_ENTRIES);
    events
}

fn event(wrapper: &WrapperFacts, kind: EventKind, at_ms: i64, key: &str) -> Event {
    let word = match kind {
        EventKind::Error => "error",
        EventKind::StatusChange | EventKind::Recovery => "status",
        EventKind::FirstSeen => "first",
        EventKind::GoneQuiet => "quiet",
    };
    Event {
        id: format!("{}:{word}:{key}", wrapper.id.slug),
        kind,
        at_ms,
        timestamp: rfc3339(at_ms),
        wrapper: wrapper.id.name.clone(),
        slug: wrapper.id.slug.clone(),
        message: String::new(),
        count: 1,
        status: None,
    }
}

/// One event a kind of error and hour, dated by its newest sample where that is known.
fn errors(wrapper: &WrapperFacts, moment_ms: i64) -> Vec<Event> {
    let from_hour = moment_ms.div_euclid(HOUR_MS) - FEED_HOURS;
    let mut events = Vec::new();
    for (_, notes) in slice(&wrapper.history.notes, from_hour.div_euclid(24), moment_ms / DAY_MS + 1) {
        for ((kind, hour), &count) in &notes.errors {
            if *hour <= from_hour || hour * HOUR_MS > moment_ms {
                continue;
            }
            let in_hour = |ms: i64| ms.div_euclid(HOUR_MS) == *hour;
            let samples = notes.samples.get(kind).map(Vec::as_slice).unwrap_or_default();
            let sample = samples.iter().find(|sample| in_hour(sample.end_ms));
            // Samples are the newest of the day: without one, the hour has passed and its end is near enough.
            let at_ms = sample.map_or((hour + 1) * HOUR_MS - MINUTE_MS, |sample| sample.end_ms);
            let text =
                sample.map(|sample| sample.message.as_str()).filter(|text| !text.is_empty() && text != kind);
            let message = text.map_or_else(|| kind.clone(), |text| format!("{kind}: {text}"));
            let key = format!("{hour}:{kind}");
            events.push(Event { message, count, ..event(wrapper, EventKind::Error, at_ms, &key) });
        }
    }
    events
}

/// Where the status differs from the one before, over [`FEED_HOURS`].
fn status_changes(wrapper: &WrapperFacts, moment_ms: i64, settings: &Settings) -> Vec<Event> {
    let mut changes = Vec::new();
    let mut before: Option<Status> = None;
    for Step { at_ms, status, came } in steps(wrapper, moment_ms, settings) {
        let better = |before: Status| before != Status::NoData && before < status && status != Status::NoData;
        // Failures that leave the window are no recovery: only an operation that goes well is.
        if before.is_some_and(better) && !came {
            continue;
        }
        // Silence has an event of its own, and coming out of it into health is no news.
        if let Some(before) = before
            && status != before
            && status != Status::NoData
            && (before, status) != (Status::NoData, Status::Healthy)
        {
            let kind = if better(before) { EventKind::Recovery } else { EventKind::StatusChange };
            let message = format!("{} → {}", before.word(), status.word());
            // By its step, so that it is the same event for every moment up to the step that it leads to.
            let step = (at_ms + STEP_MINUTES * MINUTE_MS - 1).div_euclid(STEP_MINUTES * MINUTE_MS);
            let base = event(wrapper, kind, at_ms, &format!("{step}:{}", status.word()));
            changes.push(Event { message, status: Some(status), ..base });
        }
        before = Some(status);
    }
    changes
}

/// A wrapper's status at a moment, and whether an operation has ended since the step before.
struct Step {
    at_ms: i64,
    status: Status,
    came: bool,
}

/// Every [`STEP_MINUTES`] on the clock over the feed's span, and at the moment itself.
fn steps(wrapper: &WrapperFacts, moment_ms: i64, settings: &Settings) -> Vec<Step> {
    let step_ms = STEP_MINUTES * MINUTE_MS;
    let first = (moment_ms - FEED_HOURS * HOUR_MS).div_euclid(step_ms) + 1;
    let last = (moment_ms - 1).div_euclid(step_ms);
    let moments = (first..=last).map(|step| step * step_ms).chain([moment_ms]);
    let mut sliding = Sliding::new(&wrapper.history);
    let mut recent = Sliding::new(&wrapper.history);
    let target = settings.health.target_of(&wrapper.id.name);
    moments
        .map(|at| {
            let window = Window::last_minutes(at, i64::from(settings.health.window_minutes));
            let late = Window::last_minutes(at, i64::from(settings.health.recent_minutes));
            let sum = sliding.move_to(window, target.is_some());
            let status = health(&sum, &recent.move_to(late, false), &settings.health, target).status;
            // Dated to the minute, so that nothing changes from one moment of a minute to the next.
            Step { at_ms: at - at.rem_euclid(MINUTE_MS), status, came: sliding.came }
        })
        .collect()
}

/// The wrapper's health now.
pub fn health_at(wrapper: &WrapperFacts, moment_ms: i64, window: Window, settings: &Settings) -> Health {
    let late = Window::last_minutes(moment_ms, i64::from(settings.health.recent_minutes));
    let target = settings.health.target_of(&wrapper.id.name);
    let history = &wrapper.history;
    // Only a target asks for durations, and to add them up is most of the work.
    let sum = if target.is_some() { window.sum(history) } else { window.sum_counters(history) };
    health(&sum, &late.sum_counters(history), &settings.health, target)
}

/// Counters of a window that moves forward, kept by adding what comes in and taking off what falls out.
struct Sliding<'a> {
    history: &'a History,
    /// How many minutes have come in, and how many of them have fallen out.
    entered: usize,
    left: usize,
    counts: Bucket,
    /// Whether the last move took up an operation.
    came: bool,
}

impl<'a> Sliding<'a> {
    fn new(history: &'a History) -> Sliding<'a> {
        Sliding { history, entered: 0, left: 0, counts: Bucket::default(), came: false }
    }

    /// The sum over `window`, which must not lie before the last one. Latency, which cannot be taken off,
    /// is merged anew where it is asked for.
    fn move_to(&mut self, window: Window, latency: bool) -> Bucket {
        let minutes = &self.history.minutes;
        self.came = false;
        while let Some((at, bucket)) = minutes.get(self.entered).filter(|(at, _)| *at < window.to) {
            add(&mut self.counts, bucket, u64::wrapping_add);
            self.came |= *at >= window.from && bucket.total() > 0;
            self.entered += 1;
        }
        while self.left < self.entered && minutes[self.left].0 < window.from {
            add(&mut self.counts, &minutes[self.left].1, u64::wrapping_sub);
            self.left += 1;
        }
        if latency {
            return window.sum(self.history);
        }
        self.counts.clone()
    }
}

fn add(counts: &mut Bucket, other: &Bucket, operation: fn(u64, u64) -> u64) {
    counts.success = operation(counts.success, other.success);
    counts.fallback = operation(counts.fallback, other.fallback);
    counts.error = operation(counts.error, other.error);
    counts.timeout = operation(counts.timeout, other.timeout);
    counts.cancelled = operation(counts.cancelled, other.cancelled);
}

/// First seen, and gone quiet, if either happened in the feed's span.
fn arrivals(wrapper: &WrapperFacts, moment_ms: i64, settings: &Settings) -> Vec<Event> {
    let since = moment_ms - FEED_HOURS * HOUR_MS;
    let in_feed = |at: i64| at > since && at <= moment_ms;
    let mut events = Vec::new();
    let first = wrapper.history.first_end_ms;
    if in_feed(first) {
        let message = "first seen".to_owned();
        events.push(Event { message, ..event(wrapper, EventKind::FirstSeen, first, "seen") });
    }
    let Some(last) = wrapper.history.last_end_ms(moment_ms) else { return events };
    let quiet = last + i64::from(settings.quiet_after_minutes) * MINUTE_MS;
    if in_feed(quiet) {
        let message = format!("quiet since {}", rfc3339(last));
        let base = event(wrapper, EventKind::GoneQuiet, quiet, &last.to_string());
        events.push(Event { message, status: Some(Status::NoData), ..base });
    }
    events
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wrapper(minutes: Vec<(i64, Bucket)>) -> WrapperFacts {
        let first_end_ms = minutes.first().map_or(0, |minute| minute.1.last_end_ms);
        let history = History { first_end_ms, minutes, ..History::default() };
        WrapperFacts::whole(Default::default(), history)
    }

    fn settings() -> Settings {
        Settings { health: Default::default(), quiet_after_minutes: 60 }
    }

    fn minute(at: i64, success: u64, error: u64) -> (i64, Bucket) {
        (at, Bucket { success, error, last_end_ms: at * MINUTE_MS, ..Bucket::default() })
    }

    #[test]
    fn a_bad_hour_is_one_change_and_one_recovery() {
        let minutes = (0..1200).map(|at| minute(at, 10, u64::from((600..630).contains(&at)) * 10)).collect();
        let facts = wrapper(minutes);
        let events = status_changes(&facts, 1200 * MINUTE_MS, &settings());
        assert_eq!(events.first().map(|event| event.kind), Some(EventKind::StatusChange));
        assert_eq!(events.last().map(|event| event.kind), Some(EventKind::Recovery));
        assert_eq!(events.last().and_then(|event| event.status), Some(Status::Healthy));
    }

    #[test]
    fn failures_that_leave_the_window_are_no_recovery() {
        let failing = (600..630).map(|at| minute(at, 0, 10));
        let minutes = |last: i64| failing.clone().chain([minute(635, 10, 0), minute(last, 10, 0)]).collect();
        let kinds = |last: i64, moment: i64| -> Vec<_> {
            let events = status_changes(&wrapper(minutes(last)), moment * MINUTE_MS, &settings());
            events.into_iter().map(|event| (event.kind, event.at_ms / MINUTE_MS)).collect()
        };
        let failed = (EventKind::StatusChange, 605);
        // From 690 on, the hour holds nothing but what succeeded; the next operation is what tells.
        assert_eq!(kinds(693, 692), [failed]);
        assert_eq!(kinds(693, 1000), [failed, (EventKind::Recovery, 695)]);
    }

    #[test]
    fn a_change_is_the_same_event_for_every_moment_of_its_step() {
        let facts = wrapper((0..1200).map(|at| minute(at, 10, u64::from(at >= 1190) * 10)).collect());
        let ids = |at: i64| -> Vec<String> {
            status_changes(&facts, at, &settings()).into_iter().map(|event| event.id).collect()
        };
        let by_minute: Vec<_> = (1192..=1195).map(|minute| ids(minute * MINUTE_MS - 1)).collect();
        assert_eq!(by_minute[0].len(), 1, "{by_minute:?}");
        assert!(by_minute.windows(2).all(|pair| pair[0] == pair[1]), "{by_minute:?}");
    }

    #[test]
    fn silence_is_told_once_and_where_it_began_to_be_long() {
        let facts = wrapper((0..100).map(|at| minute(at, 1, 0)).collect());
        let events = arrivals(&facts, 400 * MINUTE_MS, &settings());
        let quiet: Vec<_> = events.iter().filter(|event| event.kind == EventKind::GoneQuiet).collect();
        assert_eq!(quiet.len(), 1);
        assert_eq!(quiet[0].at_ms, (99 + 60) * MINUTE_MS);
    }

    proptest! {
        #[test]
        fn sliding_is_the_same_as_summing(
            counts in prop::collection::btree_map(0i64..300, (0u64..5, 0u64..5), 0..80),
            steps in prop::collection::vec(0i64..40, 1..30),
            length in 1i64..90,
        ) {
            let facts = wrapper(counts.into_iter().map(|(at, (ok, bad))| minute(at, ok, bad)).collect());
            let mut sliding = Sliding::new(&facts.history);
            let mut to = 0;
            for step in steps {
                to += step;
                let window = Window { from: to - length, to };
                let (fast, plain) = (sliding.move_to(window, false), window.sum(&facts.history));
                prop_assert_eq!((fast.success, fast.error), (plain.success, plain.error));
            }
        }
    }
}
