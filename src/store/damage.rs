//! A store that is not whole any more: a disk that failed, a copy that was cut short, a table that is gone. It is
//! never mended and never thrown away: it gets another name, and a new one takes its place, into which the logs
//! that remain are read. Damage is looked for where it is met, since reading all of a store with each build would
//! cost more than the build.

use std::error::Error;
use std::fmt;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use anyhow::{Context, Result, bail};
use chrono::{DateTime, NaiveDateTime};
use rusqlite::ErrorCode;

use crate::model::quality::SetAside;

/// The store's file in its folder.
pub const FILE: &str = "store.db";

/// Begins the names of those set aside; the time follows.
const ASIDE: &str = "store.db.damaged-";

/// How the time is written in such a name.
const TIME: &str = "%Y%m%dT%H%M%SZ";

/// Damaged stores beyond this number mean that setting another one aside helps nobody.
const MOST: usize = 10;

/// SQLite finds its file whole, and still it does not hold what was written. Tells what of it.
#[derive(Debug)]
pub struct Damaged(pub String);

impl fmt::Display for Damaged {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} is damaged", self.0)
    }
}

impl Error for Damaged {}

/// Whether an error says that the store is not whole. Most others, such as a full disk, pass, and the store is as
/// good as before with them.
pub fn is_damage(error: &anyhow::Error) -> bool {
    use rusqlite::Error as Sql;
    let in_file = match error.downcast_ref::<Sql>() {
        Some(Sql::SqliteFailure(failure, _)) => {
            matches!(failure.code, ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt)
        }
        // Tables are of one version of dash: only damage puts something else into their columns, or takes rows away.
        Some(
            Sql::QueryReturnedNoRows
            | Sql::InvalidColumnType(..)
            | Sql::FromSqlConversionFailure(..)
            | Sql::IntegralValueOutOfRange(..)
            | Sql::Utf8Error(..),
        ) => true,
        _ => false,
    };
    in_file || error.is::<Damaged>() || error.is::<rusqlite::types::FromSqlError>()
}

/// Gives the store of a folder another name, with the time in it, and returns that.
///
/// # Errors
/// If it cannot be renamed, or if there are too many already.
pub fn set_aside(folder: &Path, moment_ms: i64) -> Result<String> {
    let there = all_set_aside(folder)?;
    if there.len() >= MOST {
        bail!(
            "{} damaged stores lie in `{}` already; the disk may be failing: find out why, remove them, and build \
             again",
            there.len(),
            folder.display()
        );
    }
    let time = DateTime::from_timestamp_millis(moment_ms).unwrap_or_default().format(TIME).to_string();
    let mut names = (1..).map(|at| match at {
        1 => format!("{ASIDE}{time}"),
        at => format!("{ASIDE}{time}-{at}"),
    });
    let name = names.find(|name| !folder.join(name).exists()).expect("there are more names than files");
    // The log of its last changes belongs to it, and goes first: a new store must not find it.
    for (from, to) in [(format!("{FILE}-wal"), format!("{name}-wal")), (FILE.to_owned(), name.clone())] {
        gone(fs::rename(folder.join(&from), folder.join(to)))
            .with_context(|| format!("setting `{}` aside", folder.join(from).display()))?;
    }
    gone(fs::remove_file(folder.join(format!("{FILE}-shm"))))
        .context("removing the store's index of its log")?;
    Ok(name)
}

/// The stores that were set aside, oldest first. Whoever has seen to it deletes them.
pub fn all_set_aside(folder: &Path) -> Result<Vec<SetAside>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| format!("reading the folder `{}`", folder.display()))?,
    };
    let aside = |name: String| {
        let time = name.strip_prefix(ASIDE)?.split('-').next()?;
        let at = NaiveDateTime::parse_from_str(time, TIME).ok()?;
        (!name.ends_with("-wal")).then(|| SetAside { at_ms: at.and_utc().timestamp_millis(), name })
    };
    let mut found: Vec<_> = entries
        .flatten()
        .filter_map(|entry| aside(entry.file_name().to_string_lossy().into_owned()))
        .collect();
    found.sort();
    Ok(found)
}

/// Fine if there was nothing.
fn gone(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
