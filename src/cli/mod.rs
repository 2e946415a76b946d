//! Commands and flags: the only room that knows clap, and, with `serve`, the only one that reads the clock.
//!
//! To add a command: a variant of `Command`, its arm in `run`, and a file here.

mod build;
mod chart;
mod check;
mod completions;
mod diff;
mod export;
mod init;
mod operations;
mod prune;
mod publish;
mod sample;
mod serve;
mod site;
mod snapshot;
mod talk;
mod tell;
mod token;
mod user;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use chrono::{DateTime, Utc};
use clap::{Args, Parser, Subcommand};

use crate::cli::talk::Talk;

/// A static-site generator for monitoring data, with a light daemon for live updates.
#[derive(Debug, Parser)]
#[command(name = "dash", version, about, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// Flags of every command.
#[derive(Clone, Debug, Args)]
pub struct Common {
    /// The site's settings; its folder is the site's folder
    #[arg(long, global = true, value_name = "FILE", env = "DASH_CONFIG", default_value = "dash.toml")]
    config: PathBuf,
    /// Where the site is written; `output` beside the settings unless given
    #[arg(long, global = true, value_name = "DIR", env = "DASH_OUTPUT")]
    output: Option<PathBuf>,
    /// Where the site will be reached, for what needs absolute links
    #[arg(long, global = true, value_name = "URL")]
    base_url: Option<String>,
    /// The moment to build for, instead of the clock's: the same logs and moment give the same bytes
    #[arg(long, global = true, value_name = "RFC3339", value_parser = moment)]
    now: Option<DateTime<Utc>>,
    /// Say only what went wrong
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Say more; twice for still more
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Results as JSON on standard output
    #[arg(long, global = true)]
    json: bool,
}

fn moment(text: &str) -> Result<DateTime<Utc>, String> {
    DateTime::parse_from_rfc3339(text)
        .map(|moment| moment.to_utc())
        .map_err(|_| "not RFC 3339; write it as `2026-01-25T13:00:00Z`".to_owned())
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a new site that builds at once
    Init(init::Init),
    /// Read what is new, analyse, render and publish
    Build,
    /// Build, serve, watch the logs, rebuild and push
    Serve(serve::Serve),
    /// Build, and keep this snapshot in the archive
    Snapshot(snapshot::Snapshot),
    /// Check that kept snapshots are what they were
    Verify(verify::Verify),
    /// Compare two kept snapshots, what matters most first
    Diff(diff::Arguments),
    /// Remove kept snapshots that have outlived their time
    Prune(prune::Prune),
    /// Send what stands in the output folder to a folder or a bucket
    Publish(publish::Publish),
    /// Metrics, one wrapper and hour a row; the operations themselves; or a chart
    Export(export::Arguments),
    /// Realistic sample operations, from a seed
    Sample(sample::Sample),
    /// Check the settings, the theme and the sources, without writing anything
    Check,
    /// Who may sign in to the daemon
    #[command(subcommand)]
    User(user::User),
    /// Keys with which scripts may ask the daemon
    #[command(subcommand)]
    Token(token::Token),
    /// A script that completes commands and flags in a shell
    Completions(completions::Completions),
    /// Pages for `man`
    Man(completions::Manual),
}

/// The program: parses the command line, runs the command, prints an error once with its chain.
///
/// Exit code 0 done, 1 failed, 2 wrong usage.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let talk = Talk::new(&cli.common);
    match run(&cli, &talk) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads our output may stop reading: `dash export | head` is not a failure.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            talk.error(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli, talk: &Talk) -> Result<()> {
    match &cli.command {
        Command::Init(init) => init::run(init, talk),
        Command::Build => build::run(&cli.common, talk),
        Command::Serve(serve) => serve::run(serve, &cli.common, talk),
        Command::Snapshot(snapshot) => snapshot::run(snapshot, &cli.common, talk),
        Command::Verify(verify) => verify::run(verify, &cli.common, talk),
        Command::Diff(diff) => diff::run(diff, &cli.common, talk),
        Command::Prune(prune) => prune::run(prune, &cli.common, talk),
        Command::Publish(publish) => publish::run(publish, &cli.common, talk),
        Command::Export(export) => export::run(export, &cli.common, talk),
        Command::Sample(sample) => sample::run(sample, &cli.common),
        Command::Check => check::run(&cli.common, talk),
        Command::User(user) => user::run(user, &cli.common, talk),
        Command::Token(token) => token::run(token, &cli.common, talk),
        Command::Completions(arguments) => completions::completions(arguments),
        Command::Man(arguments) => completions::manual(arguments, talk),
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.chain().find_map(|cause| cause.downcast_ref::<std::io::Error>());
    io.is_some_and(|io| io.kind() == std::io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
