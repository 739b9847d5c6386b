//! One sample's truth and scores at a time → counts that can be merged over ranks without loss.

use serde::{Deserialize, Serialize};

use super::average_k::{AverageK, Named, Threshold};
use super::calibration::{Calibration, CalibrationReport};
use super::confusion::Confusion;
use super::original::{self, AsOriginal};
use super::topk::{TopK, best, rank, top_k};

/// The k of the benchmark's top-k figures.
pub const DEFAULT_KS: [usize; 4] = [1, 3, 5, 10];

/// What one rank has seen of a split. Counts are integers, so merging is exact in any order; the loss is a sum over samples in
/// float64, so merge in rank order to get the same bits each time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Accumulator {
    ks: Vec<usize>,
    /// `[ks, C]`: samples of a class whose rank is below k.
    hits: Vec<Vec<u64>>,
    confusion: Confusion,
    calibration: Calibration,
    named: Vec<Named>,
    loss_sum: f64,
}

impl Accumulator {
    /// Nothing seen yet, over `classes` classes; `ks` are the k of top-k, usually [`DEFAULT_KS`].
    #[must_use]
    pub fn new(classes: usize, ks: &[usize]) -> Self {
        let (hits, confusion) = (vec![vec![0; classes]; ks.len()], Confusion::new(classes));
        Self { ks: ks.to_vec(), hits, confusion, calibration: Calibration::default(), named: vec![], loss_sum: 0.0 }
    }

    /// The same, counting average-k under these thresholds too.
    #[must_use]
    pub fn with_thresholds(mut self, thresholds: &[Threshold]) -> Self {
        let classes = self.classes();
        self.named = thresholds.iter().map(|&threshold| Named::new(threshold, classes)).collect();
        self
    }

    /// Counts one sample: its true class and one probability a class, `[C]`. (Logits give the same figures but calibration and
    /// average-k, which mean nothing of them.)
    ///
    /// The prediction is the highest score; ties go to the lower class index and NaN comes last.
    ///
    /// # Panics
    /// If `scores` does not have one score a class, or `truth` is not a class.
    pub fn add(&mut self, truth: usize, scores: &[f32]) {
        assert_eq!(scores.len(), self.classes(), "one score a class");
        let predicted = best(scores);
        self.confusion.add(truth, predicted);
        self.calibration.add(scores[predicted], predicted == truth);
        self.named.iter_mut().for_each(|named| named.add(truth, scores));
        let rank = rank(scores, truth);
        for (&k, hits) in self.ks.iter().zip(&mut self.hits) {
            hits[truth] += u64::from(rank < k);
        }
    }

    /// Adds the loss of samples already or yet to be counted: the *sum* over samples, not a batch's mean.
    pub fn add_loss(&mut self, sum: f64) {
        self.loss_sum += sum;
    }

    /// Adds what another rank has seen.
    ///
    /// # Panics
    /// If the other has other classes, other k or other thresholds.
    pub fn merge(&mut self, other: &Self) {
        assert_eq!(self.ks, other.ks, "accumulators over different k");
        assert_eq!(self.named.len(), other.named.len(), "accumulators under different thresholds");
        self.confusion.merge(&other.confusion);
        self.calibration.merge(&other.calibration);
        self.named.iter_mut().zip(&other.named).for_each(|(mine, theirs)| mine.merge(theirs));
        for (mine, theirs) in self.hits.iter_mut().flatten().zip(other.hits.iter().flatten()) {
            *mine += theirs;
        }
        self.loss_sum += other.loss_sum;
    }

