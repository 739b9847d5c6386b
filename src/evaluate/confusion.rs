//! (true class, predicted class) pairs → the confusion matrix.

use serde::{Deserialize, Serialize};

/// Counts of (true class, predicted class), `[C, C]`, row-major, rows are the truth.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confusion {
    classes: usize,
    counts: Vec<u64>,
}

impl Confusion {
    /// An empty matrix over `classes` classes.
    #[must_use]
    pub fn new(classes: usize) -> Self {
        Self { classes, counts: vec![0; classes * classes] }
    }

    /// Counts one sample.
    ///
    /// # Panics
    /// If a class is not below the number of classes.
    pub fn add(&mut self, truth: usize, predicted: usize) {
        self.add_many(truth, predicted, 1);
    }

    /// Counts `samples` samples of the same pair.
    ///
    /// # Panics
    /// If a class is not below the number of classes.
    pub fn add_many(&mut self, truth: usize, predicted: usize, samples: u64) {
        assert!(truth < self.classes && predicted < self.classes, "class {truth} or {predicted} of {}", self.classes);
        self.counts[truth * self.classes + predicted] += samples;
    }

    /// Adds the counts of another part of the same split.
    ///
    /// # Panics
    /// If the numbers of classes differ.
    pub fn merge(&mut self, other: &Self) {
        assert_eq!(self.classes, other.classes, "confusion matrices over different classes");
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
    }

    /// The number of classes, C.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The number of samples counted.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// How many samples are of `class`.
    #[must_use]
    pub fn support(&self, class: usize) -> u64 {
        self.row(class).iter().sum()
    }

    /// How many samples were predicted to be of `class`.
    #[must_use]
    pub fn predicted(&self, class: usize) -> u64 {
        self.counts.iter().skip(class).step_by(self.classes).sum()
    }

    /// How many samples of `class` were predicted to be of it.
    #[must_use]
    pub fn correct(&self, class: usize) -> u64 {
        self.row(class)[class]
    }

    /// The matrix as rows, one a true class.
    #[must_use]
    pub fn rows(&self) -> Vec<Vec<u64>> {
        (0..self.classes).map(|class| self.row(class).to_vec()).collect()
    }

    fn row(&self, class: usize) -> &[u64] {
        &self.counts[class * self.classes..(class + 1) * self.classes]
    }
}

#[cfg(test)]
impl Confusion {
    /// A matrix from its rows, for hand-worked tests.
    pub(super) fn of<const C: usize>(rows: [[u64; C]; C]) -> Self {
        Self { classes: C, counts: rows.concat() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_the_truth_and_columns_the_prediction() {
        let mut confusion = Confusion::new(3);
        for (truth, predicted) in [(0, 0), (0, 0), (0, 2), (1, 2), (1, 1)] {
            confusion.add(truth, predicted);
        }
        assert_eq!(confusion.rows(), [[2, 0, 1], [0, 1, 1], [0, 0, 0]]);
        assert_eq!([0, 1, 2].map(|class| confusion.support(class)), [3, 2, 0]);
        assert_eq!([0, 1, 2].map(|class| confusion.predicted(class)), [2, 1, 2]);
        assert_eq!([0, 1, 2].map(|class| confusion.correct(class)), [2, 1, 0]);
        assert_eq!(confusion.total(), 5);
    }

    #[test]
    fn merging_adds_cell_by_cell() {
        let mut left = Confusion::of([[1, 2], [3, 4]]);
        left.merge(&Confusion::of([[10, 0], [0, 10]]));
        assert_eq!(left.rows(), [[11, 2], [3, 14]]);
    }
}
