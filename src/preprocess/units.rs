//! the files of a chunk → units of work: ranges of images of about the same cost.

use serde::{Deserialize, Serialize};

/// What an image costs besides its bytes, in bytes: resize, encode and write. Measured: 11.4 ms for 640 kB, 4.5 ms for 150 kB.
const IMAGE_COST: u64 = 160 << 10;

/// The cost a unit is filled to: a second or so of one core. Small enough that 256 ranks end together on 113 chunks, and that little
/// is lost when a rank is killed; large enough that handing it out costs nothing.
const UNIT_COST: u64 = 64 << 20;

/// A range of the images of one chunk.
///
/// Ranges follow from the chunk alone, never from the ranks, so that what one run has finished serves the next on any number of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Unit {
    /// The chunk.
    pub chunk: u32,
    /// 0-based place of the range's first image among the chunk's files in sorted order.
    pub first: usize,
    /// Images in the range.
    pub count: usize,
    /// Images in the chunk.
    pub of: usize,
    /// Its share of the work, in bytes.
    pub cost: u64,
}

impl Unit {
    /// Whether the unit is all of its chunk.
    #[must_use]
    pub fn is_whole_chunk(&self) -> bool {
        self.count == self.of
    }
}

/// Cuts `chunk`, whose sorted files have these stored `lengths`, into units. A chunk without images is one empty unit, so that what
/// is wrong with it is written down.
#[must_use]
pub fn cut(chunk: u32, lengths: &[u64]) -> Vec<Unit> {
    let of = lengths.len();
    let mut units = vec![Unit { chunk, first: 0, count: 0, of, cost: 0 }];
    for (index, length) in lengths.iter().enumerate() {
        let cost = length + IMAGE_COST;
        let last = units.last_mut().expect("it began with one");
        if last.count > 0 && last.cost + cost > UNIT_COST {
            units.push(Unit { chunk, first: index, count: 1, of, cost });
        } else {
            last.count += 1;
            last.cost += cost;
        }
    }
    units
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_small_chunk_is_one_unit_and_an_empty_one_too() {
        assert_eq!(cut(7, &[1000, 2000]).len(), 1);
        assert!(cut(7, &[1000, 2000])[0].is_whole_chunk());
        let empty = cut(7, &[]);
        assert_eq!((empty.len(), empty[0].count, empty[0].is_whole_chunk()), (1, 0, true));
    }

    #[test]
    fn full_size_photographs_go_by_eighty_or_so() {
        // 640 KiB + 160 KiB = 800 KiB an image; 65,536 KiB / 800 KiB = 81.92.
        let units = cut(1, &[640 << 10; 200]);
        assert_eq!(units.iter().map(|unit| (unit.first, unit.count)).collect::<Vec<_>>(), [(0, 81), (81, 81), (162, 38)]);
    }

    #[test]
    fn an_image_larger_than_a_unit_is_a_unit_of_its_own() {
        let units = cut(1, &[1, 100 << 20, 1]);
        assert_eq!(units.iter().map(|unit| unit.count).collect::<Vec<_>>(), [1, 1, 1]);
    }

    proptest! {
        #[test]
        fn units_hold_every_image_once_and_in_order(lengths in prop::collection::vec(0u64..100 << 20, 0..300)) {
            let units = cut(3, &lengths);
            let mut next = 0;
            for unit in &units {
                prop_assert_eq!(unit.first, next);
                prop_assert!(unit.cost <= UNIT_COST || unit.count == 1);
                next += unit.count;
            }
            prop_assert_eq!(next, lengths.len());
        }
    }
}
