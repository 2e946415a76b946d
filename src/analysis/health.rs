//! How well a wrapper does, as one number and the factors that made it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

use crate::model::bucket::Bucket;

/// Which set of weights `[health]` starts from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    #[default]
    Default,
    /// Reproduces the scores of the original monitoring system.
    Orchestrator,
}

/// `[health]`: every weight and threshold of the score. Rates are 0..=1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HealthSettings {
    pub preset: Preset,
    /// Length of the health window.
    pub window_minutes: u32,
    /// How much of a success a fallback counts as.
    pub fallback_credit: f64,
    /// Length of the look-back for recent failures.
    pub recent_minutes: u32,
    /// Recent failures beyond this share of recent operations cost `recent_factor`.
    pub recent_error_rate: f64,
    pub recent_factor: f64,
    pub fallback_rate_warning: f64,
    pub fallback_factor_warning: f64,
    pub fallback_rate_critical: f64,
    pub fallback_factor_critical: f64,
    pub error_rate_warning: f64,
    pub error_factor_warning: f64,
    pub error_rate_critical: f64,
    pub error_factor_critical: f64,
    /// p95 target in milliseconds for every wrapper; none by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_target_ms: Option<f64>,
    /// p95 beyond the target.
    pub latency_factor_warning: f64,
    /// p95 beyond twice the target.
    pub latency_factor_critical: f64,
    /// Lowest score that is Healthy, Degraded, Unhealthy.
    pub healthy: f64,
    pub degraded: f64,
    pub unhealthy: f64,
    /// p95 targets of single wrappers, by name.
    pub latency_targets: BTreeMap<String, f64>,
}

impl HealthSettings {
    pub fn preset(preset: Preset) -> HealthSettings {
        let (fallback_credit, recent_error_rate) = match preset {
            Preset::Default => (1.0, 0.01),
            Preset::Orchestrator => (0.0, 0.0),
        };
        HealthSettings {
            preset,
            window_minutes: 60,
            fallback_credit,
            recent_minutes: 10,
            recent_error_rate,
            recent_factor: 0.7,
            fallback_rate_warning: 0.2,
            fallback_factor_warning: 0.9,
            fallback_rate_critical: 0.5,
            fallback_factor_critical: 0.8,
            error_rate_warning: 0.05,
            error_factor_warning: 0.8,
            error_rate_critical: 0.10,
            error_factor_critical: 0.6,
            latency_target_ms: None,
            latency_factor_warning: 0.9,
            latency_factor_critical: 0.8,
            healthy: 0.9,
            degraded: 0.7,
            unhealthy: 0.5,
            latency_targets: BTreeMap::new(),
        }
    }

    /// The p95 target of a wrapper in milliseconds.
    pub fn target_of(&self, wrapper: &str) -> Option<f64> {
        self.latency_targets.get(wrapper).copied().or(self.latency_target_ms)
    }

    /// What is wrong with these settings, as a sentence that names the key; `None` if nothing is.
    pub fn problem(&self) -> Option<String> {
        let shares = [
            ("fallback_credit", self.fallback_credit),
            ("recent_error_rate", self.recent_error_rate),
            ("recent_factor", self.recent_factor),
            ("fallback_rate_warning", self.fallback_rate_warning),
            ("fallback_factor_warning", self.fallback_factor_warning),
            ("fallback_rate_critical", self.fallback_rate_critical),
            ("fallback_factor_critical", self.fallback_factor_critical),
            ("error_rate_warning", self.error_rate_warning),
            ("error_factor_warning", self.error_factor_warning),
            ("error_rate_critical", self.error_rate_critical),
            ("error_factor_critical", self.error_factor_critical),
            ("latency_factor_warning", self.latency_factor_warning),
            ("latency_factor_critical", self.latency_factor_critical),
            ("healthy", self.healthy),
            ("degraded", self.degraded),
            ("unhealthy", self.unhealthy),
        ];
        if let Some((key, value)) = shares.iter().find(|(_, value)| !(0.0..=1.0).contains(value)) {
            return Some(format!("`{key} = {value}` is not between 0 and 1"));
        }
        // Minutes are kept for two days, and the feed looks at the status of every moment of one.
        if !(1..=1440).contains(&self.window_minutes) {
            return Some(format!("`window_minutes = {}` is not between 1 and 1440", self.window_minutes));
        }
        if !(1..=self.window_minutes).contains(&self.recent_minutes) {
            return Some(format!(
                "`recent_minutes = {}` is not between 1 and the window",
                self.recent_minutes
            ));
        }
        if !(self.healthy >= self.degraded && self.degraded >= self.unhealthy) {
            return Some("`healthy`, `degraded` and `unhealthy` must not rise in this order".to_owned());
        }
        let mut targets = self.latency_targets.values().chain(&self.latency_target_ms);
        let bad = targets.find(|target| !(target.is_finite() && **target > 0.0))?;
        Some(format!("a latency target of `{bad}` is not a positive number of milliseconds"))
    }
}

