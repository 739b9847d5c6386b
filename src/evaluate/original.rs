//! The same counts → the figures as the original program's arithmetic makes them, for comparison with numbers it printed.
//!
//! Two of its divisors are wrong, and both are kept here on purpose:
//!
//! - The loss is the sum of the means of batches of 32, divided by the number of batches *less one* (its 0-based index of the last).
//!   One batch alone divides by zero.
//! - The accuracy of class i is its hits over the size of the i-th *largest class of the split measured*, while class numbers come from
//!   the training split. Where the two orders differ, two classes swap divisors; it can exceed 1. Where they agree nothing changes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ratio;

/// Images a batch in the original.
pub const BATCH: usize = 32;

/// The original's figures. Fractions of 1.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AsOriginal {
    /// Its loss; `None` of a single batch.
    pub loss: Option<f64>,
    /// Its accuracy of each class, in class order.
    pub class_top_1: Vec<f64>,
    /// Its macro top-k by k: the mean of such accuracies over *all* classes.
    pub macro_top_k: BTreeMap<usize, f64>,
}

/// The sum of the means of batches of [`BATCH`] over the number of batches less one, from each image's loss in the order of the split.
#[must_use]
pub fn loss(losses: &[f32]) -> Option<f64> {
    let batches = losses.len().div_ceil(BATCH);
    let mean = |batch: &[f32]| batch.iter().map(|&loss| f64::from(loss)).sum::<f64>() / batch.len() as f64;
    (batches > 1).then(|| losses.chunks(BATCH).map(mean).sum::<f64>() / (batches - 1) as f64)
}

/// Hits of each class over the size of the class that is as large among the classes of the split as this one's number says.
#[must_use]
pub fn class_accuracy(hits: &[u64], support: &[u64]) -> Vec<f64> {
    let mut falling = support.to_vec();
    falling.sort_unstable_by(|a, b| b.cmp(a));
    hits.iter().zip(falling).map(|(&hits, size)| ratio(hits, size)).collect()
}

/// Its macro accuracy: the mean of [`class_accuracy`] over all classes.
#[must_use]
pub fn macro_accuracy(hits: &[u64], support: &[u64]) -> f64 {
    class_accuracy(hits, support).iter().sum::<f64>() / support.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loss_of_forty_images_is_divided_by_one_batch_instead_of_two() {
        // 32 images of loss 1 and 8 of loss 3: batch means 1 and 3; the true mean is (32 + 24) / 40 = 1.4.
        let losses: Vec<f32> = [vec![1.0; 32], vec![3.0; 8]].concat();
        assert_eq!(loss(&losses), Some(4.0));
        assert_eq!(loss(&losses[..32]), None);
    }

    #[test]
    fn classes_that_stand_in_another_order_than_in_training_swap_their_divisors() {
        // Class 0 has 3 test images and class 1 has 4: 3 of 3 and 2 of 4 become 3/4 and 2/3.
        assert_eq!(class_accuracy(&[3, 2, 1], &[3, 4, 1]), [0.75, 2.0 / 3.0, 1.0]);
        assert_eq!(class_accuracy(&[2, 1], &[4, 2]), [0.5, 0.5]);
        assert_eq!(macro_accuracy(&[2, 0], &[4, 0]), 0.25);
    }
}
