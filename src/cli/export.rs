//! `dash export`: metrics, the operations themselves, or a chart, to standard output or a file.

use std::fs::File;
use std::io::{BufWriter, IsTerminal, Write};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use clap::error::ErrorKind;

use crate::analysis::facts::Facts;
use crate::analysis::window::MAX_HOURS;
use crate::cli::Common;
use crate::cli::chart::{self, Chart};
use crate::cli::operations::{self, Wanted};
use crate::cli::site::Site;
use crate::cli::talk::Talk;
use crate::pipeline;
use crate::report::export::{Export, Format};
use crate::report::parquet;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Arguments {
    #[command(subcommand)]
    of: Option<Of>,
    /// The records of operations, from the files that still have them, instead of metrics
    #[arg(long)]
    operations: bool,
    /// How it is written: metrics as `csv` (if not given), `json` or `parquet`, operations as `jsonl` (if not given) or
    /// `csv`, which has the native fields
    #[arg(long, value_enum)]
    format: Option<As>,
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

#[derive(Debug, clap::Subcommand)]
enum Of {
    /// A chart as a picture, or its numbers
    Chart(Chart),
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum As {
    Csv,
    Json,
    Jsonl,
    Parquet,
}

pub fn run(arguments: &Arguments, common: &Common, talk: &Talk) -> Result<()> {
    if let Some(Of::Chart(chart)) = &arguments.of {
        return chart::run(chart, common, talk);
    }
    let site = Site::open(common)?;
    let &Arguments { operations, format, hours, .. } = arguments;
    let wrapper = arguments.wrapper.as_deref();
    match (operations, format) {
        (true, None | Some(As::Jsonl)) => {
            let wanted = Wanted { as_csv: false, hours, wrapper };
            operations::write(&wanted, &site, talk, &mut *open(arguments)?)
        }
        (true, Some(As::Csv)) => {
            let wanted = Wanted { as_csv: true, hours, wrapper };
            operations::write(&wanted, &site, talk, &mut *open(arguments)?)
        }
        (false, None | Some(As::Csv)) => metrics(Format::Csv, arguments, &site, talk)?.write(arguments),
        (false, Some(As::Json)) => metrics(Format::Json, arguments, &site, talk)?.write(arguments),
        (false, Some(As::Parquet)) => {
            if arguments.to.is_none() && std::io::stdout().is_terminal() {
                bail!("a terminal cannot show Parquet; name a file with `--to`");
            }
            let mut json = Vec::new();
            let metrics = metrics(Format::Json, arguments, &site, talk)?;
            metrics.export.write(&metrics.facts, &mut json)?;
            let mut out = open(arguments)?;
            out.write_all(&parquet::of_json(&json)?)?;
            Ok(out.flush()?)
        }
        (true, Some(As::Json | As::Parquet)) => wrong_usage("operations are written as `jsonl` or `csv`"),
        (false, Some(As::Jsonl)) => wrong_usage("metrics are written as `csv`, `json` or `parquet`"),
    }
}

fn wrong_usage(message: &str) -> ! {
    let message = format!("{message}; choose one of them for `--format`\n");
    clap::Error::raw(ErrorKind::InvalidValue, message).exit()
}

/// What is exported, before it is written.
struct Metrics {
    export: Export,
    facts: Facts,
}

impl Metrics {
    fn write(self, arguments: &Arguments) -> Result<()> {
        let mut out = open(arguments)?;
        self.export.write(&self.facts, &mut out)?;
        Ok(out.flush()?)
    }
}

fn metrics(format: Format, arguments: &Arguments, site: &Site, talk: &Talk) -> Result<Metrics> {
    let facts = pipeline::gather(&site.plan(), &talk.progress())?;
    if let Some(name) = arguments.wrapper.as_deref().filter(|name| facts.wrapper(name).is_none()) {
        let names: Vec<_> = facts.wrappers.iter().take(20).map(|wrapper| wrapper.id.name.as_str()).collect();
        bail!("there is no wrapper `{name}`; known are: {}", names.join(", "));
    }
    let export = Export { format, hours: arguments.hours, wrapper: arguments.wrapper.clone() };
    Ok(Metrics { export, facts })
}

fn open(arguments: &Arguments) -> Result<Box<dyn Write>> {
    Ok(match &arguments.to {
        Some(path) => {
            let file = File::create(path).with_context(|| format!("creating `{}`", path.display()))?;
            Box::new(BufWriter::new(file))
        }
        None => Box::new(BufWriter::new(std::io::stdout().lock())),
    })
}
