//! `aggregate` on the command line: from run folders to the files of `tables/`.

#[path = "support/runs.rs"]
#[expect(dead_code, reason = "shared with other tests")]
mod runs;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use assert_cmd::cargo::cargo_bin_cmd;
use bioscan_hpc::config::Job;

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
