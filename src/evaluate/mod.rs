//! True labels and scores → the benchmark's metrics: top-k, average-k, F1, per-class recall, calibration, the confusion matrix.
//!
//! Everything is counted in integers, so the metrics of many ranks are those of one: each rank fills an [`Accumulator`],
//! the accumulators are merged, and one [`Evaluation`] is read off. The loss is the only float: a sum over samples,
//! merged in rank order. Where the original program errs, ours is right and [`original`] keeps its figure for comparison.
//!
//! | file | metric |
//! |---|---|
//! | [`accumulator`] | what a rank counts, and how counts are merged |
//! | [`confusion`] | true class × predicted class |
//! | [`topk`] | micro and macro top-k |
//! | [`average_k`] | accuracy where k classes are named on average |
//! | [`calibration`] | expected calibration error |
//! | [`original`] | the loss and the class accuracies as the original program divides them |
//! | [`detection`] | IoU, average precision, empty dishes: of boxes |
//! | [`f1`] | micro, macro and weighted F1 |
//! | [`perclass`] | precision, recall, F1 and support of each class; balanced accuracy |
//! | [`majority`] | what a guess reaches: the majority class, and chance |
//! | [`report`] | all of the above, as `test.json` holds it |
//! | [`record`] | a run's configuration and figures, as `test.json` holds them |

pub mod accumulator;
pub mod average_k;
pub mod calibration;
pub mod confusion;
pub mod detection;
pub mod f1;
pub mod majority;
pub mod original;
pub mod perclass;
pub mod record;
pub mod report;
pub mod topk;

pub use accumulator::{Accumulator, DEFAULT_KS};
pub use average_k::{AverageK, Threshold, thresholds};
pub use calibration::{Calibration, CalibrationReport};
pub use confusion::Confusion;
pub use detection::{DetectionReport, Sighting};
pub use majority::{Baseline, chance_f1_macro, majority_baseline};
pub use original::AsOriginal;
pub use perclass::ClassScore;
pub use record::{NoRecord, RunRecord};
pub use report::Evaluation;
pub use topk::{TopK, likeliest};

/// `part / whole`, and 0 where there is nothing to divide by (scikit-learn's `zero_division`).
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
