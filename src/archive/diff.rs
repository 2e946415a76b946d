//! Two snapshots side by side: what is new, gone, better and worse, what matters most first.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::analysis::health::Status;
use crate::archive::entry::{self, SUMMARY};
use crate::report::summary::{Line, Summary, Tally};

/// What differs between two snapshots.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Diff {
    pub before: Side,
    pub after: Side,
    /// Wrappers in which something differs, what matters most first.
    pub changes: Vec<Change>,
    /// How many are the same.
    pub unchanged: usize,
}

/// One of the two.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Side {
    pub id: String,
    pub generated_at: String,
    pub status: Status,
    pub score: Option<f64>,
    pub wrappers: usize,
    /// Sums of the last 24 hours.
    pub operations: u64,
    pub errors: u64,
    pub cost: Option<f64>,
}

/// What became of a wrapper.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    New,
    Gone,
    Worse,
    Better,
    /// Neither: other numbers in the same health.
    Other,
}

/// One wrapper, before and after; figures are of the last 24 hours, health is of its window.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    pub name: String,
    pub slug: String,
    pub kind: Kind,
    pub before: Option<Figures>,
    pub after: Option<Figures>,
    /// Kinds of errors whose counts differ: (kind, before, after), the largest difference first.
    pub errors: Vec<(String, u64, u64)>,
}

/// What is compared of a wrapper.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figures {
    pub status: Status,
    pub score: Option<f64>,
    #[serde(flatten)]
    pub day: Tally,
}

/// Most kinds of errors that a change lists.
const KINDS: usize = 10;

/// Compares two entries of an archive.
///
/// # Errors
/// If there is no such entry, or if its summary cannot be read.
pub fn diff(archive: &Path, before: &str, after: &str) -> Result<Diff> {
    let (a, b) = (summary(archive, before)?, summary(archive, after)?);
    Ok(compare((before, &a), (after, &b)))
}

/// The summary of an entry.
pub fn summary(archive: &Path, id: &str) -> Result<Summary> {
    // Says what to do where there is no such entry.
    entry::read(archive, id)?;
    let path = archive.join(id).join(SUMMARY);
    let bytes = fs::read(&path).with_context(|| format!("reading `{}`", path.display()))?;
    serde_json::from_slice(&bytes)
        .with_context(|| format!("`{}` is damaged; see `dash verify`", path.display()))
}

/// Compares two summaries, each with the name of its snapshot.
pub fn compare(before: (&str, &Summary), after: (&str, &Summary)) -> Diff {
    let by_name = |summary: &'_ Summary| -> BTreeMap<String, Line> {
        summary.wrappers.iter().map(|line| (line.name.clone(), line.clone())).collect()
    };
    let (a, b) = (by_name(before.1), by_name(after.1));
    let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let mut changes: Vec<Change> =
        names.iter().filter_map(|name| change(a.get(*name), b.get(*name))).collect();
    changes.sort_by(|a, b| weight(b).total_cmp(&weight(a)).then_with(|| a.name.cmp(&b.name)));
    let unchanged = names.len() - changes.len();
    Diff { before: side(before), after: side(after), changes, unchanged }
}

fn side((id, summary): (&str, &Summary)) -> Side {
    let day = |count: fn(&Tally) -> u64| summary.wrappers.iter().map(|line| count(&line.day)).sum();
    let costs: Vec<f64> = summary.wrappers.iter().filter_map(|line| line.day.cost).collect();
    Side {
        id: id.to_owned(),
        generated_at: summary.generated_at.clone(),
        status: summary.status,
        score: summary.score,
        wrappers: summary.wrappers.len(),
        operations: day(|day| day.total_operations),
        errors: day(|day| day.error_count),
        cost: (!costs.is_empty()).then(|| costs.iter().sum()),
    }
}

fn figures(line: &Line) -> Figures {
    Figures { status: line.status, score: line.score, day: line.day.clone() }
}

/// `None` where nothing differs.
fn change(before: Option<&Line>, after: Option<&Line>) -> Option<Change> {
    let line = after.or(before)?;
    let errors = errors(before, after);
    let (before, after) = (before.map(figures), after.map(figures));
    if before == after && errors.is_empty() {
        return None;
    }
    let kind = kind(before.as_ref(), after.as_ref());
    Some(Change { name: line.name.clone(), slug: line.slug.clone(), kind, before, after, errors })
}

fn kind(before: Option<&Figures>, after: Option<&Figures>) -> Kind {
    match (before, after) {
        (None, _) => Kind::New,
        (_, None) => Kind::Gone,
        (Some(before), Some(after)) => match badness(after.status).cmp(&badness(before.status)) {
            std::cmp::Ordering::Greater => Kind::Worse,
            std::cmp::Ordering::Less => Kind::Better,
            std::cmp::Ordering::Equal => Kind::Other,
        },
    }
}

