//! Class totals → what a guess reaches, to read a model's figures against.

use serde::{Deserialize, Serialize};

use super::confusion::Confusion;
use super::f1::{f1_macro, f1_micro};

/// The figures of a classifier that always says the same class.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// The class it says: the most frequent one in training, the lowest index on a tie.
    pub class: usize,
    /// Its top-1 accuracy (and micro-F1) on the test split.
    pub accuracy: f64,
    /// Its macro-F1 on the test split.
    pub f1_macro: f64,
}

/// The majority-class baseline: learned from `train`, measured on `test`, both samples a class in class order.
///
/// With a share p of the test split in that class and C classes present, accuracy is p and macro-F1 is 2p / (p + 1) / C.
///
/// # Panics
/// If the two have different lengths or none.
#[must_use]
pub fn majority_baseline(train: &[u64], test: &[u64]) -> Baseline {
    assert_eq!(train.len(), test.len(), "class totals over different classes");
    assert!(!train.is_empty(), "no classes");
    let class = (1..train.len()).fold(0, |best, class| if train[class] > train[best] { class } else { best });
    let mut confusion = Confusion::new(test.len());
    for (truth, &count) in test.iter().enumerate() {
        confusion.add_many(truth, class, count);
    }
    Baseline { class, accuracy: f1_micro(&confusion), f1_macro: f1_macro(&confusion) }
}

/// The macro-F1 of chance: 1 / C, what uniform guessing over C balanced classes gives (precision 1/C, recall 1/C).
///
/// On unbalanced classes uniform guessing gives less: F1 of a class with share p is 2p / (pC + 1), concave in p with mean p = 1/C,
/// so by Jensen's inequality its mean is at most 1/C. A threshold in multiples of 1/C is therefore never too easy.
#[must_use]
pub fn chance_f1_macro(classes: usize) -> f64 {
    1.0 / classes as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_formula_of_the_doc_by_hand() {
        // p = 6/10, three classes: 2·0.6 / 1.6 / 3 = 0.25.
        let baseline = majority_baseline(&[1, 5, 2], &[3, 6, 1]);
        assert_eq!((baseline.class, baseline.accuracy), (1, 0.6));
        assert!((baseline.f1_macro - 0.25).abs() < 1e-15);
    }

    #[test]
    fn the_class_is_learned_from_training_even_if_the_test_split_lacks_it() {
        let baseline = majority_baseline(&[9, 1], &[0, 4]);
        assert_eq!((baseline.class, baseline.accuracy, baseline.f1_macro), (0, 0.0, 0.0));
    }

    #[test]
    fn ties_go_to_the_lower_class() {
        assert_eq!(majority_baseline(&[2, 7, 7], &[1, 1, 1]).class, 1);
    }

    #[test]
    fn chance_over_sixteen_orders() {
        assert_eq!(chance_f1_macro(16), 0.0625);
    }
}
