//! Everything the pages show, as values: the analysis of [`Facts`] at their moment.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::analysis::activity::{Event, events, feed, health_at};
use crate::analysis::cells::{WrapperCells, ranges};
use crate::analysis::facts::{Facts, WrapperFacts};
use crate::analysis::figures::Figures;
use crate::analysis::health::{Health, Status, mean_score};
use crate::analysis::window::{Window, step_minutes};
use crate::model::bucket::Bucket;
use crate::model::history::{WrapperId, merged, slice};
use crate::model::notes::Sample;
use crate::model::parallel;
use crate::model::rollup::InFlight;
use crate::model::time::{DAY_MS, HOUR_MS};

/// The ranges that charts offer: label and hours.
pub const RANGES: [(&str, u32); 4] = [("1H", 1), ("24H", 24), ("7D", 168), ("30D", 720)];

/// Hours of the range that is shown first, and that rows and exports are of where nothing else is asked for.
pub const DAY_HOURS: u32 = 24;

/// Lines or bars that one chart can show and still be read.
pub const CHARTED: usize = 12;

/// Hours that a wrapper page's breakdowns (errors, models, slowest, latency) look back.
pub const BREAKDOWN_HOURS: u32 = 24;

/// Slowest operations a page lists.
const SLOWEST: usize = 10;

/// All wrappers together.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct System {
    pub score: Option<f64>,
    pub status: Status,
    /// Wrappers with an operation in the window.
    pub active_wrappers: usize,
    pub healthy_wrappers: usize,
    /// Active and not Healthy.
    pub unhealthy_wrappers: usize,
    /// Share of the active ones that are Healthy, 0..=100; absent where none is active.
    pub health_percentage: Option<f64>,
    /// Sums over all wrappers in the window.
    pub figures: Figures,
    pub operations_per_minute: f64,
    /// Started and not ended.
    pub in_flight: usize,
    /// End of the newest operation.
    pub last_data_ms: Option<i64>,
}

/// One wrapper at a glance: a row of the overview.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    pub name: String,
    pub slug: String,
    pub health: Health,
    /// Over the same window as the health.
    pub figures: Figures,
    pub in_flight: usize,
    pub first_seen_ms: i64,
    pub last_activity_ms: Option<i64>,
}

/// Points of one range: (start of the cell in ms, its figures), empty cells left out.
#[derive(Clone, Debug, PartialEq)]
pub struct Range {
    pub label: &'static str,
    pub hours: u32,
    pub window: Window,
    pub step_minutes: i64,
    pub points: Vec<(i64, Figures)>,
    /// All points together.
    pub total: Figures,
}

/// One kind of error over the breakdown's hours.
#[derive(Clone, Debug, PartialEq)]
pub struct ErrorKind {
    pub kind: String,
    pub count: u64,
    /// Newest first.
    pub samples: Vec<Sample>,
}

/// One operation type and model over the breakdown's hours.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Breakdown {
    pub operation_type: String,
    pub model: String,
    pub figures: Figures,
}

/// What is worked out of a wrapper in every build.
#[derive(Clone, Debug, PartialEq)]
pub struct WrapperReport {
    pub summary: Summary,
    /// The last [`DAY_HOURS`] hours.
    pub day: Range,
    /// Newest first.
    pub activity: Vec<Event>,
    /// Absent where the facts are not detailed.
    pub detail: Option<Detail>,
    /// Whether the files of its own stand as they are.
    pub stands: bool,
}

/// What only the wrapper's own page and the charts show.
#[derive(Clone, Debug, PartialEq)]
pub struct Detail {
    /// One a row of [`RANGES`].
    pub ranges: Vec<Range>,
    pub cells: WrapperCells,
    /// Start of the hours that the rest of the page looks back over, in ms: [`BREAKDOWN_HOURS`] hours of the
    /// clock, the current one included. Their sum.
    pub breakdown_from_ms: i64,
    pub breakdown: Figures,
    pub errors: Vec<ErrorKind>,
    pub by_series: Vec<Breakdown>,
    pub slowest: Vec<Sample>,
    pub in_flight: Vec<InFlight>,
}

/// The site's state at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot<'a> {
    pub facts: &'a Facts,
    /// The health window.
    pub window: Window,
    pub system: System,
    /// One a wrapper, sorted by name, as in the facts.
    pub wrappers: Vec<WrapperReport>,
    /// Newest first.
    pub activity: Vec<Event>,
}

