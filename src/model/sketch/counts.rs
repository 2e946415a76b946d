//! The sum of sketches, with a place for every bin.

use wide::u32x16;

use crate::model::sketch::{Bins, HIGHEST_BIN, LONGEST_SHORT_STEP, LOWEST_BIN, Sketch, ZERO_BIN};
use crate::model::sketch::{form, in_short, push, shorter};

/// Places of [`Counts`]: that of zero, and those of [`LOWEST_BIN`] to [`HIGHEST_BIN`]. Zero lies so far below the others
/// that a distance in places is a short step only where that in bins is.
const PLACES: usize = (HIGHEST_PLACE + 1).next_multiple_of(LANES);
const LOWEST_PLACE: usize = (LOWEST_BIN - BELOW) as usize;
const HIGHEST_PLACE: usize = (HIGHEST_BIN - BELOW) as usize;
/// The bin that would be at the place of zero.
const BELOW: i16 = LOWEST_BIN - LONGEST_SHORT_STEP as i16 - 1;
/// Places that are looked at together.
const LANES: usize = 64;

/// A sketch in the making, with a place for every bin.
#[derive(Debug)]
pub struct Counts {
    places: [u32; PLACES],
    /// Of the places that may hold something; it ends before it begins where there are none.
    first: usize,
    end: usize,
    /// A sketch that is still to be added; empty where there is none.
    waiting: Vec<u8>,
    /// Of the sketch that was made last.
    bytes: Vec<u8>,
}

/// A sketch of which some is added.
struct Adding<'a> {
    rest: &'a [u8],
    /// Of the last bin that was.
    place: usize,
}

impl Adding<'_> {
    /// The next two bytes, where a bin of one of the two shorter forms begins with them.
    #[inline(always)]
    fn shorter(&self) -> Option<[u8; 2]> {
        match *self.rest {
            [first @ ..form::MANY, second, ..] => Some([first, second]),
            _ => None,
        }
    }
}

impl Default for Counts {
    fn default() -> Counts {
        Counts { places: [0; PLACES], first: PLACES, end: 0, waiting: Vec::new(), bytes: Vec::new() }
    }
}

impl Counts {
    /// Adds a sketch. Where a bin begins depends on the one before it, and to wait for that takes longer than to add
    /// it; so one sketch waits for the next, and both are added side by side.
    pub fn add(&mut self, Bins { rest, .. }: Bins) {
        if self.waiting.is_empty() {
            self.waiting.extend_from_slice(rest);
            return;
        }
        let mut waiting = std::mem::take(&mut self.waiting);
        self.add_both(&waiting, rest);
        waiting.clear();
        self.waiting = waiting;
    }

    fn add_both(&mut self, one: &[u8], other: &[u8]) {
        let (mut one, mut other) = (self.begin(one), self.begin(other));
        loop {
            while let (Some(a), Some(b)) = (one.shorter(), other.shorter()) {
                self.add_shorter(&mut one, a);
                self.add_shorter(&mut other, b);
            }
            let longer = if one.shorter().is_none() { &mut one } else { &mut other };
            if !self.add_longer(longer) {
                break;
            }
        }
        self.finish(one);
        self.finish(other);
    }