impl Default for HealthSettings {
    fn default() -> HealthSettings {
        HealthSettings::preset(Preset::Default)
    }
}

/// What a score is called. Sorted from bad to good; no data is worse than nothing and better than nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Status {
    Critical,
    Unhealthy,
    Degraded,
    Healthy,
    #[serde(rename = "No data")]
    NoData,
}

impl Status {
    pub const ALL: [Status; 5] =
        [Status::Critical, Status::Unhealthy, Status::Degraded, Status::Healthy, Status::NoData];

    /// The one mapping from score to status.
    pub fn of(score: Option<f64>, settings: &HealthSettings) -> Status {
        match score {
            None => Status::NoData,
            Some(score) if score >= settings.healthy => Status::Healthy,
            Some(score) if score >= settings.degraded => Status::Degraded,
            Some(score) if score >= settings.unhealthy => Status::Unhealthy,
            Some(_) => Status::Critical,
        }
    }

    /// As the API and the pages write it.
    pub fn word(self) -> &'static str {
        match self {
            Status::Critical => "Critical",
            Status::Unhealthy => "Unhealthy",
            Status::Degraded => "Degraded",
            Status::Healthy => "Healthy",
            Status::NoData => "No data",
        }
    }

    /// The name of its colour: also the suffix of its style classes.
    pub fn colour(self) -> &'static str {
        match self {
            Status::Critical => "red",
            Status::Unhealthy => "orange",
            Status::Degraded => "yellow",
            Status::Healthy => "green",
            Status::NoData => "grey",
        }
    }
}

/// One step of the score's making.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Factor {
    /// `success_rate`, `fallbacks`, `recent_failures`, `errors` or `latency`.
    pub name: &'static str,
    /// What it multiplies the score by; 1 where it does not apply. The success rate is the start.
    pub multiplier: f64,
    /// What was measured and held against which limit; serialized in words.
    #[serde(serialize_with = "in_words")]
    pub reason: Reason,
}

/// Why a factor is what it is. Numbers until someone reads it: most healths are worked out for their status
/// alone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reason {
    Counts {
        success: u64,
        fallback: u64,
        credit: f64,
        total: u64,
    },
    FallbackRate {
        rate: f64,
        limit: f64,
    },
    RecentFailures {
        minutes: u32,
        rate: f64,
        limit: f64,
    },
    ErrorRate {
        rate: f64,
        limit: f64,
    },
    NoDurations,
    /// In milliseconds.
    Latency {
        p95: f64,
        limit: f64,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match *self {
            Reason::Counts { success, fallback, credit, total } => {
                write!(
                    f,
                    "{success} succeeded and {fallback} ended by a fallback (each counts {credit}) of {total}"
                )
            }
            Reason::FallbackRate { rate, limit } => {
                f.write_str("fallback rate ")?;
                compared(f, rate, limit)
            }
            Reason::RecentFailures { minutes, rate, limit } => {
                write!(f, "failures of the last {minutes} minutes ")?;
                compared(f, rate, limit)
            }
            Reason::ErrorRate { rate, limit } => {
                f.write_str("error rate ")?;
                compared(f, rate, limit)
            }
            Reason::NoDurations => f.write_str("no operation says how long it took"),
            Reason::Latency { p95, limit } => {
                let relation = if p95 > limit { "above" } else { "within" };
                write!(f, "p95 {p95:.0} ms, {relation} {limit:.0} ms")
            }
        }
    }
}

/// `6.0 %, above 5 %`.
fn compared(f: &mut fmt::Formatter, rate: f64, limit: f64) -> fmt::Result {
    let relation = if rate > limit { "above" } else { "within" };
    write!(f, "{:.1} %, {relation} {} %", rate * 100.0, (limit * 1000.0).round() / 10.0)
}

fn in_words<S: Serializer>(reason: &Reason, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(reason)
}

