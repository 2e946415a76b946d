//! Buckets in chunks: one row holds all buckets of one wrapper in one stretch of time.
//!
//! | level | buckets | a chunk is |
//! | --- | --- | --- |
//! | minutes | minute | a quarter of a day |
//! | hours | hour | a day |
//! | series hours | hour × operation type × model | a quarter of a day |
//! | series days | day × operation type × model | a day |
//! | notes | – | a day |

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use rusqlite::{Connection, Transaction, params};

use crate::model::bucket::Bucket;
use crate::model::codec::{Decode, Encode, StoredSketch, append, from_bytes, is_whole, to_bytes, value_of};
use crate::model::history::History;
use crate::model::notes::Notes;
use crate::model::rollup::{Retention, SeriesName, WrapperRollup};
use crate::model::tens::Summing;
use crate::store::damage::Damaged;

/// Minutes in a chunk. A chunk is written anew for one operation, so the more buckets lie in a stretch of time, the
/// shorter it is; but with many wrappers, most of the time goes into finding rows.
const CHUNK_MINUTES: i64 = 6 * 60;
/// Hours in a chunk.
const CHUNK_HOURS: i64 = 24;
/// Hours by series in a chunk.
const CHUNK_SERIES_HOURS: i64 = 6;
/// Days by series in a chunk.
const CHUNK_SERIES_DAYS: i64 = 1;

/// No chunk of any length lies here: what a span without a level asks for.
const END_OF_TIME: i64 = i64::MAX / CHUNK_MINUTES;

const GET: &str = "SELECT data FROM chunk WHERE key = ?1";

/// An empty list, and one without names before it, as they are stored.
const NO_ENTRIES: [u8; 1] = [0];
const NO_SERIES: [u8; 2] = [0, 0];

/// The bits of a row's key: those of the start, then of the level, then of the wrapper.
const START_BITS: u32 = 32;
const LEVEL_BITS: u32 = 3;

/// Where a chunk lies in the table: chunks of a level lie beside each other, in the order of time.
fn key(wrapper: i64, level: Level, start: i64) -> i64 {
    let farthest = 1 << (START_BITS - 1);
    let start = start.clamp(-farthest, farthest - 1) + farthest;
    (wrapper << LEVEL_BITS | level as i64) << START_BITS | start
}

/// The start of the chunk that lies there.
fn start_of(key: i64) -> i64 {
    (key & ((1 << START_BITS) - 1)) - (1 << (START_BITS - 1))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Minutes = 0,
    Hours = 1,
    SeriesHours = 2,
    SeriesDays = 3,
    Notes = 4,
}

/// A list of (key, bucket) in rising order, as it is stored.
#[derive(Default)]
struct Entries {
    count: u64,
    bytes: Vec<u8>,
}

impl Entries {
    /// What is stored, with more added to it. What nothing is added to is copied as it is. `None` where the stored list
    /// is damaged.
    fn merged<K: Ord + Encode + Decode>(
        stored: &mut &[u8],
        new: BTreeMap<K, Vec<&Bucket>>,
    ) -> Option<Entries> {
        let mut merged = Entries { count: 0, bytes: Vec::with_capacity(stored.len()) };
        let mut new = new.into_iter().peekable();
        for _ in 0..u64::decode(stored)? {
            let entry = *stored;
            let key = K::decode(stored)?;
            let (bucket, latency) = Bucket::decode_apart(stored)?;
            while let Some((key, buckets)) = new.next_if(|(new, _)| *new < key) {
                merged.put(&key, &buckets);
            }
            match new.next_if(|(new, _)| *new == key) {
                Some((_, mut buckets)) => {
                    let bucket = Bucket { latency: latency.sketch(), ..bucket };
                    buckets.push(&bucket);
                    merged.put(&key, &buckets);
                }
                None => {
                    merged.count += 1;
                    merged.bytes.extend_from_slice(&entry[..entry.len() - stored.len()]);
                }
            }
        }
        new.for_each(|(key, buckets)| merged.put(&key, &buckets));
        stored.is_empty().then_some(merged)
    }

    /// Appends the sum of buckets.
    fn put(&mut self, key: &impl Encode, buckets: &[&Bucket]) {
        self.count += 1;
        key.encode(&mut self.bytes);
        match buckets {
            [only] => only.encode(&mut self.bytes),
            several => Bucket::sum(several.iter().copied()).encode(&mut self.bytes),
        }
    }
}

impl Encode for Entries {
    fn encode(&self, out: &mut Vec<u8>) {
        self.count.encode(out);
        out.extend_from_slice(&self.bytes);
    }
}

