//! Job files, finished runs and stand-ins for programs, for the tests of the sweep and of the tables.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use bioscan_hpc::config::{Fingerprints, Job, RunConfig};
use bioscan_hpc::evaluate::{Accumulator, DEFAULT_KS, Evaluation, RunRecord, majority_baseline};
use bioscan_hpc::store::hash;

/// The paper's grid as a job file in `folder`, writing below it; returns its path.
pub fn paper_job(folder: &Path) -> PathBuf {
    job_file(folder, "job.toml", &folder.join("out").display().to_string(), "[1, 2, 3]")
}

/// The paper's axes with these seeds, writing into `output`.
pub fn job_file(folder: &Path, name: &str, output: &str, seeds: &str) -> PathBuf {
    let path = folder.join(name);
    let text = format!(
        r#"
name = "mini"
paths = {{ dataset = "data", output = {output:?} }}
train = {{ threads = 1, init = "random" }}
[grid]
sizes = ["small", "medium", "large"]
tasks = ["insect_order", "diptera_family"]
backbones = ["resnet50", "vit_base_patch16_224"]
losses = ["CE", "Focal"]
seeds = {seeds}
"#
    );
    fs::write(&path, text).unwrap();
    path
}

/// Leaves the summary of a preprocessing of `job` that has finished, and returns where it lies.
pub fn preprocessed(job: &Job) -> PathBuf {
    let package = job.preprocess.packages()[0];
    let folder = job.paths.images(&package.name(job.preprocess.size));
    fs::create_dir_all(&folder).unwrap();
    let (path, settings) = (folder.join("summary.json"), job.preprocess.shaping(package).unwrap());
    fs::write(&path, format!("{{\"settings\": \"{settings}\"}}\n")).unwrap();
    path
}

/// Makes the split and the prepared images of `job` seem to be there.
pub fn ready(job: &Job) {
    fs::create_dir_all(job.paths.container(&job.preprocess.package(), job.train.images)).unwrap();
    preprocessed(job);
    fs::write(job.paths.split_metadata(), "image_file\n").unwrap();
}

/// The record of one run of `job` on synthetic data with two classes; `right` of its eight test images were recognised.
pub fn record(job: &Job, index: usize, right: usize) -> RunRecord {
    let experiment = job.grid.experiments().swap_remove(index);
    let mut seen = Accumulator::new(2, &DEFAULT_KS);
    for image in 0..8 {
        let truth = image % 2;
        let says = if image < right { truth } else { 1 - truth };
        seen.add(truth, &[f32::from(says == 0), f32::from(says == 1)]);
    }
    let labels = ["Diptera", "Hemiptera"].map(String::from);
    let data = Fingerprints { dataset: "f1".into(), images: "i1".into(), synthetic: true };
    let config = RunConfig::new(job, &experiment, data, String::new());
    RunRecord {
        id: experiment.id,
        config_hash: config.hash().unwrap(),
        config,
        best_epoch: 0,
        ranks: 1,
        evaluation: Evaluation::new(&seen, &labels, 8),
        majority: majority_baseline(&[4, 4], &[4, 4]),
        notes: BTreeMap::new(),
    }
}

/// Writes a run's result as training does.
pub fn finish(runs: &Path, record: &RunRecord) {
    let path = runs.join(record.id.to_string()).join("test.json");
    hash::write_sealed(&path, &serde_json::to_vec_pretty(record).unwrap()).unwrap();
}

/// An executable bash script.
pub fn script(path: &Path, body: &str) {
    fs::write(path, format!("#!/bin/bash\n{body}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}
