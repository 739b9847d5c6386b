//! the classes of a large set in one role → the rows of its medium or small subset: every class capped at one common number.
//!
//! The original takes one row at a time from each class in turn, from the smallest class to the largest, in full rounds until the
//! target is reached, and cuts the excess from the end of the largest class. The same in closed form: the cap is the number of rounds.

use crate::dataset::labels::Class;

/// What a subset takes of its parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subset {
    /// How many of its first rows each class gives, in the order of the classes.
    pub taken: Vec<usize>,
    /// Whether the parent had too few rows to reach the target, so that all of them were taken.
    pub short: bool,
}

/// Rows asked for of a role: the whole part of share × total, in floating point as the original computes it.
#[must_use]
pub fn target(share: f64, total: u64) -> usize {
    (share * total as f64) as usize
}

/// Caps `sizes`, which come largest first, so that together they hold `target` rows.
///
/// The excess of the last round is cut from the largest class. Where that would take its last row (never at full size; the original
/// would leave the class without any), the cut goes on with the next largest, and only then with last rows.
/// A target larger than the parent takes all of it; the original would never end.
#[must_use]
pub fn subset(sizes: &[usize], target: usize) -> Subset {
    let total: usize = sizes.iter().sum();
    if total <= target {
        return Subset { taken: sizes.to_vec(), short: total < target };
    }
    let held = |cap: usize| sizes.iter().map(|size| (*size).min(cap)).sum::<usize>();
    let caps: Vec<usize> = (0..=sizes.first().copied().unwrap_or(0)).collect();
    let cap = caps.partition_point(|cap| held(*cap) < target);
    let mut taken: Vec<usize> = sizes.iter().map(|size| (*size).min(cap)).collect();
    let mut excess = held(cap) - target;
    for keep in [1, 0] {
        for rows in &mut taken {
            let cut = excess.min(rows.saturating_sub(keep));
            *rows -= cut;
            excess -= cut;
        }
    }
    Subset { taken, short: false }
}

/// The rows of the subset of `classes`, which come largest first.
#[must_use]
pub fn rows(classes: &[Class], target: usize) -> (Vec<u32>, bool) {
    let sizes: Vec<usize> = classes.iter().map(|class| class.rows.len()).collect();
    let Subset { taken, short } = subset(&sizes, target);
    let rows = std::iter::zip(classes, taken).flat_map(|(class, taken)| class.rows.iter().take(taken).copied()).collect();
    (rows, short)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The original, step by step: one row from each class in turn, smallest first, until the target is reached; then the cut.
    fn round_robin(sizes: &[usize], target: usize) -> Vec<usize> {
        let mut taken = vec![0; sizes.len()];
        while taken.iter().sum::<usize>() < target {
            for (taken, size) in taken.iter_mut().zip(sizes).rev() {
                *taken += usize::from(*taken < *size);
            }
        }
        taken[0] -= taken.iter().sum::<usize>() - target;
        taken
    }

    #[test]
    fn every_class_is_capped_at_one_number_and_the_largest_pays_the_excess() {
        // Three rounds give 3 + 3 + 3 + 1 = 10; two too many for 8.
        let subset = subset(&[9, 5, 3, 1], 8);
        assert_eq!(subset, Subset { taken: vec![1, 3, 3, 1], short: false });
        assert_eq!(subset.taken, round_robin(&[9, 5, 3, 1], 8));
    }

    #[test]
    fn the_closed_form_is_the_round_robin_wherever_the_largest_class_can_pay() {
        let sizes = [40, 40, 31, 12, 12, 7, 2, 1];
        for target in 50..145 {
            assert_eq!(subset(&sizes, target).taken, round_robin(&sizes, target), "target {target}");
        }
    }

    #[test]
    fn a_target_below_the_number_of_classes_empties_the_largest_last() {
        assert_eq!(subset(&[9, 2, 1], 4).taken, [1, 2, 1]);
        assert_eq!(subset(&[9, 2, 1], 2).taken, [0, 1, 1]);
    }

    #[test]
    fn a_target_larger_than_the_parent_takes_all_of_it_and_says_so() {
        assert_eq!(subset(&[3, 2], 9), Subset { taken: vec![3, 2], short: true });
        assert_eq!(subset(&[3, 2], 5), Subset { taken: vec![3, 2], short: false });
        assert_eq!(subset(&[], 5), Subset { taken: vec![], short: true });
    }

    #[test]
    fn targets_are_exact_at_the_published_totals() {
        assert_eq!([0.7, 0.1, 0.2].map(|share| target(share, 200_000)), [140_000, 20_000, 40_000]);
        assert_eq!([0.7, 0.1, 0.2].map(|share| target(share, 50_000)), [35_000, 5_000, 10_000]);
    }
}
