//! Merged counts → every figure of a test, in the form `test.json` holds.

use serde::{Deserialize, Serialize};

use super::accumulator::Accumulator;
use super::average_k::AverageK;
use super::calibration::CalibrationReport;
use super::f1::{f1_macro, f1_micro, f1_weighted};
use super::original::AsOriginal;
use super::perclass::{ClassScore, balanced_accuracy, class_scores};
use super::topk::TopK;

/// Every metric of a model on a split. Fractions of 1, not per cent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Samples the split lists.
    pub expected: u64,
    /// Samples measured; less than expected where images are missing or quarantined.
    pub used: u64,
    /// Mean loss over the used samples; none where nothing was used.
    pub loss: Option<f64>,
    /// Micro and macro top-k, one a k.
    pub top_k: Vec<TopK>,
    /// F1 over all samples at once; equals top-1.
    pub f1_micro: f64,
    /// Mean F1 over the classes true or predicted anywhere.
    pub f1_macro: f64,
    /// Mean F1 weighted by support.
    pub f1_weighted: f64,
    /// Mean recall over the classes with support.
    pub balanced_accuracy: f64,
    /// Average-k, one a k; empty where there was no validation split to take thresholds from, as in the runs of older versions.
    #[serde(default)]
    pub average_k: Vec<AverageK>,
    /// Expected calibration error; none where nothing was used, or in the runs of older versions.
    #[serde(default)]
    pub calibration: Option<CalibrationReport>,
    /// What the original program's arithmetic makes of the same scores; none in the runs of older versions.
    #[serde(default)]
    pub as_original: Option<AsOriginal>,
    /// One a class, in class order.
    pub per_class: Vec<ClassScore>,
    /// `[C, C]` counts; rows are the truth.
    pub confusion: Vec<Vec<u64>>,
}

impl Evaluation {
    /// Reads every metric off what all ranks have seen. `labels` name the classes in class order; `expected` is the size of the split.
    ///
    /// # Panics
    /// If there are not as many labels as classes.
    #[must_use]
    pub fn new(seen: &Accumulator, labels: &[String], expected: u64) -> Self {
        let confusion = seen.confusion();
        Self {
            expected,
            used: seen.samples(),
            loss: (seen.samples() > 0).then(|| seen.mean_loss()),
            top_k: seen.top_k(),
            f1_micro: f1_micro(confusion),
            f1_macro: f1_macro(confusion),
            f1_weighted: f1_weighted(confusion),
            balanced_accuracy: balanced_accuracy(confusion),
            average_k: seen.average_k(),
            calibration: seen.calibration(),
            as_original: (seen.samples() > 0).then(|| seen.as_original()),
            per_class: class_scores(confusion, labels),
            confusion: confusion.rows(),
        }
    }

    /// Average-k at one k, if it was counted.
    #[must_use]
    pub fn average_at(&self, k: usize) -> Option<&AverageK> {
        self.average_k.iter().find(|average| average.k == k)
    }

    /// The figures at one k, if it was counted.
    #[must_use]
    pub fn at(&self, k: usize) -> Option<&TopK> {
        self.top_k.iter().find(|top| top.k == k)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::average_k::Threshold;

    fn labels() -> [String; 2] {
        ["Diptera", "Hemiptera"].map(String::from)
    }

    #[test]
    fn a_small_test_as_its_file_holds_it() {
        let mut seen = Accumulator::new(2, &[1]).with_thresholds(&[Threshold { k: 1, lambda: 0.5 }]);
        seen.add(0, &[0.75, 0.25]);
        seen.add(0, &[0.25, 0.75]);
        seen.add(1, &[0.25, 0.75]);
        seen.add(1, &[0.0, 1.0]);
        seen.add_loss(2.0);
        let evaluation = Evaluation::new(&seen, &labels(), 5);
        insta::assert_snapshot!(serde_json::to_string_pretty(&evaluation).unwrap());
    }

    #[test]
    fn micro_f1_is_top_1_and_balanced_accuracy_is_macro_top_1() {
        let mut seen = Accumulator::new(2, &[1]);
        for (truth, scores) in [(0, [1.0, 0.0]), (0, [0.0, 1.0]), (1, [0.0, 1.0])] {
            seen.add(truth, &scores);
        }
        let evaluation = Evaluation::new(&seen, &labels(), 3);
        let top = evaluation.at(1).unwrap();
        assert_eq!(evaluation.f1_micro, top.micro);
        assert_eq!(evaluation.balanced_accuracy, top.macro_seen);
        assert_eq!(evaluation.at(3), None);
    }

    #[test]
    fn a_test_of_nothing_has_no_loss_and_is_still_json() {
        let evaluation = Evaluation::new(&Accumulator::new(2, &[1]), &labels(), 7);
        assert_eq!((evaluation.loss, evaluation.used, evaluation.expected), (None, 0, 7));
        let text = serde_json::to_string(&evaluation).unwrap();
        assert_eq!(serde_json::from_str::<Evaluation>(&text).unwrap(), evaluation);
    }

    #[test]
    fn the_result_of_an_older_version_lacks_the_newer_figures_and_is_read() {
        let text = r#"{"expected":1,"used":1,"loss":0.5,"top_k":[],"f1_micro":1,"f1_macro":1,"f1_weighted":1,"balanced_accuracy":1,
            "per_class":[],"confusion":[]}"#;
        let old: Evaluation = serde_json::from_str(text).unwrap();
        assert_eq!((old.average_k, old.calibration, old.as_original), (vec![], None, None));
    }
}