/// Names of series, and (time, (place of the name, bucket)).
#[derive(Debug, Default)]
struct BySeries<B> {
    names: Vec<SeriesName>,
    buckets: Vec<(i64, (u64, B))>,
}

impl<B: Into<Bucket>> BySeries<B> {
    /// Appends the buckets to the levels of their series.
    fn add_to(self, levels: &mut BTreeMap<SeriesName, Vec<(i64, Bucket)>>) {
        for (time, (series, bucket)) in self.buckets {
            let name = &self.names[series as usize];
            match levels.get_mut(name) {
                Some(level) => level.push((time, bucket.into())),
                None => drop(levels.insert(name.clone(), vec![(time, bucket.into())])),
            }
        }
    }
}

impl<B: Decode> Decode for BySeries<B> {
    fn decode(input: &mut &[u8]) -> Option<Self> {
        let names = Vec::decode(input)?;
        let buckets: Vec<(i64, (u64, B))> = Vec::decode(input)?;
        let known = names.len() as u64;
        buckets.iter().all(|(_, (series, _))| *series < known).then_some(())?;
        Some(BySeries { names, buckets })
    }
}

/// A bucket of which only the counters are loaded.
struct Counters(Bucket);

impl Decode for Counters {
    fn decode(input: &mut &[u8]) -> Option<Self> {
        Bucket::decode_apart(input).map(|(bucket, _)| Counters(bucket))
    }
}

impl From<Counters> for Bucket {
    fn from(Counters(bucket): Counters) -> Bucket {
        bucket
    }
}

/// How far back a history is loaded: what pages and the API can ask for, so that a build costs the same
/// after a year as after a month.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub first_minute: i64,
    /// Minutes, `from..to`, that are loaded as sums of ten, and one by one without latency; both are multiples of
    /// ten.
    pub tens: (i64, i64),
    pub first_hour: i64,
    /// Hours before these that are loaded too, `from..to`; none where both are the same.
    pub older_hours: (i64, i64),
    /// Of hours by series.
    pub first_series_hour: i64,
    pub first_series_day: i64,
    pub first_note_day: i64,
}

impl Span {
    /// As good as none of it.
    pub const NOTHING: Span = Span {
        first_minute: i64::MAX,
        tens: (0, 0),
        first_hour: i64::MAX,
        older_hours: (0, 0),
        first_series_hour: i64::MAX,
        first_series_day: i64::MAX,
        first_note_day: i64::MAX,
    };
}

/// A row of the table.
#[derive(Debug)]
pub struct Chunk {
    level: Level,
    start: i64,
    data: Vec<u8>,
}

/// What of a roll-up is merged by itself, so that there is work for all cores with few wrappers too.
#[derive(Clone, Copy, Debug)]
pub enum Part {
    Minutes,
    Hours,
    /// Hours and days by series.
    Series,
    Notes,
}

impl Part {
    pub const ALL: [Part; 4] = [Part::Minutes, Part::Series, Part::Hours, Part::Notes];
}

/// The chunks that a part of a roll-up touches, as they are with it.
pub fn merged(
    connection: &Connection,
    wrapper: i64,
    rollup: &WrapperRollup,
    part: Part,
) -> Result<Vec<Chunk>> {
    let chunks = Chunks { connection, wrapper };
    match part {
        Part::Minutes => {
            let minutes = rollup.minutes.iter().map(|(at, bucket)| (*at, bucket));
            chunks.merged_plain(Level::Minutes, CHUNK_MINUTES, minutes)
        }
        Part::Hours => {
            let hours = rollup.hours.iter().map(|((at, _), bucket)| (*at, bucket));
            chunks.merged_plain(Level::Hours, CHUNK_HOURS, hours)
        }
        Part::Series => {
            let name = |series: u32| &rollup.series[series as usize];
            let hours = rollup.hours.iter().map(|((hour, series), bucket)| (*hour, name(*series), bucket));
            let days = hours.clone().map(|(hour, name, bucket)| (hour.div_euclid(24), name, bucket));
            let mut merged = chunks.merged_series(Level::SeriesHours, CHUNK_SERIES_HOURS, hours)?;
            merged.extend(chunks.merged_series(Level::SeriesDays, CHUNK_SERIES_DAYS, days)?);
            Ok(merged)
        }
        Part::Notes => rollup.notes.iter().map(|(day, new)| chunks.merged_notes(*day, new)).collect(),
    }
}

