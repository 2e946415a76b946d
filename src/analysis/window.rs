//! Stretches of time that end at the snapshot's moment, and the buckets in them.
//!
//! One rule for everything that asks for "the last N hours": a window ends with the minute that the moment
//! falls into. Up to [`MINUTE_HOURS`] it is cut at whole minutes, beyond at whole hours, because older
//! minutes are not kept. Cells (rows, chart points) lie on the clock, so they stay put from one snapshot to
//! the next; the first and the last are cut off by the window, so that cells add up to the window's total.

use std::borrow::Cow;

use crate::model::bucket::Bucket;
use crate::model::history::{History, slice};
use crate::model::tens::{TEN, Tens, next_ten, ten_of};
use crate::model::time::{HOUR_MS, MINUTE_MS};

/// The longest window that is cut at whole minutes.
pub const MINUTE_HOURS: u32 = 48;

/// The longest window that can be asked for: 30 days.
pub const MAX_HOURS: u32 = 720;

/// Minutes since the epoch, `from..to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub from: i64,
    pub to: i64,
}

impl Window {
    /// The last `minutes` minutes, the one of the moment included.
    pub fn last_minutes(moment_ms: i64, minutes: i64) -> Window {
        let to = moment_ms.div_euclid(MINUTE_MS) + i64::from(moment_ms.rem_euclid(MINUTE_MS) > 0);
        Window { from: to - minutes, to }
    }

    /// The last `hours` hours.
    pub fn last_hours(moment_ms: i64, hours: u32) -> Window {
        if hours <= MINUTE_HOURS {
            return Window::last_minutes(moment_ms, i64::from(hours) * 60);
        }
        let to = moment_ms.div_euclid(HOUR_MS) + i64::from(moment_ms.rem_euclid(HOUR_MS) > 0);
        Window { from: (to - i64::from(hours)) * 60, to: to * 60 }
    }

    /// The window from the beginning of the cell of `step` minutes that it begins in.
    pub fn widened(self, step: i64) -> Window {
        Window { from: self.from.div_euclid(step) * step, ..self }
    }

    pub fn minutes(&self) -> i64 {
        self.to - self.from
    }

    /// Whether the window is answered from minutes, or from hours.
    fn fine(&self) -> bool {
        self.minutes() <= i64::from(MINUTE_HOURS) * 60
    }

    /// The sum of all operations in the window.
    pub fn sum(&self, history: &History) -> Bucket {
        Bucket::sum(self.pieces(history, TEN).map(|(_, bucket)| bucket))
    }

    /// As [`Window::sum`], without latency.
    pub fn sum_counters(&self, history: &History) -> Bucket {
        Bucket::sum_counters(self.pieces(history, TEN).map(|(_, bucket)| bucket))
    }

    /// Cells of `step` minutes on the clock, as (start in ms, operations); empty ones are left out.
    /// `step` divides a day; windows beyond [`MINUTE_HOURS`] have cells of at least an hour.
    pub fn cells<'h>(&self, history: &'h History, step: i64) -> Vec<(i64, Cow<'h, Bucket>)> {
        let step = if self.fine() { step } else { step.max(60) };
        let start = |minute: i64| minute.div_euclid(step) * step * MINUTE_MS;
        let sum = |cell: &[(i64, &'h Bucket)]| match cell {
            [(_, only)] => Cow::Borrowed(*only),
            several => Cow::Owned(Bucket::sum(several.iter().map(|(_, bucket)| *bucket))),
        };
        let pieces: Vec<_> = self.pieces(history, step).collect();
        pieces.chunk_by(|a, b| start(a.0) == start(b.0)).map(|cell| (start(cell[0].0), sum(cell))).collect()
    }

    /// The largest buckets at hand that lie in the window, and each in one cell of `step` minutes, as (first
    /// minute, operations).
    fn pieces<'h>(
        &self,
        history: &'h History,
        step: i64,
    ) -> impl Iterator<Item = (i64, &'h Bucket)> + Clone + use<'h> {
        let (head, tens, tail, minutes): (_, &[_], &[_], _) = if self.fine() {
            let Tens { from, to, buckets } = &history.tens;
            let (from, to) = (next_ten(self.from.max(*from)), ten_of(self.to.min(*to)));
            // Empty, and at the window's end, where no sum of ten lies in it.
            let (from, to) = if step % TEN == 0 && from < to { (from, to) } else { (self.to, self.to) };
            let head = slice(&history.minutes, self.from, from);
            let tail = slice(&history.minutes, to, self.to);
            debug_assert!(head.iter().chain(tail).all(|(_, minute)| has_latency(minute)), "{self:?}");
            (head, slice(buckets, from, to), tail, 1)
        } else {
            (slice(&history.hours, self.from / 60, self.to / 60), &[], &[], 60)
        };
        head.iter().chain(tens).chain(tail).map(move |(at, bucket)| (at * minutes, bucket))
    }
}

/// Whether latency was loaded, if there was any.
fn has_latency(minute: &Bucket) -> bool {
    minute.duration_max_ns == 0 || !minute.latency.is_empty()
}

