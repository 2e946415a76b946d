//! `dash snapshot`: build, and keep this snapshot in the archive.

use std::io::Write;
use std::time::Duration;

use anyhow::{Result, anyhow};
use chrono::Utc;
use clap::Args;
use serde_json::json;

use crate::archive::entry::Input;
use crate::archive::keep::{Kept, Occasion, keep};
use crate::archive::service::{self, About};
use crate::archive::settings::Span;
use crate::archive::{self, entry, list};
use crate::cli::Common;
use crate::cli::build::bytes;
use crate::cli::prune::{outdated, remove};
use crate::cli::site::Site;
use crate::cli::talk::{Talk, counted};
use crate::cli::tell::Tell;
use crate::model::quality::FileState;
use crate::pipeline::{self, Built};
use crate::store::lock::PATIENCE;

#[derive(Debug, Args)]
pub struct Snapshot {
    /// Give up after so long, waiting for another build included: `90s`, `10m`. Without it, another build is
    /// waited for for two seconds, and work takes what it takes
    #[arg(long, value_name = "TIME", value_parser = Span::parse)]
    timeout: Option<Span>,
    #[command(flatten)]
    tell: Tell,
}

pub fn run(arguments: &Snapshot, common: &Common, talk: &Talk) -> Result<()> {
    let started_ms = common.now.unwrap_or_else(Utc::now).timestamp_millis();
    let patience =
        arguments.timeout.map_or(PATIENCE, |timeout| Duration::from_millis(timeout.ms.unsigned_abs()));
    if let Some(timeout) = arguments.timeout {
        end_after(timeout, *talk);
    }
    let site = Site::open(common)?;
    // Held until the snapshot is kept, so that nobody changes the output folder in between.
    let plan = site.plan();
    let mut store = pipeline::open(&plan, patience)?;
    let built = pipeline::build(&mut store, &plan, &talk.progress())?;
    let occasion = Occasion {
        started_ms,
        every: site.config.archive.every,
        config: site.config.hash.clone(),
        theme: built.theme.to_owned(),
        site: &site.config.site,
        inputs: store.files()?.iter().map(input).collect(),
    };
    let mut kept = keep(&site.output, &built.published.manifest, &occasion)?;
    if kept.is_new {
        let about = About { site: &site.config.site, service: &site.config.service, moment_ms: started_ms };
        let months = store.healed(plan.moment_ms, |store| {
            // One that was just put in place of a damaged one.
            if store.revision()? == 0 {
                pipeline::build(store, &plan, &talk.progress())?;
            }
            pipeline::months(store, &plan, &site.config.service)
        })?;
        service::write(&site.output, &months, &about)?;
    }
    let outdated = outdated(&site, &kept.index, started_ms);
    if kept.is_new || !outdated.is_empty() {
        remove(&site, &mut kept.index, &outdated)?;
    } else {
        list::refresh(&site.output, built.theme, &site.config.site)?;
    }
    site.clean_inbox(&store)?;
    let pictures = arguments.tell.pictures(&site, &store);
    drop(store);
    if talk.json {
        writeln!(std::io::stdout(), "{}", as_json(&kept, &built, &outdated))?;
        return arguments.tell.tell(&site, &kept.row, pictures);
    }
    built.troubles.iter().for_each(|trouble| talk.say(&format!("warning: {trouble}")));
    let at = archive::of(&site.output).join(&kept.row.id);
    if kept.is_new {
        let (files, size) = (at.join(entry::MANIFEST), bytes(kept.row.bytes));
        talk.say(&format!(
            "kept the snapshot `{}`, {size}; `{}` lists its files",
            kept.row.id,
            files.display()
        ));
    } else {
        talk.say(&format!("this snapshot is kept already, as `{}`", kept.row.id));
    }
    if !outdated.is_empty() {
        let gone = counted(outdated.len(), "snapshot");
        talk.say(&format!("removed {gone} that outlived `keep` of `[archive]`"));
    }
    talk.say(&format!("open `{}`", at.join("index.html").display()));
    arguments.tell.tell(&site, &kept.row, pictures)
}

/// Ends the program when the time is up. Whatever it is doing then is undone or finished by the next run, as
/// after a kill.
fn end_after(timeout: Span, talk: Talk) {
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(timeout.ms.unsigned_abs()));
        talk.error(&anyhow!(
            "not done after {} s; nothing half done is left, run it again with a longer `--timeout`",
            timeout.ms / 1000
        ));
        std::process::exit(1);
    });
}

fn input(file: &FileState) -> Input {
    Input {
        source: file.source.clone(),
        path: file.path.clone(),
        identity: format!("{}-{}", file.fingerprint.head, file.fingerprint.tail),
        bytes: file.offset,
        rows: file.lines,
        operations: file.operations,
        skipped: file.skipped,
    }
}

fn as_json(kept: &Kept, built: &Built, removed: &[String]) -> serde_json::Value {
    json!({
        "id": kept.row.id,
        "is_new": kept.is_new,
        "snapshot": kept.row.snapshot,
        "generated_at": kept.row.generated_at,
        "scheduled_at": kept.row.scheduled_at,
        "missed": kept.row.missed,
        "status": kept.row.status,
        "bytes": kept.row.bytes,
        "removed": removed,
        "records": built.records,
        "skipped": built.skipped,
        "troubles": built.troubles,
    })
}