/// Puts chunks in the place of those of the same stretches of time.
pub fn write(transaction: &Transaction, wrapper: i64, chunks: &[Chunk]) -> Result<()> {
    let mut write = transaction.prepare_cached("INSERT OR REPLACE INTO chunk (key, data) VALUES (?1, ?2)")?;
    for Chunk { level, start, data } in chunks {
        write.execute(params![key(wrapper, *level, *start), data])?;
    }
    Ok(())
}

/// Loads what is kept of a wrapper in a span.
pub fn load(connection: &Connection, wrapper: i64, span: &Span, history: &mut History) -> Result<()> {
    load_minutes(connection, wrapper, span, history)?;
    load_rest(connection, wrapper, span, history)
}

/// Loads the minutes of a wrapper in a span.
pub fn load_minutes(connection: &Connection, wrapper: i64, span: &Span, history: &mut History) -> Result<()> {
    // Sums of ten are made while their minutes are read: most of what a minute takes is its latency.
    let mut tens = Summing::of(span.tens);
    let chunks = Chunks { connection, wrapper };
    chunks.each_since(Level::Minutes, span.first_minute / CHUNK_MINUTES, |start, data| {
        let whole = each_bucket(data, |minute, bucket, latency| {
            if tens.covers(minute) {
                tens.add(minute, &bucket, latency.bins());
                history.minutes.push((minute, bucket));
            } else {
                history.minutes.push((minute, Bucket { latency: latency.sketch(), ..bucket }));
            }
        });
        whole.with_context(|| damaged(Level::Minutes, start))
    })?;
    history.tens = tens.finish();
    Ok(())
}

/// Loads all but the minutes; and the newest day of a wrapper that has no hours in the span.
pub fn load_rest(connection: &Connection, wrapper: i64, span: &Span, history: &mut History) -> Result<()> {
    let chunks = Chunks { connection, wrapper };
    let ((from, to), first_chunk) = (span.older_hours, span.first_hour / CHUNK_HOURS);
    for chunk in (from.div_euclid(CHUNK_HOURS)..(to + CHUNK_HOURS - 1).div_euclid(CHUNK_HOURS))
        .filter(|at| *at < first_chunk)
    {
        history.hours.extend(chunks.read::<Vec<(i64, Bucket)>>(Level::Hours, chunk)?.unwrap_or_default());
    }
    for (_, hours) in chunks.since::<Vec<(i64, Bucket)>>(Level::Hours, first_chunk)? {
        history.hours.extend(hours);
    }
    let first_chunk = span.first_series_hour / CHUNK_SERIES_HOURS;
    for (_, chunk) in chunks.since::<BySeries<Bucket>>(Level::SeriesHours, first_chunk)? {
        chunk.add_to(&mut history.series);
    }
    let first_chunk = span.first_series_day / CHUNK_SERIES_DAYS;
    for (_, chunk) in chunks.since::<BySeries<Counters>>(Level::SeriesDays, first_chunk)? {
        chunk.add_to(&mut history.series_days);
    }
    if history.hours.last().is_none_or(|(hour, _)| *hour < span.first_hour) {
        let newest = chunks.newest::<BySeries<Bucket>>(Level::SeriesDays)?.unwrap_or_default();
        for (day, (_, bucket)) in newest.buckets {
            match history.days.last_mut() {
                Some(last) if last.0 == day => last.1.merge(&bucket),
                _ => history.days.push((day, bucket)),
            }
        }
    }
    history.notes = chunks.since(Level::Notes, span.first_note_day)?;
    Ok(())
}

/// The minutes from `first` on, and what else is in their chunks, as they are stored: each chunk an encoded list of
/// (minute, bucket), put together by [`append`].
pub fn minutes(connection: &Connection, wrapper: i64, first: i64) -> Result<Vec<u8>> {
    let mut minutes = Vec::new();
    Chunks { connection, wrapper }.each_since(Level::Minutes, first / CHUNK_MINUTES, |start, data| {
        if !is_whole(data) {
            bail!(damaged(Level::Minutes, start));
        }
        append(&mut minutes, data);
        Ok(())
    })?;
    Ok(minutes)
}

/// Drops chunks that lie wholly before what is kept.
pub fn prune(transaction: &Transaction, retention: &Retention) -> Result<()> {
    let firsts = [
        (Level::Minutes, retention.first_minute.div_euclid(CHUNK_MINUTES)),
        (Level::Hours, retention.first_hour.div_euclid(CHUNK_HOURS)),
        (Level::SeriesHours, retention.first_hour.div_euclid(CHUNK_SERIES_HOURS)),
        (Level::Notes, retention.first_note_day),
    ];
    let wrappers: Vec<i64> = {
        let mut query = transaction.prepare_cached("SELECT id FROM wrapper")?;
        query.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?
    };
    let mut delete = transaction.prepare_cached("DELETE FROM chunk WHERE key >= ?1 AND key < ?2")?;
    for wrapper in wrappers {
        for (level, first) in firsts {
            delete.execute([key(wrapper, level, i64::MIN), key(wrapper, level, first)])?;
        }
    }
    Ok(())
}

