//! How it came to be: the window before the health window, and the last day in equal stretches.
//!
//! Only counters are added up for the system as a whole, since merging every sketch again would cost as much
//! as the snapshot itself.

use serde::Serialize;

use crate::analysis::activity::health_at;
use crate::analysis::facts::{Facts, Settings, WrapperFacts};
use crate::analysis::figures::Figures;
use crate::analysis::health::{health, mean_score};
use crate::analysis::snapshot::Range;
use crate::analysis::window::{MINUTE_HOURS, Window};
use crate::model::bucket::Bucket;
use crate::model::history::{History, slice};
use crate::model::parallel;
use crate::model::time::{DAY_MS, HOUR_MS, MINUTE_MS};

/// How all wrappers together stood in an earlier window.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SystemBefore {
    pub score: Option<f64>,
    pub active_wrappers: usize,
    /// Without durations, costs and tokens.
    pub figures: Figures,
}

/// How one wrapper stood in the window before.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WrapperBefore {
    pub score: Option<f64>,
    pub figures: Figures,
}

/// All wrappers together over the window of the same length that ended where the health window begins.
pub fn system_before(facts: &Facts) -> SystemBefore {
    system_in(facts, &Before::of(facts))
}

/// The same at this time of the day before; `None` where the health window is so long that its minutes of then are
/// no longer kept.
pub fn system_yesterday(facts: &Facts) -> Option<SystemBefore> {
    let minutes = i64::from(facts.settings.health.window_minutes);
    let (day, kept) = (DAY_MS / MINUTE_MS, i64::from(MINUTE_HOURS) * 60);
    (day + minutes <= kept).then(|| system_in(facts, &Before::by(facts, day)))
}

/// All wrappers together a week ago, at the same time of the day.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct LastWeek {
    /// In a window as long as the health window, at the rate of then.
    pub operations: f64,
    pub success_rate: Option<f64>,
}

/// The whole hours (since the epoch, `from..to`) that the health window of a week before a moment touched: minutes
/// of then are no longer kept.
pub fn hours_last_week(moment_ms: i64, settings: &Settings) -> (i64, i64) {
    let Window { from, to } =
        Window::last_minutes(moment_ms - 7 * DAY_MS, i64::from(settings.health.window_minutes));
    (from.div_euclid(60), (to - 1).div_euclid(60) + 1)
}

/// How it stood in those hours; `None` where nothing is known from before them, so that they may not be whole.
pub fn system_last_week(facts: &Facts) -> Option<LastWeek> {
    let (from, to) = hours_last_week(facts.moment_ms, &facts.settings);
    let known = facts.wrappers.iter().any(|wrapper| wrapper.history.first_end_ms < from * HOUR_MS);
    let hours = facts.wrappers.iter().flat_map(|wrapper| slice(&wrapper.history.hours, from, to));
    let sum = Bucket::sum_counters(hours.map(|(_, bucket)| bucket));
    let share = f64::from(facts.settings.health.window_minutes) / (60 * (to - from)) as f64;
    known.then(|| LastWeek {
        operations: sum.total() as f64 * share,
        success_rate: sum.success_rate(facts.settings.health.fallback_credit),
    })
}

fn system_in(facts: &Facts, before: &Before) -> SystemBefore {
    let each = parallel::map(&facts.wrappers, |wrapper| {
        let sum = counts(&wrapper.history, before.window);
        (score(facts, wrapper, before.moment_ms), sum)
    });
    let mut sum = Bucket::default();
    each.iter().for_each(|(_, counts)| sum.merge(counts));
    SystemBefore {
        score: mean_score(each.iter().map(|(score, _)| *score)),
        active_wrappers: each.iter().filter(|(_, counts)| counts.total() > 0).count(),
        figures: Figures::of(&sum, facts.settings.health.fallback_credit),
    }
}

/// One wrapper over the same window.
pub fn wrapper_before(facts: &Facts, wrapper: &WrapperFacts) -> WrapperBefore {
    let before = Before::of(facts);
    WrapperBefore {
        score: health_at(wrapper, before.moment_ms, before.window, &facts.settings).score,
        figures: Figures::of(&before.window.sum(&wrapper.history), facts.settings.health.fallback_credit),
    }
}

