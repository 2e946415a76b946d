//! The site's memory: rolled-up buckets, how far each file was read, and what is in flight.
//!
//! One SQLite file, `.dash/store.db` in the site's folder. The ledger and the buckets it accounts for change
//! in one transaction, so that a build that dies repeats nothing and loses nothing. Buckets lie in chunks,
//! one row for all buckets of a wrapper in six hours or a day (see [`chunks`]): a build reads and writes few
//! rows, and an append touches five.

pub mod lock;
pub mod damage;
pub mod chunks;
pub mod readers;
pub mod schema;
pub mod settings;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use sha2::{Digest, Sha256};

use crate::model::history::{History, WrapperId};
use crate::model::names::Known;
use crate::model::notes::OTHER;
use crate::model::parallel;
use crate::model::quality::{FileState, Reached, SetAside};
use crate::model::rollup::{InFlight, Limits, Retention, Rollup, WrapperRollup};
use crate::store::chunks::{Part, Span};
use crate::store::damage::{Damaged, FILE};
use crate::store::lock::{Lock, PATIENCE};
use crate::store::readers::{Reader, Readers};

/// The folder, in the site's folder, that holds the store.
pub const FOLDER: &str = ".dash";

/// An open store. Whoever holds it is the only builder of the site: the lock goes with the value, and with
/// the process.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    readers: Readers,
    path: PathBuf,
    _lock: Lock,
}

/// What was published last in an output folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The snapshot's id.
    pub snapshot: String,
    /// Hash of what every page is made of besides the operations.
    pub inputs: String,
    /// Hash of the state of the sources.
    pub sources: String,
    /// The store's revision that it shows.
    pub revision: i64,
}

/// What one reading of the sources adds.
#[derive(Debug)]
pub struct Reading {
    pub rollup: Rollup,
    /// Ledger entries that changed; each replaces that of the same path.
    pub files: Vec<FileState>,
    /// Paths of ledger entries to drop.
    pub forgotten: Vec<String>,
    /// The complete list.
    pub in_flight: Vec<InFlight>,
}

/// Reads minutes as they are stored, on any thread; see [`chunks::minutes`].
#[derive(Clone, Copy, Debug)]
pub struct Minutes<'s> {
    readers: &'s Readers,
    first: i64,
}

impl Minutes<'_> {
    pub fn of(&self, wrapper: &WrapperId) -> Result<Vec<u8>> {
        let reader = self.readers.reader();
        let connection = reader.connection()?;
        chunks::minutes(connection, row_of(connection, wrapper)?.0, self.first)
    }
}

impl Store {
    /// Opens or creates the store of the site in `root`. Waits a moment for another build to end, since most
    /// take less.
    ///
    /// # Errors
    /// [`lock::Busy`] if another build holds it for longer than [`PATIENCE`]; if its folder cannot be written, or if it is damaged
    /// or of another version.
    pub fn open(root: &Path) -> Result<Store> {
        let lock = Lock::take(root, PATIENCE)?;
        let path = root.join(FOLDER).join(FILE);
        Store::of(schema::open(&path), path, lock)
    }

    /// As [`Store::open`], but waits so long, and puts a new store in place of one that is damaged.
    pub fn open_or_renew(root: &Path, patience: Duration, moment_ms: i64) -> Result<Store> {
        let lock = Lock::take(root, patience)?;
        let folder = root.join(FOLDER);
        let path = folder.join(FILE);
        let opened = match schema::open(&path) {
            Err(error) if damage::is_damage(&error) => {
                set_aside(&folder, &error, moment_ms)?;
                schema::open(&path)
            }
            opened => opened,
        };
        Store::of(opened, path, lock)
    }

    fn of(opened: Result<Connection>, path: PathBuf, lock: Lock) -> Result<Store> {
        let connection = opened.map_err(|error| {
            let next = if damage::is_damage(&error) { "; `dash build` sets it aside" } else { "" };
            error.context(format!("opening the store `{}`{next}", path.display()))
        })?;
        Ok(Store { connection, readers: Readers::of(&path), path, _lock: lock })
    }