/// The chunks of one wrapper.
struct Chunks<'a> {
    connection: &'a Connection,
    wrapper: i64,
}

impl Chunks<'_> {
    fn read<T: Decode>(&self, level: Level, start: i64) -> Result<Option<T>> {
        let mut query = self.connection.prepare_cached(GET)?;
        let mut rows = query.query([key(self.wrapper, level, start)])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        decode(level, start, row.get_ref(0)?.as_blob()?).map(Some)
    }

    fn newest<T: Decode>(&self, level: Level) -> Result<Option<T>> {
        let mut query = self.connection.prepare_cached(
            "SELECT key, data FROM chunk WHERE key BETWEEN ?1 AND ?2 ORDER BY key DESC LIMIT 1",
        )?;
        let mut rows = query.query(self.keys(level, i64::MIN))?;
        let Some(row) = rows.next()? else { return Ok(None) };
        decode(level, start_of(row.get(0)?), row.get_ref(1)?.as_blob()?).map(Some)
    }

    /// The chunks from `first` on, in rising order.
    fn since<T: Decode>(&self, level: Level, first: i64) -> Result<Vec<(i64, T)>> {
        let mut chunks = Vec::new();
        self.each_since(level, first, |start, data| {
            chunks.push((start, decode(level, start, data)?));
            Ok(())
        })?;
        Ok(chunks)
    }

    /// As [`Chunks::since`], as they are stored.
    fn each_since(
        &self,
        level: Level,
        first: i64,
        mut take: impl FnMut(i64, &[u8]) -> Result<()>,
    ) -> Result<()> {
        // With many wrappers, to ask for what cannot be there takes as long as to read what is.
        if first >= END_OF_TIME {
            return Ok(());
        }
        let mut query = self
            .connection
            .prepare_cached("SELECT key, data FROM chunk WHERE key BETWEEN ?1 AND ?2 ORDER BY key")?;
        let mut rows = query.query(self.keys(level, first))?;
        while let Some(row) = rows.next()? {
            take(start_of(row.get(0)?), row.get_ref(1)?.as_blob()?)?;
        }
        Ok(())
    }

    /// Of chunks from `first` on, the first and the last.
    fn keys(&self, level: Level, first: i64) -> [i64; 2] {
        [first, i64::MAX].map(|start| key(self.wrapper, level, start))
    }

    fn merged_notes(&self, day: i64, new: &Notes) -> Result<Chunk> {
        let mut notes: Notes = self.read(Level::Notes, day)?.unwrap_or_default();
        notes.merge(new);
        Ok(Chunk { level: Level::Notes, start: day, data: to_bytes(&notes) })
    }

    fn merged_plain<'b>(
        &self,
        level: Level,
        length: i64,
        new: impl Iterator<Item = (i64, &'b Bucket)>,
    ) -> Result<Vec<Chunk>> {
        let mut by_chunk: BTreeMap<i64, BTreeMap<i64, Vec<&Bucket>>> = BTreeMap::new();
        for (time, bucket) in new {
            let chunk = by_chunk.entry(time.div_euclid(length)).or_default();
            chunk.entry(time).or_default().push(bucket);
        }
        let merged = by_chunk.into_iter().map(|(start, new)| {
            self.changed(level, start, |stored| {
                let mut stored = stored.unwrap_or(&NO_ENTRIES);
                Some(to_bytes(&Entries::merged(&mut stored, new)?))
            })
        });
        merged.collect()
    }

    fn merged_series<'b>(
        &self,
        level: Level,
        length: i64,
        new: impl Iterator<Item = (i64, &'b SeriesName, &'b Bucket)>,
    ) -> Result<Vec<Chunk>> {
        // Sorted, so that a chunk's bytes do not depend on the order of a hash map.
        let mut by_chunk: BTreeMap<i64, BTreeMap<(i64, &SeriesName), Vec<&Bucket>>> = BTreeMap::new();
        for (time, name, bucket) in new {
            let chunk = by_chunk.entry(time.div_euclid(length)).or_default();
            chunk.entry((time, name)).or_default().push(bucket);
        }
        let merged = by_chunk.into_iter().map(|(start, new)| {
            self.changed(level, start, |stored| {
                let mut stored = stored.unwrap_or(&NO_SERIES);
                let mut names: Vec<SeriesName> = Vec::decode(&mut stored)?;
                let mut place = |name: &SeriesName| {
                    names.iter().position(|known| known == name).unwrap_or_else(|| {
                        names.push(name.clone());
                        names.len() - 1
                    })
                };
                let new = new.into_iter().map(|((time, name), new)| ((time, place(name) as u64), new));
                let entries = Entries::merged(&mut stored, new.collect())?;
                Some(to_bytes(&(names, entries)))
            })
        });
        merged.collect()
    }

    /// A chunk as it is after a change, which is given what it holds now, if it is there, still encoded.
    fn changed(
        &self,
        level: Level,
        start: i64,
        change: impl FnOnce(Option<&[u8]>) -> Option<Vec<u8>>,
    ) -> Result<Chunk> {
        let mut query = self.connection.prepare_cached(GET)?;
        let mut rows = query.query([key(self.wrapper, level, start)])?;
        let changed = match rows.next()? {
            Some(row) => value_of(row.get_ref(0)?.as_blob()?).and_then(|stored| change(Some(stored))),
            None => change(None),
        };
        Ok(Chunk { level, start, data: changed.with_context(|| damaged(level, start))? })
    }
}