/// A wrapper's health over a window.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Health {
    /// 0..=1; absent without operations.
    pub score: Option<f64>,
    pub status: Status,
    /// Empty without operations. Their product is the score.
    pub factors: Vec<Factor>,
}

/// The score of the contract, factor by factor. `window` and `recent` are the operations of the health
/// window and of its last minutes; `target_ms` is the wrapper's p95 target.
pub fn health(window: &Bucket, recent: &Bucket, settings: &HealthSettings, target_ms: Option<f64>) -> Health {
    let Some(success_rate) = window.success_rate(settings.fallback_credit) else {
        return Health { score: None, status: Status::NoData, factors: Vec::new() };
    };
    let mut factors = vec![
        Factor {
            name: "success_rate",
            multiplier: success_rate,
            reason: Reason::Counts {
                success: window.success,
                fallback: window.fallback,
                credit: settings.fallback_credit,
                total: window.total(),
            },
        },
        fallbacks(window, settings),
        recent_failures(recent, settings),
        errors(window, settings),
    ];
    factors.extend(target_ms.map(|target| latency(window, settings, target)));
    let product: f64 = factors.iter().map(|factor| factor.multiplier).product();
    let score = Some(rounded(product).clamp(0.0, 1.0));
    Health { score, status: Status::of(score, settings), factors }
}

fn fallbacks(window: &Bucket, settings: &HealthSettings) -> Factor {
    let rate = window.fallback_rate().unwrap_or(0.0);
    let (multiplier, limit) = if rate > settings.fallback_rate_critical {
        (settings.fallback_factor_critical, settings.fallback_rate_critical)
    } else if rate > settings.fallback_rate_warning {
        (settings.fallback_factor_warning, settings.fallback_rate_warning)
    } else {
        (1.0, settings.fallback_rate_warning)
    };
    Factor { name: "fallbacks", multiplier, reason: Reason::FallbackRate { rate, limit } }
}

fn recent_failures(recent: &Bucket, settings: &HealthSettings) -> Factor {
    let rate = recent.error_rate().unwrap_or(0.0);
    let exceeded = rate > settings.recent_error_rate;
    let (minutes, limit) = (settings.recent_minutes, settings.recent_error_rate);
    Factor {
        name: "recent_failures",
        multiplier: if exceeded { settings.recent_factor } else { 1.0 },
        reason: Reason::RecentFailures { minutes, rate, limit },
    }
}

fn errors(window: &Bucket, settings: &HealthSettings) -> Factor {
    let rate = window.error_rate().unwrap_or(0.0);
    let (multiplier, limit) = if rate > settings.error_rate_critical {
        (settings.error_factor_critical, settings.error_rate_critical)
    } else if rate > settings.error_rate_warning {
        (settings.error_factor_warning, settings.error_rate_warning)
    } else {
        (1.0, settings.error_rate_warning)
    };
    Factor { name: "errors", multiplier, reason: Reason::ErrorRate { rate, limit } }
}

fn latency(window: &Bucket, settings: &HealthSettings, target: f64) -> Factor {
    let Some(p95) = window.percentiles_ms([0.95])[0] else {
        return Factor { name: "latency", multiplier: 1.0, reason: Reason::NoDurations };
    };
    let (multiplier, limit) = if p95 > 2.0 * target {
        (settings.latency_factor_critical, 2.0 * target)
    } else if p95 > target {
        (settings.latency_factor_warning, target)
    } else {
        (1.0, target)
    };
    Factor { name: "latency", multiplier, reason: Reason::Latency { p95, limit } }
}

/// The mean of the scores that exist, each wrapper counting the same; `None` where none does.
pub fn mean_score(scores: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let (sum, count) = scores.flatten().fold((0.0, 0u32), |(sum, count), score| (sum + score, count + 1));
    (count > 0).then(|| rounded(sum / f64::from(count)))
}

