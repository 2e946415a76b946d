//! A mergeable latency sketch with a promise: every percentile is within 1 % of the true one.
//!
//! Logarithmic bins after DDSketch (Masson, Rim, Lee: "DDSketch: A fast and fully-mergeable quantile
//! sketch with relative-error guarantees", VLDB 2019), without its collapsing of bins: the range of
//! latencies is bounded, so the number of bins is too.

mod counts;

use crate::model::codec::{Decode, Encode};

pub use counts::Counts;

/// The promise: |estimate − truth| ≤ `RELATIVE_ERROR` × truth.
pub const RELATIVE_ERROR: f64 = 0.01;

/// γ = (1 + α) / (1 − α). Bin `i` holds the values in (γ^(i−1), γ^i].
const GAMMA: f64 = (1.0 + RELATIVE_ERROR) / (1.0 - RELATIVE_ERROR);

/// 1 / ln γ.
const PER_LN_GAMMA: f64 = 49.99833328888678;

/// Values below this many milliseconds (one nanosecond) are zero.
const SMALLEST_MS: f64 = 1e-6;

/// Values above this many milliseconds (about 31 years) land in the last bin.
const LARGEST_MS: f64 = 1e12;

/// The bin of a value in milliseconds; [`ZERO_BIN`] for zero.
///
/// Any SQL engine can compute the same with `ceil(ln(x) / ln(γ))`, which is how a cluster hands back bins.
pub fn bin_of(ms: f64) -> i16 {
    if ms.is_nan() || ms < SMALLEST_MS {
        return ZERO_BIN;
    }
    (ms.min(LARGEST_MS).ln() * PER_LN_GAMMA).ceil() as i16
}

/// The bin that stands for zero: below every bin that a value can have.
pub const ZERO_BIN: i16 = i16::MIN;

/// The value in milliseconds that a bin stands for: the point with the same relative distance to both ends.
pub fn value_of(bin: i16) -> f64 {
    if bin == ZERO_BIN {
        return 0.0;
    }
    2.0 * (f64::from(bin) / PER_LN_GAMMA).exp() / (GAMMA + 1.0)
}

/// The bins of all values but zero: those of [`SMALLEST_MS`] to [`LARGEST_MS`].
const LOWEST_BIN: i16 = -690;
const HIGHEST_BIN: i16 = 1382;

/// Counts by logarithmic bin, as they are stored: bins in rising order, each as its distance from the one before it
/// and its count (see `form`). A bin takes a byte or two, and to load a sketch is to copy it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sketch {
    count: u64,
    bytes: Box<[u8]>,
}

impl Sketch {
    /// What [`Sketch::count`] and [`Sketch::as_bytes`] gave. Bytes that they did not give make a sketch that says
    /// nothing of use, and does no harm.
    pub fn stored(count: u64, bytes: &[u8]) -> Sketch {
        Sketch { count, bytes: bytes.into() }
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Bins in rising order, and how many values are in each.
    pub fn bins(&self) -> Bins<'_> {
        Bins::of(&self.bytes)
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    pub fn add(&mut self, bin: i16) {
        self.add_all(&mut [bin]);
    }

    /// Adds many bins at once, and may change their order.
    pub fn add_all(&mut self, bins: &mut [i16]) {
        // To sort few costs less than to go through all places that bins can have.
        if bins.len() >= 32 {
            let mut counts = Counts::default();
            counts.add(self.bins());
            bins.iter().for_each(|&bin| counts.add_bin(bin, 1));
            *self = counts.take();
            return;
        }
        bins.sort_unstable();
        let (mut bytes, mut before) = (Vec::with_capacity(2 * bins.len() + 2), 0);
        for same in bins.chunk_by(|a, b| a == b) {
            push(&mut bytes, &mut before, (same[0], same.len() as u32));
        }
        self.merge(&Sketch { count: bins.len() as u64, bytes: bytes.into() });
    }

    pub fn merge(&mut self, other: &Sketch) {
        if self.is_empty() {
            self.clone_from(other);
        } else if !other.is_empty() {
            *self = Sketch::sum([&*self, other].into_iter());
        }
    }

    /// The sum of many sketches: as merging them one by one, without making each intermediate sum.
    pub fn sum<'a>(sketches: impl Iterator<Item = &'a Sketch>) -> Sketch {
        let mut sketches = sketches.filter(|sketch| !sketch.is_empty());
        let Some(first) = sketches.next() else { return Sketch::default() };
        let Some(second) = sketches.next() else { return first.clone() };
        let mut counts = Counts::default();
        [first, second].into_iter().chain(sketches).for_each(|sketch| counts.add(sketch.bins()));
        counts.take()
    }