/// The buckets of a plain chunk, their latency as it is stored; `None` where the chunk is damaged.
fn each_bucket(data: &[u8], mut take: impl FnMut(i64, Bucket, StoredSketch)) -> Option<()> {
    let mut input = value_of(data)?;
    for _ in 0..u64::decode(&mut input)? {
        let time = i64::decode(&mut input)?;
        let (bucket, latency) = Bucket::decode_apart(&mut input)?;
        take(time, bucket, latency);
    }
    input.is_empty().then_some(())
}

fn decode<T: Decode>(level: Level, start: i64, data: &[u8]) -> Result<T> {
    from_bytes(data).with_context(|| damaged(level, start))
}

fn damaged(level: Level, start: i64) -> Damaged {
    Damaged(format!("chunk {start} of {level:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bucket(count: u64) -> Bucket {
        let mut bucket = Bucket { success: count, ..Bucket::default() };
        bucket.latency.add(count as i16);
        bucket
    }

    proptest! {
        #[test]
        fn keys_are_in_the_order_of_time_and_apart_by_level(
            wrapper in 1i64..1 << 27,
            (one, other) in (-3_000_000i64..3_000_000, -3_000_000i64..3_000_000),
        ) {
            let at = |start| key(wrapper, Level::Hours, start);
            prop_assert_eq!(at(one).cmp(&at(other)), one.cmp(&other));
            prop_assert_eq!(start_of(at(one)), one);
            prop_assert!(key(wrapper, Level::Minutes, i64::MAX) < at(one) && at(one) < key(wrapper, Level::SeriesHours, i64::MIN));
            prop_assert!(key(wrapper, Level::Notes, i64::MAX) < key(wrapper + 1, Level::Minutes, i64::MIN));
        }

        #[test]
        fn a_chunk_is_added_to_as_if_it_were_made_of_all(
            stored in prop::collection::btree_map(-9i64..9, 1u64..200, 0..9),
            new in prop::collection::btree_map(-9i64..9, prop::collection::vec(1u64..200, 1..3), 0..9),
            cut in any::<prop::sample::Index>(),
        ) {
            let all = |lists: &BTreeMap<i64, Vec<u64>>| {
                let lists = lists.iter().map(|(at, list)| {
                    let buckets: Vec<_> = list.iter().map(|count| bucket(*count)).collect();
                    (*at, Bucket::sum(buckets.iter()))
                });
                to_bytes(&lists.collect::<Vec<_>>())
            };
            let mut both = new.clone();
            stored.iter().for_each(|(at, count)| both.entry(*at).or_default().push(*count));
            let stored = all(&stored.into_iter().map(|(at, count)| (at, vec![count])).collect());
            let stored = value_of(&stored).expect("just made");
            let buckets: BTreeMap<i64, Vec<Bucket>> =
                new.into_iter().map(|(at, list)| (at, list.into_iter().map(bucket).collect())).collect();
            let new = || buckets.iter().map(|(at, list)| (*at, list.iter().collect())).collect();
            let merged = Entries::merged::<i64>(&mut &*stored, new()).expect("it is whole");
            prop_assert_eq!(to_bytes(&merged), all(&both));
            let part = &stored[..cut.index(stored.len())];
            prop_assert!(Entries::merged::<i64>(&mut &*part, new()).is_none());
            prop_assert!(Entries::merged::<i64>(&mut &*[stored, &[0]].concat(), new()).is_none());
        }
    }
}
