//! `dash completions` and `dash man`: what shells and `man` know of dash, made from the command line itself.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;

use crate::cli::Cli;
use crate::cli::talk::Talk;

#[derive(Debug, Args)]
pub struct Completions {
    shell: Shell,
}

#[derive(Debug, Args)]
pub struct Manual {
    /// Write a page for each command into this folder, instead of the first one to standard output
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
}

pub fn completions(arguments: &Completions) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "dash", &mut script);
    io::stdout().write_all(&script).context("writing to standard output")
}

pub fn manual(arguments: &Manual, talk: &Talk) -> Result<()> {
    let Some(folder) = &arguments.to else {
        let mut page = Vec::new();
        Man::new(Cli::command()).render(&mut page).context("making the page")?;
        return io::stdout().write_all(&page).context("writing to standard output");
    };
    let write = || {
        fs::create_dir_all(folder)?;
        clap_mangen::generate_to(Cli::command(), folder)
    };
    write().with_context(|| format!("writing pages to `{}`", folder.display()))?;
    talk.say(&format!("`man -l {}` shows the first", folder.join("dash.1").display()));
    Ok(())
}
