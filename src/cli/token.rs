//! `dash token`: keys with which scripts may ask the daemon.

use std::io::Write;

use anyhow::{Result, bail};
use clap::Subcommand;

use crate::access::accounts::Accounts;
use crate::access::{Role, secret};
use crate::cli::Common;
use crate::cli::talk::Talk;
use crate::cli::user::{ROLES, file, list, role};

#[derive(Debug, Subcommand)]
pub enum Token {
    /// Make a token and write it to standard output, for the only time
    Add {
        /// What the token is for
        name: String,
        #[arg(long, value_parser = role, default_value = "viewer", help = ROLES)]
        role: Role,
    },
    /// Tokens and their roles
    List,
    /// Remove a token; it lets nobody in from then on
    Remove { name: String },
}

pub fn run(token: &Token, common: &Common, talk: &Talk) -> Result<()> {
    let file = file(common)?;
    let mut accounts = Accounts::read(&file)?;
    match token {
        Token::Add { name, role } => {
            let shown = accounts.add_token(name, &secret::make()?, *role)?;
            accounts.write(&file)?;
            talk.say("send it as `Authorization: Bearer …`; it is shown this once:");
            writeln!(std::io::stdout(), "{shown}")?;
        }
        Token::List => {
            let rows = accounts.tokens.iter().map(|token| (token.name.as_str(), token.role));
            list(rows, common.json)?;
        }
        Token::Remove { name } => {
            if !accounts.remove_token(name) {
                bail!("there is no token `{name}`; `dash token list` shows all");
            }
            accounts.write(&file)?;
            talk.say(&format!("the token `{name}` lets nobody in any more"));
        }
    }
    Ok(())
}