/// The scores that a wrapper had at the end of each of the last `hours` hours, oldest first. The last is the
/// score it has.
pub fn scores(facts: &Facts, wrapper: &WrapperFacts, hours: i64) -> Vec<Option<f64>> {
    (0..hours).rev().map(|ago| score(facts, wrapper, facts.moment_ms - ago * HOUR_MS)).collect()
}

/// The counters of some ranges together, in `points` equal stretches up to the newest whole cell, oldest
/// first. A cell that has just begun is left out: it would look like a fall.
///
/// The ranges are of the same window and step; `points` divides their number of cells.
pub fn stretches<'a>(ranges: impl Iterator<Item = &'a Range>, points: usize) -> Vec<Bucket> {
    let mut sums = vec![Bucket::default(); points];
    for range in ranges {
        let step_ms = range.step_minutes * MINUTE_MS;
        let end_ms = (range.window.to * MINUTE_MS).div_euclid(step_ms) * step_ms;
        let cells = range.window.minutes() / range.step_minutes / points as i64;
        for (at_ms, figures) in &range.points {
            let back = (end_ms - at_ms).div_euclid(step_ms) - 1;
            let place = points as i64 - 1 - back.div_euclid(cells);
            let Some(sum) = usize::try_from(place).ok().and_then(|at| sums.get_mut(at)) else { continue };
            sum.success += figures.success_count;
            sum.fallback += figures.fallback_count;
            sum.error += figures.error_count;
        }
    }
    sums
}

/// One value for each whole cell of a range, oldest first; `None` where a cell is empty.
pub fn cells(range: &Range, value: impl Fn(&Figures) -> Option<f64>) -> Vec<Option<f64>> {
    let step_ms = range.step_minutes * MINUTE_MS;
    let end_ms = (range.window.to * MINUTE_MS).div_euclid(step_ms) * step_ms;
    let mut values = vec![None; (range.window.minutes() / range.step_minutes) as usize];
    let last = values.len() as i64 - 1;
    for (at_ms, figures) in &range.points {
        let place = last + 1 - (end_ms - at_ms).div_euclid(step_ms);
        if let Some(cell) = usize::try_from(place).ok().and_then(|at| values.get_mut(at)) {
            *cell = value(figures);
        }
    }
    values
}

/// A window as long as the health window, and the moment that it ended.
struct Before {
    moment_ms: i64,
    window: Window,
}

impl Before {
    /// The one that ended where the health window begins.
    fn of(facts: &Facts) -> Before {
        Before::by(facts, i64::from(facts.settings.health.window_minutes))
    }

    /// So many minutes earlier than the health window.
    fn by(facts: &Facts, minutes: i64) -> Before {
        let moment_ms = facts.moment_ms - minutes * MINUTE_MS;
        let length = i64::from(facts.settings.health.window_minutes);
        Before { moment_ms, window: Window::last_minutes(moment_ms, length) }
    }
}

fn score(facts: &Facts, wrapper: &WrapperFacts, moment_ms: i64) -> Option<f64> {
    let settings = &facts.settings.health;
    let window = Window::last_minutes(moment_ms, i64::from(settings.window_minutes));
    if settings.target_of(&wrapper.id.name).is_some() {
        return health_at(wrapper, moment_ms, window, &facts.settings).score;
    }
    let late = Window::last_minutes(moment_ms, i64::from(settings.recent_minutes));
    let history = &wrapper.history;
    health(&counts(history, window), &counts(history, late), settings, None).score
}

