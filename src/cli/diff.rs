//! `dash diff`: two kept snapshots side by side.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;

use crate::archive::diff::{Change, Diff, Figures, Kind, Side, diff};
use crate::archive::index::Index;
use crate::archive::{self, compared};
use crate::cli::Common;
use crate::cli::site::Site;
use crate::cli::talk::{Talk, counted};
use crate::report::format;

#[derive(Debug, Args)]
pub struct Arguments {
    /// The earlier snapshot: the name of its folder in `output/archive/`, or `previous`
    #[arg(value_name = "BEFORE")]
    before: String,
    /// The later one, or `latest`
    #[arg(value_name = "AFTER", default_value = "latest")]
    after: String,
    /// Write a page that needs no other file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

pub fn run(arguments: &Arguments, common: &Common, talk: &Talk) -> Result<()> {
    let site = Site::open(common)?;
    let archive = archive::of(&site.output);
    let index = Index::load(&archive)?;
    let diff = diff(&archive, &index.named(&arguments.before)?, &index.named(&arguments.after)?)?;
    if let Some(path) = &arguments.html {
        let html = compared::whole_page(&site.config.site, diff)?;
        fs::write(path, html).with_context(|| format!("writing `{}`", path.display()))?;
        talk.say(&format!("open `{}`", path.display()));
        return Ok(());
    }
    let mut out = std::io::stdout().lock();
    if talk.json {
        writeln!(out, "{}", serde_json::to_string(&diff)?)?;
    } else {
        out.write_all(text(&diff).as_bytes())?;
    }
    Ok(())
}

/// As a person reads it: a line for all, then a block a wrapper.
fn text(diff: &Diff) -> String {
    let mut out = format!("{}\n{}\n", of_side("before", &diff.before), of_side("after ", &diff.after));
    for change in &diff.changes {
        out += &format!("\n{} {}\n", word(change.kind), change.name);
        for (label, before, after) in rows(change) {
            if before != after {
                out += &format!("  {label:<13}{before} → {after}\n");
            }
        }
        for (kind, before, after) in &change.errors {
            out += &format!("  {:<13}{kind}: {before} → {after}\n", "error");
        }
    }
    let are = if diff.unchanged == 1 { "is" } else { "are" };
    out += &format!("\n{} {are} the same\n", counted(diff.unchanged, "wrapper"));
    out
}

fn of_side(label: &str, side: &Side) -> String {
    format!(
        "{label} {}  {} {}  {} wrappers, {} operations, {} errors in 24 hours",
        side.id,
        side.status.word(),
        side.score.map_or(format::NOTHING.to_owned(), format::percent),
        side.wrappers,
        format::count(side.operations),
        format::count(side.errors),
    )
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::New => "new",
        Kind::Gone => "gone",
        Kind::Worse => "worse",
        Kind::Better => "better",
        Kind::Other => "changed",
    }
}

/// (what, before, after), as shown.
fn rows(change: &Change) -> Vec<(&'static str, String, String)> {
    let nothing = || format::NOTHING.to_owned();
    let (before, after) = (change.before.as_ref(), change.after.as_ref());
    let both = |show: &dyn Fn(&Figures) -> String| {
        (before.map_or_else(nothing, show), after.map_or_else(nothing, show))
    };
    let row = |label, (before, after): (String, String)| (label, before, after);
    let shown = |value: Option<f64>, show: fn(f64) -> String| value.map_or_else(nothing, show);
    vec![
        row("status", both(&|figures| figures.status.word().to_owned())),
        row("score", both(&|figures| shown(figures.score, format::percent))),
        row("success rate", both(&|figures| shown(figures.day.success_rate, format::percent))),
        row("errors", both(&|figures| format::count(figures.day.error_count))),
        row("p95", both(&|figures| shown(figures.day.p95, format::duration))),
        row("operations", both(&|figures| format::count(figures.day.total_operations))),
        row("cost", both(&|figures| shown(figures.day.cost, format::money))),
    ]
}
