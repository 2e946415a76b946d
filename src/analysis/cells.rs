//! What charts draw of a wrapper besides its figures: latency, status, models and errors, in cells of time.
//!
//! Cells lie on the clock. Latency and status come from the same buckets as the figures of the range; models
//! and errors are counted by the hour, and over more than two days by the day; nothing shorter is known of them,
//! so that their charts begin with the whole hour or day in which the range does.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::analysis::facts::{Facts, WrapperFacts};
use crate::analysis::figures::Figures;
use crate::analysis::health::{Status, health};
use crate::analysis::snapshot::{RANGES, Range};
use crate::analysis::window::{MINUTE_HOURS, Window, drawn_minutes};
use crate::model::bucket::Bucket;
use crate::model::history::{merged, slice};
use crate::model::notes::OTHER;
use crate::model::parallel;
use crate::model::sketch::Sketch;
use crate::model::time::MINUTE_MS;

/// Names that one chart tells apart; the others are one more, [`OTHER`].
const NAMES: usize = 7;

/// How a model is called that the logs do not name.
const UNNAMED: &str = "not named";

/// Cells of a stretch of time: (start in ms, what is in it), those without operations left out.
#[derive(Clone, Debug, PartialEq)]
pub struct Cells<T> {
    pub window: Window,
    pub step_minutes: i64,
    pub points: Vec<(i64, T)>,
}

/// What a model cost in a cell; `None` where no operation told.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Use {
    pub cost: Option<f64>,
    pub tokens: u64,
}

/// How long operations took.
#[derive(Clone, Debug, PartialEq)]
pub struct Latencies {
    pub cells: Cells<Sketch>,
    /// All cells together.
    pub total: Sketch,
}

/// One range of [`RANGES`].
#[derive(Clone, Debug, PartialEq)]
pub struct RangeCells {
    pub latency: Latencies,
    /// The health of the operations of a cell taken together, and how many they were.
    pub health: Cells<(Status, u64)>,
    /// One entry a name of [`WrapperCells::models`]; the first cell is whole, as it is of errors.
    pub models: Cells<Vec<Use>>,
    /// One entry a name of [`WrapperCells::errors`].
    pub errors: Cells<Vec<u64>>,
}

/// A wrapper's cells. Names are the same in all ranges, so that each keeps its colour.
#[derive(Clone, Debug, PartialEq)]
pub struct WrapperCells {
    pub models: Vec<String>,
    pub errors: Vec<String>,
    /// One a row of [`RANGES`].
    pub ranges: Vec<RangeCells>,
}

/// The ranges of a wrapper: their figures, and the cells for everything else.
pub fn ranges(facts: &Facts, wrapper: &WrapperFacts) -> (Vec<Range>, WrapperCells) {
    let models = ranked(model_totals(wrapper));
    let errors = ranked(error_totals(wrapper));
    let each = parallel::map(&RANGES, |&(label, hours)| {
        let window = Window::last_hours(facts.moment_ms, hours);
        let step_minutes = drawn_minutes(hours);
        let buckets = window.cells(&wrapper.history, step_minutes);
        let coarse = coarse(hours);
        let whole = window.widened(coarse.names);
        let by_latency = grouped(&buckets, coarse.latency).map(|(at, group)| (at, merged(group)));
        let by_latency: Vec<_> = by_latency.collect();
        let total = merged(&by_latency);
        let points = by_latency.into_iter().map(|(at, bucket)| (at, bucket.latency)).collect();
        let cells = RangeCells {
            latency: Latencies {
                cells: Cells { window, step_minutes: coarse.latency, points },
                total: total.latency.clone(),
            },
            health: Cells {
                window,
                step_minutes: coarse.status,
                points: statuses(facts, wrapper, &buckets, coarse.status),
            },
            models: model_cells(wrapper, whole, coarse.names, &models),
            errors: error_cells(wrapper, whole, coarse.names, &errors),
        };
        let credit = facts.settings.health.fallback_credit;
        let points = buckets.iter().map(|(at, bucket)| (*at, Figures::of(bucket, credit))).collect();
        let total = Figures::of(&total, credit);
        (Range { label, hours, window, step_minutes, points, total }, cells)
    });
    let (ranges, cells) = each.into_iter().unzip();
    (ranges, WrapperCells { models, errors, ranges: cells })
}

/// Minutes a cell; each a multiple of [`drawn_minutes`].
struct Coarse {
    latency: i64,
    status: i64,
    /// Of models and errors.
    names: i64,
}

fn coarse(hours: u32) -> Coarse {
    match hours {
        ..=1 => Coarse { latency: 2, status: 5, names: 60 },
        2..=MINUTE_HOURS => Coarse { latency: 30, status: 60, names: 60 },
        49..=168 => Coarse { latency: 240, status: 360, names: 1440 },
        _ => Coarse { latency: 720, status: 1440, names: 1440 },
    }
}