/// The analysis: every wrapper judged, then all of them together.
pub fn snapshot(facts: &Facts) -> Snapshot<'_> {
    let minutes = i64::from(facts.settings.health.window_minutes);
    let window = Window::last_minutes(facts.moment_ms, minutes);
    let wrappers = parallel::map(&facts.wrappers, |wrapper| report(facts, wrapper, window));
    let system = system(facts, window, wrappers.iter().map(|wrapper| &wrapper.summary));
    let activity: Vec<&Event> = feed(wrappers.iter().flat_map(|wrapper| &wrapper.activity).collect());
    let activity = activity.into_iter().cloned().collect();
    Snapshot { facts, window, system, wrappers, activity }
}

/// One wrapper's row over any window.
pub fn summary(facts: &Facts, wrapper: &WrapperFacts, window: Window) -> Summary {
    let credit = facts.settings.health.fallback_credit;
    Summary {
        name: wrapper.id.name.clone(),
        slug: wrapper.id.slug.clone(),
        health: health_at(wrapper, facts.moment_ms, window, &facts.settings),
        figures: Figures::of(&window.sum(&wrapper.history), credit),
        in_flight: in_flight(facts, &wrapper.id).len(),
        first_seen_ms: wrapper.history.first_end_ms,
        last_activity_ms: wrapper.history.last_end_ms(facts.moment_ms),
    }
}

/// All wrappers together over the window that their summaries are of.
pub fn system<'a>(facts: &Facts, window: Window, summaries: impl Iterator<Item = &'a Summary>) -> System {
    let summaries: Vec<_> = summaries.collect();
    let credit = facts.settings.health.fallback_credit;
    let sums = parallel::map(&facts.wrappers, |wrapper| window.sum(&wrapper.history));
    let sum = Bucket::sum(sums.iter());
    let active_wrappers = summaries.iter().filter(|summary| summary.figures.total_operations > 0).count();
    let is_healthy = |summary: &&&Summary| summary.health.status == Status::Healthy;
    let healthy_wrappers = summaries.iter().filter(is_healthy).count();
    let score = mean_score(summaries.iter().map(|summary| summary.health.score));
    System {
        score,
        status: Status::of(score, &facts.settings.health),
        active_wrappers,
        healthy_wrappers,
        unhealthy_wrappers: active_wrappers - healthy_wrappers,
        health_percentage: (active_wrappers > 0)
            .then(|| healthy_wrappers as f64 * 100.0 / active_wrappers as f64),
        operations_per_minute: sum.total() as f64 / window.minutes() as f64,
        figures: Figures::of(&sum, credit),
        in_flight: facts.in_flight.len(),
        last_data_ms: summaries.iter().filter_map(|summary| summary.last_activity_ms).max(),
    }
}

/// A wrapper's points over the last `hours` hours, as rows of an answer.
pub fn range(facts: &Facts, wrapper: &WrapperFacts, hours: u32) -> Range {
    let window = Window::last_hours(facts.moment_ms, hours);
    let step_minutes = step_minutes(hours);
    let credit = facts.settings.health.fallback_credit;
    let cells = window.cells(&wrapper.history, step_minutes);
    let points = cells.iter().map(|(at, bucket)| (*at, Figures::of(bucket, credit))).collect();
    let total = Figures::of(&merged(&cells), credit);
    let label = RANGES.iter().find(|range| range.1 == hours).map_or("", |range| range.0);
    Range { label, hours, window, step_minutes, points, total }
}

fn report(facts: &Facts, wrapper: &WrapperFacts, window: Window) -> WrapperReport {
    let (detail, (summary, activity)) = parallel::join(
        || wrapper.detailed.then(|| detail(facts, wrapper)),
        || (summary(facts, wrapper, window), feed(events(wrapper, facts.moment_ms, &facts.settings))),
    );
    let drawn =
        detail.as_ref().and_then(|detail| detail.ranges.iter().find(|range| range.hours == DAY_HOURS));
    WrapperReport {
        summary,
        // A day is drawn in the cells of its rows.
        day: drawn.cloned().unwrap_or_else(|| range(facts, wrapper, DAY_HOURS)),
        activity,
        detail,
        stands: wrapper.stands,
    }
}

