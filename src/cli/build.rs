//! `dash build`.

use std::io::Write;
use std::time::Instant;

use anyhow::Result;
use serde_json::json;

use crate::archive::list;
use crate::cli::Common;
use crate::cli::site::Site;
use crate::cli::talk::{Talk, counted};
use crate::model::parallel;
use crate::pipeline::{self, Built};
use crate::report::Theme;
use crate::store::lock::PATIENCE;

pub fn run(common: &Common, talk: &Talk) -> Result<()> {
    let begun = Instant::now();
    parallel::keep_memory();
    // Where there is news it will be needed; where there is none, nobody waits for it.
    parallel::begin(|| drop(Theme::embedded()));
    let site = Site::open(common)?;
    let plan = site.plan();
    let mut store = pipeline::open(&plan, PATIENCE)?;
    let built = pipeline::build(&mut store, &plan, &talk.progress())?;
    site.clean_inbox(&store)?;
    list::refresh(&site.output, built.theme, &site.config.site)?;
    drop(store);
    if talk.json {
        writeln!(std::io::stdout(), "{}", as_json(&built, begun.elapsed().as_secs_f64()))?;
        return Ok(());
    }
    for line in summary(&built, begun.elapsed().as_secs_f64()) {
        talk.say(&line);
    }
    if built.published.manifest.last_data.is_none() && built.skipped == 0 && built.troubles.is_empty() {
        talk.say("there are no operations yet: put a JSONL or CSV log into `content/operations/`, or name one in a");
        talk.say("`[[source]]` of `dash.toml`, and build again; `dash sample --to content/operations/sample.jsonl`");
        talk.say("makes one to try");
    }
    talk.say(&format!("open `{}`", site.output.join("index.html").display()));
    Ok(())
}

/// The closing lines of a build.
pub fn summary(built: &Built, seconds: f64) -> Vec<String> {
    let published = &built.published;
    let mut lines = vec![format!(
        "read {} ({}) and wrote {} of {} for {} in {seconds:.2} s",
        counted(built.records as usize, "new record"),
        bytes(built.bytes),
        published.written,
        counted(published.manifest.files.len(), "file"),
        counted(built.wrappers, "wrapper"),
    )];
    if built.skipped > 0 {
        let skipped = counted(built.skipped as usize, "record");
        lines.push(format!("skipped {skipped}; `data-quality.html` says which and why"));
    }
    lines.extend(built.troubles.iter().map(|trouble| format!("warning: {trouble}")));
    lines
}

fn as_json(built: &Built, seconds: f64) -> serde_json::Value {
    let manifest = &built.published.manifest;
    json!({
        "snapshot": manifest.id,
        "generated_at": manifest.generated_at,
        "last_data": manifest.last_data,
        "records": built.records,
        "bytes": built.bytes,
        "skipped": built.skipped,
        "wrappers": built.wrappers,
        "files": manifest.files.len(),
        "written": built.published.written,
        "removed": built.published.removed,
        "changed": manifest.changed,
        "troubles": built.troubles,
        "seconds": seconds,
    })
}

/// `1.40 MiB`.
pub fn bytes(bytes: u64) -> String {
    indicatif::HumanBytes(bytes).to_string()
}