/// To 10⁻¹², so that 0.9 made of factors or of a mean is 0.9 when it is held against a threshold.
fn rounded(score: f64) -> f64 {
    (score * 1e12).round() / 1e12
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::sketch::bin_of;

    fn bucket(success: u64, error: u64, fallback: u64) -> Bucket {
        Bucket { success, error, fallback, ..Bucket::default() }
    }

    fn score(bucket: &Bucket, settings: &HealthSettings) -> (f64, Status) {
        let health = health(bucket, bucket, settings, None);
        (health.score.expect("there are operations"), health.status)
    }

    #[test]
    fn the_orchestrator_preset_scores_as_the_original_did() {
        let settings = HealthSettings::preset(Preset::Orchestrator);
        let table = [
            (bucket(100, 0, 0), 1.0, Status::Healthy),
            (bucket(99, 1, 0), 0.693, Status::Unhealthy),
            (bucket(95, 5, 0), 0.665, Status::Unhealthy),
            (bucket(94, 6, 0), 0.5264, Status::Unhealthy),
            (bucket(90, 10, 0), 0.504, Status::Unhealthy),
            (bucket(80, 20, 0), 0.336, Status::Critical),
            (bucket(90, 0, 10), 0.9, Status::Healthy),
            (bucket(79, 0, 21), 0.711, Status::Degraded),
            (bucket(49, 0, 51), 0.392, Status::Critical),
            (bucket(0, 0, 100), 0.0, Status::Critical),
        ];
        for (bucket, expected, status) in table {
            assert_eq!(score(&bucket, &settings), (expected, status), "{bucket:?}");
        }
    }

    #[test]
    fn the_default_preset_credits_fallbacks_and_forgives_one_percent() {
        let settings = HealthSettings::default();
        assert_eq!(score(&bucket(90, 0, 10), &settings), (1.0, Status::Healthy));
        assert_eq!(score(&bucket(99, 1, 0), &settings), (0.99, Status::Healthy));
        assert_eq!(score(&bucket(98, 2, 0), &settings), (0.686, Status::Unhealthy));
        assert_eq!(score(&bucket(0, 0, 100), &settings), (0.8, Status::Degraded));
    }

    #[test]
    fn failures_are_recent_only_within_the_last_minutes() {
        let settings = HealthSettings::preset(Preset::Orchestrator);
        let health = health(&bucket(99, 1, 0), &bucket(10, 0, 0), &settings, None);
        assert_eq!(health.score, Some(0.99));
    }

    #[test]
    fn latency_counts_only_against_a_target() {
        let mut slow = bucket(10, 0, 0);
        for _ in 0..10 {
            slow.latency.add(bin_of(1500.0));
        }
        slow.duration_max_ns = 1_500_000_000;
        let settings = HealthSettings::default();
        let with = |target| health(&slow, &slow, &settings, target).score;
        assert_eq!(with(None), Some(1.0));
        assert_eq!(with(Some(2000.0)), Some(1.0));
        assert_eq!(with(Some(1000.0)), Some(0.9));
        assert_eq!(with(Some(700.0)), Some(0.8));
    }

    #[test]
    fn no_operation_has_no_score() {
        let none = Bucket::default();
        let health = health(&none, &none, &HealthSettings::default(), Some(1.0));
        assert_eq!((health.score, health.status), (None, Status::NoData));
    }

    #[test]
    fn the_factors_multiply_to_the_score() {
        let bucket = bucket(60, 15, 25);
        let health = health(&bucket, &bucket, &HealthSettings::default(), Some(10.0));
        let product: f64 = health.factors.iter().map(|factor| factor.multiplier).product();
        assert!((product - health.score.expect("there are operations")).abs() < 1e-9);
    }

    #[test]
    fn reasons_are_said_in_words() {
        let bucket = bucket(94, 6, 0);
        let factors = health(&bucket, &bucket, &HealthSettings::default(), None).factors;
        let words: Vec<_> = factors.iter().map(|factor| factor.reason.to_string()).collect();
        assert_eq!(words[0], "94 succeeded and 0 ended by a fallback (each counts 1) of 100");
        assert_eq!(words[2], "failures of the last 10 minutes 6.0 %, above 1 %");
        assert_eq!(words[3], "error rate 6.0 %, above 5 %");
    }

    #[test]
    fn the_system_counts_wrappers_alike_and_leaves_out_those_without_data() {
        assert_eq!(mean_score([Some(1.0), None, Some(0.5)].into_iter()), Some(0.75));
        assert_eq!(mean_score([None].into_iter()), None);
        assert_eq!(mean_score([Some(0.7); 3].into_iter()), Some(0.7));
    }

    #[test]
    fn settings_out_of_range_are_named() {
        let settings = HealthSettings { recent_factor: 1.5, ..HealthSettings::default() };
        assert!(settings.problem().is_some_and(|problem| problem.contains("recent_factor")));
        assert_eq!(HealthSettings::default().problem(), None);
    }
}