fn detail(facts: &Facts, wrapper: &WrapperFacts) -> Detail {
    let (ranges, cells) = ranges(facts, wrapper);
    let hours = breakdown_hours(facts.moment_ms);
    let sum = merged(slice(&wrapper.history.hours, hours.start, hours.end));
    Detail {
        ranges,
        cells,
        breakdown_from_ms: hours.start * HOUR_MS,
        breakdown: Figures::of(&sum, facts.settings.health.fallback_credit),
        errors: error_kinds(facts, wrapper),
        by_series: by_series(facts, wrapper),
        slowest: slowest(facts, wrapper),
        in_flight: in_flight(facts, &wrapper.id).to_vec(),
    }
}

/// The positions of the wrappers whose lines and bars charts show: the busiest of the last day, at most
/// [`CHARTED`], in the order of their names.
pub fn charted(facts: &Facts) -> Vec<usize> {
    let day = Window::last_hours(facts.moment_ms, DAY_HOURS);
    let operations = |at: &usize| -> u64 {
        let minutes = slice(&facts.wrappers[*at].history.minutes, day.from, day.to);
        minutes.iter().map(|(_, bucket)| bucket.total()).sum()
    };
    let mut positions: Vec<usize> = (0..facts.wrappers.len()).collect();
    positions.sort_by_cached_key(|at| std::cmp::Reverse(operations(at)));
    positions.truncate(CHARTED);
    positions.sort_unstable();
    positions
}

fn in_flight<'a>(facts: &'a Facts, id: &WrapperId) -> &'a [InFlight] {
    let from = |above: &dyn Fn(&str) -> bool| {
        facts.in_flight.partition_point(|operation| !above(&operation.wrapper))
    };
    &facts.in_flight[from(&|name| name >= id.name.as_str())..from(&|name| name > id.name.as_str())]
}

/// The hours of the breakdown: whole ones, since errors and series are counted by the hour.
fn breakdown_hours(moment_ms: i64) -> std::ops::Range<i64> {
    let to = moment_ms.div_euclid(HOUR_MS) + 1;
    to - i64::from(BREAKDOWN_HOURS)..to
}

/// A wrapper's failures over the breakdown's hours, the most frequent first.
pub fn error_kinds(facts: &Facts, wrapper: &WrapperFacts) -> Vec<ErrorKind> {
    let hours = breakdown_hours(facts.moment_ms);
    let mut kinds: BTreeMap<&str, ErrorKind> = BTreeMap::new();
    for (_, notes) in slice(&wrapper.history.notes, hours.start.div_euclid(24), hours.end.div_euclid(24) + 1)
    {
        for ((kind, hour), count) in &notes.errors {
            if hours.contains(hour) {
                let empty = ErrorKind { kind: kind.clone(), count: 0, samples: Vec::new() };
                kinds.entry(kind).or_insert(empty).count += count;
            }
        }
        for (kind, samples) in &notes.samples {
            let Some(entry) = kinds.get_mut(kind.as_str()) else { continue };
            let fresh = samples.iter().filter(|sample| hours.contains(&sample.end_ms.div_euclid(HOUR_MS)));
            entry.samples.splice(0..0, fresh.cloned());
        }
    }
    let mut kinds: Vec<_> = kinds.into_values().collect();
    kinds.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.kind.cmp(&b.kind)));
    kinds
}

fn by_series(facts: &Facts, wrapper: &WrapperFacts) -> Vec<Breakdown> {
    let hours = breakdown_hours(facts.moment_ms);
    let credit = facts.settings.health.fallback_credit;
    let mut rows: Vec<_> = wrapper
        .history
        .series
        .iter()
        .map(|(name, level)| (name, merged(slice(level, hours.start, hours.end))))
        .filter(|(_, sum)| sum.total() > 0)
        .map(|(name, sum)| Breakdown {
            operation_type: name.operation_type.clone(),
            model: name.model.clone(),
            figures: Figures::of(&sum, credit),
        })
        .collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.figures.total_operations));
    rows
}

fn slowest(facts: &Facts, wrapper: &WrapperFacts) -> Vec<Sample> {
    let from_ms = breakdown_hours(facts.moment_ms).start * HOUR_MS;
    let days = slice(&wrapper.history.notes, from_ms / DAY_MS, facts.moment_ms / DAY_MS + 1);
    let mut samples: Vec<_> = days
        .iter()
        .flat_map(|(_, notes)| &notes.slowest)
        .filter(|sample| sample.end_ms >= from_ms && sample.end_ms <= facts.moment_ms)
        .cloned()
        .collect();
    samples.sort_by(|a, b| b.duration_ns.cmp(&a.duration_ns).then_with(|| b.cmp(a)));
    samples.truncate(SLOWEST);
    samples
}
