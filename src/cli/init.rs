//! `dash init`: a new site that builds at once.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::cli::talk::Talk;
use crate::config::{DEFAULT_LOGS, FILE};

#[derive(Debug, Args)]
pub struct Init {
    /// The new site's folder
    #[arg(default_value = ".")]
    dir: PathBuf,
}

/// The settings of a new site, each with its default.
const SETTINGS: &str = include_str!("dash.toml");

pub fn run(init: &Init, talk: &Talk) -> Result<()> {
    if init.dir.join(FILE).exists() {
        bail!(
            "`{}` is there already; this folder is a site, so build it with `dash build`",
            init.dir.join(FILE).display()
        );
    }
    create(&init.dir)?;
    talk.say(&format!("made a site in `{}`", init.dir.display()));
    talk.say(&format!("put JSONL or CSV logs into `{DEFAULT_LOGS}/` there, then run `dash build`"));
    Ok(())
}

/// Makes a site's folder: settings, a place for logs, and a `.gitignore` for what is made from them.
pub fn create(dir: &Path) -> Result<()> {
    let make = || -> std::io::Result<()> {
        fs::create_dir_all(dir.join(DEFAULT_LOGS))?;
        File::create_new(dir.join(FILE))?.write_all(SETTINGS.as_bytes())?;
        let ignore = dir.join(".gitignore");
        if !ignore.exists() {
            fs::write(ignore, "/.dash/\n/access.toml\n/inbox/\n/output/\n")?;
        }
        Ok(())
    };
    make().with_context(|| format!("making a site in `{}`", dir.display()))
}