    /// The values at the quantiles `qs` (0..=1, rising) in milliseconds; `None` of an empty sketch.
    pub fn quantiles<const N: usize>(&self, qs: [f64; N]) -> [Option<f64>; N] {
        let ranks = qs.map(|q| ((q.clamp(0.0, 1.0) * self.count as f64).ceil() as u64).max(1));
        let (mut found, mut seen, mut next) = ([None; N], 0, 0);
        for (bin, n) in self.bins() {
            seen += u64::from(n);
            while next < N && seen >= ranks[next] {
                found[next] = Some(bin);
                next += 1;
            }
            if next == N {
                break;
            }
        }
        // Not before: the compiler would work out the value of every bin that is passed.
        found.map(|bin| bin.map(value_of))
    }

    /// The value at the quantile `q` (0..=1) in milliseconds.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        self.quantiles([q])[0]
    }
}

/// See [`Sketch::bins`]; ends early where the bytes are not those of a sketch, and never falls.
#[derive(Clone, Debug)]
pub struct Bins<'a> {
    rest: &'a [u8],
    bin: i16,
    /// The least step to the next: below all bins before the first.
    least: i64,
}

impl Bins<'_> {
    /// Those of a stored sketch, see [`Sketch::as_bytes`].
    pub fn of(bytes: &[u8]) -> Bins<'_> {
        Bins { rest: bytes, bin: 0, least: i64::MIN }
    }
}

/// How a bin begins in the bytes of a sketch; its first byte tells how long it is. Dense sketches, which are the large
/// ones, take a byte a bin.
mod form {
    /// `0sssnnnn`: a step of `s` + 1, and a count of `n` + 1.
    pub const SHORT: u8 = 0;
    /// `10ssssss`: a step of `s` + 1, and a byte of the count less 1.
    pub const MIDDLE: u8 = 0x80;
    /// `110sssss`: a step of `s` + 1, and the count, encoded.
    pub const MANY: u8 = 0xc0;
    /// Step and count follow, encoded.
    pub const LONG: u8 = 0xe0;
}

/// The longest step of the two shorter forms, which is that of [`form::MIDDLE`].
const LONGEST_SHORT_STEP: usize = 64;

/// The step to the bin that begins with a byte of one of the two shorter forms.
const STEPS: [u8; 256] = {
    let (mut steps, mut first) = ([0; 256], 0);
    while first < form::MANY as usize {
        steps[first] = if first < form::MIDDLE as usize { first >> 4 } else { first & 0x3f } as u8 + 1;
        first += 1;
    }
    steps
};

impl Iterator for Bins<'_> {
    type Item = (i16, u32);

    #[inline(always)]
    fn next(&mut self) -> Option<(i16, u32)> {
        let [first @ ..form::MANY, second, ..] = *self.rest else {
            // By value, so that the fields of an iterator can stay in registers.
            let (after, bin) = self.clone().next_long()?;
            *self = after;
            return Some(bin);
        };
        let (step, count, length) = shorter(first, second);
        self.rest = &self.rest[length..];
        self.bin = self.bin.saturating_add(step as i16);
        self.least = 1;
        Some((self.bin, count))
    }
}

