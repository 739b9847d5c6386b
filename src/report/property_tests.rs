//! What must hold of any runs.

use proptest::prelude::*;

use super::aggregate::fixtures_tests::{job, record};
use super::outcomes::{Group, Outcome, Outcomes};
use super::published::Published;
use super::{Arithmetic, EXPORTERS, Summary, aggregate, leads};
use crate::config::{Job, Loss};
use crate::evaluate::RunRecord;

fn grid() -> Job {
    let mut job = job();
    job.grid.backbones = vec!["resnet50".into(), "vit_base_patch16_224".into()];
    job.grid.losses = vec![Loss::CE, Loss::Focal];
    job
}

fn summary(records: &[RunRecord]) -> Summary {
    aggregate(&grid(), records, &Published::load().unwrap(), Arithmetic::Ours).unwrap()
}

/// Some of the twelve runs, with a figure each, in some order.
fn runs() -> impl Strategy<Value = Vec<RunRecord>> {
    let ids: Vec<String> = grid().grid.experiments().iter().map(|run| run.id.to_string()).collect();
    let figures = prop::collection::vec(0.0..100.0f64, ids.len());
    (prop::sample::subsequence(ids, 0..=12).prop_shuffle(), figures)
        .prop_map(|(ids, figures)| ids.iter().zip(figures).map(|(id, percent)| record(id, percent)).collect())
}

proptest! {
    #[test]
    fn a_permutation_of_the_runs_changes_no_byte_of_any_format(records in runs(), turn in 0usize..12) {
        let mut turned = records.clone();
        turned.rotate_left(turn.min(records.len()));
        turned.reverse();
        for exporter in EXPORTERS {
            prop_assert_eq!(exporter.export(&summary(&records)).unwrap(), exporter.export(&summary(&turned)).unwrap());
        }
    }

    #[test]
    fn every_run_is_in_a_cell_or_missing_and_no_mean_leaves_the_range_of_its_runs(records in runs()) {
        let summary = summary(&records);
        prop_assert_eq!(summary.done + summary.missing.len(), 12);
        prop_assert_eq!(summary.tables[0].rows.iter().map(|row| row.n).sum::<usize>(), records.len());
        for row in &summary.tables[0].rows {
            let own = || records.iter().filter(|run| run.id.backbone == row.backbone && run.id.loss == row.loss);
            for cell in row.cells.iter().flatten() {
                let values = || own().filter_map(|run| cell.metric.of(&run.evaluation, Arithmetic::Ours));
                let (low, high) = (values().fold(f64::MAX, f64::min), values().fold(f64::MIN, f64::max));
                prop_assert!(low - 1e-9 <= cell.mean && cell.mean <= high + 1e-9);
            }
        }
    }

    #[test]
    fn the_marks_do_not_depend_on_the_order_of_the_groups(weights in prop::collection::vec((1u64..50, 0u8..2, 0u8..2), 1..8), turn in 0usize..8) {
        let records: Vec<RunRecord> = ["resnet50-CE-s1", "resnet50-CE-s2", "resnet50-Focal-s1", "resnet50-Focal-s2"]
            .iter().zip([80.0, 82.0, 60.0, 61.0]).map(|(rest, percent)| record(&format!("small_insect_order-{rest}"), percent)).collect();
        let group = |&(images, a, b): &(u64, u8, u8)| {
            let outcome = |rank: u8| Outcome { rank, says: u16::from(rank) };
            Group { images, truth: 0, outcomes: vec![outcome(a), outcome(a), outcome(b), outcome(b)] }
        };
        let groups: Vec<Group> = weights.iter().map(group).collect();
        let outcomes = Outcomes { runs: records.iter().map(|run| run.id.clone()).collect(), classes: 2, groups, ..Outcomes::default() };
        let marked = |outcomes: &Outcomes| {
            let mut summary = summary(&records);
            leads::mark_best(&mut summary, "small_insect_order", outcomes, 200);
            summary
        };
        let once = marked(&outcomes);
        prop_assert_eq!(&once, &marked(&outcomes), "the same twice");
        let mut turned = outcomes;
        let places = turn.min(turned.groups.len());
        turned.groups.rotate_left(places);
        // Other draws of the same distribution: quantiles move a little, never the number of comparisons.
        prop_assert_eq!(marked(&turned).tables[0].leads.len(), once.tables[0].leads.len());
    }
}

#[test]
fn the_best_row_is_marked_where_every_other_is_behind_by_more_than_the_noise() {
    let rest = ["resnet50-CE", "resnet50-Focal"];
    let records: Vec<RunRecord> = rest
        .iter()
        .zip([90.0, 60.0])
        .flat_map(|(rest, percent)| (1..=3).map(move |seed| record(&format!("small_insect_order-{rest}-s{seed}"), percent)))
        .collect();
    let outcome = |rank: u8| Outcome { rank, says: u16::from(rank) };
    let group = |images, a, b| Group { images, truth: 0, outcomes: [vec![outcome(a); 3], vec![outcome(b); 3]].concat() };
    let groups = vec![group(60, 0, 0), group(30, 0, 1), group(10, 1, 1)];
    let runs = records.iter().map(|run| run.id.clone()).collect();
    let mut summary = summary(&records);
    leads::mark_best(&mut summary, "small_insect_order", &Outcomes { runs, classes: 2, groups, ..Outcomes::default() }, 500);
    let marked: Vec<bool> = summary.tables[0].rows.iter().map(|row| row.cells[0].is_some_and(|cell| cell.best)).collect();
    assert_eq!(marked, [true, false, false, false]);
    let lead = &summary.tables[0].leads[0];
    assert!((lead.difference - 30.0).abs() < 1e-9 && lead.low.unwrap() > 15.0 && lead.high.unwrap() < 45.0, "{lead:?}");
    // Top-5 of two classes is always 100 %, in both rows: no lead at all.
    let top_5 = summary.tables[0].leads.iter().find(|lead| lead.metric == super::Metric::Top5).unwrap();
    assert_eq!(top_5.low, Some(0.0));
}
