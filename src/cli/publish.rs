//! `dash publish`: sends what stands in the output folder to a folder or a bucket.

use std::env;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use anyhow::{Result, bail};
use chrono::Utc;
use clap::Args;
use serde_json::json;

use crate::cli::Common;
use crate::cli::build::bytes;
use crate::cli::site::{Site, whole};
use crate::cli::talk::{Talk, counted};
use crate::send::ledger::Ledger;
use crate::send::local::Local;
use crate::send::mirror::{self, Plan};
use crate::send::settings::{self, Outside, PublishSettings};
use crate::store::lock::{Lock, PATIENCE};

#[derive(Debug, Args)]
pub struct Publish {
    /// A folder, or `s3://bucket/prefix`; `target` of `[publish]` unless given
    target: Option<String>,
    /// Of an S3-compatible server: `https://s3.example.org`. AWS without it
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// Of the bucket
    #[arg(long)]
    region: Option<String>,
    /// Only say what would be sent and removed
    #[arg(long)]
    dry_run: bool,
    /// Even if kept snapshots at the target go, none of which are in this archive
    #[arg(long)]
    replace: bool,
}

pub fn run(arguments: &Publish, common: &Common, talk: &Talk) -> Result<()> {
    let begun = Instant::now();
    let site = Site::open(common)?;
    let settings = chosen(arguments, &site.config.publish);
    let outside = Outside {
        root: if arguments.target.is_some() { Path::new("") } else { &site.config.root },
        variable: |name| env::var(name).ok(),
        moment_ms: Utc::now().timestamp_millis(),
    };
    let target = settings::open(&settings, &outside)?;
    if let Some(folder) = target.folder() {
        apart(&whole(folder), &whole(&site.output), target.name())?;
    }
    let ledger = Ledger::read(&*target)?;
    let local = {
        // As long as it takes to read; sending takes longer, and builds go on meanwhile.
        let _lock = Lock::take(&site.config.root, PATIENCE)?;
        Local::read(&site.output, &ledger)?
    };
    if !arguments.replace {
        mirror::check_archive(&local, &ledger)?;
    }
    let plan = Plan::new(&local, &ledger);
    if !arguments.dry_run && (!plan.is_empty() || !ledger.under_way.is_empty()) {
        mirror::carry_out(&plan, &local, &*target, &ledger)?;
    }
    if talk.json {
        writeln!(std::io::stdout(), "{}", as_json(&plan, target.name(), arguments.dry_run))?;
        return Ok(());
    }
    if arguments.dry_run {
        let lists = [("add", &plan.added), ("replace", &plan.replaced), ("remove", &plan.removed)];
        for (verb, paths) in lists {
            paths.iter().for_each(|path| talk.say(&format!("would {verb} `{path}`")));
        }
    }
    talk.say(&summary(&plan, target.name(), arguments.dry_run, begun.elapsed().as_secs_f64()));
    Ok(())
}

/// The settings, with what the flags say laid over them.
fn chosen(arguments: &Publish, settings: &PublishSettings) -> PublishSettings {
    PublishSettings {
        target: arguments.target.clone().or_else(|| settings.target.clone()),
        endpoint: arguments.endpoint.clone().or_else(|| settings.endpoint.clone()),
        region: arguments.region.clone().or_else(|| settings.region.clone()),
    }
}

/// Refuses a folder that is, holds or lies in the output folder.
fn apart(target: &Path, output: &Path, name: &str) -> Result<()> {
    if target.starts_with(output) || output.starts_with(target) {
        bail!("`{name}` and the output folder lie in each other; publish to a folder beside it");
    }
    Ok(())
}

fn summary(plan: &Plan, target: &str, dry_run: bool, seconds: f64) -> String {
    if plan.is_empty() {
        return format!("`{target}` has all {} already", counted(plan.unchanged, "file"));
    }
    let would = if dry_run { "would send" } else { "sent" };
    format!(
        "{would} {} ({}) to `{target}`: {} new, {} changed; {} the same, {} removed; {seconds:.2} s",
        counted(plan.added.len() + plan.replaced.len(), "file"),
        bytes(plan.bytes),
        plan.added.len(),
        plan.replaced.len(),
        plan.unchanged,
        plan.removed.len(),
    )
}

fn as_json(plan: &Plan, target: &str, dry_run: bool) -> serde_json::Value {
    json!({
        "target": target,
        "dry_run": dry_run,
        "added": plan.added,
        "replaced": plan.replaced,
        "removed": plan.removed,
        "unchanged": plan.unchanged,
        "bytes": plan.bytes,
    })
}
