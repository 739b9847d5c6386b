//! (seed, epoch) → the order of the samples, and each rank's part of it (contract 4).
//!
//! The order is a function of the seed and the epoch alone. Ranks share each *global* batch: rank `r` of `W` takes its positions
//! `r, r + W, …`, so which samples make a step does not depend on the number of ranks.

use crate::random::{Purpose, permutation, stream};

/// Which part of every global batch belongs to this rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// 0-based.
    pub rank: usize,
    /// World size.
    pub world: usize,
}

impl Share {
    /// The part of one process alone: everything.
    pub const ALL: Self = Self { rank: 0, world: 1 };

    /// This rank's part of `batch`, in order; empty where the batch has fewer samples than ranks.
    pub fn of<T: Copy>(self, batch: &[T]) -> Vec<T> {
        batch.iter().copied().skip(self.rank).step_by(self.world).collect()
    }
}

/// The shuffled order of `samples` samples in one epoch.
#[must_use]
pub fn shuffled(samples: usize, seed: u64, epoch: u64) -> Vec<usize> {
    permutation(samples, &mut stream(seed, Purpose::Order, epoch, 0))
}

/// Steps an epoch: the last, partial global batch counts.
#[must_use]
pub fn steps(samples: usize, global_batch: usize) -> u64 {
    samples.div_ceil(global_batch) as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn three_ranks_share_a_last_batch_of_two_and_one_goes_empty() {
        let batch = [40, 41];
        let parts: Vec<Vec<i32>> = (0..3).map(|rank| Share { rank, world: 3 }.of(&batch)).collect();
        assert_eq!(parts, [vec![40], vec![41], vec![]]);
        assert_eq!(steps(10, 4), 3);
    }

    proptest! {
        #[test]
        fn each_sample_is_seen_once_an_epoch_in_an_order_that_no_world_size_changes(
            samples in 0usize..500, global_batch in 1usize..40, seed: u64, epoch in 0u64..1000,
        ) {
            let order = shuffled(samples, seed, epoch);
            for world in [1, 2, 3, 4, 8] {
                let mut seen = Vec::new();
                for batch in order.chunks(global_batch) {
                    let parts: Vec<Vec<usize>> = (0..world).map(|rank| Share { rank, world }.of(batch)).collect();
                    // Dealing the parts back one by one must give the global batch in its order.
                    seen.extend((0..batch.len()).map(|position| parts[position % world][position / world]));
                }
                prop_assert_eq!(&seen, &order);
            }
            let mut sorted = order;
            sorted.sort_unstable();
            prop_assert_eq!(sorted, (0..samples).collect::<Vec<_>>());
        }
    }
}
