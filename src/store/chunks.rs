//! Buckets in chunks: one row holds all buckets of one wrapper in one stretch of time.
//!
//! | level | buckets | a chunk is |
//! | --- | --- | --- |
//! | minutes | minute | an hour |
//! | hours | hour × operation type × model | a day |
//! | days | day × operation type × model | 32 days |
//! | notes | – | a day |

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use crate::model::bucket::Bucket;
use crate::model::codec::{Decode, Encode, from_bytes, to_bytes};
use crate::model::history::History;
use crate::model::notes::{Notes, OTHER};
use crate::model::rollup::{Limits, Retention, SeriesName, WrapperRollup};

/// Minutes in a chunk.
const CHUNK_MINUTES: i64 = 60;
/// Hours in a chunk.
const CHUNK_HOURS: i64 = 24;
/// Days in a chunk.
const CHUNK_DAYS: i64 = 32;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Minutes = 0,
    Hours = 1,
    Days = 2,
    Notes = 3,
}

/// (time, series) → bucket; the series' names stand before the buckets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct SeriesChunk {
    buckets: BTreeMap<(i64, SeriesName), Bucket>,
}

impl Encode for SeriesChunk {
    fn encode(&self, out: &mut Vec<u8>) {
        let names: BTreeMap<&SeriesName, u64> = {
            let mut names: Vec<_> = self.buckets.keys().map(|(_, name)| name).collect();
            names.sort();
            names.dedup();
            names.into_iter().zip(0..).collect()
        };
        (names.len() as u64).encode(out);
        for name in names.keys() {
            name.operation_type.encode(out);
            name.model.encode(out);
        }
        (self.buckets.len() as u64).encode(out);
        for ((time, name), bucket) in &self.buckets {
            time.encode(out);
            names[name].encode(out);
            bucket.encode(out);
        }
    }
}

impl Decode for SeriesChunk {
    fn decode(input: &mut &[u8]) -> Option<SeriesChunk> {
        let names: Vec<(String, String)> = Vec::decode(input)?;
        let names: Vec<_> =
            names.into_iter().map(|(operation_type, model)| SeriesName { operation_type, model }).collect();
        let count = u64::decode(input)?;
        let mut buckets = BTreeMap::new();
        for _ in 0..count {
            let time = i64::decode(input)?;
            let name = names.get(usize::try_from(u64::decode(input)?).ok()?)?;
            buckets.insert((time, name.clone()), Bucket::decode(input)?);
        }
        Some(SeriesChunk { buckets })
    }
}

impl SeriesChunk {
    fn add(&mut self, time: i64, name: &SeriesName, bucket: &Bucket) {
        self.buckets.entry((time, name.clone())).or_default().merge(bucket);
    }
}

/// Merges a roll-up into the chunks it touches.
pub fn add(transaction: &Transaction, wrapper: i64, rollup: &WrapperRollup, limits: &Limits) -> Result<()> {
    let chunks = Chunks { connection: transaction, wrapper };
    let mut minutes: BTreeMap<i64, BTreeMap<i64, &Bucket>> = BTreeMap::new();
    for (minute, bucket) in &rollup.minutes {
        minutes.entry(minute.div_euclid(CHUNK_MINUTES)).or_default().insert(*minute, bucket);
    }
    for (start, new) in minutes {
        let mut level: BTreeMap<i64, Bucket> =
            chunks.read::<Vec<_>>(Level::Minutes, start)?.unwrap_or_default().into_iter().collect();
        for (minute, bucket) in new {
            level.entry(minute).or_default().merge(bucket);
        }
        chunks.write(Level::Minutes, start, &level.into_iter().collect::<Vec<_>>())?;
    }
    let known = chunks.series(rollup, limits)?;
    let (mut hours, mut days) = (BTreeMap::<i64, SeriesChunk>::new(), BTreeMap::<i64, SeriesChunk>::new());
    for ((hour, series), bucket) in &rollup.hours {
        let name = &known[*series as usize];
        let day = hour.div_euclid(24);
        hours.entry(hour.div_euclid(CHUNK_HOURS)).or_default().add(*hour, name, bucket);
        days.entry(day.div_euclid(CHUNK_DAYS)).or_default().add(day, name, bucket);
    }
    chunks.merge(Level::Hours, &hours)?;
    chunks.merge(Level::Days, &days)?;
    for (day, new) in &rollup.notes {
        let mut notes: Notes = chunks.read(Level::Notes, *day)?.unwrap_or_default();
        notes.merge(new);
        chunks.write(Level::Notes, *day, &notes)?;
    }
    Ok(())
}

/// Loads everything that is kept of a wrapper.
pub fn load(connection: &Connection, wrapper: i64, history: &mut History) -> Result<()> {
    let chunks = Chunks { connection, wrapper };
    for (_, minutes) in chunks.all::<Vec<(i64, Bucket)>>(Level::Minutes)? {
        history.minutes.extend(minutes);
    }
    for (_, chunk) in chunks.all::<SeriesChunk>(Level::Hours)? {
        for ((hour, name), bucket) in chunk.buckets {
            add_to(&mut history.hours, hour, &bucket);
            history.series.entry(name).or_default().push((hour, bucket));
        }
    }
    for (_, chunk) in chunks.all::<SeriesChunk>(Level::Days)? {
        for ((day, _), bucket) in chunk.buckets {
            add_to(&mut history.days, day, &bucket);
        }
    }
    history.notes = chunks.all(Level::Notes)?;
    Ok(())
}

