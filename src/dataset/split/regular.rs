//! the rows of a class → 70 % train, 10 % validation, 20 % test, rounded as the original does.

use rand_chacha::ChaCha8Rng;

use crate::dataset::role::Role;
use crate::random;

/// Shares of train, validation and test.
pub const SHARES: [f64; 3] = [0.7, 0.1, 0.2];

/// Rows of train, validation and test for a class of `n`; `None` where it is too small to be split.
///
/// Each share is rounded half to even, on the product in floating point, as Python's `round(.7 * n)` is; train takes what the
/// roundings leave over, or gives what they overdrew. Three to five rows give one each to validation and test; fewer give none.
#[must_use]
pub fn sizes(n: usize) -> Option<[usize; 3]> {
    if (3..=5).contains(&n) {
        return Some([n - 2, 1, 1]);
    }
    let [train, validation, test] = SHARES.map(|share| (share * n as f64).round_ties_even() as usize);
    (train > 0 && validation > 0 && test > 0).then(|| [n - validation - test, validation, test])
}

/// Shuffles the rows of a class and gives each its role; nothing where the class is too small.
pub fn assign(rows: &[u32], rng: &mut ChaCha8Rng, mut give: impl FnMut(u32, Role)) {
    let Some(sizes) = sizes(rows.len()) else { return };
    let roles = std::iter::zip(Role::SPLIT, sizes).flat_map(|(role, size)| std::iter::repeat_n(role, size));
    let shuffled = random::permutation(rows.len(), rng).into_iter().filter_map(|position| rows.get(position));
    std::iter::zip(shuffled, roles).for_each(|(row, role)| give(*row, role));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_rounded_to_even() {
        // n = 15: 1.5 → 2 and 3. n = 25: 2.5 → 2 and 5. n = 35: 3.5 → 4 and 7. n = 45: 4.5 → 4 and 9. Train has the rest.
        assert_eq!(sizes(15), Some([10, 2, 3]));
        assert_eq!(sizes(25), Some([18, 2, 5]));
        assert_eq!(sizes(35), Some([24, 4, 7]));
        assert_eq!(sizes(45), Some([32, 4, 9]));
    }

    #[test]
    fn train_takes_what_the_roundings_leave_over_and_gives_what_they_overdrew() {
        // n = 7: 4.9 → 5, 0.7 → 1, 1.4 → 1 sum to 7. n = 8: 5.6 → 6, 1, 2 overdraw one. n = 11: 7.7 → 8, 1, 2 fit. n = 14: 9.8 → 10, 1, 3.
        assert_eq!(sizes(7), Some([5, 1, 1]));
        assert_eq!(sizes(8), Some([5, 1, 2]));
        assert_eq!(sizes(11), Some([8, 1, 2]));
        assert_eq!(sizes(6), Some([4, 1, 1]));
        // n = 12: 8.4 → 8, 1.2 → 1, 2.4 → 2 leave one over.
        assert_eq!(sizes(12), Some([9, 1, 2]));
    }

    #[test]
    fn three_to_five_rows_give_one_to_test_and_one_to_validation_and_fewer_are_dropped() {
        assert_eq!([0, 1, 2].map(sizes), [None; 3]);
        assert_eq!([3, 4, 5].map(sizes), [Some([1, 1, 1]), Some([2, 1, 1]), Some([3, 1, 1])]);
    }

    #[test]
    fn published_totals_give_published_sizes() {
        assert_eq!(sizes(89_311), Some([62_518, 8_931, 17_862]));
        assert_eq!(sizes(47_328), Some([33_129, 4_733, 9_466]));
        assert_eq!(sizes(9_635), Some([6_744, 964, 1_927]));
    }
}