/// The counters of a window, without its latency.
fn counts(history: &History, window: Window) -> Bucket {
    let mut sum = Bucket::default();
    for (_, bucket) in slice(&history.minutes, window.from, window.to) {
        sum.success += bucket.success;
        sum.fallback += bucket.fallback;
        sum.error += bucket.error;
        sum.timeout += bucket.timeout;
        sum.cancelled += bucket.cancelled;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::snapshot::{DAY_HOURS, range, snapshot};
    use proptest::prelude::*;

    fn facts(minutes: &[(i64, u64, u64)], moment_ms: i64) -> Facts {
        let bucket = |&(at, success, error): &(i64, u64, u64)| {
            (at, Bucket { success, error, last_end_ms: at * MINUTE_MS, ..Bucket::default() })
        };
        let history = History { minutes: minutes.iter().map(bucket).collect(), ..History::default() };
        Facts::of_wrappers(vec![WrapperFacts::whole(Default::default(), history)], moment_ms)
    }

    #[test]
    fn what_was_now_an_hour_ago_is_before_now() {
        let minutes: Vec<_> = (0..400).map(|at| (at, 10, u64::from(at % 50 == 3))).collect();
        let (then, now) = (facts(&minutes, 300 * MINUTE_MS), facts(&minutes, 360 * MINUTE_MS));
        let (was, before) = (snapshot(&then).system, system_before(&now));
        assert_eq!((was.score, was.active_wrappers), (before.score, before.active_wrappers));
        assert_eq!(was.figures, before.figures);
        let wrapper = wrapper_before(&now, &now.wrappers[0]);
        assert_eq!((wrapper.score, wrapper.figures), (was.score, was.figures));
    }

    #[test]
    fn a_week_ago_is_told_from_whole_hours() {
        let hour = |at: i64, success: u64, error: u64| (at, Bucket { success, error, ..Bucket::default() });
        let hours = vec![hour(0, 100, 0), hour(1, 30, 30), hour(2, 60, 0), hour(3, 500, 0)];
        let history = History { first_end_ms: 1, hours, ..History::default() };
        let week_later = |minutes: i64| {
            let moment_ms = 7 * DAY_MS + minutes * MINUTE_MS;
            let wrapper = WrapperFacts::whole(Default::default(), history.clone());
            system_last_week(&Facts::of_wrappers(vec![wrapper], moment_ms))
        };
        assert_eq!(week_later(60), None, "the first hour may have been over in part");
        assert_eq!(week_later(120), Some(LastWeek { operations: 60.0, success_rate: Some(0.5) }));
        assert_eq!(week_later(150), Some(LastWeek { operations: 60.0, success_rate: Some(0.75) }));
        assert_eq!(week_later(600), Some(LastWeek { operations: 0.0, success_rate: None }));
    }

    #[test]
    fn what_was_now_a_day_ago_is_yesterday() {
        let minutes: Vec<_> = (0..2000).map(|at| (at, 10 + at as u64 % 7, u64::from(at % 50 == 3))).collect();
        let (then, mut now) = (facts(&minutes, 300 * MINUTE_MS), facts(&minutes, 1740 * MINUTE_MS));
        let (was, yesterday) = (snapshot(&then).system, system_yesterday(&now).expect("an hour is short"));
        assert_eq!((was.score, was.active_wrappers), (yesterday.score, yesterday.active_wrappers));
        assert_eq!(was.figures, yesterday.figures);
        now.settings.health.window_minutes = 24 * 60 + 1;
        assert_eq!(system_yesterday(&now), None);
    }

    #[test]
    fn the_last_score_is_the_one_it_has() {
        let minutes: Vec<_> = (0..400).map(|at| (at, 10, u64::from(at > 395))).collect();
        let facts = facts(&minutes, 400 * MINUTE_MS);
        let scores = scores(&facts, &facts.wrappers[0], 24);
        assert_eq!(scores.len(), 24);
        assert_eq!(scores[23], snapshot(&facts).system.score);
        assert_eq!(scores[0], None, "nothing had happened yet");
    }

    proptest! {
        #[test]
        fn stretches_hold_all_but_what_has_just_begun(
            counts in prop::collection::btree_map(0i64..3000, 1u64..5, 0..200),
            now in 1440i64..3000,
        ) {
            let minutes: Vec<_> = counts.iter().map(|(at, count)| (*at, *count, 0)).collect();
            let facts = facts(&minutes, now * MINUTE_MS);
            let day = range(&facts, &facts.wrappers[0], DAY_HOURS);
            let whole = now / 10 * 10;
            let within = |from: i64| counts.range(from.max(now - 1440)..whole).map(|entry| entry.1).sum::<u64>();
            for points in [24, 48] {
                let sums = stretches([&day].into_iter(), points);
                let total: u64 = sums.iter().map(Bucket::total).sum();
                prop_assert_eq!(total, within(whole - 1440));
                let by_cell = cells(&day, |figures| Some(figures.total_operations as f64));
                prop_assert_eq!(by_cell.iter().flatten().sum::<f64>() as u64, total);
                let last = sums.last().map(Bucket::total);
                prop_assert_eq!(last, Some(within(whole - 1440 / points as i64)));
            }
        }
    }
}
