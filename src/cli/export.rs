//! `dash export`: metrics to standard output or a file.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::analysis::window::MAX_HOURS;
use crate::cli::Common;
use crate::cli::site::Site;
use crate::cli::talk::Talk;
use crate::pipeline;
use crate::report::export::{Export, Format};

#[derive(Debug, Args)]
pub struct Arguments {
    /// One row a wrapper and hour
    #[arg(long, value_enum, default_value = "csv")]
    format: As,
    /// Only this wrapper
    #[arg(long, value_name = "NAME")]
    wrapper: Option<String>,
    /// How far back
    #[arg(long, default_value = "24", value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_HOURS)))]
    hours: u32,
    /// Write to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum As {
    Csv,
    Json,
}

pub fn run(arguments: &Arguments, common: &Common, talk: &Talk) -> Result<()> {
    let site = Site::open(common)?;
    let facts = pipeline::gather(&site.plan(), &talk.progress())?;
    if let Some(name) = arguments.wrapper.as_deref().filter(|name| facts.wrapper(name).is_none()) {
        let names: Vec<_> = facts.wrappers.iter().take(20).map(|wrapper| wrapper.id.name.as_str()).collect();
        bail!("there is no wrapper `{name}`; known are: {}", names.join(", "));
    }
    let format = match arguments.format {
        As::Json => Format::Json,
        As::Csv => Format::Csv,
    };
    let mut out: Box<dyn Write> = match &arguments.to {
        Some(path) => Box::new(File::create(path).with_context(|| format!("creating `{}`", path.display()))?),
        None => Box::new(std::io::stdout().lock()),
    };
    let mut out = BufWriter::new(&mut out);
    let export = Export { format, hours: arguments.hours, wrapper: arguments.wrapper.clone() };
    export.write(&facts, &mut out)?;
    out.flush()?;
    Ok(())
}