/// Cells by the longer ones that they lie in.
fn grouped<B>(cells: &[(i64, B)], step_minutes: i64) -> impl Iterator<Item = (i64, &[(i64, B)])> {
    let start = move |at_ms: i64| at_ms.div_euclid(step_minutes * MINUTE_MS) * step_minutes * MINUTE_MS;
    cells.chunk_by(move |a, b| start(a.0) == start(b.0)).map(move |group| (start(group[0].0), group))
}

fn statuses(
    facts: &Facts,
    wrapper: &WrapperFacts,
    cells: &[(i64, Cow<Bucket>)],
    step: i64,
) -> Vec<(i64, (Status, u64))> {
    let settings = &facts.settings.health;
    let target = settings.target_of(&wrapper.id.name);
    let status = |group: &[(i64, Cow<Bucket>)]| {
        // Without a target nobody asks for durations, and to add them up is most of the work.
        let sum = match target {
            Some(_) => merged(group),
            None => Bucket::sum_counters(group.iter().map(|(_, bucket)| &**bucket)),
        };
        // A stretch of the past has no recent failures.
        (health(&sum, &Bucket::default(), settings, target).status, sum.total())
    };
    grouped(cells, step).map(|(at, group)| (at, status(group))).collect()
}

/// The names with the most first; then [`OTHER`] for what is beyond [`NAMES`], or was not told apart before.
fn ranked(mut totals: BTreeMap<&str, u64>) -> Vec<String> {
    let other = totals.remove(OTHER).is_some();
    let mut totals: Vec<_> = totals.into_iter().collect();
    totals.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    let more = other || totals.len() > NAMES;
    let names = totals.into_iter().take(NAMES).map(|(name, _)| name.to_owned());
    names.chain(more.then(|| OTHER.to_owned())).collect()
}

/// The place of a name, or of [`OTHER`], which is last.
fn place(names: &[String], name: &str) -> usize {
    names.iter().position(|known| known == name).unwrap_or(names.len().saturating_sub(1))
}

fn model_name(model: &str) -> &str {
    if model.is_empty() { UNNAMED } else { model }
}

/// Operations by model, over all that is known.
fn model_totals(wrapper: &WrapperFacts) -> BTreeMap<&str, u64> {
    let mut totals = BTreeMap::new();
    for (name, days) in &wrapper.history.series_days {
        let sum: u64 = days.iter().map(|(_, bucket)| bucket.total()).sum();
        *totals.entry(model_name(&name.model)).or_default() += sum;
    }
    // A damaged store may have lost days whose hours it still has.
    for name in wrapper.history.series.keys() {
        totals.entry(model_name(&name.model)).or_default();
    }
    totals
}

fn model_cells(wrapper: &WrapperFacts, window: Window, step: i64, names: &[String]) -> Cells<Vec<Use>> {
    let history = &wrapper.history;
    let by_hour = step <= 60;
    let (series, minutes) = if by_hour { (&history.series, 60) } else { (&history.series_days, 1440) };
    let mut cells: BTreeMap<i64, Vec<Use>> = BTreeMap::new();
    for (name, level) in series {
        let place = place(names, model_name(&name.model));
        let (from, to) = (window.from.div_euclid(minutes), (window.to - 1).div_euclid(minutes) + 1);
        for (at, bucket) in slice(level, from, to) {
            let cell = cells.entry(at * minutes * MINUTE_MS);
            let entry = &mut cell.or_insert_with(|| vec![Use::default(); names.len()])[place];
            entry.tokens = entry.tokens.saturating_add(bucket.total_tokens);
            if let Some(cost) = bucket.cost() {
                entry.cost = Some(entry.cost.unwrap_or(0.0) + cost);
            }
        }
    }
    Cells { window, step_minutes: step, points: cells.into_iter().collect() }
}

/// Failures by kind, over all that is known.
fn error_totals(wrapper: &WrapperFacts) -> BTreeMap<&str, u64> {
    let mut totals = BTreeMap::new();
    for (_, notes) in &wrapper.history.notes {
        for ((kind, _), count) in &notes.errors {
            *totals.entry(kind.as_str()).or_default() += count;
        }
    }
    totals
}