    /// Does work with the store. If that finds it damaged, a new store takes its place, and the work is done again,
    /// from its beginning.
    ///
    /// # Errors
    /// Those of the work, and those of putting a new store in place.
    pub fn healed<T>(&mut self, moment_ms: i64, mut work: impl FnMut(&mut Store) -> Result<T>) -> Result<T> {
        match work(self) {
            Err(error) if damage::is_damage(&error) => {
                let folder = self.path.parent().expect("the store is in its folder").to_owned();
                // Lets go of the file.
                self.connection = Connection::open_in_memory()?;
                self.readers = Readers::of(&self.path);
                set_aside(&folder, &error, moment_ms)?;
                self.connection = schema::open(&self.path)
                    .with_context(|| format!("making the store `{}` anew", self.path.display()))?;
                work(self)
            }
            done => done.map_err(|error| self.named(error)),
        }
    }

    /// What SQLite says does not tell which file it is about.
    fn named(&self, error: anyhow::Error) -> anyhow::Error {
        if !error.is::<rusqlite::Error>() {
            return error;
        }
        let next = "if its disk is full, make room and build again";
        error.context(format!("using the store `{}`; {next}", self.path.display()))
    }

    /// Damaged stores that were set aside and are still there, oldest first.
    pub fn set_aside(&self) -> Result<Vec<SetAside>> {
        damage::all_set_aside(self.path.parent().expect("the store is in its folder"))
    }

    /// The ledger: every file that was ever read.
    pub fn files(&self) -> Result<Vec<FileState>> {
        let mut query = self.connection.prepare("SELECT state FROM file ORDER BY path")?;
        let rows = query.query_map([], |row| row.get::<_, String>(0))?;
        rows.map(|row| serde_json::from_str(&row?).context(Damaged("the ledger".to_owned()))).collect()
    }

    /// Operations that have started and, as far as is known, not ended.
    pub fn in_flight(&self) -> Result<Vec<InFlight>> {
        let state: Option<String> =
            self.connection.query_row("SELECT state FROM in_flight", [], |row| row.get(0)).optional()?;
        flights(state.as_deref())
    }

    /// All wrappers, sorted by name.
    pub fn wrappers(&self) -> Result<Vec<WrapperId>> {
        let mut query = self.connection.prepare("SELECT name, slug FROM wrapper ORDER BY name")?;
        let rows = query.query_map([], |row| Ok(WrapperId { name: row.get(0)?, slug: row.get(1)? }))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The names of wrappers and series, but for what others are summed as.
    pub fn known(&self) -> Result<Known> {
        let mut known = Known::default();
        let mut wrappers = self.connection.prepare("SELECT name FROM wrapper WHERE name <> ?1")?;
        let mut rows = wrappers.query([OTHER])?;
        while let Some(row) = rows.next()? {
            known.add_wrapper(row.get_ref(0)?.as_str()?);
        }
        let series = "SELECT name, operation_type, model FROM series JOIN wrapper ON id = wrapper";
        let mut series = self.connection.prepare(series)?;
        let mut rows = series.query([])?;
        while let Some(row) = rows.next()? {
            let text = |at| Ok::<_, anyhow::Error>(row.get_ref(at)?.as_str()?);
            known.add_series(text(0)?, text(1)?, text(2)?);
        }
        Ok(known)
    }

    /// Which limits are reached.
    pub fn reached(&self, limits: &Limits) -> Result<Reached> {
        let full = "SELECT name, folded FROM wrapper JOIN series ON wrapper = id WHERE name <> ?2
                    GROUP BY id HAVING count(*) >= ?1 ORDER BY name";
        let mut query = self.connection.prepare(full)?;
        let full = query.query_map(params![limits.series as i64, OTHER], |row| {
            Ok((row.get(0)?, row.get::<_, i64>(1)? as u64))
        })?;
        let folded = "SELECT folded FROM wrapper WHERE name = ?1";
        let folded: Option<i64> = self.connection.query_row(folded, [OTHER], |row| row.get(0)).optional()?;
        Ok(Reached {
            wrappers: (wrapper_count(&self.connection)? >= limits.wrappers).then_some(limits.wrappers),
            other_operations: folded.unwrap_or(0) as u64,
            series: limits.series,
            full: full.collect::<rusqlite::Result<_>>()?,
        })
    }

    /// What is kept of some wrappers, each in a span, in their order; read on all cores.
    pub fn histories(
        &self,
        wrappers: &[WrapperId],
        span: impl Fn(&WrapperId) -> Span + Sync,
    ) -> Result<Vec<History>> {
        // Of few wrappers, minutes are loaded apart from all else, so that there is work for all cores; of many, that
        // would be one more search for each.
        let is_few = wrappers.len() < 8 * parallel::threads();
        let loads: &[Load] =
            if is_few { &[chunks::load_rest, chunks::load_minutes] } else { &[chunks::load] };
        let pieces = wrappers.iter().flat_map(|wrapper| loads.iter().map(move |load| (wrapper, load)));
        let read = |reader: &mut Reader, (wrapper, load): (&WrapperId, &Load)| {
            piece_of_history(reader.connection()?, wrapper, &span(wrapper), load)
        };
        let readers = &self.readers;
        let mut pieces = parallel::map_with(pieces, || readers.reader(), read).into_iter();
        let history = |_| {
            let mut history = pieces.next().expect("a piece for each load")?;
            if is_few {
                let History { minutes, tens, .. } = pieces.next().expect("a piece for each load")?;
                (history.minutes, history.tens) = (minutes, tens);
            }
            Ok(history)
        };
        wrappers.iter().map(history).collect()
    }

    /// The minutes from `first` on, for the published dataset.
    pub fn minutes(&self, first: i64) -> Minutes<'_> {
        Minutes { readers: &self.readers, first }
    }

