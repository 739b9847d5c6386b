//! Each format of one summary that has everything: a full cell, n=2/3, n=1, runs that must not be averaged, a missing row, published
//! neighbours and footnotes.

use super::aggregate::fixtures_tests::{job, record};
use super::published::Published;
use super::{Arithmetic, EXPORTERS, Exporter, Summary, aggregate, markdown, terminal};
use crate::config::Loss;
use crate::evaluate::{ClassScore, RunRecord};

/// As [`record`], on the paper's data by the paper's recipe.
fn of_the_paper(id: &str, percent: f64) -> RunRecord {
    let mut record = record(id, percent);
    let sizes = &Published::load().unwrap().partitions[&record.id.partition].test_sizes;
    let class = |(label, support): (&String, &u64)| ClassScore {
        label: label.clone(),
        precision: 0.9,
        recall: 0.9,
        f1: 0.9,
        support: *support,
    };
    record.evaluation.per_class = sizes.iter().map(class).collect();
    record.majority.class = 6;
    (record.config.synthetic, record.config.pretrained) = (false, "00ff".into());
    record
}

fn everything() -> Summary {
    let mut job = job();
    job.grid.sizes = vec!["small".into(), "large".into()];
    job.grid.backbones = vec!["resnet50".into(), "vit_base_patch16_224".into()];
    job.grid.losses = vec![Loss::CE, Loss::Focal];
    let mut records = vec![
        of_the_paper("small_insect_order-vit_base_patch16_224-CE-s1", 97.0),
        of_the_paper("small_insect_order-vit_base_patch16_224-CE-s2", 98.0),
        of_the_paper("small_insect_order-vit_base_patch16_224-CE-s3", 99.0),
        of_the_paper("small_insect_order-resnet50-CE-s1", 90.0),
        of_the_paper("small_insect_order-resnet50-CE-s3", 94.0),
        of_the_paper("small_insect_order-resnet50-Focal-s2", 91.0),
        of_the_paper("small_insect_order-vit_base_patch16_224-Focal-s1", 92.0),
        of_the_paper("small_insect_order-vit_base_patch16_224-Focal-s2", 93.0),
        of_the_paper("large_insect_order-vit_base_patch16_224-CE-s1", 99.5),
    ];
    records[7].config.dataset_fingerprint = "f2".into();
    records[8].evaluation.used = 9;
    records[8].notes.insert("batch norm".into(), "statistics of rank 0".into());
    let mut summary = aggregate(&job, &records, &Published::load().unwrap(), Arithmetic::Ours).unwrap();
    // As if it led by more than the noise.
    summary.tables[0].rows[2].cells[0].iter_mut().for_each(|cell| cell.best = true);
    summary
}

#[test]
fn every_format_is_as_it_was() {
    for exporter in EXPORTERS {
        insta::assert_snapshot!(exporter.file(), exporter.export(&everything()).unwrap());
    }
}

#[test]
fn the_terminal_shows_the_same_in_less_room() {
    insta::assert_snapshot!(terminal::text(&everything(), false));
    assert!(terminal::text(&everything(), true).contains("\u{1b}[1m98.00±1.00\u{1b}[0m"));
}

#[test]
fn synthetic_data_are_called_so_in_every_format() {
    let summary = aggregate(
        &job(),
        &[record("small_insect_order-vit_base_patch16_224-CE-s1", 50.0)],
        &Published::load().unwrap(),
        Arithmetic::Ours,
    )
    .unwrap();
    for exporter in EXPORTERS {
        let text = exporter.export(&summary).unwrap().to_lowercase();
        assert!(text.contains("synthetic") && !text.contains("\"synthetic\": false"), "{}", exporter.file());
    }
}

#[test]
fn a_table_of_no_runs_is_still_a_table() {
    let summary = aggregate(&job(), &[], &Published::load().unwrap(), Arithmetic::Ours).unwrap();
    assert!(markdown::Markdown.export(&summary).unwrap().contains("| 0/3 |"));
}
