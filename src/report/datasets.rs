//! The answers of the API as pure functions of [`Facts`]: a build writes those for the default parameters as
//! files, the daemon works out the others. Both dated by the snapshot's moment, so both are the same bytes.
//!
//! To add an answer: a function here, a row in [`add`] for its file, and a route in `serve/routes.rs`.

use anyhow::Result;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use crate::analysis::facts::{Facts, WrapperFacts};
use crate::analysis::figures::Figures;
use crate::analysis::health::Factor;
use crate::analysis::snapshot::{self, Range, Snapshot, Summary, System};
use crate::analysis::window::Window;
use crate::model::time::rfc3339;
use crate::report::charts;
use crate::report::export;
use crate::report::site::Site;

/// Hours that rows, charts and exports look back where nothing else is asked for.
pub const DEFAULT_HOURS: u32 = snapshot::DAY_HOURS;

/// The path of the activity feed in the site.
pub const ACTIVITY: &str = "api/activity.json";

/// One wrapper's figures in one cell of time, as an answer or an export writes them.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Start of the cell, RFC 3339.
    pub timestamp: String,
    #[serde(flatten)]
    pub figures: Figures,
}

#[derive(Serialize)]
struct WrapperHealth<'a> {
    health_score: Option<f64>,
    status: &'static str,
    last_activity: Option<String>,
    #[serde(flatten)]
    figures: &'a Figures,
    in_flight: usize,
    first_seen: String,
    slug: &'a str,
    factors: &'a [Factor],
}

/// The window of the two health answers: the health window, or the last `hours` hours.
fn health_window(facts: &Facts, hours: Option<u32>) -> Window {
    match hours {
        None => Window::last_minutes(facts.moment_ms, i64::from(facts.settings.health.window_minutes)),
        Some(hours) => Window::last_hours(facts.moment_ms, hours),
    }
}

/// All wrappers together.
pub fn system_health(facts: &Facts, hours: Option<u32>) -> Value {
    let window = health_window(facts, hours);
    let summaries: Vec<_> =
        facts.wrappers.iter().map(|wrapper| snapshot::summary(facts, wrapper, window)).collect();
    system_answer(&snapshot::system(facts, window, summaries.iter()), facts.moment_ms)
}

fn system_answer(system: &System, moment_ms: i64) -> Value {
    json!({
        "overall_health_score": system.score,
        "system_status": system.status.word(),
        "active_wrappers": system.active_wrappers,
        "healthy_wrappers": system.healthy_wrappers,
        "unhealthy_wrappers": system.unhealthy_wrappers,
        "health_percentage": system.health_percentage,
        "total_operations": system.figures.total_operations,
        "active_operations": system.in_flight,
        "overall_success_rate": system.figures.success_rate,
        "error_count": system.figures.error_count,
        "operations_per_minute": system.operations_per_minute,
        "last_health_check": rfc3339(moment_ms),
    })
}

/// Every wrapper by its name.
pub fn wrappers_health(facts: &Facts, hours: Option<u32>) -> Map<String, Value> {
    let window = health_window(facts, hours);
    let entry = |wrapper: &WrapperFacts| {
        let summary = snapshot::summary(facts, wrapper, window);
        (wrapper.id.name.clone(), json!(WrapperHealth::of(&summary)))
    };
    facts.wrappers.iter().map(entry).collect()
}

impl WrapperHealth<'_> {
    fn of(summary: &Summary) -> WrapperHealth<'_> {
        WrapperHealth {
            health_score: summary.health.score,
            status: summary.health.status.word(),
            last_activity: summary.last_activity_ms.map(rfc3339),
            figures: &summary.figures,
            in_flight: summary.in_flight,
            first_seen: rfc3339(summary.first_seen_ms),
            slug: &summary.slug,
            factors: &summary.health.factors,
        }
    }
}

/// One wrapper's figures over time; cells without operations are left out.
pub fn wrapper_metrics(facts: &Facts, wrapper: &WrapperFacts, hours: u32) -> Vec<Row> {
    rows(&snapshot::range(facts, wrapper, hours))
}

fn rows(range: &Range) -> Vec<Row> {
    let row = |(at, figures): &(i64, Figures)| Row { timestamp: rfc3339(*at), figures: figures.clone() };
    range.points.iter().map(row).collect()
}

/// `{"success": true, "data": …, "timestamp": …}`.
#[derive(Debug, Serialize)]
pub struct Envelope<T> {
    success: bool,
    data: T,
    timestamp: String,
}

impl<T: Serialize> Envelope<T> {
    pub fn new(data: T, moment_ms: i64) -> Envelope<T> {
        Envelope { success: true, data, timestamp: rfc3339(moment_ms) }
    }
}

/// Entries as a map, in their order.
struct InOrder<'a, T>(&'a [(&'a str, T)]);

impl<T: Serialize> Serialize for InOrder<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, entry)| (name, entry)))
    }
}

/// The envelope of [`wrapper_metrics`].
#[derive(Debug, Serialize)]
pub struct Metrics<'a> {
    success: bool,
    wrapper_name: &'a str,
    time_range_hours: u32,
    data: Vec<Row>,
    timestamp: String,
}

/// [`wrapper_metrics`] in its envelope.
pub fn metrics_envelope<'a>(facts: &Facts, wrapper: &'a WrapperFacts, hours: u32) -> Metrics<'a> {
    metrics(&wrapper.id.name, &snapshot::range(facts, wrapper, hours), facts.moment_ms)
}

fn metrics<'a>(name: &'a str, range: &Range, moment_ms: i64) -> Metrics<'a> {
    Metrics {
        success: true,
        wrapper_name: name,
        time_range_hours: range.hours,
        data: rows(range),
        timestamp: rfc3339(moment_ms),
    }
}

/// Adds the answers for the default parameters to a site.
pub fn add<'a>(site: &mut Site<'a>, snapshot: &'a Snapshot) -> Result<()> {
    let (facts, moment_ms) = (snapshot.facts, snapshot.facts.moment_ms);
    let system = system_answer(&snapshot.system, moment_ms);
    site.add("api/system/health.json", serde_json::to_vec(&Envelope::new(system, moment_ms))?)?;
    let summaries = || snapshot.wrappers.iter().map(|wrapper| &wrapper.summary);
    let health: Vec<_> =
        summaries().map(|summary| (summary.name.as_str(), WrapperHealth::of(summary))).collect();
    let health = Envelope::new(InOrder(&health), moment_ms);
    site.add("api/wrappers/health.json", serde_json::to_vec(&health)?)?;
    site.later(ACTIVITY, move || Ok(serde_json::to_vec(&Envelope::new(&snapshot.activity, moment_ms))?))?;
    site.later("api/charts/performance.json", move || {
        let lines = snapshot.wrappers.iter().map(|wrapper| (wrapper.summary.name.as_str(), &wrapper.day));
        Ok(serde_json::to_vec(&charts::performance::lines(lines))?)
    })?;
    site.later("api/charts/health.json", move || Ok(serde_json::to_vec(&charts::health::health(facts))?))?;
    for wrapper in &snapshot.wrappers {
        let path = format!("api/wrappers/{}/metrics.json", wrapper.summary.slug);
        if wrapper.stands {
            site.keep(path)?;
            continue;
        }
        let answer = move || metrics(&wrapper.summary.name, &wrapper.day, moment_ms);
        site.later(path, move || Ok(serde_json::to_vec(&answer())?))?;
    }
    let exports = export::all(facts, DEFAULT_HOURS);
    exports
        .into_iter()
        .try_for_each(|(format, bytes)| site.add(format!("exports/metrics.{}", format.word()), bytes))
}
