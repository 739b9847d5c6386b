//! A confusion matrix → precision, recall, F1 and support of each class, and balanced accuracy.

use serde::{Deserialize, Serialize};

use super::confusion::Confusion;
use super::f1::f1_of;
use super::ratio;

/// How well one class is recognised. Fractions of 1; 0 where the divisor is 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassScore {
    /// The class's name, as in the dataset.
    pub label: String,
    /// Correct over predicted.
    pub precision: f64,
    /// Correct over support: the benchmark's "per-class top-1".
    pub recall: f64,
    /// Harmonic mean of the two.
    pub f1: f64,
    /// Samples of this class.
    pub support: u64,
}

/// One score a class, in class order.
///
/// # Panics
/// If there are not as many labels as classes.
#[must_use]
pub fn class_scores(confusion: &Confusion, labels: &[String]) -> Vec<ClassScore> {
    assert_eq!(labels.len(), confusion.classes(), "one label a class");
    labels
        .iter()
        .enumerate()
        .map(|(class, label)| ClassScore {
            label: label.clone(),
            precision: ratio(confusion.correct(class), confusion.predicted(class)),
            recall: recall(confusion, class),
            f1: f1_of(confusion, class),
            support: confusion.support(class),
        })
        .collect()
}

/// Mean recall over the classes with support (scikit-learn's `balanced_accuracy_score`); equals macro top-1.
#[must_use]
pub fn balanced_accuracy(confusion: &Confusion) -> f64 {
    let supported: Vec<usize> = (0..confusion.classes()).filter(|&class| confusion.support(class) > 0).collect();
    if supported.is_empty() {
        return 0.0;
    }
    supported.iter().map(|&class| recall(confusion, class)).sum::<f64>() / supported.len() as f64
}

fn recall(confusion: &Confusion, class: usize) -> f64 {
    ratio(confusion.correct(class), confusion.support(class))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn precision_looks_down_a_column_and_recall_along_a_row() {
        let confusion = Confusion::of([[3, 1, 0], [2, 2, 0], [0, 0, 0]]);
        let scores = class_scores(&confusion, &["Diptera", "Coleoptera", "Embioptera"].map(String::from));
        assert_eq!((scores[0].precision, scores[0].recall, scores[0].support), (3.0 / 5.0, 3.0 / 4.0, 4));
        assert_eq!((scores[1].precision, scores[1].recall, scores[1].support), (2.0 / 3.0, 2.0 / 4.0, 4));
        assert_eq!((scores[2].precision, scores[2].recall, scores[2].f1, scores[2].support), (0.0, 0.0, 0.0, 0));
        assert_eq!(balanced_accuracy(&confusion), (0.75 + 0.5) / 2.0);
    }
}
