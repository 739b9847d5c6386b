//! Records and jobs for the tests of this room.

use std::collections::BTreeMap;

use crate::config::{Job, Partition, Recipe, RunConfig, from_text};
use crate::evaluate::{Baseline, ClassScore, Evaluation, RunRecord, TopK};

/// A grid of one size, one backbone and loss, three seeds.
pub fn job() -> Job {
    from_text(
        r#"
name = "mini"
paths = { dataset = "data" }
[grid]
sizes = ["small"]
tasks = ["insect_order"]
backbones = ["vit_base_patch16_224"]
losses = ["CE"]
seeds = [1, 2, 3]
"#,
        "mini.toml",
    )
    .unwrap()
}

/// A run on synthetic data with two classes, every figure of which is `percent`.
pub fn record(id: &str, percent: f64) -> RunRecord {
    let id: crate::config::ExperimentId = id.parse().unwrap();
    let fraction = percent / 100.0;
    let class =
        |label: &str, support| ClassScore { label: label.into(), precision: fraction, recall: fraction, f1: fraction, support };
    let top = |k| TopK { k, micro: fraction, macro_seen: fraction, macro_all: fraction };
    let config = RunConfig {
        partition: Partition { name: id.partition.clone(), label: "order".into(), split: id.partition.clone() },
        id: id.clone(),
        dataset_fingerprint: "f1".into(),
        images_fingerprint: "i1".into(),
        synthetic: true,
        pretrained: String::new(),
        package: "original_256".into(),
        recipe: Recipe::default(),
    };
    RunRecord {
        config_hash: config.hash().unwrap(),
        id,
        config,
        best_epoch: 7,
        ranks: 1,
        evaluation: Evaluation {
            expected: 10,
            used: 10,
            loss: Some(0.5),
            top_k: [1, 3, 5].map(top).to_vec(),
            f1_micro: fraction,
            f1_macro: fraction,
            f1_weighted: fraction,
            balanced_accuracy: fraction,
            average_k: vec![],
            calibration: None,
            as_original: None,
            per_class: vec![class("Diptera", 6), class("Hemiptera", 4)],
            confusion: vec![vec![6, 0], vec![0, 4]],
        },
        majority: Baseline { class: 0, accuracy: 0.6, f1_macro: 0.375 },
        notes: BTreeMap::new(),
    }
}