    /// How many readings with news there have been.
    pub fn revision(&self) -> Result<i64> {
        Ok(self.connection.query_row("SELECT number FROM revision", [], |row| row.get(0))?)
    }

    /// The names of the wrappers that changed after a revision.
    pub fn changed_since(&self, revision: i64) -> Result<HashSet<String>> {
        let mut query = self.connection.prepare("SELECT name FROM wrapper WHERE changed > ?1")?;
        let names = query.query_map([revision], |row| row.get(0))?;
        Ok(names.collect::<rusqlite::Result<_>>()?)
    }

    /// What this store knows to be in an output folder.
    pub fn published(&self, output: &str) -> Result<Option<Published>> {
        let find = "SELECT snapshot, inputs, sources, revision FROM published WHERE output = ?1";
        let published = self.connection.query_row(find, [output], |row| {
            let (snapshot, inputs, sources) = (row.get(0)?, row.get(1)?, row.get(2)?);
            Ok(Published { snapshot, inputs, sources, revision: row.get(3)? })
        });
        Ok(published.optional()?)
    }

    /// Remembers what is in an output folder now.
    pub fn set_published(&mut self, output: &str, published: &Published) -> Result<()> {
        self.connection.execute(
            "INSERT OR REPLACE INTO published (output, snapshot, inputs, sources, revision)
             VALUES (?1, ?2, ?3, ?4, ?5)",
            params![output, published.snapshot, published.inputs, published.sources, published.revision],
        )?;
        Ok(())
    }

