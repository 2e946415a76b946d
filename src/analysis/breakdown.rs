//! The breakdown's hours by model alone, and by operation type alone: sums of what is known of each pair.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::analysis::snapshot::Breakdown;
use crate::model::bucket::Bucket;

/// One model, or one operation type.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Part {
    /// Empty where the records name none.
    pub name: String,
    pub total_operations: u64,
    /// Of all operations of the breakdown, 0..=1.
    pub share: f64,
    pub success_rate: Option<f64>,
    pub total_tokens: u64,
    /// In the site's currency; absent where no operation reported one.
    pub cost: Option<f64>,
}

/// The parts by one of the two names, the largest first.
pub fn parts<'a>(
    series: &'a [Breakdown],
    fallback_credit: f64,
    name: impl Fn(&'a Breakdown) -> &'a str,
) -> Vec<Part> {
    let mut sums: BTreeMap<&str, (Bucket, Option<f64>)> = BTreeMap::new();
    for row in series {
        let (sum, cost) = sums.entry(name(row)).or_default();
        sum.success += row.figures.success_count;
        sum.fallback += row.figures.fallback_count;
        sum.error += row.figures.error_count;
        sum.total_tokens = sum.total_tokens.saturating_add(row.figures.total_tokens);
        *cost = match (*cost, row.figures.cost) {
            (None, one) | (one, None) => one,
            (Some(a), Some(b)) => Some(a + b),
        };
    }
    let all: u64 = sums.values().map(|(sum, _)| sum.total()).sum();
    let part = |(name, (sum, cost)): (&str, (Bucket, Option<f64>))| Part {
        name: name.to_owned(),
        total_operations: sum.total(),
        share: sum.total() as f64 / all.max(1) as f64,
        success_rate: sum.success_rate(fallback_credit),
        total_tokens: sum.total_tokens,
        cost,
    };
    let mut parts: Vec<_> = sums.into_iter().map(part).collect();
    parts.sort_by_key(|part| std::cmp::Reverse(part.total_operations));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::figures::Figures;
    use proptest::prelude::*;

    fn row((operation_type, model, success, cost): (u8, u8, u64, Option<u32>)) -> Breakdown {
        let bucket = Bucket { success, error: 1, ..Bucket::default() };
        let figures = Figures { cost: cost.map(f64::from), ..Figures::of(&bucket, 1.0) };
        Breakdown { operation_type: operation_type.to_string(), model: model.to_string(), figures }
    }

    #[test]
    fn a_cost_that_nobody_reported_is_none() {
        let rows = [row((1, 1, 1, None)), row((2, 1, 3, None)), row((3, 2, 9, Some(4)))];
        let parts = parts(&rows, 1.0, |row| &row.model);
        assert_eq!(parts.iter().map(|part| part.cost).collect::<Vec<_>>(), [Some(4.0), None]);
        assert_eq!(parts[1].total_operations, 6);
    }

    proptest! {
        #[test]
        fn parts_are_the_whole_whichever_way_it_is_cut(
            rows in prop::collection::vec((0u8..4, 0u8..4, 0u64..100, any::<Option<u32>>()), 1..16),
        ) {
            let rows: Vec<_> = rows.into_iter().map(row).collect();
            let total: u64 = rows.iter().map(|row| row.figures.total_operations).sum();
            for parts in [parts(&rows, 1.0, |row| &row.model), parts(&rows, 1.0, |row| &row.operation_type)] {
                prop_assert_eq!(parts.iter().map(|part| part.total_operations).sum::<u64>(), total);
                prop_assert!((parts.iter().map(|part| part.share).sum::<f64>() - 1.0).abs() < 1e-9);
                prop_assert!(parts.is_sorted_by_key(|part| std::cmp::Reverse(part.total_operations)));
            }
        }
    }
}
