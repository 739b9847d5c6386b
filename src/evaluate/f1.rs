//! A confusion matrix → F1, as scikit-learn's `f1_score` defines it.
//!
//! F1 of a class is 2·TP / (2·TP + FP + FN) = 2·correct / (support + predicted), and 0 where that is 0/0.

use super::confusion::Confusion;
use super::ratio;

/// F1 of one class; 0 for a class that is neither true nor predicted anywhere.
#[must_use]
pub fn f1_of(confusion: &Confusion, class: usize) -> f64 {
    ratio(2 * confusion.correct(class), confusion.support(class) + confusion.predicted(class))
}

/// F1 over all samples at once. With one label a sample it equals top-1 accuracy.
#[must_use]
pub fn f1_micro(confusion: &Confusion) -> f64 {
    ratio((0..confusion.classes()).map(|class| confusion.correct(class)).sum(), confusion.total())
}

/// Mean F1 over the union of true and predicted classes; a class in neither is left out, as scikit-learn does.
#[must_use]
pub fn f1_macro(confusion: &Confusion) -> f64 {
    let present: Vec<usize> =
        (0..confusion.classes()).filter(|&class| confusion.support(class) + confusion.predicted(class) > 0).collect();
    if present.is_empty() {
        return 0.0;
    }
    present.iter().map(|&class| f1_of(confusion, class)).sum::<f64>() / present.len() as f64
}

/// Mean F1 weighted by support.
#[must_use]
pub fn f1_weighted(confusion: &Confusion) -> f64 {
    let total = confusion.total();
    if total == 0 {
        return 0.0;
    }
    (0..confusion.classes()).map(|class| confusion.support(class) as f64 * f1_of(confusion, class)).sum::<f64>() / total as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(left: f64, right: f64) {
        assert!((left - right).abs() < 1e-15, "{left} is not {right}");
    }

    #[test]
    fn two_classes_by_hand() {
        // Class 0: 4 right of 5, predicted 6 times: F1 = 8/11. Class 1: 3 of 5, predicted 4 times: F1 = 6/9.
        let confusion = Confusion::of([[4, 1], [2, 3]]);
        close(f1_of(&confusion, 0), 8.0 / 11.0);
        close(f1_of(&confusion, 1), 6.0 / 9.0);
        close(f1_micro(&confusion), 0.7);
        close(f1_macro(&confusion), (8.0 / 11.0 + 6.0 / 9.0) / 2.0);
        close(f1_weighted(&confusion), f1_macro(&confusion)); // equal support
    }

    #[test]
    fn a_class_that_is_only_predicted_counts_as_zero_and_one_that_is_nowhere_does_not_count() {
        // Class 1 is predicted once and never true; class 2 is nowhere.
        let confusion = Confusion::of([[3, 1, 0], [0, 0, 0], [0, 0, 0]]);
        close(f1_macro(&confusion), (6.0 / 7.0) / 2.0);
        close(f1_weighted(&confusion), 6.0 / 7.0);
    }

    #[test]
    fn nothing_counted_is_zero_and_not_nan() {
        let empty = Confusion::new(4);
        assert_eq!([f1_micro(&empty), f1_macro(&empty), f1_weighted(&empty)], [0.0; 3]);
    }
}
