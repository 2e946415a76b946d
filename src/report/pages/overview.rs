//! The first page: is everything well, and if not, where to look.

use anyhow::Result;
use serde::Serialize;
use tera::Context;

use crate::analysis::activity::FEED_HOURS;
use crate::analysis::health::Status;
use crate::analysis::snapshot::{Snapshot, Summary, WrapperReport};
use crate::analysis::trend::{SystemBefore, stretches, system_before, system_last_week, system_yesterday};
use crate::model::bucket::Bucket;
use crate::model::time::MINUTE_MS;
use crate::report::SiteSettings;
use crate::report::charts::table::OfSystem;
use crate::report::format;
use crate::report::pages::change::{Change, Good, count, points, relative};
use crate::report::pages::chart::choices;
use crate::report::pages::{View, add_charts, built};
use crate::report::spark::{Spark, from_zero, share, spark};

/// Entries of the feed on the first page.
const ACTIVITY: usize = 10;
/// Wrappers in trouble that the first sentence names.
const NAMED: usize = 3;
/// Values of a sparkline over a day, on a card and in a row; and its pixels.
const CARD_SPARK: (usize, u32) = (48, 40);
const ROW_SPARK: (usize, u32) = (24, 20);

/// A wrapper in the table.
#[derive(Debug, Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    summary: &'a Summary,
    spark: Option<Spark>,
}

/// How many wrappers have a status.
#[derive(Debug, Serialize)]
struct StatusCount {
    status: Status,
    /// How many come before them.
    from: usize,
    count: usize,
}

/// How the system's figures stand against those of an earlier window.
#[derive(Debug, Serialize)]
struct Changes {
    score: Option<Change>,
    active: Change,
    operations: Option<Change>,
    success: Option<Change>,
}

/// What the cards say besides the system's own figures.
#[derive(Debug, Serialize)]
struct Cards {
    #[serde(flatten)]
    changes: Changes,
    active_spark: Option<Spark>,
    operations_spark: Option<Spark>,
    success_spark: Option<Spark>,
}

pub fn view(snapshot: &Snapshot, settings: &SiteSettings) -> Result<View> {
    let of = OfSystem::of(snapshot);
    let (choices, chosen) = choices(of.detailed().map(|(_, detail)| detail.ranges.as_slice()));
    let mut context = Context::new();
    built(snapshot, &mut context);
    context.insert("system", &snapshot.system);
    context.insert("stale_minutes", &settings.stale_minutes);
    context.insert("stale", &stale(snapshot, settings));
    context.insert("window", &format::stretch(snapshot.facts.settings.health.window_minutes));
    context.insert("cards", &cards(snapshot));
    context.insert("yesterday", &system_yesterday(snapshot.facts).map(|then| changes(snapshot, &then)));
    context.insert("last_week", &since_last_week(snapshot));
    context.insert("statuses", &statuses(snapshot));
    let worst = worst(snapshot);
    context.insert("worst", &worst[..worst.len().min(NAMED)]);
    context.insert("more_troubled", &worst.len().saturating_sub(NAMED));
    context.insert("choices", &choices);
    context.insert("chosen", chosen);
    let pieces = add_charts(&mut context, &OfSystem::CHARTS, &of, chosen)?;
    context.insert("drawn", &of.drawn.len());
    context.insert("wrappers", &rows(snapshot));
    context.insert("activity", &snapshot.activity[..snapshot.activity.len().min(ACTIVITY)]);
    context.insert("feed_hours", &FEED_HOURS);
    context.insert("more_activity", &(snapshot.activity.len() > ACTIVITY));
    context.insert("skipped", &snapshot.facts.sources.iter().map(|source| source.skipped).sum::<u64>());
    let failing = snapshot.facts.sources.iter().filter(|source| !source.problems.is_empty()).count();
    context.insert("failing_sources", &failing);
    Ok(View { context, pieces })
}

/// How long before the snapshot the newest operation ended, in words, where that is worth saying.
fn stale(snapshot: &Snapshot, settings: &SiteSettings) -> Option<String> {
    let age_ms = snapshot.facts.moment_ms - snapshot.system.last_data_ms?;
    let minutes = u32::try_from(age_ms / MINUTE_MS).ok()?;
    let is_old = settings.stale_minutes > 0 && minutes >= settings.stale_minutes;
    is_old.then(|| format::age(minutes))
}