/// The step, count and length of a bin in one of the two shorter forms.
#[inline(always)]
fn shorter(first: u8, second: u8) -> (usize, u32, usize) {
    // Which of the two it is cannot be foretold, so both are read, and no branch depends on it.
    let is_middle = first >> 7;
    let count = if is_middle > 0 { second } else { first & 0xf };
    (STEPS[usize::from(first)].into(), u32::from(count) + 1, 1 + usize::from(is_middle))
}

impl Bins<'_> {
    /// A bin in one of the longer forms, or the last, and what follows.
    #[cold]
    #[inline(never)]
    fn next_long(self) -> Option<(Self, (i16, u32))> {
        let (&first, mut rest) = self.rest.split_first()?;
        let (step, count) = match first {
            // The last.
            ..form::MIDDLE => (i64::from(first >> 4) + 1, u64::from(first & 0xf) + 1),
            form::MANY..form::LONG => (i64::from(first & 0x1f) + 1, u64::decode(&mut rest)?),
            form::LONG => (i64::decode(&mut rest)?, u64::decode(&mut rest)?),
            _ => return None,
        };
        if step < self.least {
            return None;
        }
        let bin = i16::try_from(i64::from(self.bin).checked_add(step)?).ok()?;
        Some((Bins { rest, bin, least: 1 }, (bin, u32::try_from(count).ok()?)))
    }
}

/// A bin in one of the two shorter forms, if it has one, and how many of the bytes it takes.
#[inline(always)]
fn in_short(step: usize, count: u32) -> Option<([u8; 2], usize)> {
    let (1..=LONGEST_SHORT_STEP, 1..=256) = (step, count) else { return None };
    let (step, count) = ((step - 1) as u8, (count - 1) as u8);
    let is_short = step < 8 && count < 16;
    let first = if is_short { form::SHORT | step << 4 | count } else { form::MIDDLE | step };
    Some(([first, count], 2 - usize::from(is_short)))
}

