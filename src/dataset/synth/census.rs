//! a number of specimens → how many of each kind, long-tailed as published.

use crate::dataset::taxonomy::{DIPTERA, DIPTERA_FAMILIES, ORDERS, SPECIMENS};
use crate::random::{Purpose, permutation, stream};

/// What a specimen is, as far as the paper's tasks go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// Its order.
    pub order: &'static str,
    /// Its family, where it is one of the 40 of the Diptera task.
    pub family: Option<&'static str>,
    /// How many the full dataset has.
    pub total: u64,
    /// Specimens that even the smallest dataset tries to have.
    floor: u64,
}

/// Every class of both tasks gets at least this many specimens where there are enough to go round and the full dataset has them:
/// the regular split needs 3, and 5 leave 3 to train on.
const FLOOR: u64 = 5;

/// Orders with one or two specimens, which no experiment uses. The published counts leave five such rows over; the repository shows
/// pictures of the first two orders, the third is our guess.
const RARE: [(&str, u64); 3] = [("Strepsiptera", 2), ("Zoraptera", 2), ("Odonata", 1)];

/// How many kinds there are.
const KINDS: usize = DIPTERA_FAMILIES.len() + ORDERS.len() + RARE.len();

/// All kinds: the 40 families, the other Diptera, the other orders, the rare ones.
pub const CENSUS: [Kind; KINDS] = census();

const fn census() -> [Kind; KINDS] {
    let mut kinds = [Kind { order: DIPTERA, family: None, total: 0, floor: 0 }; KINDS];
    let (mut index, mut in_families) = (0, 0);
    while index < DIPTERA_FAMILIES.len() {
        let (family, total) = DIPTERA_FAMILIES[index];
        kinds[index] = Kind { order: DIPTERA, family: Some(family), total, floor: FLOOR };
        in_families += total;
        index += 1;
    }
    // Diptera lead the orders; what their families leave over are Diptera of other families or of none.
    kinds[index].total = ORDERS[0].1 - in_families;
    index += 1;
    while index < DIPTERA_FAMILIES.len() + ORDERS.len() {
        let (order, total) = ORDERS[index - DIPTERA_FAMILIES.len()];
        kinds[index] = Kind { order, family: None, total, floor: FLOOR };
        index += 1;
    }
    while index < KINDS {
        let (order, total) = RARE[index - DIPTERA_FAMILIES.len() - ORDERS.len()];
        kinds[index] = Kind { order, family: None, total, floor: 0 };
        index += 1;
    }
    kinds
}

/// Divides `specimens` over [`CENSUS`]: first the floors, then the rest in proportion to what the full dataset has beyond them, by
/// largest remainder. At the published size the result is the published totals exactly.
#[must_use]
pub fn allocate(specimens: u64) -> [u64; KINDS] {
    let floors: u64 = CENSUS.iter().map(|kind| kind.floor).sum();
    // With less than the floors together, every class gets the same share of its floor.
    let floored = floors.min(specimens);
    let mut counts = proportional(floored, CENSUS.map(|kind| kind.floor));
    let rest = proportional(specimens - floored, CENSUS.map(|kind| kind.total - kind.floor));
    std::iter::zip(&mut counts, rest).for_each(|(count, more)| *count += more);
    counts
}

/// Divides `total` in proportion to `weights` by largest remainder, ties to the first.
fn proportional(total: u64, weights: [u64; KINDS]) -> [u64; KINDS] {
    let sum: u128 = weights.iter().map(|weight| u128::from(*weight)).sum::<u128>().max(1);
    let product = weights.map(|weight| u128::from(total) * u128::from(weight));
    let mut shares = product.map(|product| (product / sum) as u64);
    let mut by_remainder: Vec<usize> = (0..KINDS).collect();
    by_remainder.sort_by_key(|index| std::cmp::Reverse(product[*index] % sum));
    let missing = total - shares.iter().sum::<u64>();
    for index in by_remainder.into_iter().take(missing as usize) {
        shares[index] += 1;
    }
    shares
}

/// The kind of every specimen of a dataset, as positions in [`CENSUS`]: the counts of [`allocate`] in an order drawn from the seed.
#[must_use]
pub fn kinds(specimens: u64, seed: u64) -> Vec<u8> {
    let sorted: Vec<u8> =
        std::iter::zip(0u8.., allocate(specimens)).flat_map(|(kind, count)| std::iter::repeat_n(kind, count as usize)).collect();
    let order = permutation(sorted.len(), &mut stream(seed, Purpose::SynthRecord, 0, 0));
    order.into_iter().filter_map(|index| sorted.get(index).copied()).collect()
}

/// Every kind fits into a byte, and the whole census is the published number of rows.
const _: () = {
    let (mut index, mut total) = (0, 0);
    while index < KINDS {
        total += CENSUS[index].total;
        index += 1;
    }
    assert!(KINDS <= 256 && total == SPECIMENS);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_the_published_size_the_totals_are_the_published_ones() {
        assert_eq!(allocate(SPECIMENS), CENSUS.map(|kind| kind.total));
        assert_eq!((CENSUS[40].order, CENSUS[40].family, CENSUS[40].total), (DIPTERA, None, 4_986));
    }

    #[test]
    fn a_small_dataset_keeps_every_class_and_the_long_tail() {
        for specimens in [275, 452, 1_130, 11_300, 100_000] {
            let counts = allocate(specimens);
            assert_eq!(counts.iter().sum::<u64>(), specimens);
            for (kind, count) in std::iter::zip(CENSUS, counts) {
                assert!(count >= kind.floor && count <= kind.total, "{specimens}: {kind:?} has {count}");
            }
        }
        // 452 = 55 floors of 5 and 177 more, of which Cecidomyiidae have 259,099 / 1,128,038.
        assert_eq!(allocate(452)[0], 5 + 41);
        assert_eq!(allocate(55), CENSUS.map(|kind| kind.floor / 5));
    }

    #[test]
    fn kinds_are_mixed_by_the_seed() {
        assert_eq!(kinds(452, 1), kinds(452, 1));
        assert_ne!(kinds(452, 1), kinds(452, 2));
        assert_eq!(kinds(452, 1).iter().filter(|kind| **kind == 0).count(), 46);
    }
}
