//! Realistic operations from a seed, for trying dash and for testing it: daily and weekly rhythm, bursts,
//! incidents, slow phases, fallbacks, costs and tokens by model, several kinds of error.
//!
//! Every minute of every wrapper is a function of the seed alone, so a log can be continued live where an
//! earlier one ended, and the same arguments give the same bytes on any machine.
//!
//! To add a trait of real traffic: a field of [`profile::Profile`] or a kind of [`weather::Weather`].

pub mod profile;
pub mod random;
pub mod weather;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, Write};

use chrono::{DateTime, SecondsFormat};

use crate::model::time::MINUTE_MS;
use crate::sample::profile::Profile;
use crate::sample::random::Random;
use crate::sample::weather::weather;

/// What traffic to make.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Traffic {
    pub wrappers: usize,
    /// Operations a minute, of all wrappers together, on average over a week.
    pub rate: f64,
    pub seed: u64,
}

/// Operations in the order in which a log would have them: each when it ends, and when it starts, too, where
/// its wrapper reports starts.
#[derive(Debug)]
pub struct Generator {
    traffic: Traffic,
    profiles: Vec<Profile>,
    /// The next minute whose operations have not begun yet.
    minute: i64,
    from_ms: i64,
    /// (time of the line in ms, its order of making, the line).
    pending: BinaryHeap<Reverse<(i64, u64, String)>>,
    made: u64,
}

/// Operations that take longer than this are not made.
const LONGEST_MS: f64 = 120_000.0;

impl Generator {
    /// Lines from `from_ms` on.
    pub fn new(traffic: Traffic, from_ms: i64) -> Generator {
        let profiles = (0..traffic.wrappers).map(|index| Profile::new(index, traffic.seed)).collect();
        // Operations that are under way at the beginning have started before it.
        let minute = (from_ms - LONGEST_MS as i64).div_euclid(MINUTE_MS);
        Generator { traffic, profiles, minute, from_ms, pending: BinaryHeap::new(), made: 0 }
    }

    /// Writes all lines from the last call's end, or the beginning, up to `to_ms`, and tells how many.
    pub fn write_until(&mut self, to_ms: i64, out: &mut dyn Write) -> io::Result<u64> {
        let mut lines = 0;
        while self.minute * MINUTE_MS < to_ms {
            self.begin_minute();
            lines += self.flush(to_ms.min(self.minute * MINUTE_MS), out)?;
        }
        Ok(lines + self.flush(to_ms, out)?)
    }

    fn flush(&mut self, to_ms: i64, out: &mut dyn Write) -> io::Result<u64> {
        let mut lines = 0;
        while let Some(Reverse((at, ..))) = self.pending.peek()
            && *at < to_ms
        {
            let Reverse((at, _, line)) = self.pending.pop().expect("peeked at");
            if at >= self.from_ms {
                out.write_all(line.as_bytes())?;
                lines += 1;
            }
        }
        Ok(lines)
    }

    fn begin_minute(&mut self) {
        let weights: f64 = self.profiles.iter().map(|profile| profile.weight).sum();
        let mut lines = Vec::new();
        for (index, profile) in self.profiles.iter().enumerate() {
            let weather = weather(self.traffic.seed, index as u64, self.minute);
            let mean = self.traffic.rate * profile.weight / weights * weather.volume;
            let mut random = Random::of(&[self.traffic.seed, index as u64, self.minute as u64]);
            for _ in 0..random.poisson(mean) {
                let start_ms = self.minute * MINUTE_MS + (random.unit() * MINUTE_MS as f64) as i64;
                let call = profile.call(&weather, &mut random);
                let end_ms = start_ms + call.duration_ms.round() as i64;
                if profile.reports_starts {
                    lines.push((start_ms, call.started(profile, start_ms)));
                }
                lines.push((end_ms, call.finished(profile, start_ms, end_ms)));
            }
        }
        for (at, line) in lines {
            self.made += 1;
            self.pending.push(Reverse((at, self.made, line)));
        }
        self.minute += 1;
    }
}

/// RFC 3339 with milliseconds.
fn stamp(ms: i64) -> String {
    DateTime::from_timestamp_millis(ms).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::DAY_MS;

    const TRAFFIC: Traffic = Traffic { wrappers: 5, rate: 20.0, seed: 1 };
    const MONDAY_MS: i64 = 1_769_385_600_000;

    fn sample(traffic: Traffic, cuts: &[i64]) -> String {
        let mut out = Vec::new();
        let mut generator = Generator::new(traffic, cuts[0]);
        for &to in &cuts[1..] {
            generator.write_until(to, &mut out).expect("memory can be written to");
        }
        String::from_utf8(out).expect("lines are text")
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes_however_it_is_cut() {
        let (from, to) = (MONDAY_MS, MONDAY_MS + DAY_MS / 4);
        let whole = sample(TRAFFIC, &[from, to]);
        assert_eq!(whole, sample(TRAFFIC, &[from, from + 1, from + 777_777, to - 5, to]));
        assert_ne!(whole, sample(Traffic { seed: 2, ..TRAFFIC }, &[from, to]));
    }

    #[test]
    fn the_rate_holds_over_a_week() {
        let lines = sample(TRAFFIC, &[MONDAY_MS, MONDAY_MS + 7 * DAY_MS]);
        let finished = lines.lines().filter(|line| line.contains("\"end_time\"")).count() as f64;
        let expected = TRAFFIC.rate * 7.0 * 1440.0;
        assert!((finished / expected - 1.0).abs() < 0.1, "{finished} of {expected}");
    }

    #[test]
    fn there_is_something_of_everything() {
        let lines = sample(TRAFFIC, &[MONDAY_MS, MONDAY_MS + 2 * DAY_MS]);
        for status in ["success", "error", "fallback", "timeout", "cancelled", "started"] {
            assert!(lines.contains(&format!("\"status\":\"{status}\"")), "{status}");
        }
        assert!(lines.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
    }
}
