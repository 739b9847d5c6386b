//! Our metrics against scikit-learn's, from figures that `fixtures/make_metric_fixtures.py` wrote.

use bioscan_hpc::evaluate::{Accumulator, DEFAULT_KS, Evaluation, majority_baseline};
use serde::Deserialize;

#[derive(Deserialize)]
struct Fixtures {
    cases: Vec<Case>,
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

fn cases() -> Vec<Case> {
    let fixtures: Fixtures = serde_json::from_str(include_str!("fixtures/metrics.json")).expect("the fixture is JSON");
    assert!(!fixtures.cases.is_empty());
    fixtures.cases
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