/// Appends a bin to the bytes of a sketch whose last bin is `before`.
fn push(bytes: &mut Vec<u8>, before: &mut i16, (bin, count): (i16, u32)) {
    let step = i32::from(bin) - i32::from(*before);
    *before = bin;
    // A step back becomes a very long one.
    if let Some((form, length)) = in_short(step as usize, count) {
        bytes.extend_from_slice(&form[..length]);
        return;
    }
    match step {
        1..=32 => bytes.push(form::MANY | (step - 1) as u8),
        _ => {
            bytes.push(form::LONG);
            i64::from(step).encode(bytes);
        }
    }
    u64::from(count).encode(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sketch(values: &[f64]) -> Sketch {
        let mut sketch = Sketch::default();
        for &value in values {
            sketch.add(bin_of(value));
        }
        sketch
    }

    #[test]
    fn the_constant_is_one_over_ln_gamma() {
        assert!((PER_LN_GAMMA - 1.0 / GAMMA.ln()).abs() < 1e-9, "{}", 1.0 / GAMMA.ln());
    }

    #[test]
    fn the_range_of_bins_is_that_of_values() {
        assert_eq!((bin_of(SMALLEST_MS), bin_of(LARGEST_MS)), (LOWEST_BIN, HIGHEST_BIN));
    }

    #[test]
    fn nothing_has_no_quantile() {
        assert_eq!(Sketch::default().quantile(0.5), None);
    }

    #[test]
    fn zero_is_exact() {
        assert_eq!(sketch(&[0.0, 0.0, 5.0]).quantile(0.5), Some(0.0));
    }

    #[test]
    fn extremes_stay_in_range() {
        for value in [f64::MIN_POSITIVE, 1e-6, 1e12, 1e300, f64::INFINITY, f64::NAN] {
            assert!(value_of(bin_of(value)).is_finite());
        }
    }

    #[test]
    fn bins_end_at_the_last_there_is() {
        let mut bytes = Vec::new();
        push(&mut bytes, &mut 0, (i16::MAX - 7, 1));
        bytes.extend([0x70; 4]);
        let bins: Vec<_> = Bins::of(&bytes).collect();
        // The last byte is read by the form that is told nothing may follow, and would be beyond.
        assert_eq!(bins, [(i16::MAX - 7, 1), (i16::MAX, 1), (i16::MAX, 1), (i16::MAX, 1)]);
    }

    #[test]
    fn bins_end_where_they_would_fall() {
        let (mut bytes, mut before) = (Vec::new(), 0);
        [(5, 1), (3, 1), (9, 1)].into_iter().for_each(|bin| push(&mut bytes, &mut before, bin));
        assert_eq!(Bins::of(&bytes).collect::<Vec<_>>(), [(5, 1)]);
    }

    proptest! {
        #[test]
        fn quantiles_keep_their_promise(
            mut values in prop::collection::vec(1e-3f64..1e9, 1..300),
            q in 0.0f64..=1.0,
        ) {
            let estimate = sketch(&values).quantile(q).expect("there are values");
            values.sort_by(f64::total_cmp);
            let truth = values[((q * values.len() as f64).ceil() as usize).max(1) - 1];
            prop_assert!((estimate - truth).abs() <= truth * RELATIVE_ERROR * (1.0 + 1e-9));
        }

        #[test]
        fn bins_come_back_in_whatever_form(
            counts in prop::collection::btree_map(
                prop_oneof![Just(ZERO_BIN), -20i16..60, LOWEST_BIN..=HIGHEST_BIN],
                prop_oneof![1u32..40, 200u32..300, 1..=u32::MAX],
                0..80,
            ),
        ) {
            let (mut bytes, mut before) = (Vec::new(), 0);
            counts.iter().for_each(|(&bin, &count)| push(&mut bytes, &mut before, (bin, count)));
            prop_assert_eq!(Bins::of(&bytes).collect::<Vec<_>>(), counts.into_iter().collect::<Vec<_>>());
        }

        #[test]
        fn bins_of_any_bytes_never_fall(
            bytes in prop::collection::vec(
                prop_oneof![4 => any::<u8>(), 1 => Just(form::LONG), 1 => form::SHORT..form::MIDDLE],
                0..200,
            ),
        ) {
            let bins: Vec<i16> = Bins::of(&bytes).map(|(bin, _)| bin).collect();
            prop_assert!(bins.is_sorted(), "{bins:?}");
            let (mut counts, mut all) = (Counts::default(), 0u32);
            counts.add(Bins::of(&bytes));
            Bins::of(&bytes).for_each(|(_, count)| all = all.saturating_add(count));
            prop_assert!(counts.take().count() >= u64::from(all), "what was added is there");
        }

        #[test]
        fn adding_all_is_the_same_as_adding_each(
            first in prop::collection::vec(-9i16..9, 0..90),
            mut second in prop::collection::vec(-9i16..9, 0..90),
        ) {
            let mut each = Sketch::default();
            first.iter().chain(&second).for_each(|&bin| each.add(bin));
            let mut all = Sketch::default();
            first.iter().for_each(|&bin| all.add(bin));
            all.add_all(&mut second);
            prop_assert_eq!(all, each);
        }

        #[test]
        fn merging_is_the_same_as_adding(
            left in prop::collection::vec(0.0f64..1e6, 0..100),
            right in prop::collection::vec(0.0f64..1e6, 0..100),
        ) {
            let mut merged = sketch(&left);
            merged.merge(&sketch(&right));
            let all: Vec<f64> = left.iter().chain(&right).copied().collect();
            prop_assert_eq!(&merged, &sketch(&all));
            let parts: Vec<Sketch> = all.iter().map(|value| sketch(&[*value])).collect();
            prop_assert_eq!(merged, Sketch::sum(parts.iter()));
        }
    }
}
