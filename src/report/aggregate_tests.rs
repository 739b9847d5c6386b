use super::fixtures_tests::{job, record};
use super::*;
use crate::config::Exclusion;

const CELL: &str = "small_insect_order-vit_base_patch16_224-CE";

fn of_seeds(values: &[(u64, f64)]) -> Vec<RunRecord> {
    values.iter().map(|(seed, percent)| record(&format!("{CELL}-s{seed}"), *percent)).collect()
}

fn summary(records: &[RunRecord]) -> Summary {
    aggregate(&job(), records, &Published::load().unwrap(), Arithmetic::Ours).unwrap()
}

fn first_cell(summary: &Summary) -> Cell {
    summary.tables[0].rows[0].cells[0].unwrap()
}

#[test]
fn three_seeds_make_a_mean_and_a_sample_std() {
    // Mean 92; deviations −2, 0, 2; sqrt(8 / 2) = 2.
    let cell = first_cell(&summary(&of_seeds(&[(1, 90.0), (2, 92.0), (3, 94.0)])));
    assert!((cell.mean - 92.0).abs() < 1e-9 && (cell.std.unwrap() - 2.0).abs() < 1e-9, "{cell:?}");
    assert_eq!((cell.n, cell.of), (3, 3));
}

#[test]
fn a_missing_seed_is_counted_and_named_and_never_filled_in() {
    let summary = summary(&of_seeds(&[(1, 90.0), (3, 94.0)]));
    let cell = first_cell(&summary);
    // Mean 92; deviations −2, 2; sqrt(8 / 1).
    assert!((cell.mean - 92.0).abs() < 1e-9 && (cell.std.unwrap() - 8f64.sqrt()).abs() < 1e-9);
    assert_eq!((cell.n, cell.of, summary.done, summary.of), (2, 3, 2, 3));
    assert_eq!(summary.missing.iter().map(ToString::to_string).collect::<Vec<_>>(), [format!("{CELL}-s2")]);
    assert!(summary.footnotes.contains(&format!("1 of 3 runs are missing: {CELL}-s2")));
}

#[test]
fn one_run_has_no_spread_and_none_has_no_cell() {
    let cell = first_cell(&summary(&of_seeds(&[(2, 90.0)])));
    assert_eq!((cell.std, cell.n), (None, 1));
    assert_eq!(summary(&[]).tables[0].rows[0].cells, vec![None; 14]);
}

#[test]
fn runs_of_another_dataset_or_recipe_are_never_averaged_with_the_others() {
    let mut records = of_seeds(&[(1, 90.0), (2, 92.0), (3, 94.0)]);
    records[2].config.dataset_fingerprint = "f2".into();
    records[1].config.recipe.lr = 0.5;
    let summary = summary(&records);
    let (table, row) = (&summary.tables[0], &summary.tables[0].rows[0]);
    assert!(row.mixed && row.cells.iter().all(Option::is_none));
    let expected =
        format!("{CELL} is not averaged, its runs differ in dataset_fingerprint: \"f1\" → \"f2\"; recipe.lr: 0.001 → 0.5");
    assert_eq!(table.footnotes[0], expected);
    assert!(table.footnotes.iter().any(|note| note.starts_with("small_insect_order: its runs saw 2 different datasets")));
}

#[test]
fn runs_that_agree_with_each_other_but_not_with_the_job_are_averaged_aloud() {
    let mut records = of_seeds(&[(1, 90.0), (2, 92.0), (3, 94.0)]);
    records.iter_mut().for_each(|record| record.config.recipe.epochs = 3);
    let summary = summary(&records);
    assert_eq!(first_cell(&summary).n, 3);
    let ids = format!("{CELL}-s1, {CELL}-s2, {CELL}-s3");
    let note = format!("made with another recipe than the job file has now (recipe.epochs: 3 → 100): {ids}");
    assert_eq!(summary.tables[0].footnotes, [note]);
}

#[test]
fn test_images_that_were_not_used_are_in_the_footnotes() {
    let mut records = of_seeds(&[(1, 90.0), (2, 92.0), (3, 94.0)]);
    records.iter_mut().for_each(|record| record.evaluation.used = 9);
    let note = "small_insect_order: 9 of 10 test images were used; the others are missing or quarantined";
    assert_eq!(summary(&records).tables[0].footnotes, [note]);
}

#[test]
fn synthetic_data_are_called_so_and_have_no_published_neighbour() {
    let summary = summary(&of_seeds(&[(1, 90.0), (2, 92.0), (3, 94.0)]));
    assert!(summary.synthetic);
    assert_eq!((first_cell(&summary).published, first_cell(&summary).difference), (None, None));
}