/// Silence lies between health and what is known to be unwell.
fn badness(status: Status) -> u8 {
    match status {
        Status::Healthy => 0,
        Status::NoData => 1,
        Status::Degraded => 2,
        Status::Unhealthy => 3,
        Status::Critical => 4,
    }
}

/// How much a change matters: a worse status before one that is gone or better, a larger fall of the success rate
/// before a smaller one, slower before faster.
fn weight(change: &Change) -> f64 {
    let of_kind = match change.kind {
        Kind::Worse => 4.0,
        Kind::Gone => 3.0,
        Kind::New => 2.0,
        Kind::Better => 1.0,
        Kind::Other => 0.0,
    };
    let (Some(before), Some(after)) = (&change.before, &change.after) else { return of_kind * 1000.0 };
    let steps = f64::from(badness(after.status)) - f64::from(badness(before.status));
    let rate = |figures: &Figures| figures.day.success_rate.unwrap_or(1.0);
    let slower = |before: f64, after: f64| (after.max(0.001) / before.max(0.001)).log2().clamp(-9.0, 9.0);
    let p95 = before.day.p95.zip(after.day.p95).map_or(0.0, |(before, after)| slower(before, after));
    of_kind * 1000.0 + steps.abs() * 100.0 + (rate(before) - rate(after)) * 100.0 + p95
}

fn errors(before: Option<&Line>, after: Option<&Line>) -> Vec<(String, u64, u64)> {
    let count =
        |line: Option<&Line>, kind: &str| line.and_then(|line| line.errors.get(kind)).copied().unwrap_or(0);
    let lines = [before, after];
    let kinds: BTreeSet<&String> = lines.iter().flatten().flat_map(|line| line.errors.keys()).collect();
    let counts = kinds.iter().map(|kind| ((*kind).clone(), count(before, kind), count(after, kind)));
    let mut differing: Vec<_> = counts.filter(|(_, before, after)| before != after).collect();
    differing.sort_by(|a, b| b.1.abs_diff(b.2).cmp(&a.1.abs_diff(a.2)).then_with(|| a.0.cmp(&b.0)));
    differing.truncate(KINDS);
    differing
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(name: &str, status: Status, errors: u64) -> Line {
        let day = Tally {
            total_operations: 100,
            success_count: 100 - errors,
            error_count: errors,
            success_rate: Some(1.0 - errors as f64 / 100.0),
            p95: Some(100.0),
            ..Tally::default()
        };
        let kinds = if errors > 0 { [("429".to_owned(), errors)].into() } else { BTreeMap::new() };
        Line {
            name: name.to_owned(),
            slug: name.to_owned(),
            status,
            score: None,
            window: day.clone(),
            day,
            errors: kinds,
        }
    }

    fn summary(wrappers: Vec<Line>) -> Summary {
        Summary {
            generated_at: String::new(),
            last_data: None,
            window_minutes: 60,
            status: Status::Healthy,
            score: None,
            wrappers,
        }
    }

    #[test]
    fn what_matters_most_comes_first() {
        let slower = |mut line: Line, p95| {
            line.day.p95 = Some(p95);
            line
        };
        let before = summary(vec![
            line("better", Status::Critical, 50),
            line("fails more", Status::Healthy, 1),
            line("gone", Status::Healthy, 0),
            line("much worse", Status::Healthy, 0),
            line("same", Status::Healthy, 2),
            line("slower", Status::Healthy, 0),
            line("worse", Status::Healthy, 0),
        ]);
        let after = summary(vec![
            line("better", Status::Healthy, 0),
            line("fails more", Status::Healthy, 4),
            line("much worse", Status::Critical, 60),
            line("new", Status::Healthy, 0),
            line("same", Status::Healthy, 2),
            slower(line("slower", Status::Healthy, 0), 400.0),
            line("worse", Status::Degraded, 6),
        ]);
        let diff = compare(("a", &before), ("b", &after));
        let names: Vec<_> = diff.changes.iter().map(|change| change.name.as_str()).collect();
        assert_eq!(names, ["much worse", "worse", "gone", "new", "better", "fails more", "slower"]);
        assert_eq!((diff.unchanged, diff.before.errors, diff.after.errors), (1, 53, 72));
        assert_eq!(diff.changes[5].errors, [("429".to_owned(), 1, 4)]);
        assert_eq!(compare(("a", &after), ("a", &after)).changes, []);
    }

    #[test]
    fn silence_is_worse_than_health_and_better_than_trouble() {
        assert!(badness(Status::NoData) > badness(Status::Healthy));
        assert!(badness(Status::NoData) < badness(Status::Degraded));
    }
}
