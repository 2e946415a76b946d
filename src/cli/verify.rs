//! `dash verify`: whether kept snapshots are what they were.

use std::io::Write;

use anyhow::{Result, bail};
use clap::Args;

use crate::archive::{self, verify};
use crate::cli::Common;
use crate::cli::build::bytes;
use crate::cli::site::Site;
use crate::cli::talk::{Talk, counted};

#[derive(Debug, Args)]
pub struct Verify {
    /// Only this snapshot: the name of its folder in `output/archive/`
    #[arg(value_name = "ID")]
    id: Option<String>,
}

/// Every difference is data, on standard output.
pub fn run(arguments: &Verify, common: &Common, talk: &Talk) -> Result<()> {
    let site = Site::open(common)?;
    let archive = archive::of(&site.output);
    let verified = verify::verify(&archive, arguments.id.as_deref())?;
    let mut out = std::io::stdout().lock();
    if talk.json {
        writeln!(out, "{}", serde_json::to_string(&verified)?)?;
    } else {
        for problem in &verified.problems {
            writeln!(out, "{}: {}", archive.join(&problem.path).display(), problem.what)?;
        }
    }
    let (snapshots, files) = (counted(verified.snapshots, "snapshot"), counted(verified.files, "file"));
    let looked_at = format!("{snapshots}, {files}, {}", bytes(verified.bytes));
    if !verified.problems.is_empty() {
        let count = counted(verified.problems.len(), "difference");
        bail!("{count} in {looked_at}; restore these files from a copy of the archive");
    }
    talk.say(&format!("{looked_at}: all as they were"));
    Ok(())
}