fn error_cells(wrapper: &WrapperFacts, window: Window, step: i64, names: &[String]) -> Cells<Vec<u64>> {
    let start = |hour: i64| (hour * 60).div_euclid(step) * step * MINUTE_MS;
    let hours = window.from.div_euclid(60)..(window.to - 1).div_euclid(60) + 1;
    // No failure where there were operations is a zero; where there were none, it is nothing.
    let busy: BTreeSet<i64> =
        slice(&wrapper.history.hours, hours.start, hours.end).iter().map(|(hour, _)| start(*hour)).collect();
    let mut cells: BTreeMap<i64, Vec<u64>> = busy.into_iter().map(|at| (at, vec![0; names.len()])).collect();
    for (_, notes) in &wrapper.history.notes {
        for ((kind, hour), count) in &notes.errors {
            if hours.contains(hour) {
                let cell = cells.entry(start(*hour)).or_insert_with(|| vec![0; names.len()]);
                cell[place(names, kind)] += count;
            }
        }
    }
    Cells { window, step_minutes: step, points: cells.into_iter().collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::history::History;
    use crate::model::notes::Notes;
    use crate::model::rollup::SeriesName;

    #[test]
    fn the_most_frequent_names_come_first_and_the_rest_are_one() {
        let names: Vec<String> = (0..12).map(|at| format!("m{at:02}")).collect();
        let totals = names.iter().enumerate().map(|(at, name)| (name.as_str(), at as u64)).collect();
        let ranked = ranked(totals);
        assert_eq!(ranked, ["m11", "m10", "m09", "m08", "m07", "m06", "m05", OTHER]);
        assert_eq!((place(&ranked, "m10"), place(&ranked, "m01")), (1, 7));
        assert!(super::ranked(BTreeMap::new()).is_empty());
    }

    #[test]
    fn what_was_not_told_apart_before_is_one_with_the_rest() {
        let names: Vec<String> = (0..12).map(|at| format!("m{at:02}")).collect();
        for count in [0, 3, NAMES, 12] {
            for others in [1, 1000] {
                let totals = names[..count].iter().map(|name| (name.as_str(), 5)).chain([(OTHER, others)]);
                let ranked = ranked(totals.collect());
                let mut expected = names[..count.min(NAMES)].to_vec();
                expected.push(OTHER.to_owned());
                assert_eq!(ranked, expected);
                assert_eq!(place(&ranked, OTHER), ranked.len() - 1);
            }
        }
    }

    #[test]
    fn models_and_errors_are_shown_where_their_operations_were() {
        let moment_ms = (40 * 1440 + 10 * 60 + 20) * MINUTE_MS;
        let last_hour = moment_ms / (60 * MINUTE_MS);
        let one = |at: i64| (at, Bucket { error: 1, total_tokens: 5, ..Bucket::default() });
        let cells = |last: i64, count: i64| (last - count + 1..=last).map(one).collect::<Vec<_>>();
        let mut history = History { hours: cells(last_hour, 960), ..History::default() };
        history.series.insert(SeriesName::default(), cells(last_hour, 960));
        history.series_days.insert(SeriesName::default(), cells(40, 40));
        let errors = history.hours.iter().map(|(hour, _)| (("429".to_owned(), *hour), 1)).collect();
        history.notes.push((0, Notes { errors, ..Notes::default() }));
        let facts = Facts::of_wrappers(vec![WrapperFacts::whole(Default::default(), history)], moment_ms);
        let (ranges, cells) = ranges(&facts, &facts.wrappers[0]);
        for (range, RangeCells { models, errors, .. }) in ranges.iter().zip(&cells.ranges) {
            let starts: Vec<i64> = errors.points.iter().map(|(at, _)| *at).collect();
            assert_eq!(starts, models.points.iter().map(|(at, _)| *at).collect::<Vec<_>>());
            assert_eq!((models.window, models.step_minutes), (errors.window, errors.step_minutes));
            assert_eq!(starts[0], errors.window.from * MINUTE_MS, "{}", range.label);
            let early = range.window.from - errors.window.from;
            assert!((0..errors.step_minutes).contains(&early), "{}", range.label);
            assert_eq!(errors.window.to, range.window.to);
            let hours: u64 = errors.points.iter().map(|(_, counts)| counts[0]).sum();
            assert_eq!(hours as i64, last_hour + 1 - errors.window.from / 60, "{}", range.label);
        }
    }

    #[test]
    fn hours_whose_days_are_lost_have_their_names() {
        let hours = vec![(0, Bucket { success: 1, total_tokens: 5, ..Bucket::default() })];
        let mut history = History { hours: hours.clone(), ..History::default() };
        history.series.insert(SeriesName { model: "m".to_owned(), ..SeriesName::default() }, hours);
        let facts = Facts::of_wrappers(vec![WrapperFacts::whole(Default::default(), history)], MINUTE_MS);
        let (_, cells) = ranges(&facts, &facts.wrappers[0]);
        assert_eq!(cells.models, ["m"]);
        assert_eq!(cells.ranges[0].models.points, [(0, vec![Use { cost: None, tokens: 5 }])]);
    }

    #[test]
    fn longer_cells_hold_what_shorter_ones_did() {
        let one = |at: i64| (at * MINUTE_MS, Bucket { success: 1, ..Bucket::default() });
        let cells: Vec<_> = [3, 4, 5, 9, 21].map(one).to_vec();
        let grouped = grouped(&cells, 5).map(|(at, group)| (at / MINUTE_MS, merged(group).total()));
        let grouped: Vec<_> = grouped.collect();
        assert_eq!(grouped, [(0, 2), (5, 2), (20, 1)]);
    }

    #[test]
    fn cells_of_every_range_can_be_brought_together() {
        for (_, hours) in RANGES {
            let Coarse { latency, status, .. } = coarse(hours);
            assert!(latency % drawn_minutes(hours) == 0 && status % drawn_minutes(hours) == 0, "{hours}");
        }
    }
}
