//! The paper's 72 runs as if they had been trained: its 16 orders and 40 families, their test images by the two-thousand, accuracies like its
//! own. Made in a second, to see tables and figures at the size they are for.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use bioscan_hpc::config::Job;
use bioscan_hpc::container::{ImageKey, PackWriter, Writer};
use bioscan_hpc::dataset::taxonomy::{DIPTERA_FAMILIES, ORDERS};
use bioscan_hpc::evaluate::{Accumulator, DEFAULT_KS, Evaluation, RunRecord, likeliest, majority_baseline};
use bioscan_hpc::random::{Purpose, stream};
use bioscan_hpc::telemetry::Provenance;
use rand::RngExt;

use crate::runs;

/// Finishes the first `runs` runs of the grid of `job`, and packs the images that they were shown, each the picture `jpeg`.
pub fn finish(job: &Job, runs: usize, jpeg: &[u8]) {
    for index in 0..runs {
        let record = train(job, index);
        runs::finish(&job.paths.runs(), &record);
    }
    let part = job.paths.packs(&job.preprocess.package()).join("part1.pack");
    let mut pack = Box::new(PackWriter::create(&part, 1).unwrap());
    let classes = ORDERS.iter().chain(&DIPTERA_FAMILIES);
    let files = classes.flat_map(|&(name, of)| (0..test_images(of)).map(move |image| file(name, image)));
    for file in files.collect::<BTreeSet<String>>() {
        pack.add(&ImageKey::new(1, file), jpeg).unwrap();
    }
    pack.finish().unwrap();
}

fn test_images(specimens: u64) -> u64 {
    specimens.div_ceil(2000)
}

fn file(class: &str, image: u64) -> String {
    format!("{class}-{image:03}.jpg")
}

/// The record of one run; its other files are written.
fn train(job: &Job, index: usize) -> RunRecord {
    let record = runs::record(job, index, 8);
    let folder = job.paths.runs().join(record.id.to_string());
    fs::create_dir_all(&folder).unwrap();
    let classes: &[(&str, u64)] = if record.id.partition.ends_with("family") { &DIPTERA_FAMILIES } else { &ORDERS };
    let labels: Vec<String> = classes.iter().map(|(name, _)| (*name).to_owned()).collect();
    let tests: Vec<u64> = classes.iter().map(|(_, of)| test_images(*of)).collect();
    // Vision transformers and more images help a little; the seed a very little.
    let skill = 0.004 * (index % 12 / 6) as f64 + 0.006 * (index / 24) as f64 + 0.001 * (index % 3) as f64;
    let mut seen = Accumulator::new(labels.len(), &DEFAULT_KS);
    let mut predictions = "chunk,image_file,truth,top1,p1,top2,p2,top3,p3,top4,p4,top5,p5\n".to_owned();
    for (truth, images) in tests.iter().enumerate() {
        for image in 0..*images {
            let scores = scores(index, truth, image, 0.975 + skill - 0.3 / (*images as f64).sqrt(), labels.len());
            seen.add(truth, &scores);
            let said = likeliest(&scores, 5).into_iter().map(|(class, p)| format!(",{},{p:.6}", labels[class]));
            predictions += &format!("1,{},{}{}\n", file(&labels[truth], image), labels[truth], said.collect::<String>());
        }
    }
    seen.add_loss(0.12 * tests.iter().sum::<u64>() as f64);
    fs::write(folder.join("predictions.csv"), predictions).unwrap();
    epochs(&folder, index, 0.96 + skill);
    let provenance = serde_json::to_string(&Provenance::here(1, 1, "cuda:0")).unwrap();
    fs::write(folder.join("provenance.json"), provenance).unwrap();
    let majority = majority_baseline(&tests, &tests);
    RunRecord { evaluation: Evaluation::new(&seen, &labels, tests.iter().sum()), majority, ..record }
}

/// What the network of run `index` says of one image: right with probability `sure`, and nearly as sure of itself as it may be.
fn scores(index: usize, truth: usize, image: u64, sure: f64, classes: usize) -> Vec<f32> {
    let mut rng = stream(index as u64, Purpose::Bootstrap, truth as u64, image);
    let mut draw = || rng.random_range(0..1_000_000) as f64 / 1e6;
    let right = draw() < sure;
    // Mistaken for what is most, or for a neighbour.
    let other = if truth > 0 && draw() < 0.5 { 0 } else { (truth + 1) % classes };
    let (says, second) = if right { (truth, other) } else { (other, truth) };
    let p = if right { 1.0 - 0.5 * draw().powi(3) } else { 1.0 - 0.6 * draw() };
    let mut scores = vec![0.1 * (1.0 - p) as f32 / (classes - 2) as f32; classes];
    scores[second] = 0.9 * (1.0 - p) as f32;
    scores[says] = p as f32;
    scores
}

/// Twenty epochs that end at about `top1`, and their times.
fn epochs(folder: &Path, index: usize, top1: f64) {
    let mut metrics = "epoch,lr,loss_train,top1_train,loss_val,top1_val,top5_val,macro_top1_val,f1_macro_val\n".to_owned();
    let mut timing = "epoch,images,seconds,images_per_second\n".to_owned();
    for epoch in 0..20u64 {
        let mut rng = stream(index as u64, Purpose::Order, epoch, 0);
        let jitter = rng.random_range(0..100) as f64 / 1e4;
        let top1 = top1 - 0.3 * (-(epoch as f64) / 2.5).exp() - jitter;
        let loss = 0.05 + 1.4 * (-(epoch as f64) / 3.0).exp() + jitter;
        metrics += &format!("{epoch},0.001,{loss},,{loss},{top1},1,{top1},{top1}\n");
        timing += &format!("{epoch},35000,{},{}\n", 41.0 + 3.0 * jitter, 35000.0 / (41.0 + 3.0 * jitter));
    }
    fs::write(folder.join("metrics.csv"), metrics).unwrap();
    fs::write(folder.join("timing.csv"), timing).unwrap();
}
