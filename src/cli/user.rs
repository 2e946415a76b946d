//! `dash user`: who may sign in to the daemon.

use std::io::{IsTerminal, Write, stdin};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

use crate::access::Role;
use crate::access::accounts::{Accounts, FILE};
use crate::cli::Common;
use crate::cli::talk::Talk;
use crate::config;

#[derive(Debug, Subcommand)]
pub enum User {
    /// Add a user, or give a known one another password and role; a daemon that runs follows at once
    Add {
        name: String,
        #[arg(long, value_parser = role, default_value = "viewer", help = ROLES)]
        role: Role,
    },
    /// Users and their roles
    List,
    /// Remove a user; whoever is signed in as them is out at once
    Remove { name: String },
}

/// The help of `--role`, here and for tokens.
pub const ROLES: &str = "viewer sees, operator also reports operations, admin also sees and ends sessions";

/// A role by its name.
///
/// # Errors
/// If there is none; names all.
pub fn role(text: &str) -> Result<Role, String> {
    Role::of(text).ok_or_else(|| format!("not one of {}", Role::ALL.map(Role::word).join(", ")))
}

/// Where the users and tokens of the site are.
pub fn file(common: &Common) -> Result<PathBuf> {
    Ok(config::read(&common.config)?.root.join(FILE))
}

pub fn run(user: &User, common: &Common, talk: &Talk) -> Result<()> {
    let file = file(common)?;
    let mut accounts = Accounts::read(&file)?;
    match user {
        User::Add { name, role } => {
            accounts.set_user(name, &password(name)?, *role)?;
            accounts.write(&file)?;
            talk.say(&format!("`{name}` may sign in as {}; `{}` says so", role.word(), file.display()));
        }
        User::List => {
            let rows = accounts.users.iter().map(|user| (user.name.as_str(), user.role));
            list(rows, common.json)?;
        }
        User::Remove { name } => {
            if !accounts.remove_user(name) {
                bail!("there is no user `{name}`; `dash user list` shows all");
            }
            accounts.write(&file)?;
            talk.say(&format!("`{name}` may not sign in any more"));
        }
    }
    Ok(())
}

/// Names and roles on standard output.
pub fn list<'a>(rows: impl Iterator<Item = (&'a str, Role)>, as_json: bool) -> Result<()> {
    let mut out = std::io::stdout().lock();
    if as_json {
        let rows: Vec<_> =
            rows.map(|(name, role)| serde_json::json!({"name": name, "role": role.word()})).collect();
        writeln!(out, "{}", serde_json::Value::from(rows))?;
        return Ok(());
    }
    for (name, role) in rows {
        writeln!(out, "{name}\t{}", role.word())?;
    }
    Ok(())
}

/// From the terminal, unseen and twice; else the first line of standard input.
fn password(name: &str) -> Result<String> {
    if !stdin().is_terminal() {
        return line().context("reading the password from standard input");
    }
    let first = asked(&format!("Password for {name}: "))?;
    if asked("Again: ")? != first {
        bail!("these were two passwords; nothing was changed");
    }
    Ok(first)
}

fn asked(prompt: &str) -> Result<String> {
    let (input, reading) = (stdin(), "reading the password");
    eprint!("{prompt}");
    let before = tcgetattr(&input).context(reading)?;
    let mut unseen = before.clone();
    unseen.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&input, OptionalActions::Flush, &unseen).context(reading)?;
    let answer = line();
    tcsetattr(&input, OptionalActions::Flush, &before).context(reading)?;
    eprintln!();
    answer.context(reading)
}

fn line() -> std::io::Result<String> {
    let mut line = String::new();
    stdin().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}
