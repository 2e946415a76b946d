//! `dash export chart`: a chart as a picture, or its numbers, to standard output or a file.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::analysis::snapshot::{RANGES, snapshot};
use crate::cli::Common;
use crate::cli::site::Site;
use crate::cli::talk::Talk;
use crate::pipeline;
use crate::report::charts::table::{OfSystem, OfWrapper, Row};
use crate::report::picture::files::{Kind, Wanted, chart};
use crate::report::picture::palette::Look;

#[derive(Debug, Args)]
pub struct Chart {
    /// Which one; `--list` tells all
    #[arg(value_name = "NAME", required_unless_present = "list")]
    name: Option<String>,
    /// The names of all charts, and what they show
    #[arg(long)]
    list: bool,
    /// A chart of this wrapper, instead of one of all
    #[arg(long, value_name = "NAME")]
    wrapper: Option<String>,
    /// How it is written; by the ending of the file if not given, else as SVG
    #[arg(long, value_enum)]
    format: Option<As>,
    /// How far back
    #[arg(long, value_enum, default_value = "24h", ignore_case = true)]
    range: Over,
    /// On what ground it is drawn
    #[arg(long, value_enum, default_value = "light")]
    theme: Theme,
    /// Write to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum As {
    Svg,
    Png,
    Pdf,
    Csv,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Over {
    #[value(name = "1h")]
    Hour,
    #[value(name = "24h")]
    Day,
    #[value(name = "7d")]
    Week,
    #[value(name = "30d")]
    Month,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Theme {
    Light,
    Dark,
}

pub fn run(arguments: &Chart, common: &Common, talk: &Talk) -> Result<()> {
    let mut out = std::io::stdout();
    let Some(name) = arguments.name.as_deref().filter(|_| !arguments.list) else {
        return Ok(out.write_all(list().as_bytes())?);
    };
    let kind = kind(arguments);
    let is_text = matches!(kind, Kind::Svg | Kind::Csv);
    if arguments.to.is_none() && !is_text && out.is_terminal() {
        bail!("a terminal cannot show {}; name a file with `--to`", kind.word().to_uppercase());
    }
    let site = Site::open(common)?;
    let facts = pipeline::gather(&site.plan(), &talk.progress())?;
    let wanted = Wanted { name, wrapper: arguments.wrapper.as_deref(), range: arguments.range.place() };
    let look = match arguments.theme {
        Theme::Light => Look::Light,
        Theme::Dark => Look::Dark,
    };
    let bytes = chart(&snapshot(&facts), &wanted, &site.config.site)?.file(kind, look)?;
    match &arguments.to {
        Some(path) => std::fs::write(path, bytes).with_context(|| format!("writing `{}`", path.display())),
        None => Ok(out.write_all(&bytes)?),
    }
}

fn kind(arguments: &Chart) -> Kind {
    let by_ending = || Kind::of(&arguments.to.as_ref()?.extension()?.to_str()?.to_lowercase());
    match arguments.format {
        Some(As::Svg) => Kind::Svg,
        Some(As::Png) => Kind::Png,
        Some(As::Pdf) => Kind::Pdf,
        Some(As::Csv) => Kind::Csv,
        None => by_ending().unwrap_or(Kind::Svg),
    }
}

fn list() -> String {
    fn lines<S>(rows: &[Row<S>]) -> String {
        rows.iter().map(|row| format!("  {:<14}{}\n", row.name, row.title)).collect()
    }
    format!(
        "of all wrappers\n{}of one, with `--wrapper NAME`\n{}",
        lines(&OfSystem::CHARTS),
        lines(&OfWrapper::CHARTS)
    )
}

impl Over {
    /// The place in the table of ranges.
    fn place(self) -> usize {
        let hours = match self {
            Over::Hour => 1,
            Over::Day => 24,
            Over::Week => 168,
            Over::Month => 720,
        };
        RANGES.iter().position(|range| range.1 == hours).expect("every range of the command is one of a page")
    }
}