fn rows<'a>(snapshot: &'a Snapshot) -> Vec<Row<'a>> {
    let row = |wrapper: &'a WrapperReport| {
        let day = stretches([&wrapper.day].into_iter(), ROW_SPARK.0);
        Row { summary: &wrapper.summary, spark: operations_spark(&day, ROW_SPARK.1) }
    };
    snapshot.wrappers.iter().map(row).collect()
}

/// Those that have a score and are not Healthy, the worst first.
fn worst<'a>(snapshot: &'a Snapshot) -> Vec<&'a Summary> {
    let summaries = snapshot.wrappers.iter().map(|wrapper| &wrapper.summary);
    let mut troubled: Vec<_> = summaries.filter(|summary| summary.health.status < Status::Healthy).collect();
    let score = |summary: &Summary| summary.health.score.unwrap_or(1.0);
    troubled.sort_by(|a, b| score(a).total_cmp(&score(b)));
    troubled
}

fn statuses(snapshot: &Snapshot) -> Vec<StatusCount> {
    let has =
        |status| snapshot.wrappers.iter().filter(|wrapper| wrapper.summary.health.status == status).count();
    let order = [Status::Healthy, Status::Degraded, Status::Unhealthy, Status::Critical, Status::NoData];
    let mut from = 0;
    let mut rows = Vec::with_capacity(order.len());
    for status in order {
        rows.push(StatusCount { status, from, count: has(status) });
        from += has(status);
    }
    rows
}

fn cards(snapshot: &Snapshot) -> Cards {
    let (points_of_day, height) = CARD_SPARK;
    let day = stretches(snapshot.wrappers.iter().map(|wrapper| &wrapper.day), points_of_day);
    let mut active = vec![0.0; points_of_day];
    for wrapper in &snapshot.wrappers {
        let own = stretches([&wrapper.day].into_iter(), points_of_day);
        active.iter_mut().zip(&own).for_each(|(count, sum)| *count += f64::from(u8::from(sum.total() > 0)));
    }
    let active: Vec<_> = active.into_iter().map(Some).collect();
    let credit = snapshot.facts.settings.health.fallback_credit;
    let success: Vec<_> = day.iter().map(|sum| sum.success_rate(credit)).collect();
    Cards {
        changes: changes(snapshot, &system_before(snapshot.facts)),
        active_spark: spark(&active, from_zero(&active), height),
        operations_spark: operations_spark(&day, height),
        success_spark: spark(&success, share(&success), height),
    }
}

fn changes(snapshot: &Snapshot, then: &SystemBefore) -> Changes {
    let now = &snapshot.system;
    let total = |operations: u64| Some(operations as f64);
    Changes {
        score: points(now.score, then.score, Good::Up),
        active: count(now.active_wrappers, then.active_wrappers, Good::Neither),
        operations: relative(
            total(now.figures.total_operations),
            total(then.figures.total_operations),
            Good::Neither,
        ),
        success: points(now.figures.success_rate, then.figures.success_rate, Good::Up),
    }
}

/// Without a score, which looks at minutes, and without a count of wrappers, which fewer hours would tell.
#[derive(Serialize)]
struct SinceLastWeek {
    operations: Option<Change>,
    success: Option<Change>,
}

fn since_last_week(snapshot: &Snapshot) -> Option<SinceLastWeek> {
    let (now, then) = (&snapshot.system.figures, system_last_week(snapshot.facts)?);
    Some(SinceLastWeek {
        operations: relative(Some(now.total_operations as f64), Some(then.operations), Good::Neither),
        success: points(now.success_rate, then.success_rate, Good::Up),
    })
}

fn operations_spark(sums: &[Bucket], height: u32) -> Option<Spark> {
    let operations: Vec<_> = sums.iter().map(|sum| Some(sum.total() as f64)).collect();
    let some = operations.iter().flatten().any(|&count| count > 0.0);
    some.then(|| spark(&operations, from_zero(&operations), height)).flatten()
}
