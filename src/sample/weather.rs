//! What a wrapper is going through in a minute: rhythm, bursts, incidents, slow phases.

use crate::sample::random::Random;

/// The state of the world around one wrapper in one minute.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weather {
    /// Factor on the number of operations.
    pub volume: f64,
    /// Factor on durations.
    pub slowness: f64,
    /// Added to the share of failures, 0..=1.
    pub failures: f64,
    /// Added to the share of fallbacks, 0..=1.
    pub fallbacks: f64,
}

const DAY_MINUTES: i64 = 1440;

/// The weather of a wrapper at a minute since the epoch.
pub fn weather(seed: u64, wrapper: u64, minute: i64) -> Weather {
    let mut weather = Weather { volume: rhythm(minute), slowness: 1.0, failures: 0.0, fallbacks: 0.0 };
    // What began yesterday may last until today.
    for day in [minute.div_euclid(DAY_MINUTES) - 1, minute.div_euclid(DAY_MINUTES)] {
        let mut random = Random::of(&[seed, wrapper, day as u64, 7]);
        let mut spell = |a_day: f64, longest: f64| {
            let begins = day * DAY_MINUTES + (random.unit() * DAY_MINUTES as f64) as i64;
            let lasts = (longest * (0.3 + 0.7 * random.unit())) as i64;
            let strength = random.unit();
            let happens = random.chance(a_day);
            (happens && (begins..begins + lasts).contains(&minute)).then_some(strength)
        };
        if let Some(strength) = spell(0.7, 20.0) {
            weather.volume *= 2.0 + 2.0 * strength;
        }
        if let Some(strength) = spell(0.35, 50.0) {
            weather.failures += 0.08 + 0.5 * strength * strength;
        }
        if let Some(strength) = spell(0.4, 120.0) {
            weather.slowness *= 1.8 + 2.5 * strength;
        }
        if let Some(strength) = spell(0.3, 60.0) {
            weather.fallbacks += 0.15 + 0.5 * strength;
        }
    }
    weather
}

/// Busy in the afternoon (UTC), quiet at night and at weekends; 1 on average over a week, bursts included.
fn rhythm(minute: i64) -> f64 {
    let day = minute.div_euclid(DAY_MINUTES);
    let hour = minute.rem_euclid(DAY_MINUTES) as f64 / 60.0;
    let daily = 1.0 + 0.55 * ((hour - 15.0) / 24.0 * std::f64::consts::TAU).cos();
    // The epoch was a Thursday.
    let weekend = matches!((day + 3).rem_euclid(7), 5 | 6);
    daily * if weekend { 0.55 } else { 1.15 }
}
