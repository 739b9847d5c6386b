//! Our metrics against scikit-learn's, from figures that `fixtures/make_metric_fixtures.py` wrote.

#[path = "support/fixture.rs"]
mod fixture;

use bioscan_hpc::evaluate::{Accumulator, DEFAULT_KS, Evaluation, majority_baseline, thresholds};
use serde::Deserialize;

#[derive(Deserialize)]
struct Fixtures {
    cases: Vec<Case>,
    probabilistic: Vec<Probabilistic>,
}

/// Probabilities are in units of 1/4096, exact in float32.
#[derive(Deserialize)]
struct Probabilistic {
    name: String,
    classes: usize,
    validation: Vec<Vec<u16>>,
    truth: Vec<usize>,
    probabilities: Vec<Vec<u16>>,
    ece: f64,
    bins: Vec<u64>,
    average_k: Vec<ExpectedAverage>,
}

#[derive(Deserialize)]
struct ExpectedAverage {
    k: usize,
    lambda: f64,
    micro: f64,
    r#macro: f64,
    named: f64,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    classes: usize,
    truth: Vec<usize>,
    scores: Vec<Vec<f32>>,
    top_k: Vec<ExpectedTopK>,
    f1_micro: f64,
    f1_macro: f64,
    f1_weighted: f64,
    balanced_accuracy: f64,
    precision: Vec<f64>,
    recall: Vec<f64>,
    f1: Vec<f64>,
    support: Vec<u64>,
    confusion: Vec<Vec<u64>>,
    majority_f1_macro: f64,
}

#[derive(Deserialize)]
struct ExpectedTopK {
    k: usize,
    micro: f64,
    r#macro: f64,
}

fn fixtures() -> Fixtures {
    let fixtures: Fixtures = fixture::json("metrics");
    assert!(!fixtures.cases.is_empty() && !fixtures.probabilistic.is_empty());
    fixtures
}

fn cases() -> Vec<Case> {
    fixtures().cases
}

/// Counted on three ranks and merged.
fn evaluate(case: &Case) -> Evaluation {
    let mut ranks = vec![Accumulator::new(case.classes, &DEFAULT_KS); 3];
    for (sample, (&truth, scores)) in case.truth.iter().zip(&case.scores).enumerate() {
        ranks[sample % 3].add(truth, scores);
    }
    let mut whole = Accumulator::new(case.classes, &DEFAULT_KS);
    ranks.iter().for_each(|rank| whole.merge(rank));
    let labels: Vec<String> = (0..case.classes).map(|class| format!("class {class}")).collect();
    Evaluation::new(&whole, &labels, case.truth.len() as u64)
}

#[test]
fn calibration_has_scikit_learns_bins_and_average_k_is_plantnets() {
    for case in fixtures().probabilistic {
        let as_f32 = |row: &Vec<u16>| row.iter().map(|&units| f32::from(units) / 4096.0).collect::<Vec<_>>();
        let mut validation: Vec<f32> = case.validation.iter().flat_map(as_f32).collect();
        let empty =
            Accumulator::new(case.classes, &DEFAULT_KS).with_thresholds(&thresholds(&mut validation, case.classes, &DEFAULT_KS));
        let mut ranks = vec![empty.clone(); 3];
        for (image, (&truth, row)) in case.truth.iter().zip(&case.probabilities).enumerate() {
            ranks[image % 3].add(truth, &as_f32(row));
        }
        let mut whole = empty;
        ranks.iter().for_each(|rank| whole.merge(rank));
        let calibration = whole.calibration().unwrap();
        let near = |ours: f64, theirs: f64| assert!((ours - theirs).abs() <= 1e-12, "{}: {ours}, fixture {theirs}", case.name);
        near(calibration.ece, case.ece);
        assert_eq!(calibration.bins.iter().map(|bin| bin.images).collect::<Vec<_>>(), case.bins, "{}", case.name);
        assert_eq!(whole.average_k().len(), case.average_k.len());
        for (ours, theirs) in whole.average_k().iter().zip(&case.average_k) {
            assert_eq!(ours.k, theirs.k);
            near(ours.lambda, theirs.lambda);
            near(ours.micro, theirs.micro);
            near(ours.macro_seen, theirs.r#macro);
            near(ours.named, theirs.named);
        }
    }
}

#[track_caller]
fn close(case: &Case, what: &str, ours: f64, theirs: f64) {
    assert!((ours - theirs).abs() <= 1e-12, "{}, {what}: {ours}, scikit-learn {theirs}", case.name);
}

#[test]
fn every_figure_is_scikit_learns_to_1e_12() {
    for case in &cases() {
        let ours = evaluate(case);
        assert_eq!(ours.confusion, case.confusion, "{}", case.name);
        close(case, "micro F1", ours.f1_micro, case.f1_micro);
        close(case, "macro F1", ours.f1_macro, case.f1_macro);
        close(case, "weighted F1", ours.f1_weighted, case.f1_weighted);
        close(case, "balanced accuracy", ours.balanced_accuracy, case.balanced_accuracy);
        assert_eq!(ours.top_k.len(), case.top_k.len());
        for (ours, theirs) in ours.top_k.iter().zip(&case.top_k) {
            assert_eq!(ours.k, theirs.k);
            close(case, &format!("micro top-{}", ours.k), ours.micro, theirs.micro);
            close(case, &format!("macro top-{}", ours.k), ours.macro_seen, theirs.r#macro);
        }
        for (class, ours) in ours.per_class.iter().enumerate() {
            close(case, &format!("precision of {class}"), ours.precision, case.precision[class]);
            close(case, &format!("recall of {class}"), ours.recall, case.recall[class]);
            close(case, &format!("F1 of {class}"), ours.f1, case.f1[class]);
            assert_eq!(ours.support, case.support[class], "{}, support of {class}", case.name);
        }
    }
}

#[test]
fn the_majority_baseline_is_scikit_learns_for_a_constant_prediction() {
    for case in &cases() {
        let baseline = majority_baseline(&case.support, &case.support);
        close(case, "majority macro F1", baseline.f1_macro, case.majority_f1_macro);
        let most = case.support.iter().max().copied().unwrap_or(0);
        close(case, "majority accuracy", baseline.accuracy, most as f64 / case.truth.len() as f64);
    }
}
