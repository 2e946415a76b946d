//! Tables, and how the file is opened.

use std::path::Path;

use anyhow::{Result, bail};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::store::damage::Damaged;

/// Kept in SQLite's `user_version`.
const VERSION: i64 = 5;

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
    -- Buckets of a wrapper, by level and stretch of time, which are one number: see `chunks.rs`. Any other key would
    -- lie beside the data, and SQLite reads a whole row to compare it.
    CREATE TABLE chunk (key INTEGER PRIMARY KEY, data BLOB NOT NULL);
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

/// Their names.
const NAMES: [&str; 7] = ["chunk", "file", "in_flight", "published", "revision", "series", "wrapper"];

/// Opens the file, creating its tables where it is new.
///
/// # Errors
/// If it is of another version, or damaged as far as that shows at once.
pub fn open(path: &Path) -> Result<Connection> {
    // SQLite would throw the log away, which may hold all there was.
    let length = |path: &Path| path.metadata().map_or(0, |metadata| metadata.len());
    if path.exists() && length(path) == 0 && length(&path.with_extension("db-wal")) > 0 {
        bail!(Damaged("its file, which is empty,".to_owned()));
    }
    let mut connection = Connection::open(path)?;
    // Of a new file; another keeps what it has.
    connection.pragma_update(None, "page_size", PAGE_BYTES)?;
    // In WAL mode NORMAL never corrupts; a power cut may undo the last commits, ledger and buckets alike, so
    // the next build reads the same lines again.
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    // A build is short: moving the log into the file at its end would be a tenth of its time. SQLite does so
    // by itself when the log has grown to so many pages. Whoever opens the store reads the log first.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.pragma_update(None, "wal_autocheckpoint", LOGGED_PAGES)?;
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let tables = tables(&connection)?;
    match version {
        VERSION if tables != NAMES => bail!(Damaged("its list of tables".to_owned())),
        VERSION => {}
        0 if !tables.is_empty() => bail!(Damaged("its header".to_owned())),
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

fn tables(connection: &Connection) -> Result<Vec<String>> {
    let find =
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name";
    let mut find = connection.prepare(find)?;
    let names = find.query_map([], |row| row.get(0))?;
    Ok(names.collect::<rusqlite::Result<_>>()?)
}

/// A chunk takes some ten thousand bytes, and SQLite reads and writes it a page at a time.
const PAGE_BYTES: i64 = 8 * 1024;

/// Of the log, which is moved into the file when it is as long: 4 MB.
const LOGGED_PAGES: i64 = 512;

/// What a connection keeps which only reads, in KB.
const CACHED_KB: i64 = 256;

/// A further connection to a store that is open already, for reading beside it.
pub fn open_to_read(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    // Otherwise a statement is planned anew whenever a bound on time is bound: for every wrapper.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // Chunks are read once, so only the pages that lead to them are worth keeping.
    connection.pragma_update(None, "cache_size", -CACHED_KB)?;
    Ok(connection)
}