    /// The number of classes, C.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.confusion.classes()
    }

    /// The number of samples counted.
    #[must_use]
    pub fn samples(&self) -> u64 {
        self.confusion.total()
    }

    /// The true mean of the loss over samples; NaN before the first.
    #[must_use]
    pub fn mean_loss(&self) -> f64 {
        self.loss_sum / self.samples() as f64
    }

    /// Micro and macro top-k, one a k.
    #[must_use]
    pub fn top_k(&self) -> Vec<TopK> {
        let support = self.support();
        self.ks.iter().zip(&self.hits).map(|(&k, hits)| top_k(k, hits, &support)).collect()
    }

    /// Average-k, one a threshold.
    #[must_use]
    pub fn average_k(&self) -> Vec<AverageK> {
        let support = self.support();
        self.named.iter().map(|named| named.accuracy(&support)).collect()
    }

    /// Expected calibration error and its bins; `None` before the first sample.
    #[must_use]
    pub fn calibration(&self) -> Option<CalibrationReport> {
        self.calibration.report()
    }

    /// The original program's figures from the same counts, without its loss, for which the order of the images is needed.
    #[must_use]
    pub fn as_original(&self) -> AsOriginal {
        let support = self.support();
        let right: Vec<u64> = (0..self.classes()).map(|class| self.confusion.correct(class)).collect();
        let macro_top_k = self.ks.iter().zip(&self.hits).map(|(&k, hits)| (k, original::macro_accuracy(hits, &support)));
        AsOriginal { loss: None, class_top_1: original::class_accuracy(&right, &support), macro_top_k: macro_top_k.collect() }
    }

    fn support(&self) -> Vec<u64> {
        (0..self.classes()).map(|class| self.confusion.support(class)).collect()
    }

    /// True class × predicted class.
    #[must_use]
    pub fn confusion(&self) -> &Confusion {
        &self.confusion
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn four_samples_by_hand() {
        let mut seen = Accumulator::new(3, &[1, 2]);
        seen.add(0, &[0.6, 0.3, 0.1]); // right
        seen.add(0, &[0.3, 0.6, 0.1]); // second
        seen.add(1, &[0.5, 0.2, 0.3]); // third
        seen.add(2, &[0.2, 0.2, 0.2]); // all tied: class 0 is predicted, the truth is third
        seen.add_loss(3.0);
        assert_eq!(seen.samples(), 4);
        assert_eq!(seen.mean_loss(), 0.75);
        assert_eq!(seen.confusion().rows(), [[1, 1, 0], [1, 0, 0], [1, 0, 0]]);
        let [one, two] = seen.top_k().try_into().unwrap();
        assert_eq!((one.k, one.micro), (1, 0.25));
        assert!((one.macro_seen - 0.5 / 3.0).abs() < 1e-15);
        assert_eq!((two.k, two.micro), (2, 0.5));
        assert!((two.macro_seen - 1.0 / 3.0).abs() < 1e-15);
    }

    #[test]
    fn more_k_than_classes_is_always_a_hit() {
        let mut seen = Accumulator::new(2, &[5]);
        seen.add(1, &[0.9, 0.1]);
        assert_eq!(seen.top_k()[0].micro, 1.0);
    }

    proptest! {
        #[test]
        fn any_division_over_ranks_counts_as_one_process_does(
            samples in prop::collection::vec((0usize..4, prop::collection::vec(0u8..3, 4), 0usize..3), 0..40)
        ) {
            let empty = Accumulator::new(4, &DEFAULT_KS).with_thresholds(&[Threshold { k: 2, lambda: 0.4 }]);
            let mut whole = empty.clone();
            let mut ranks = vec![empty.clone(); 3];
            for (truth, scores, owner) in samples {
                let scores: Vec<f32> = scores.into_iter().map(|score| f32::from(score) / 3.0).collect(); // few values: many ties
                whole.add(truth, &scores);
                ranks[owner].add(truth, &scores);
            }
            // Across ranks they travel as text.
            let mut merged = empty;
            for rank in &ranks {
                let text = serde_json::to_string(rank).unwrap();
                merged.merge(&serde_json::from_str(&text).unwrap());
            }
            prop_assert_eq!(merged, whole);
        }
    }
}
