//! A snapshot in a few numbers a wrapper, as a file of the site: what two snapshots are compared by, and what
//! the figures on pages and in exports are held against.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::analysis::figures::Figures;
use crate::analysis::health::Status;
use crate::analysis::snapshot::{Snapshot, WrapperReport, error_kinds};
use crate::model::parallel;
use crate::model::time::rfc3339;
use crate::report::site::Site;

/// Where it lies in the site.
pub const SUMMARY: &str = "data/summary.json";

/// All wrappers at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    pub generated_at: String,
    pub last_data: Option<String>,
    /// Length of the window that health is of, in minutes.
    pub window_minutes: u32,
    pub status: Status,
    pub score: Option<f64>,
    /// Sorted by name.
    pub wrappers: Vec<Line>,
}

/// One wrapper.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    pub name: String,
    pub slug: String,
    pub status: Status,
    pub score: Option<f64>,
    /// Over the health window.
    pub window: Tally,
    /// Over the last 24 hours, as the exports are.
    pub day: Tally,
    /// Failures of the last 24 hours of the clock, by kind.
    pub errors: BTreeMap<String, u64>,
}

/// The figures that a comparison is about; units as in [`Figures`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    pub total_operations: u64,
    pub success_count: u64,
    pub error_count: u64,
    pub fallback_count: u64,
    pub success_rate: Option<f64>,
    pub p95: Option<f64>,
    pub cost: Option<f64>,
    pub total_tokens: u64,
}

impl Tally {
    fn of(figures: &Figures) -> Tally {
        Tally {
            total_operations: figures.total_operations,
            success_count: figures.success_count,
            error_count: figures.error_count,
            fallback_count: figures.fallback_count,
            success_rate: figures.success_rate,
            p95: figures.p95,
            cost: figures.cost,
            total_tokens: figures.total_tokens,
        }
    }
}

/// Adds the summary to a site.
pub fn add(site: &mut Site, snapshot: &Snapshot) -> Result<()> {
    let facts = snapshot.facts;
    let positions: Vec<usize> = (0..snapshot.wrappers.len()).collect();
    let errors = parallel::map(&positions, |&at| {
        let kinds = error_kinds(facts, &facts.wrappers[at]);
        kinds.into_iter().map(|error| (error.kind, error.count)).collect::<BTreeMap<_, _>>()
    });
    let summary = Summary {
        generated_at: rfc3339(facts.moment_ms),
        last_data: snapshot.system.last_data_ms.map(rfc3339),
        window_minutes: facts.settings.health.window_minutes,
        status: snapshot.system.status,
        score: snapshot.system.score,
        wrappers: snapshot
            .wrappers
            .iter()
            .zip(errors)
            .map(|(wrapper, errors)| line(wrapper, errors))
            .collect(),
    };
    site.add(SUMMARY, serde_json::to_vec(&summary)?)
}

fn line(wrapper: &WrapperReport, errors: BTreeMap<String, u64>) -> Line {
    let summary = &wrapper.summary;
    Line {
        name: summary.name.clone(),
        slug: summary.slug.clone(),
        status: summary.health.status,
        score: summary.health.score,
        window: Tally::of(&summary.figures),
        day: Tally::of(&wrapper.day.total),
        errors,
    }
}
