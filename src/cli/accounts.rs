//! `dash user` and `dash token`: who may sign in to the daemon, and the keys with which scripts ask it.

use std::io::{IsTerminal, Write, stdin, stdout};
use std::path::Path;

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use serde_json::{Value, json};

use crate::access::accounts::{Accounts, FILE, check_name};
use crate::access::{Role, secret};
use crate::cli::Common;
use crate::cli::talk::Talk;
use crate::config;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    User,
    Token,
}

#[derive(Debug, Subcommand)]
pub enum Change {
    /// Add one; a known user gets another password and role, and a token is shown on standard output this once
    Add {
        name: String,
        #[arg(long, value_parser = role, default_value = "viewer", help = ROLES)]
        role: Role,
    },
    /// All of them, and their roles
    List,
    /// Remove one; whoever came in by it is out at once, open pages included
    Remove { name: String },
}

const ROLES: &str = "viewer sees, operator also reports operations, admin also sees and ends sessions";

/// What comes of it: a daemon that has asked once goes on asking.
const NOBODY_LEFT: &str = "no user and no token is left: a daemon that runs goes on asking everyone to sign in, and lets \
                           nobody in until someone is added; one that is started from now on asks nobody";

/// A role by its name.
fn role(text: &str) -> Result<Role, String> {
    Role::of(text).ok_or_else(|| format!("not one of {}", Role::ALL.map(Role::word).join(", ")))
}

pub fn run(kind: Kind, change: &Change, common: &Common, talk: &Talk) -> Result<()> {
    let file = config::read(&common.config)?.root.join(FILE);
    match change {
        Change::Add { name, role } => add(kind, (name, *role), &file, talk),
        Change::List => list(kind, &Accounts::read(&file)?, common.json),
        Change::Remove { name } => {
            let nobody_left = Accounts::change(&file, |accounts| {
                let removed = match kind {
                    Kind::User => accounts.remove_user(name),
                    Kind::Token => accounts.remove_token(name),
                };
                if !removed {
                    let word = kind.word();
                    bail!("there is no {word} `{name}`; `dash {word} list` shows all");
                }
                Ok(accounts.is_empty())
            })?;
            talk.say(&format!("the {} `{name}` lets nobody in any more", kind.word()));
            if nobody_left {
                talk.say(NOBODY_LEFT);
            }
            Ok(())
        }
    }
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Kind::User => "user",
            Kind::Token => "token",
        }
    }
}

fn add(kind: Kind, (name, role): (&str, Role), file: &Path, talk: &Talk) -> Result<()> {
    // Before anyone types a password in vain.
    check_name(name)?;
    match kind {
        Kind::User => {
            let password = password(name)?;
            Accounts::change(file, |accounts| accounts.set_user(name, &password, role))?;
            talk.say(&format!("`{name}` may sign in as {}; `{}` says so", role.word(), file.display()));
        }
        Kind::Token => {
            let secret = secret::make()?;
            let shown = Accounts::change(file, |accounts| accounts.add_token(name, &secret, role))?;
            talk.say("send it as `Authorization: Bearer …`; it is shown this once:");
            writeln!(stdout(), "{shown}")?;
        }
    }
    Ok(())
}

/// Names and roles on standard output.
fn list(kind: Kind, accounts: &Accounts, as_json: bool) -> Result<()> {
    let rows: Vec<(&str, &str)> = match kind {
        Kind::User => accounts.users.iter().map(|user| (user.name.as_str(), user.role.word())).collect(),
        Kind::Token => accounts.tokens.iter().map(|token| (token.name.as_str(), token.role.word())).collect(),
    };
    let mut out = stdout().lock();
    if as_json {
        let rows: Value = rows.iter().map(|(name, role)| json!({"name": name, "role": role})).collect();
        writeln!(out, "{rows}")?;
        return Ok(());
    }
    for (name, role) in rows {
        writeln!(out, "{name}\t{role}")?;
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
