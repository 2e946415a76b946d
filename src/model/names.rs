//! Which names are kept where there may be only so many: those that are known already, then those whose rank
//! is smallest. A rank is a hash, so the choice is nobody's, and it does not depend on the order in which the
//! names come: whatever is dropped early would be dropped at the end.

use std::collections::HashSet;

use rustc_hash::{FxHashMap, FxHashSet};

/// The place of a name among all there could be. Notes are stored by it, so it never changes: FNV-1a, mixed
/// as MurmurHash3 ends.
pub fn rank(parts: &[&str]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325;
    for part in parts {
        // 0xff is in no text, so it sets the parts apart.
        for &byte in part.as_bytes().iter().chain(&[0xff]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    for factor in [0xff51_afd7_ed55_8ccd, 0xc4ce_b9fe_1a85_ec53_u64] {
        hash = (hash ^ (hash >> 33)).wrapping_mul(factor);
    }
    hash ^ (hash >> 33)
}

/// The names, each with its rank, for which there is no room.
pub fn beyond<T: Ord + std::hash::Hash>(mut ranked: Vec<(u64, T)>, room: usize) -> HashSet<T> {
    if ranked.len() <= room {
        return HashSet::new();
    }
    ranked.sort();
    ranked.into_iter().skip(room).map(|(_, name)| name).collect()
}

/// Names that are stored already, by rank: they stay, whatever else comes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// By wrapper: its series.
    wrappers: FxHashMap<u64, FxHashSet<u64>>,
}

impl Known {
    pub fn add_wrapper(&mut self, wrapper: &str) {
        self.wrappers.entry(rank(&[wrapper])).or_default();
    }

    pub fn add_series(&mut self, wrapper: &str, operation_type: &str, model: &str) {
        self.wrappers.entry(rank(&[wrapper])).or_default().insert(rank(&[operation_type, model]));
    }

    pub fn wrapper_count(&self) -> usize {
        self.wrappers.len()
    }

    pub fn has_wrapper(&self, rank: u64) -> bool {
        self.wrappers.contains_key(&rank)
    }

    /// The series of a wrapper; `None` where it has none.
    pub fn series(&self, wrapper: &str) -> Option<&FxHashSet<u64>> {
        self.wrappers.get(&rank(&[wrapper]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranks_are_the_stored_ones() {
        assert_ne!(rank(&["a", "bc"]), rank(&["ab", "c"]));
        assert_ne!(rank(&["a", ""]), rank(&["", "a"]));
        assert_eq!(rank(&["RouteLLM"]), 6_813_104_179_229_080_439);
    }

    proptest! {
        #[test]
        fn what_is_dropped_early_would_be_dropped_at_the_end(
            names in prop::collection::hash_set("[a-z]{1,3}", 0..40), cut in 0usize..40, room in 0usize..10,
        ) {
            let names: Vec<String> = names.into_iter().collect();
            let kept = |names: &[String]| {
                let gone = beyond(names.iter().map(|name| (rank(&[name]), name.clone())).collect(), room);
                names.iter().filter(|name| !gone.contains(*name)).cloned().collect::<Vec<_>>()
            };
            let (first, second) = names.split_at(cut.min(names.len()));
            let parts = [kept(first), kept(second)].concat();
            let (mut at_once, mut in_steps) = (kept(&names), kept(&parts));
            at_once.sort();
            in_steps.sort();
            prop_assert_eq!(at_once.len(), names.len().min(room));
            prop_assert_eq!(in_steps, at_once);
        }
    }
}