/// Drops chunks that lie wholly before what is kept.
pub fn prune(transaction: &Transaction, retention: &Retention) -> Result<()> {
    let firsts = [
        (Level::Minutes, retention.first_minute.div_euclid(CHUNK_MINUTES)),
        (Level::Hours, retention.first_hour.div_euclid(CHUNK_HOURS)),
        (Level::Notes, retention.first_note_day),
    ];
    let wrappers: Vec<i64> = {
        let mut query = transaction.prepare_cached("SELECT id FROM wrapper")?;
        query.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?
    };
    let mut delete =
        transaction.prepare_cached("DELETE FROM chunk WHERE wrapper = ?1 AND level = ?2 AND start < ?3")?;
    for wrapper in wrappers {
        for (level, first) in firsts {
            delete.execute(params![wrapper, level as i64, first])?;
        }
    }
    Ok(())
}

/// Times come in rising order, several series a time.
fn add_to(level: &mut Vec<(i64, Bucket)>, time: i64, bucket: &Bucket) {
    match level.last_mut() {
        Some(last) if last.0 == time => last.1.merge(bucket),
        _ => level.push((time, bucket.clone())),
    }
}

/// The chunks of one wrapper.
struct Chunks<'a> {
    connection: &'a Connection,
    wrapper: i64,
}

impl Chunks<'_> {
    fn read<T: Decode>(&self, level: Level, start: i64) -> Result<Option<T>> {
        let mut query = self
            .connection
            .prepare_cached("SELECT data FROM chunk WHERE wrapper = ?1 AND level = ?2 AND start = ?3")?;
        let data: Option<Vec<u8>> =
            query.query_row(params![self.wrapper, level as i64, start], |row| row.get(0)).optional()?;
        data.map(|data| decode(level, start, &data)).transpose()
    }

    fn all<T: Decode>(&self, level: Level) -> Result<Vec<(i64, T)>> {
        let mut query = self.connection.prepare_cached(
            "SELECT start, data FROM chunk WHERE wrapper = ?1 AND level = ?2 ORDER BY start",
        )?;
        let mut rows = query.query(params![self.wrapper, level as i64])?;
        let mut chunks = Vec::new();
        while let Some(row) = rows.next()? {
            let start = row.get(0)?;
            chunks.push((start, decode(level, start, row.get_ref(1)?.as_blob()?)?));
        }
        Ok(chunks)
    }

    fn write<T: Encode>(&self, level: Level, start: i64, chunk: &T) -> Result<()> {
        self.connection
            .prepare_cached(
                "INSERT OR REPLACE INTO chunk (wrapper, level, start, data) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![self.wrapper, level as i64, start, to_bytes(chunk)])?;
        Ok(())
    }

    fn merge(&self, level: Level, new: &BTreeMap<i64, SeriesChunk>) -> Result<()> {
        for (start, chunk) in new {
            let Some(mut sum) = self.read::<SeriesChunk>(level, *start)? else {
                self.write(level, *start, chunk)?;
                continue;
            };
            for ((time, name), bucket) in &chunk.buckets {
                sum.add(*time, name, bucket);
            }
            self.write(level, *start, &sum)?;
        }
        Ok(())
    }

    /// The name under which each series of a roll-up is kept: its own, or [`OTHER`] beyond the limit.
    fn series(&self, rollup: &WrapperRollup, limits: &Limits) -> Result<Vec<SeriesName>> {
        let find = "SELECT 1 FROM series WHERE wrapper = ?1 AND operation_type = ?2 AND model = ?3";
        let mut known = self.connection.prepare_cached(find)?;
        let mut insert = self
            .connection
            .prepare_cached("INSERT INTO series (wrapper, operation_type, model) VALUES (?1, ?2, ?3)")?;
        let mut count: usize = self.connection.query_row(
            "SELECT count(*) FROM series WHERE wrapper = ?1",
            [self.wrapper],
            |row| row.get::<_, i64>(0).map(|count| count as usize),
        )?;
        let mut names = Vec::with_capacity(rollup.series.len());
        for name in &rollup.series {
            let row = params![self.wrapper, name.operation_type, name.model];
            let is_known = known.exists(row)?;
            if !is_known && count >= limits.series {
                names.push(SeriesName { operation_type: OTHER.to_owned(), model: OTHER.to_owned() });
                continue;
            }
            if !is_known {
                insert.execute(row)?;
                count += 1;
            }
            names.push(name.clone());
        }
        Ok(names)
    }
}

fn decode<T: Decode>(level: Level, start: i64, data: &[u8]) -> Result<T> {
    from_bytes(data).with_context(|| format!("chunk {start} of {level:?} is damaged"))
}