#[test]
fn the_baselines_are_the_majority_class_and_chance() {
    let baseline = &summary(&of_seeds(&[(1, 90.0)])).tables[0].baselines[0];
    assert_eq!((baseline.majority_class.as_str(), baseline.accuracy, baseline.chance_f1_macro), ("Diptera", 60.0, 50.0));
}

#[test]
fn macro_f1_is_compared_with_chance_over_all_runs() {
    // 0.9, 0.8, 0.3 over two classes: 1.8, 1.6, 0.6 times chance.
    let median = summary(&of_seeds(&[(1, 90.0), (2, 80.0), (3, 30.0)])).median_times_chance.unwrap();
    assert!((median - 1.6).abs() < 1e-12);
}

#[test]
fn the_order_of_the_records_changes_nothing() {
    let records = of_seeds(&[(1, 90.0), (2, 92.0), (3, 94.0)]);
    let mut reversed = records.clone();
    reversed.reverse();
    assert_eq!(summary(&records), summary(&reversed));
}

#[test]
fn partitions_of_the_jobs_own_get_one_table_a_label() {
    let mut job = job();
    let own = |name: &str, label: &str| Partition { name: name.into(), label: label.into(), split: name.into() };
    job.grid.partitions = vec![own("mine", "quality"), own("yours", "quality"), own("genus_all", "genus")];
    let summary = aggregate(&job, &[], &Published::load().unwrap(), Arithmetic::Ours).unwrap();
    let sizes = |table: &Table| table.rows.iter().map(|row| row.size.clone()).collect::<Vec<_>>();
    let tables: Vec<_> = summary.tables.iter().map(|table| (table.title.as_str(), sizes(table))).collect();
    assert_eq!(
        tables,
        [
            ("insect_order", vec!["small".to_owned()]),
            ("quality", vec!["mine".into(), "yours".into()]),
            ("genus", vec!["genus_all".into()])
        ]
    );
}

#[test]
fn seventy_two_records_are_aggregated_at_once() {
    let job: Job = crate::config::from_text(include_str!("../../jobs/bioscan-1m.toml"), "job.toml").unwrap();
    let records: Vec<_> = job.grid.experiments().iter().map(|run| record(&run.id.to_string(), 90.0)).collect();
    let start = std::time::Instant::now();
    let summary = aggregate(&job, &records, &Published::load().unwrap(), Arithmetic::Ours).unwrap();
    assert_eq!((summary.done, summary.tables.len(), summary.tables[0].rows.len()), (72, 2, 12));
    assert!(start.elapsed().as_millis() < 1000, "{:?}", start.elapsed());
}

#[test]
fn excluded_cells_are_neither_missing_nor_seeds_of_a_row() {
    let mut job = job();
    job.grid.backbones.push("resnet50".into());
    job.grid.sizes.push("large".into());
    let seed_3 = Exclusion { seed: Some(3), ..Exclusion::default() };
    let resnet = Exclusion { backbone: Some("resnet50".into()), ..Exclusion::default() };
    let large = Exclusion { size: Some("large".into()), ..Exclusion::default() };
    job.grid.exclude = vec![seed_3, resnet, large];
    let records = of_seeds(&[(1, 90.0), (2, 92.0)]);
    let summary = aggregate(&job, &records, &Published::load().unwrap(), Arithmetic::Ours).unwrap();
    assert!(summary.missing.is_empty() && summary.of == 2);
    let rows: Vec<(&str, &str, usize, usize)> =
        summary.tables[0].rows.iter().map(|row| (row.size.as_str(), row.backbone.as_str(), row.n, row.of)).collect();
    assert_eq!(rows, [("small", "vit_base_patch16_224", 2, 2)]);
}

#[test]
fn rows_of_other_images_or_other_first_weights_are_compared_with_a_warning() {
    let mut job = job();
    job.grid.losses.push(Loss::Focal);
    let said = |change: fn(&mut RunRecord)| {
        let mut records = of_seeds(&[(1, 90.0), (2, 92.0), (3, 94.0)]);
        let mut focal = record(&format!("{}-s1", CELL.replace("CE", "Focal")), 91.0);
        change(&mut focal);
        records.push(focal);
        aggregate(&job, &records, &Published::load().unwrap(), Arithmetic::Ours).unwrap().tables[0].footnotes.clone()
    };
    assert_eq!(said(|_| {}), [""; 0]);
    let images =
        "small_insect_order: its runs saw 2 different sets of images (cropped_256, original_256); do not compare its rows";
    assert_eq!(said(|record| record.config.package = "cropped_256".into()), [images]);
    let quality = said(|record| record.config.images_fingerprint = "i2".into());
    assert!(quality[0].contains("2 different sets of images (original_256)"), "{quality:?}");
    let weights = said(|record| record.config.pretrained = "00ff".into());
    assert_eq!(weights, ["small_insect_order: its runs began with different first weights; do not compare its rows"]);
}