    /// Adds a reading, all or nothing. Its roll-up is within the limits already.
    pub fn apply(&mut self, reading: Reading) -> Result<()> {
        let Store { connection, readers, .. } = self;
        let transaction = connection.transaction()?;
        transaction.execute("UPDATE revision SET number = number + 1", [])?;
        mark_in_flight(&transaction, &reading.in_flight)?;
        // Slugs are given out in the order of names.
        let sorted: BTreeMap<_, _> = reading.rollup.wrappers.into_iter().collect();
        let rollups = sorted.into_iter();
        let rollups =
            rollups.map(|(name, rollup)| Ok((wrapper_row(&transaction, &name, &rollup)?, rollup.into())));
        let rollups: Vec<(i64, Arc<WrapperRollup>)> = rollups.collect::<Result<_>>()?;
        let parts =
            |(id, rollup): (i64, Arc<WrapperRollup>)| Part::ALL.map(|part| (id, rollup.clone(), part));
        let parts: Vec<_> = rollups.into_iter().flat_map(parts).collect();
        // Chunks are read and merged on all cores while this one writes, and what is merged is let go. A further
        // connection sees the store as it was before the transaction, which touches no chunk twice.
        let mut written = Ok(());
        parallel::each_with(
            parts,
            || readers.reader(),
            |reader, (id, rollup, part)| Ok((id, chunks::merged(reader.connection()?, id, &rollup, part)?)),
            |merged: Result<_>| {
                if written.is_ok() {
                    written = merged.and_then(|(id, chunks)| chunks::write(&transaction, id, &chunks));
                }
            },
        );
        written?;
        for file in &reading.files {
            transaction.execute(
                "INSERT OR REPLACE INTO file (path, state) VALUES (?1, ?2)",
                params![file.path, serde_json::to_string(file)?],
            )?;
        }
        for path in &reading.forgotten {
            transaction.execute("DELETE FROM file WHERE path = ?1", [path])?;
        }
        transaction.execute("DELETE FROM in_flight", [])?;
        if !reading.in_flight.is_empty() {
            let state = serde_json::to_string(&reading.in_flight)?;
            transaction.execute("INSERT INTO in_flight (state) VALUES (?1)", [state])?;
        }
        transaction.commit().context("committing to the store")
    }

    /// Drops what has outlived its retention; looks for it once an hour of the retention's time.
    pub fn prune(&mut self, retention: &Retention) -> Result<()> {
        let pruned: i64 = self.connection.query_row("SELECT pruned FROM revision", [], |row| row.get(0))?;
        if retention.first_hour <= pruned {
            return Ok(());
        }
        let transaction = self.connection.transaction()?;
        chunks::prune(&transaction, retention)?;
        transaction.execute("UPDATE revision SET pruned = ?1", [retention.first_hour])?;
        transaction.commit().context("dropping what has outlived its retention")
    }
}

/// Loads what is kept of a wrapper, or a part of it.
type Load = fn(&Connection, i64, &Span, &mut History) -> Result<()>;

fn piece_of_history(
    connection: &Connection,
    wrapper: &WrapperId,
    span: &Span,
    load: &Load,
) -> Result<History> {
    let (id, first_end_ms) = row_of(connection, wrapper)?;
    let mut history = History { first_end_ms, ..History::default() };
    load(connection, id, span, &mut history)
        .with_context(|| format!("reading the buckets of `{}`", wrapper.name))?;
    Ok(history)
}

/// A wrapper's id in the store, and the end of its oldest operation.
fn row_of(connection: &Connection, wrapper: &WrapperId) -> Result<(i64, i64)> {
    let mut find = connection.prepare_cached("SELECT id, first_end_ms FROM wrapper WHERE name = ?1")?;
    Ok(find.query_row([&wrapper.name], |row| Ok((row.get(0)?, row.get(1)?)))?)
}

/// All but what others are summed as.
fn wrapper_count(connection: &Connection) -> Result<usize> {
    let count = "SELECT count(*) FROM wrapper WHERE name <> ?1";
    Ok(connection.query_row(count, [OTHER], |row| row.get::<_, i64>(0))? as usize)
}

/// Marks a wrapper as changed by the revision under way.
const CHANGED: &str = "changed = (SELECT number FROM revision)";

/// Wrappers that had or get something in flight have changed, even if nothing of theirs has ended.
fn mark_in_flight(transaction: &Transaction, now: &[InFlight]) -> Result<()> {
    let before: Option<String> =
        transaction.query_row("SELECT state FROM in_flight", [], |row| row.get(0)).optional()?;
    let before = flights(before.as_deref())?;
    let (before, now) = (keys(&before), keys(now));
    let mut mark = transaction.prepare_cached(&format!("UPDATE wrapper SET {CHANGED} WHERE name = ?1"))?;
    for name in before.keys().chain(now.keys()) {
        if before.get(name) != now.get(name) {
            mark.execute([name])?;
        }
    }
    Ok(())
}

