//! A job and an experiment → its images, its labels and what tells them from any others.

use crate::config::{Experiment, Fingerprints, Job, RunConfig};
use crate::dataset::load_partition;
use crate::error::{Error, Result};
use crate::store::hash;
use crate::train::loader::{Images, Source};
use crate::train::run::Options;
use crate::train::staging;

/// The images and labels of one experiment.
pub(super) struct Data {
    pub classes: Vec<String>,
    pub train: Source,
    pub validation: Source,
    pub test: Source,
    pub fingerprints: Fingerprints,
}

impl Data {
    pub fn load(job: &Job, experiment: &Experiment, options: &Options) -> Result<Self> {
        let metadata = job.paths.split_metadata();
        let partition = load_partition(&metadata, &experiment.partition)?;
        let there = || job.paths.container(&job.preprocess.package(), job.train.images);
        let mut place = options.packs.clone().unwrap_or_else(there);
        if let Some(disk) = &options.stage {
            place = staging::stage(&place, disk, &options.stop)?;
        }
        let images = Images::open(&place)?;
        let source = |name: &str, samples| Source::new(name, samples, &images, job.train.crop.clone());
        let mut test = source("test", partition.test);
        // A class without a train row cannot be predicted, but its rows were promised to be tested.
        test.expected += partition.test_without_class;
        let (train, validation) = (source("train", partition.train), source("validation", partition.validation));
        for (split, source) in [("train", &train), ("validation", &validation), ("test", &test)] {
            if source.samples.is_empty() && (source.expected > 0 || split == "train") {
                let message = format!("holds none of the {} {split} images of `{}`", source.expected, experiment.partition.name);
                let help = "name the prepared images of this job's records; `bioscan-hpc preprocess JOB` makes them";
                return Err(Error::input(&place, message).with_help(help));
            }
        }
        let mut images = blake3::Hasher::new();
        [&train, &validation, &test].into_iter().try_for_each(|source| source.fingerprint(&mut images, &options.stop))?;
        let images = images.finalize().to_hex().to_string();
        let fingerprints = Fingerprints { dataset: partition.fingerprint, images, synthetic: partition.synthetic };
        Ok(Self { train, validation, test, classes: partition.classes, fingerprints })
    }
}

/// The configuration of the run, with the hash of the pretrained weights the job names for its backbone.
pub(super) fn resolve(job: &Job, experiment: &Experiment, data: &Data) -> Result<RunConfig> {
    let first = job.pretrained(&experiment.id.backbone, job.recipe_for(experiment).init)?;
    let pretrained = first.map_or(Ok(String::new()), |path| hash::of_file(&path))?;
    Ok(RunConfig::new(job, experiment, data.fingerprints.clone(), pretrained))
}
