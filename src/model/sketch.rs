//! A mergeable latency sketch with a promise: every percentile is within 1 % of the true one.
//!
//! Logarithmic bins after DDSketch (Masson, Rim, Lee: "DDSketch: A fast and fully-mergeable quantile
//! sketch with relative-error guarantees", VLDB 2019), without its collapsing of bins: the range of
//! latencies is bounded, so the number of bins is too.

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

/// Counts by logarithmic bin, sorted by bin, without empty ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sketch {
    bins: Vec<(i16, u32)>,
}

impl Sketch {
    /// Rebuilds a sketch from bins in rising order; `None` if they are not, or if one is empty.
    pub fn from_bins(bins: Vec<(i16, u32)>) -> Option<Sketch> {
        let rising = bins.windows(2).all(|pair| pair[0].0 < pair[1].0);
        (rising && bins.iter().all(|bin| bin.1 > 0)).then_some(Sketch { bins })
    }

    pub fn bins(&self) -> &[(i16, u32)] {
        &self.bins
    }

    pub fn is_empty(&self) -> bool {
        self.bins.is_empty()
    }

    pub fn count(&self) -> u64 {
        self.bins.iter().map(|bin| u64::from(bin.1)).sum()
    }

    pub fn add(&mut self, bin: i16) {
        match self.bins.binary_search_by_key(&bin, |entry| entry.0) {
            Ok(at) => self.bins[at].1 = self.bins[at].1.saturating_add(1),
            Err(at) => self.bins.insert(at, (bin, 1)),
        }
    }

    /// Adds many bins at once.
    pub fn add_all(&mut self, bins: &[i16]) {
        let (Some(&low), Some(&high)) = (bins.iter().min(), bins.iter().max()) else { return };
        let span = usize::from(high.abs_diff(low)) + 1;
        // Counting pays where the bins are many for the room that they take.
        if span > 8 * bins.len() {
            return bins.iter().for_each(|&bin| self.add(bin));
        }
        let mut counts = vec![0_u32; span];
        for &bin in bins {
            counts[usize::from(bin.abs_diff(low))] += 1;
        }
        let counted = counts.iter().zip(low..).filter(|(count, _)| **count > 0);
        self.merge(&Sketch { bins: counted.map(|(&count, bin)| (bin, count)).collect() });
    }

    pub fn merge(&mut self, other: &Sketch) {
        if self.bins.is_empty() {
            self.bins.clone_from(&other.bins);
        } else if !other.bins.is_empty() {
            *self = Sketch::sum(&[self, other]);
        }
    }

    /// Many sketches at once: counted in an array over the range of their bins, which is short.
    pub fn sum(sketches: &[&Sketch]) -> Sketch {
        // The zero bin is far below the others, and would make the array long.
        let values = |sketch: &&Sketch| sketch.bins.iter().position(|bin| bin.0 != ZERO_BIN);
        let first = sketches.iter().filter_map(|sketch| Some(sketch.bins[values(sketch)?].0)).min();
        let last = sketches.iter().filter_map(|sketch| Some(sketch.bins.last()?.0)).max();
        let (first, last) = (i32::from(first.unwrap_or(0)), i32::from(last.unwrap_or(ZERO_BIN)));
        let (mut zeros, mut counts) = (0u32, vec![0u32; usize::try_from(last - first + 1).unwrap_or(0)]);
        for &(bin, count) in sketches.iter().flat_map(|sketch| &sketch.bins) {
            let sum = match bin {
                ZERO_BIN => &mut zeros,
                bin => &mut counts[(i32::from(bin) - first) as usize],
            };
            *sum = sum.saturating_add(count);
        }
        let used = counts.iter().filter(|count| **count > 0).count() + usize::from(zeros > 0);
        let mut bins = Vec::with_capacity(used);
        let values = counts.into_iter().zip(first..).map(|(count, bin)| (bin as i16, count));
        bins.extend(std::iter::once((ZERO_BIN, zeros)).chain(values).filter(|bin| bin.1 > 0));
        Sketch { bins }
    }

    /// The values in milliseconds at each quantile, in one pass; see [`Sketch::quantile`].
    pub fn quantiles<const N: usize>(&self, qs: [f64; N]) -> [Option<f64>; N] {
        let count = self.count();
        let ranks = qs.map(|q| ((q.clamp(0.0, 1.0) * count as f64).ceil() as u64).max(1));
        let (mut found, mut seen) = ([None; N], 0);
        for &(bin, n) in &self.bins {
            seen += u64::from(n);
            for (rank, found) in ranks.iter().zip(&mut found) {
                if found.is_none() && seen >= *rank {
                    *found = Some(value_of(bin));
                }
            }
        }
        found
    }

    /// The value in milliseconds at quantile `q` (0..=1) by nearest rank: the smallest value that at least
    /// this share of all values does not exceed, so that the p95 of few values is the largest of them.
    /// `None` where there is no value.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        self.quantiles([q])[0]
    }
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
        fn adding_all_is_the_same_as_adding_each(
            first in prop::collection::vec(-9i16..9, 0..30),
            second in prop::collection::vec(-9i16..9, 0..30),
        ) {
            let mut each = Sketch::default();
            first.iter().chain(&second).for_each(|&bin| each.add(bin));
            let mut all = Sketch::default();
            first.iter().for_each(|&bin| all.add(bin));
            all.add_all(&second);
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
            prop_assert_eq!(merged, Sketch::sum(&parts.iter().collect::<Vec<_>>()));
        }
    }
}