/// What is in flight, from how it is stored.
fn flights(state: Option<&str>) -> Result<Vec<InFlight>> {
    let read = |state| serde_json::from_str(state).with_context(|| Damaged("what is in flight".to_owned()));
    state.map_or(Ok(Vec::new()), read)
}

/// Sets the store of a folder aside, and says so, however little was to be said.
fn set_aside(folder: &Path, damage: &anyhow::Error, moment_ms: i64) -> Result<()> {
    let name = damage::set_aside(folder, moment_ms)?;
    tracing::error!(
        "the store `{}` was damaged: {damage:#}; it is kept as `{name}` beside it, and the logs that remain are read \
         again. What only it knew, of logs that are gone, is missing from the pages; `data-quality.html` says so",
        folder.join(FILE).display()
    );
    Ok(())
}

/// What is in flight, by wrapper.
fn keys(list: &[InFlight]) -> HashMap<&str, HashSet<u64>> {
    let mut keys: HashMap<&str, HashSet<u64>> = HashMap::new();
    for operation in list {
        keys.entry(&operation.wrapper).or_default().insert(operation.key);
    }
    keys
}

/// The id of the wrapper's row, made where it is new, with all but its chunks.
fn wrapper_row(transaction: &Transaction, name: &str, rollup: &WrapperRollup) -> Result<i64> {
    let known: Option<i64> = transaction
        .prepare_cached("SELECT id FROM wrapper WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?;
    let id = match known {
        Some(id) => id,
        None => new_wrapper(transaction, name)?,
    };
    let update = format!(
        "UPDATE wrapper SET first_end_ms = min(first_end_ms, ?2), folded = folded + ?3, {CHANGED} WHERE id = ?1"
    );
    let folded = rollup.other_operations() as i64;
    transaction.prepare_cached(&update)?.execute(params![id, rollup.first_end_ms, folded])?;
    let mut insert = transaction.prepare_cached(
        "INSERT OR IGNORE INTO series (wrapper, operation_type, model) VALUES (?1, ?2, ?3)",
    )?;
    for name in rollup.series.iter().filter(|name| !name.is_other()) {
        insert.execute(params![id, name.operation_type, name.model])?;
    }
    Ok(id)
}

fn new_wrapper(transaction: &Transaction, name: &str) -> Result<i64> {
    let mut slugs = transaction.prepare_cached("SELECT 1 FROM wrapper WHERE slug = ?1")?;
    let mut slug = slug(name);
    for attempt in 0.. {
        if !slugs.exists([&slug])? {
            break;
        }
        slug = unique_slug(&format!("{name}{}", "\0".repeat(attempt)));
    }
    transaction.execute(
        "INSERT INTO wrapper (name, slug, first_end_ms, changed) VALUES (?1, ?2, ?3, 0)",
        params![name, slug, i64::MAX],
    )?;
    Ok(transaction.last_insert_rowid())
}

/// A name fit for any path: lower-case letters, digits and single dashes, at most 60 of them. Where that
/// loses more than case, the name's hash is added.
fn slug(name: &str) -> String {
    let mut slug = String::new();
    for c in name.chars().take(60) {
        match c.to_ascii_lowercase() {
            c @ ('a'..='z' | '0'..='9') => slug.push(c),
            _ if slug.ends_with('-') || slug.is_empty() => {}
            _ => slug.push('-'),
        }
    }
    let slug = slug.trim_end_matches('-');
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | ' ' | '.');
    if slug.is_empty() || !name.chars().all(plain) || name.chars().count() > 60 || RESERVED.contains(&slug) {
        return unique_slug(name);
    }
    slug.to_owned()
}

/// File names that Windows keeps for itself.
const RESERVED: [&str; 6] = ["con", "prn", "aux", "nul", "com1", "lpt1"];

fn unique_slug(name: &str) -> String {
    let readable: String = name.chars().filter(char::is_ascii_alphanumeric).take(40).collect();
    let hash: String = Sha256::digest(name).iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    let dash = if readable.is_empty() { "" } else { "-" };
    format!("{}{dash}{hash}", readable.to_ascii_lowercase())
}

#[cfg(test)]
mod tests;
