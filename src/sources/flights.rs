//! Operations that have begun and not ended, matched in the order of the records.

use rustc_hash::FxHashMap;

use crate::model::operation::Started;
use crate::model::rollup::InFlight;
use crate::sources::words;

/// Most operations remembered as in flight; of more, the newest.
const LIMIT: usize = 10_000;

/// What began this long ago will not end any more.
const LONGEST_MS: i64 = 24 * 60 * 60 * 1000;

/// What the records of a block say of beginnings and ends.
#[derive(Debug, Default)]
pub struct Events {
    /// Each with the number of ends before it.
    starts: Vec<(usize, InFlight)>,
    /// Keys.
    ends: Vec<u64>,
}

impl Events {
    pub fn start(&mut self, started: Started) {
        let Started { id, wrapper, operation_type, model, start_ms } = started;
        let id = id.unwrap_or_default();
        let in_flight = InFlight {
            key: key(&wrapper, &id),
            wrapper: wrapper.into_owned(),
            id: id.into_owned(),
            operation_type: operation_type.into_owned(),
            model: model.into_owned(),
            start_ms,
        };
        self.starts.push((self.ends.len(), in_flight));
    }

    pub fn end(&mut self, wrapper: &str, id: &str) {
        self.ends.push(key(wrapper, id));
    }
}

/// The operations in flight, by key.
#[derive(Debug, Default)]
pub struct Flights {
    by_key: FxHashMap<u64, InFlight>,
}

impl Flights {
    pub fn new(known: &[InFlight]) -> Flights {
        Flights { by_key: known.iter().map(|in_flight| (in_flight.key, in_flight.clone())).collect() }
    }

    /// Takes what comes next in the order of records.
    pub fn apply(&mut self, events: Events) {
        let Events { starts, ends } = events;
        let mut ended = 0;
        for (before, in_flight) in starts {
            self.land(&ends[ended..before]);
            ended = before;
            self.by_key.insert(in_flight.key, in_flight);
            if self.by_key.len() > 2 * LIMIT {
                self.trim();
            }
        }
        self.land(&ends[ended..]);
    }

    fn land(&mut self, keys: &[u64]) {
        if !self.by_key.is_empty() {
            keys.iter().for_each(|key| drop(self.by_key.remove(key)));
        }
    }

    fn trim(&mut self) {
        let mut newest: Vec<(i64, u64)> =
            self.by_key.values().map(|in_flight| (in_flight.start_ms, in_flight.key)).collect();
        newest.sort_unstable_by(|a, b| b.cmp(a));
        newest.iter().skip(LIMIT).for_each(|(_, key)| drop(self.by_key.remove(key)));
    }

    /// What is in flight at a moment, by wrapper, the oldest first.
    pub fn at(mut self, now_ms: i64) -> Vec<InFlight> {
        self.by_key.retain(|_, in_flight| now_ms.saturating_sub(in_flight.start_ms) <= LONGEST_MS);
        self.trim();
        let mut list: Vec<InFlight> = self.by_key.into_values().collect();
        list.sort_by(|a, b| (&a.wrapper, a.start_ms, a.key).cmp(&(&b.wrapper, b.start_ms, b.key)));
        list
    }
}

/// Names an operation across files and builds: the list of those in flight is stored, so this never changes.
fn key(wrapper: &str, id: &str) -> u64 {
    [wrapper, id].into_iter().fold(0x9e37_79b9_7f4a_7c15, |hash, text| {
        words::fold(text.as_bytes(), mixed(hash, text.len() as u64), mixed)
    })
}

fn mixed(hash: u64, word: u64) -> u64 {
    let product = u128::from(hash ^ word) * 0xa076_1d64_78bd_642f;
    (product >> 64) as u64 ^ product as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started(id: &str, start_ms: i64) -> Started<'_> {
        Started {
            id: Some(id.into()),
            wrapper: "w".into(),
            operation_type: "default".into(),
            model: "".into(),
            start_ms,
        }
    }

    fn ids(flights: Flights, now_ms: i64) -> Vec<String> {
        flights.at(now_ms).into_iter().map(|in_flight| in_flight.id).collect()
    }

    #[test]
    fn an_end_lands_what_began_before_it() {
        let mut events = Events::default();
        events.end("w", "later");
        events.start(started("a", 1));
        events.start(started("later", 2));
        events.start(started("b", 3));
        events.end("w", "a");
        events.end("other", "b");
        let mut flights = Flights::default();
        flights.apply(events);
        assert_eq!(ids(flights, 10), ["later", "b"]);
    }

    #[test]
    fn what_is_stored_goes_on() {
        let mut events = Events::default();
        events.start(started("a", 1));
        events.start(started("b", 2));
        let mut flights = Flights::default();
        flights.apply(events);
        let mut later = Flights::new(&flights.at(5));
        let mut events = Events::default();
        events.end("w", "a");
        later.apply(events);
        assert_eq!(ids(later, 5), ["b"]);
    }

    #[test]
    fn the_old_and_the_many_are_given_up() {
        let mut events = Events::default();
        for at in 0..LIMIT as i64 * 3 {
            events.start(started(&at.to_string(), at));
        }
        let mut flights = Flights::default();
        flights.apply(events);
        assert_eq!(flights.at(0).first().map(|f| f.start_ms), Some(LIMIT as i64 * 2));

        let mut events = Events::default();
        events.start(started("old", 0));
        events.start(started("new", 1));
        let mut flights = Flights::default();
        flights.apply(events);
        assert_eq!(ids(flights, LONGEST_MS + 1), ["new"]);
    }

    #[test]
    fn keys_are_the_stored_ones() {
        assert_eq!(key("RouteLLM", "op-1"), key("RouteLLM", "op-1"));
        assert_ne!(key("a", "bc"), key("ab", "c"));
        assert_ne!(key("a", ""), key("", "a"));
    }
}
