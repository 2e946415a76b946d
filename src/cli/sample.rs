//! `dash sample`: sample operations to standard output or a file, and on in real time.

use std::fs::{self, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use chrono::Utc;
use clap::Args;

use crate::cli::Common;
use crate::model::time::DAY_MS;
use crate::sample::{Generator, Traffic};

#[derive(Debug, Args)]
pub struct Sample {
    #[command(flatten)]
    traffic: TrafficFlags,
    /// How many days up to now
    #[arg(long, default_value = "7", value_parser = days)]
    days: f64,
    /// Go on in real time
    #[arg(long)]
    follow: bool,
    /// Append to this file instead of writing to standard output; it and its folder are made where they are missing
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

/// What traffic to make.
#[derive(Clone, Debug, Args)]
pub struct TrafficFlags {
    /// How many wrappers make them
    #[arg(long, default_value = "5", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    wrappers: u32,
    /// Operations of all wrappers together: `20/min`, `5/s`, `1000/h`
    #[arg(long, default_value = "20/min", value_parser = rate)]
    rate: f64,
    /// The same seed gives the same operations
    #[arg(long, default_value = "1")]
    seed: u64,
}

impl TrafficFlags {
    pub fn traffic(&self) -> Traffic {
        Traffic { wrappers: self.wrappers as usize, rate: self.rate, seed: self.seed }
    }
}

fn days(text: &str) -> Result<f64, String> {
    let days: f64 = text.parse().map_err(|_| "not a number of days".to_owned())?;
    if (0.0..=3660.0).contains(&days) { Ok(days) } else { Err("not between 0 and 3660".to_owned()) }
}

/// Operations a minute.
fn rate(text: &str) -> Result<f64, String> {
    let (number, unit) = text.split_once('/').unwrap_or((text, "min"));
    let number: f64 =
        number.trim().parse().map_err(|_| "write it as `20/min`, `5/s` or `1000/h`".to_owned())?;
    let per_minute = match unit.trim() {
        "s" | "sec" => number * 60.0,
        "m" | "min" => number,
        "h" | "hour" => number / 60.0,
        unit => return Err(format!("`{unit}` is not `s`, `min` or `h`")),
    };
    let sane = per_minute > 0.0 && per_minute <= 6_000_000.0;
    if sane { Ok(per_minute) } else { Err("not between 0 and 100,000 a second".to_owned()) }
}

pub fn run(sample: &Sample, common: &Common) -> Result<()> {
    let now = common.now.unwrap_or_else(Utc::now).timestamp_millis();
    let from_ms = now - (sample.days * DAY_MS as f64) as i64;
    let mut generator = Generator::new(sample.traffic.traffic(), from_ms);
    let mut out: Box<dyn Write> = match &sample.to {
        Some(path) => Box::new(append_to(path)?),
        None => Box::new(std::io::stdout().lock()),
    };
    let mut buffered = BufWriter::with_capacity(1 << 16, &mut out);
    generator.write_until(now, &mut buffered)?;
    buffered.flush()?;
    drop(buffered);
    if sample.follow {
        follow(&mut generator, out.as_mut())?;
    }
    Ok(())
}

/// Writes operations as they happen, for ever, or until writing fails.
pub fn follow(generator: &mut Generator, out: &mut dyn Write) -> Result<()> {
    loop {
        std::thread::sleep(Duration::from_millis(500));
        // A line at a time would let a reader see half of a burst; half a second at once is whole lines.
        let mut lines = Vec::new();
        generator.write_until(Utc::now().timestamp_millis(), &mut lines)?;
        out.write_all(&lines)?;
        out.flush()?;
    }
}

/// Opens a log to append to, with its folder.
pub fn append_to(path: &Path) -> Result<fs::File> {
    let open = || {
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        OpenOptions::new().create(true).append(true).open(path)
    };
    open().with_context(|| format!("opening `{}` to append to it", path.display()))
}