    /// Adds the first bin.
    fn begin<'a>(&mut self, bytes: &'a [u8]) -> Adding<'a> {
        let mut bins = Bins::of(bytes);
        let Some((bin, count)) = bins.next() else { return Adding { rest: &[], place: 0 } };
        self.add_bin(bin, count);
        Adding { rest: bins.rest, place: place_of(bin) }
    }

    #[inline(always)]
    fn add_shorter(&mut self, adding: &mut Adding, [first, second]: [u8; 2]) {
        let (step, count, length) = shorter(first, second);
        adding.rest = &adding.rest[length..];
        adding.place = (adding.place + step).min(HIGHEST_PLACE);
        self.places[adding.place] = self.places[adding.place].saturating_add(count);
    }

    /// Adds a bin of a longer form, or the last; `false` where there is none.
    fn add_longer(&mut self, adding: &mut Adding) -> bool {
        let bins = Bins { rest: adding.rest, bin: bin_at(adding.place), least: 1 };
        let Some((after, (bin, count))) = bins.next_long() else { return false };
        *adding = Adding { rest: after.rest, place: place_of(bin) };
        self.places[adding.place] = self.places[adding.place].saturating_add(count);
        true
    }

    /// Adds all that is left.
    fn finish(&mut self, mut adding: Adding) {
        loop {
            while let Some(bytes) = adding.shorter() {
                self.add_shorter(&mut adding, bytes);
            }
            if !self.add_longer(&mut adding) {
                break;
            }
        }
        self.end = self.end.max(adding.place + 1);
    }

    /// Adds that many values of a bin.
    pub fn add_bin(&mut self, bin: i16, count: u32) {
        let place = place_of(bin);
        self.places[place] = self.places[place].saturating_add(count);
        (self.first, self.end) = (self.first.min(place), self.end.max(place + 1));
    }

    /// The sum of what was added; begins anew.
    pub fn take(&mut self) -> Sketch {
        if !self.waiting.is_empty() {
            let mut waiting = std::mem::take(&mut self.waiting);
            let last = self.begin(&waiting);
            self.finish(last);
            waiting.clear();
            self.waiting = waiting;
        }
        if self.first == 0 {
            // Between zero and the lowest bin lies what no value has: a sketch of other bytes was added.
            let low = self.places[..LOWEST_PLACE].iter().fold(0u32, |sum, &count| sum.saturating_add(count));
            self.places[..LOWEST_PLACE].fill(0);
            self.places[0] = low;
        }
        let groups = self.first.min(self.end) / LANES..self.end.div_ceil(LANES);
        (self.first, self.end) = (PLACES, 0);
        // Made elsewhere first: memory that is cut off later would leave holes.
        let mut bytes = std::mem::take(&mut self.bytes);
        let (mut before, mut all, mut end) = (place_of(0), 0, 0);
        for group in groups {
            let places = &mut self.places[group * LANES..][..LANES];
            let mut some = some(places);
            let room = end + 2 * LANES;
            if bytes.len() < room {
                bytes.resize(room, 0);
            }
            while some > 0 {
                let lane = some.trailing_zeros() as usize % LANES;
                some &= some - 1;
                let (place, count) = (group * LANES + lane, places[lane]);
                all += u64::from(count);
                if let Some((form, length)) = in_short(place.wrapping_sub(before), count) {
                    bytes[end..end + 2].copy_from_slice(&form);
                    end += length;
                } else {
                    bytes.truncate(end);
                    push(&mut bytes, &mut bin_at(before), (bin_at(place), count));
                    end = bytes.len();
                    bytes.resize(end + 2 * LANES, 0);
                }
                before = place;
            }
            places.fill(0);
        }
        let sketch = Sketch { count: all, bytes: bytes[..end].into() };
        self.bytes = bytes;
        sketch
    }
}

/// A bit for each place that holds something.
#[inline(always)]
fn some(places: &[u32]) -> u64 {
    let lanes = places.as_chunks::<16>().0.iter().rev();
    lanes.fold(0, |some, lanes| {
        let none = u32x16::new(*lanes).simd_eq(u32x16::ZERO).to_bitmask() & 0xffff;
        some << 16 | u64::from(!none & 0xffff)
    })
}

fn bin_at(place: usize) -> i16 {
    if place == 0 { ZERO_BIN } else { BELOW + place as i16 }
}

/// Bins that no value has are taken for those at the ends.
fn place_of(bin: i16) -> usize {
    if bin < LOWEST_BIN { 0 } else { usize::from(bin.min(HIGHEST_BIN).abs_diff(BELOW)) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_damaged_sketch_leaves_others_as_they_are() {
        let mut damaged = Vec::new();
        push(&mut damaged, &mut 0, (ZERO_BIN, 1));
        damaged.extend([0; 2]);
        let mut counts = Counts::default();
        counts.add(Bins::of(&damaged));
        let mut whole = Vec::new();
        push(&mut whole, &mut 0, (5, 3));
        counts.add(Bins::of(&whole));
        assert_eq!(counts.take().bins().collect::<Vec<_>>(), [(ZERO_BIN, 3), (5, 3)]);
        // And it begins anew.
        counts.add(Bins::of(&whole));
        assert_eq!(counts.take().as_bytes(), whole);
    }

    proptest! {
        #[test]
        fn a_sum_holds_the_bins_of_all(
            sketches in prop::collection::vec(
                prop::collection::btree_map(
                    prop_oneof![Just(ZERO_BIN), LOWEST_BIN..LOWEST_BIN + 70, -20i16..60, LOWEST_BIN..=HIGHEST_BIN],
                    prop_oneof![1u32..40, 200u32..300, 1..=u32::MAX],
                    0..80,
                ),
                0..6,
            ),
        ) {
            let (mut all, mut counts) = (BTreeMap::<i16, u32>::new(), Counts::default());
            for bins in sketches {
                let (mut bytes, mut before) = (Vec::new(), 0);
                for (bin, count) in bins {
                    push(&mut bytes, &mut before, (bin, count));
                    let sum = all.entry(bin).or_default();
                    *sum = sum.saturating_add(count);
                }
                counts.add(Bins::of(&bytes));
            }
            let sum = counts.take();
            prop_assert_eq!(sum.count(), all.values().map(|&count| u64::from(count)).sum::<u64>());
            let (mut bytes, mut before) = (Vec::new(), 0);
            all.into_iter().for_each(|bin| push(&mut bytes, &mut before, bin));
            prop_assert_eq!(sum.as_bytes(), bytes);
            prop_assert!(counts.take().is_empty());
        }
    }
}
