//! `aggregate` on the command line: from run folders to the files of `tables/`.

#[path = "support/runs.rs"]
#[expect(dead_code, reason = "shared with other tests")]
mod runs;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use assert_cmd::cargo::cargo_bin_cmd;
use bioscan_hpc::config::Job;
use bioscan_hpc::evaluate::RunRecord;
use bioscan_hpc::store::hash;

/// All runs of the paper's grid in miniature; `right(index)` of each run's eight test images were recognised.
fn lab(right: impl Fn(usize) -> usize) -> (tempfile::TempDir, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let path = runs::paper_job(root.path());
    let job = Job::load(&path).unwrap();
    for index in 0..72 {
        runs::finish(&job.paths.runs(), &runs::record(&job, index, right(index)));
    }
    (root, path)
}

fn aggregate(job: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = cargo_bin_cmd!("bioscan-hpc").args(["-q", "aggregate"]).arg(job).args(arguments).output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn a_whole_grid_becomes_tables_and_a_second_call_touches_nothing() {
    let (root, job) = lab(|index| 5 + index % 3);
    let (code, text) = aggregate(&job, &[]);
    assert_eq!(code, Some(0));
    // Seeds with 5, 6 and 7 of 8: 62.5, 75, 87.5; the std of the three is 12.5.
    assert!(text.contains("75.00 ± 12.50") && text.contains("SYNTHETIC") && text.contains("always Diptera"), "{text}");
    let tables = root.path().join("out/tables");
    let inodes =
        || ["md", "tex", "csv", "json"].map(|ending| fs::metadata(tables.join(format!("tables.{ending}"))).unwrap().ino());
    let before = inodes();
    assert_eq!(aggregate(&job, &[]).0, Some(0));
    assert_eq!(inodes(), before);
    assert_eq!(fs::read_to_string(tables.join("tables.md")).unwrap(), text);
}

#[test]
fn a_missing_run_and_a_damaged_one_are_named_and_end_in_exit_4() {
    let (root, job) = lab(|_| 8);
    let runs = root.path().join("out/runs");
    fs::remove_dir_all(runs.join("small_insect_order-resnet50-CE-s1")).unwrap();
    fs::write(runs.join("large_insect_order-resnet50-CE-s3/test.json"), b"{}").unwrap();
    let (code, text) = aggregate(&job, &["--json"]);
    assert_eq!(code, Some(4));
    let summary: serde_json::Value = serde_json::from_str(&text).unwrap();
    let missing = ["small_insect_order-resnet50-CE-s1", "large_insect_order-resnet50-CE-s3"];
    assert_eq!((summary["missing"].clone(), summary["done"].clone()), (serde_json::json!(missing), 70.into()));
    assert!(fs::read_to_string(root.path().join("out/tables/tables.md")).unwrap().contains("(n=2/3)"));
}

#[test]
fn the_comparison_with_chance_decides_between_0_and_5_and_says_so() {
    // Two classes: all right is 2 times chance.
    let (_root, job) = lab(|_| 8);
    let (code, text) = aggregate(&job, &["--at-least-times-chance", "2"]);
    assert_eq!(code, Some(0));
    assert!(text.ends_with("median macro-F1: 2.00 times chance over 72 runs; at least 2 reached\n"), "{text}");
    let (code, text) = aggregate(&job, &["--at-least-times-chance", "3"]);
    assert_eq!(code, Some(5));
    assert!(text.ends_with("at least 3 NOT reached\n"), "{text}");
}

#[test]
fn copies_unfinished_runs_and_strangers_are_named_and_never_counted() {
    let (root, job) = lab(|_| 8);
    let runs = root.path().join("out/runs");
    let one = runs.join("small_insect_order-resnet50-CE-s1");
    fs::create_dir(runs.join("copy of s1")).unwrap();
    for name in ["test.json", "test.json.blake3"] {
        fs::copy(one.join(name), runs.join("copy of s1").join(name)).unwrap();
    }
    let two = runs.join("small_insect_order-resnet50-CE-s2");
    fs::remove_file(two.join("test.json")).unwrap();
    // A run under another run's name.
    let three = runs.join("small_insect_order-resnet50-CE-s3");
    for name in ["test.json", "test.json.blake3"] {
        fs::copy(one.join(name), three.join(name)).unwrap();
    }
    let (code, text) = aggregate(&job, &["--json"]);
    assert_eq!(code, Some(4));
    let summary: serde_json::Value = serde_json::from_str(&text).unwrap();
    let why = |index: usize| summary["left_out"][index]["why"].as_str().unwrap().to_owned();
    assert_eq!((summary["done"].clone(), summary["left_out"].as_array().unwrap().len()), (70.into(), 3));
    assert!(why(0).contains("a copy of the run small_insect_order-resnet50-CE-s1"), "{}", why(0));
    assert!(why(1).contains("not finished") && why(2).contains("is of the run"), "{} {}", why(1), why(2));
}

#[test]
fn the_originals_arithmetic_is_shown_on_demand_and_never_written() {
    let (root, job) = lab(|_| 6);
    let (code, text) = aggregate(&job, &["--as-original"]);
    assert_eq!(code, Some(0));
    assert!(text.contains("as the original program divides them"), "{text}");
    assert!(!root.path().join("out/tables").exists());
}

/// Writes a run's result as training does, but without waiting for the disk.
fn finish_quickly(runs: &Path, record: &RunRecord) {
    let folder = runs.join(record.id.to_string());
    fs::create_dir_all(&folder).unwrap();
    let text = serde_json::to_vec_pretty(record).unwrap();
    fs::write(folder.join("test.json.blake3"), hash::of_bytes(&text)).unwrap();
    fs::write(folder.join("test.json"), text).unwrap();
}

/// Seconds of wall time in an optimised build; a debug build on a busy machine gets ten times that.
fn within(seconds: f64, work: impl FnOnce()) {
    let start = std::time::Instant::now();
    work();
    let allowed = if cfg!(debug_assertions) { 10.0 * seconds } else { seconds };
    eprintln!("took {:?}", start.elapsed());
    assert!(start.elapsed().as_secs_f64() < allowed, "{:?}", start.elapsed());
}

#[test]
fn ten_thousand_runs_are_aggregated_in_ten_seconds() {
    let root = tempfile::tempdir().unwrap();
    let seeds: Vec<u64> = (1..=417).collect();
    let path = runs::job_file(root.path(), "job.toml", &root.path().join("out").display().to_string(), &format!("{seeds:?}"));
    let job = Job::load(&path).unwrap();
    let first = runs::record(&job, 0, 6);
    let experiments = job.grid.experiments();
    assert_eq!(experiments.len(), 10_008);
    for (index, experiment) in experiments.into_iter().enumerate() {
        let mut record = first.clone();
        (record.id, record.config.id) = (experiment.id.clone(), experiment.id);
        record.config.partition = experiment.partition;
        record.best_epoch = index as u64;
        finish_quickly(&job.paths.runs(), &record);
    }
    within(10.0, || assert_eq!(aggregate(&path, &[]).0, Some(0)));
}
