//! Tables, and how the file is opened.

use std::path::Path;

use anyhow::{Result, bail};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

/// Kept in SQLite's `user_version`.
const VERSION: i64 = 3;

const TABLES: &str = "
    -- A wrapper by name; its slug names its page for ever.
    CREATE TABLE wrapper (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        slug TEXT NOT NULL UNIQUE,
        first_end_ms INTEGER NOT NULL,
        -- The revision of the store that changed it last.
        changed INTEGER NOT NULL,
        -- Operations that a limit did not let tell apart.
        folded INTEGER NOT NULL DEFAULT 0
    );
    -- One row: how many readings with news there have been, and the first hour that was kept when old chunks
    -- were dropped last.
    CREATE TABLE revision (number INTEGER NOT NULL, pruned INTEGER NOT NULL);
    INSERT INTO revision VALUES (0, 0);
    -- What was published from this store, by output folder: see `Published`.
    CREATE TABLE published (
        output TEXT PRIMARY KEY,
        snapshot TEXT NOT NULL,
        inputs TEXT NOT NULL,
        sources TEXT NOT NULL,
        revision INTEGER NOT NULL
    ) WITHOUT ROWID;
    -- Buckets, by level and stretch of time: see `chunks.rs`. `start` counts such stretches since the epoch.
    CREATE TABLE chunk (
        wrapper INTEGER NOT NULL REFERENCES wrapper (id),
        level INTEGER NOT NULL,
        start INTEGER NOT NULL,
        data BLOB NOT NULL,
        PRIMARY KEY (wrapper, level, start)
    ) WITHOUT ROWID;
    -- Operation types and models of a wrapper: what counts towards the limit.
    CREATE TABLE series (
        wrapper INTEGER NOT NULL REFERENCES wrapper (id),
        operation_type TEXT NOT NULL,
        model TEXT NOT NULL,
        PRIMARY KEY (wrapper, operation_type, model)
    ) WITHOUT ROWID;
    -- The ledger; `state` is JSON.
    CREATE TABLE file (
        path TEXT PRIMARY KEY,
        state TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE in_flight (state TEXT NOT NULL);
";

/// Opens the file, creating its tables where it is new.
pub fn open(path: &Path) -> Result<Connection> {
    let mut connection = Connection::open(path)?;
    // In WAL mode NORMAL never corrupts; a power cut may undo the last commits, ledger and buckets alike, so
    // the next build reads the same lines again.
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    // A build is short: moving the log into the file at its end would be a tenth of its time. SQLite does so
    // by itself when the log has grown.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    match version {
        VERSION => {}
        0 => {
            let transaction = connection.transaction()?;
            transaction.execute_batch(TABLES)?;
            transaction.pragma_update(None, "user_version", VERSION)?;
            transaction.commit()?;
        }
        older if older < VERSION => bail!(
            "it has version {older}, this dash knows {VERSION}; move it away, and the logs that remain are read \
             again"
        ),
        newer => bail!("it has version {newer}, this dash knows {VERSION}; use the dash that wrote it"),
    }
    Ok(connection)
}

/// A further connection to a store that is open already, for reading beside it.
pub fn open_to_read(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    // Otherwise a statement is planned anew whenever a bound on time is bound: for every wrapper.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(connection)
}

/// Whether an error says that the file is not a whole database. Most others, such as a full disk, pass, and
/// the store with them is as good as before.
pub fn is_damaged(error: &anyhow::Error) -> bool {
    let code = error.downcast_ref::<rusqlite::Error>().and_then(rusqlite::Error::sqlite_error_code);
    matches!(code, Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt))
}
