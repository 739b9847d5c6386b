//! the rows of a class → its train, validation and test rows, in shares that are rounded as the original does.

use rand_chacha::ChaCha8Rng;

use crate::config::Shares;
use crate::dataset::role::Role;
use crate::random;

/// Rows of train, validation and test for a class of `n`; `None` where it has fewer than three, too few to be split.
///
/// Each share is rounded half to even, on the product in floating point, as Python's `round(.7 * n)` is; train takes what the roundings
/// leave over, or gives what they overdrew. No role stays empty: where its share rounds to nothing it has one row all the same. At
/// 70/10/20 that is the original's rule for small classes, by which three to five rows give one each to validation and test.
#[must_use]
pub fn sizes(n: usize, shares: Shares) -> Option<[usize; 3]> {
    let [_, validation, test] = shares.of_roles();
    let rounded = |share: f64| (share * n as f64).round_ties_even() as usize;
    (n >= 3).then(|| {
        let test = rounded(test).clamp(1, n - 2);
        let validation = rounded(validation).clamp(1, n - 1 - test);
        [n - validation - test, validation, test]
    })
}

/// Shuffles the rows of a class and gives each its role as many as [`sizes`] says; nothing where the class is too small.
pub fn assign(rows: &[u32], shares: Shares, rng: &mut ChaCha8Rng, mut give: impl FnMut(u32, Role)) {
    let Some(sizes) = sizes(rows.len(), shares) else { return };
    let roles = std::iter::zip(Role::SPLIT, sizes).flat_map(|(role, size)| std::iter::repeat_n(role, size));
    let shuffled = random::permutation(rows.len(), rng).into_iter().filter_map(|position| rows.get(position));
    std::iter::zip(shuffled, roles).for_each(|(row, role)| give(*row, role));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn published(n: usize) -> Option<[usize; 3]> {
        sizes(n, Shares::PUBLISHED)
    }

    /// Those of the three or more rows of a class, by the shares of one's own.
    fn shared(n: usize, shares: [f64; 3]) -> [usize; 3] {
        sizes(n, Shares::try_from(shares.to_vec()).unwrap()).unwrap()
    }

    /// The original, step by step: small classes apart, the others rounded, and dropped where a rounding left a role empty.
    fn original(n: usize) -> Option<[usize; 3]> {
        if (3..=5).contains(&n) {
            return Some([n - 2, 1, 1]);
        }
        let [train, validation, test] = Shares::PUBLISHED.of_roles().map(|share| (share * n as f64).round_ties_even() as usize);
        (train > 0 && validation > 0 && test > 0).then(|| [n - validation - test, validation, test])
    }

    #[test]
    fn at_the_published_shares_every_class_is_divided_as_the_original_does() {
        (0..200_000).for_each(|n| assert_eq!(published(n), original(n), "{n} rows"));
    }

    #[test]
    fn halves_are_rounded_to_even() {
        // n = 15: 1.5 → 2 and 3. n = 25: 2.5 → 2 and 5. n = 35: 3.5 → 4 and 7. n = 45: 4.5 → 4 and 9. Train has the rest.
        assert_eq!(published(15), Some([10, 2, 3]));
        assert_eq!(published(25), Some([18, 2, 5]));
        assert_eq!(published(35), Some([24, 4, 7]));
        assert_eq!(published(45), Some([32, 4, 9]));
    }

    #[test]
    fn train_takes_what_the_roundings_leave_over_and_gives_what_they_overdrew() {
        // n = 7: 4.9 → 5, 0.7 → 1, 1.4 → 1 sum to 7. n = 8: 5.6 → 6, 1, 2 overdraw one. n = 11: 7.7 → 8, 1, 2 fit. n = 14: 9.8 → 10, 1, 3.
        assert_eq!(published(7), Some([5, 1, 1]));
        assert_eq!(published(8), Some([5, 1, 2]));
        assert_eq!(published(11), Some([8, 1, 2]));
        assert_eq!(published(6), Some([4, 1, 1]));
        // n = 12: 8.4 → 8, 1.2 → 1, 2.4 → 2 leave one over.
        assert_eq!(published(12), Some([9, 1, 2]));
    }

    #[test]
    fn three_to_five_rows_give_one_to_test_and_one_to_validation_and_fewer_are_dropped() {
        assert_eq!([0, 1, 2].map(published), [None; 3]);
        assert_eq!([3, 4, 5].map(published), [Some([1, 1, 1]), Some([2, 1, 1]), Some([3, 1, 1])]);
    }

    #[test]
    fn published_totals_give_published_sizes() {
        assert_eq!(published(89_311), Some([62_518, 8_931, 17_862]));
        assert_eq!(published(47_328), Some([33_129, 4_733, 9_466]));
        assert_eq!(published(9_635), Some([6_744, 964, 1_927]));
    }

    #[test]
    fn other_shares_are_rounded_alike() {
        let (tenths, fifths) = ([0.8, 0.1, 0.1], [0.6, 0.2, 0.2]);
        // n = 15: 1.5 → 2 twice. n = 25: 2.5 → 2 twice. n = 35: 3.5 → 4 twice. n = 104: 10.4 → 10 twice.
        assert_eq!([15, 25, 35, 104].map(|n| shared(n, tenths)), [[11, 2, 2], [21, 2, 2], [27, 4, 4], [84, 10, 10]]);
        // n = 12: 2.4 → 2 twice. n = 13: 2.6 → 3 twice. n = 100: 20 twice. n = 9: 1.8 → 2 twice.
        assert_eq!([12, 13, 100, 9].map(|n| shared(n, fifths)), [[8, 2, 2], [7, 3, 3], [60, 20, 20], [5, 2, 2]]);
    }

    #[test]
    fn no_role_of_a_small_class_stays_empty_whatever_the_shares() {
        assert_eq!([3, 4, 5].map(|n| shared(n, [0.8, 0.1, 0.1])), [[1, 1, 1], [2, 1, 1], [3, 1, 1]]);
        // n = 9: 0.45 → 0, so that one row each is kept from train.
        assert_eq!(shared(9, [0.9, 0.05, 0.05]), [7, 1, 1]);
        // n = 5: 1.5 → 2 twice, and train has the fifth. n = 6: 5.88 → 6, less one each for the others.
        assert_eq!(shared(5, [0.4, 0.3, 0.3]), [1, 2, 2]);
        assert_eq!(shared(6, [0.01, 0.01, 0.98]), [1, 1, 4]);
    }

    proptest! {
        #[test]
        fn sizes_sum_to_the_class_and_are_its_shares_where_there_are_rows_enough(
            n in 3usize..200_000,
            parts in prop::array::uniform3(1u32..1000),
        ) {
            let whole: u32 = parts.iter().sum();
            let shares = parts.map(|part| f64::from(part) / f64::from(whole));
            let sizes = shared(n, shares);
            prop_assert_eq!(sizes.iter().sum::<usize>(), n);
            prop_assert!(sizes.iter().all(|size| *size >= 1));
            // Enough: no role had to be kept from being empty.
            if shares.iter().all(|share| share * n as f64 >= 2.0) {
                let off = std::iter::zip(sizes, shares).map(|(size, share)| (size as f64 - share * n as f64).abs());
                prop_assert!(off.into_iter().all(|off| off <= 1.0 + 1e-6), "{n} rows in {shares:?}: {sizes:?}");
            }
        }
    }
}