/// Minutes a cell, for rows over so many hours: 1 up to 6 hours, 10 up to two days, else 60.
pub fn step_minutes(hours: u32) -> i64 {
    match hours {
        ..=6 => 1,
        7..=MINUTE_HOURS => 10,
        _ => 60,
    }
}

/// Minutes a cell where it is drawn: as for rows, but 360 beyond a week, of which a chart can show no more.
pub fn drawn_minutes(hours: u32) -> i64 {
    if hours <= 168 { step_minutes(hours) } else { 360 }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::model::operation::{Operation, Outcome};
    use crate::model::tens::Summing;
    use crate::model::time::DAY_MS;

    fn operation(minute: i64, ms: u64) -> Operation<'static> {
        Operation {
            id: None,
            wrapper: "w".into(),
            operation_type: "chat".into(),
            model: "m".into(),
            outcome: Outcome::Success,
            end_ms: minute * MINUTE_MS,
            duration_ns: Some(ms * 1_000_000),
            error_code: None,
            error_message: None,
            cost_pico: None,
            tokens: Default::default(),
        }
    }

    fn history(minutes: &[i64]) -> History {
        let one = |_: &i64| Bucket { success: 1, ..Bucket::default() };
        let mut hours: Vec<(i64, Bucket)> = Vec::new();
        for minute in minutes {
            let hour = minute.div_euclid(60);
            match hours.last_mut() {
                Some(last) if last.0 == hour => last.1.success += 1,
                _ => hours.push((hour, one(minute))),
            }
        }
        History { minutes: minutes.iter().map(|m| (*m, one(m))).collect(), hours, ..History::default() }
    }

    #[test]
    fn the_moment_s_own_minute_is_the_last() {
        let window = Window::last_minutes(10 * MINUTE_MS + 1, 5);
        assert_eq!((window.from, window.to), (6, 11));
        assert_eq!(Window::last_minutes(10 * MINUTE_MS, 5), Window { from: 5, to: 10 });
    }

    #[test]
    fn cells_add_up_to_the_sum() {
        let history = history(&(0..3 * 24 * 60).collect::<Vec<_>>());
        for hours in [1, 6, 24, 48, 49, 72] {
            let window = Window::last_hours(3 * DAY_MS - 17 * MINUTE_MS, hours);
            let cells = window.cells(&history, step_minutes(hours));
            let total: u64 = cells.iter().map(|cell| cell.1.total()).sum();
            assert_eq!(total, window.sum(&history).total(), "{hours} hours");
        }
    }

    #[test]
    fn cells_of_several_hours_add_up_too() {
        let history = history(&(0..10 * 24 * 60).collect::<Vec<_>>());
        let window = Window::last_hours(10 * DAY_MS - 90 * MINUTE_MS, 200);
        let cells = window.cells(&history, 360);
        assert_eq!(cells.iter().map(|cell| cell.1.total()).sum::<u64>(), window.sum(&history).total());
        assert!(cells.iter().all(|cell| cell.0 % (6 * HOUR_MS) == 0));
        assert_eq!(cells.len(), 34);
    }

    proptest! {
        /// A history whose minutes were taken together says the same of every window that its sums allow for.
        #[test]
        fn sums_of_ten_change_nothing(
            operations in prop::collection::vec((0i64..2000, 1u64..100_000), 0..300),
            (from, length) in (0i64..2000, 1i64..1500),
            (first, last) in (0i64..150, 0i64..150),
        ) {
            let mut minutes = BTreeMap::<i64, Bucket>::new();
            for (minute, ms) in operations {
                minutes.entry(minute).or_default().add(&operation(minute, ms));
            }
            let plain = History { minutes: minutes.into_iter().collect(), ..History::default() };
            let window = Window { from, to: from + length };
            // Minutes that only partly lie in the window are needed singly.
            let (first, last) = (first.max(from.div_euclid(TEN) + 1), last.min(window.to.div_euclid(TEN)));
            let mut tens = Summing::of((first * TEN, last * TEN));
            let mut summed = plain.clone();
            for (minute, bucket) in &mut summed.minutes {
                if tens.covers(*minute) {
                    let latency = std::mem::take(&mut bucket.latency);
                    tens.add(*minute, bucket, latency.bins());
                }
            }
            summed.tens = tens.finish();
            prop_assert_eq!(window.sum(&summed), window.sum(&plain));
            for step in [10, 30, 60] {
                prop_assert_eq!(window.cells(&summed, step), window.cells(&plain, step));
            }
        }
    }

    #[test]
    fn cells_lie_on_the_clock() {
        let history = history(&[7, 9, 10, 31]);
        let cells = Window { from: 8, to: 40 }.cells(&history, 10);
        let starts: Vec<_> = cells.iter().map(|(ms, bucket)| (ms / MINUTE_MS, bucket.total())).collect();
        assert_eq!(starts, [(0, 1), (10, 1), (30, 1)]);
    }
}
