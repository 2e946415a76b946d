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
    /// Those that no end of the block follows, each with the number of ends before it.
    starts: Vec<(usize, InFlight)>,
    /// Keys.
    ends: Vec<u64>,
}

/// The events of a block while it is read. Most of what begins in a block ends in it, so it is not made an
/// [`InFlight`] before that is known.
#[derive(Debug, Default)]
pub struct Observed {
    begun: Vec<Begun>,
    /// The texts of all that has begun, one after the other.
    texts: String,
    ends: Vec<u64>,
    /// Key → its last beginning; empty between blocks.
    last: FxHashMap<u64, usize>,
}

#[derive(Debug)]
struct Begun {
    key: u64,
    start_ms: i64,
    /// Where its wrapper, id, type and model end.
    text_ends: [usize; 4],
    ends_before: usize,
    ended: bool,
}

impl Observed {
    pub fn start(&mut self, started: &Started) {
        let Started { id, wrapper, operation_type, model, start_ms } = started;
        let id = id.as_deref().unwrap_or_default();
        let text_ends = [wrapper, id, operation_type, model].map(|text| {
            self.texts.push_str(text);
            self.texts.len()
        });
        let (key, ends_before) = (key(wrapper, id), self.ends.len());
        self.begun.push(Begun { key, start_ms: *start_ms, text_ends, ends_before, ended: false });
    }

    pub fn end(&mut self, wrapper: &str, id: &str) {
        self.ends.push(key(wrapper, id));
    }

    /// What was observed since the last time.
    pub fn take(&mut self) -> Events {
        let ends = std::mem::take(&mut self.ends);
        self.ends.reserve(ends.len());
        self.last.extend(self.begun.iter().enumerate().map(|(at, begun)| (begun.key, at)));
        if !self.last.is_empty() {
            for (at, key) in ends.iter().enumerate() {
                let begun = self.last.get(key).map(|&last| &mut self.begun[last]);
                if let Some(begun) = begun.filter(|begun| begun.ends_before <= at) {
                    begun.ended = true;
                }
            }
        }
        let mut start = 0;
        let mut starts = Vec::new();
        for begun in self.begun.drain(..) {
            let mut text = |at: usize| {
                let text = &self.texts[start..begun.text_ends[at]];
                start = begun.text_ends[at];
                text
            };
            let [wrapper, id, operation_type, model] = [0, 1, 2, 3].map(&mut text);
            if !begun.ended {
                let in_flight = InFlight {
                    key: begun.key,
                    wrapper: wrapper.to_owned(),
                    id: id.to_owned(),
                    operation_type: operation_type.to_owned(),
                    model: model.to_owned(),
                    start_ms: begun.start_ms,
                };
                starts.push((begun.ends_before, in_flight));
            }
        }
        self.texts.clear();
        self.last.clear();
        Events { starts, ends }
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
    use proptest::prelude::*;

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
        let mut events = Observed::default();
        events.end("w", "later");
        events.start(&started("a", 1));
        events.start(&started("later", 2));
        events.start(&started("b", 3));
        events.end("w", "a");
        events.end("other", "b");
        let mut flights = Flights::default();
        flights.apply(events.take());
        assert_eq!(ids(flights, 10), ["later", "b"]);
    }

    #[test]
    fn what_is_stored_goes_on() {
        let mut events = Observed::default();
        events.start(&started("a", 1));
        events.start(&started("b", 2));
        let mut flights = Flights::default();
        flights.apply(events.take());
        let mut later = Flights::new(&flights.at(5));
        let mut events = Observed::default();
        events.end("w", "a");
        later.apply(events.take());
        assert_eq!(ids(later, 5), ["b"]);
    }

    #[test]
    fn the_old_and_the_many_are_given_up() {
        let mut events = Observed::default();
        for at in 0..LIMIT as i64 * 3 {
            events.start(&started(&at.to_string(), at));
        }
        let mut flights = Flights::default();
        flights.apply(events.take());
        assert_eq!(flights.at(0).first().map(|f| f.start_ms), Some(LIMIT as i64 * 2));

        let mut events = Observed::default();
        events.start(&started("old", 0));
        events.start(&started("new", 1));
        let mut flights = Flights::default();
        flights.apply(events.take());
        assert_eq!(ids(flights, LONGEST_MS + 1), ["new"]);
    }

    proptest! {
        #[test]
        fn blocks_do_not_change_what_is_in_flight(
            events in prop::collection::vec((any::<bool>(), 0u8..6), 0..40), block in 1usize..40,
        ) {
            let mut plain: Vec<(String, i64)> = Vec::new();
            let (mut flights, mut observed) = (Flights::default(), Observed::default());
            for (at, (starts, id)) in events.iter().enumerate() {
                plain.retain(|(known, _)| *known != id.to_string());
                if *starts {
                    plain.push((id.to_string(), at as i64));
                    observed.start(&started(&id.to_string(), at as i64));
                } else {
                    observed.end("w", &id.to_string());
                }
                if at % block == 0 {
                    flights.apply(observed.take());
                }
            }
            flights.apply(observed.take());
            let found: Vec<_> = flights.at(0).into_iter().map(|found| (found.id, found.start_ms)).collect();
            prop_assert_eq!(found, plain);
        }
    }

    #[test]
    fn keys_are_the_stored_ones() {
        assert_eq!(key("RouteLLM", "op-1"), key("RouteLLM", "op-1"));
        assert_ne!(key("a", "bc"), key("ab", "c"));
        assert_ne!(key("a", ""), key("", "a"));
    }
}
