//! `dash check`: the settings, the theme and the sources, without writing anything.

use std::io::Write;

use anyhow::{Context, Result, bail};

use crate::cli::Common;
use crate::cli::site::Site;
use crate::cli::talk::Talk;
use crate::pipeline;

pub fn run(common: &Common, talk: &Talk) -> Result<()> {
    let site = Site::open(common)?;
    let checked = pipeline::check(&site.plan()).context("checking the site")?;
    let mut troubles = 0;
    for source in &checked {
        talk.say(&format!("source `{}`: {} files, {} bytes", source.name, source.files, source.bytes));
        for trouble in source.troubles() {
            troubles += 1;
            talk.say(&format!("  {trouble}"));
        }
    }
    if talk.json {
        writeln!(std::io::stdout(), "{}", serde_json::to_string(&checked)?)?;
    }
    if troubles > 0 {
        bail!("{troubles} of what the settings name cannot be read; mend it, or set `optional = true` there");
    }
    talk.say("the settings, the theme and the sources are fine");
    Ok(())
}
