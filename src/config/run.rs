//! a job and an experiment → the fully resolved settings of one run, and the hash of what changes its result.

use serde::{Deserialize, Serialize};

use crate::config::{Experiment, ExperimentId, Job, Partition, Recipe};
use crate::error::{Error, Result};
use crate::store::hash;

/// Everything that changes the result of a run, and nothing else: no path, rank, thread count or staging.
///
/// Written to the run's folder as `config.toml`; its hash decides whether a checkpoint belongs to a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunConfig {
    /// The run.
    pub id: ExperimentId,
    /// blake3 over the records of the partition and the names of their images.
    pub dataset_fingerprint: String,
    /// blake3 over the bytes of those images, as they were prepared: whatever shaped them is in it.
    pub images_fingerprint: String,
    /// Whether the data are synthetic: tables say so.
    pub synthetic: bool,
    /// blake3 of the pretrained weights; empty for random ones.
    pub pretrained: String,
    /// The image package trained on.
    pub package: String,
    /// What is classified.
    pub partition: Partition,
    /// How.
    pub recipe: Recipe,
}

/// What tells the data of a run from any other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fingerprints {
    /// Of the records.
    pub dataset: String,
    /// Of the bytes of their images.
    pub images: String,
    /// Whether the data are synthetic.
    pub synthetic: bool,
}

impl RunConfig {
    /// Resolves one experiment of `job` on `data`, started from the weights with the hash `pretrained`.
    #[must_use]
    pub fn new(job: &Job, experiment: &Experiment, data: Fingerprints, pretrained: String) -> Self {
        Self {
            id: experiment.id.clone(),
            dataset_fingerprint: data.dataset,
            images_fingerprint: data.images,
            synthetic: data.synthetic,
            pretrained,
            package: job.preprocess.package(),
            partition: experiment.partition.clone(),
            recipe: job.recipe_for(experiment),
        }
    }

    /// As TOML, for `config.toml`.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self).map_err(|error| Error::library("toml", error))
    }

    /// blake3 of the settings that change the result.
    pub fn hash(&self) -> Result<String> {
        Ok(hash::of_bytes(self.hashed().to_toml()?.as_bytes()))
    }

    /// The keys on which two configurations differ, as `key: mine → theirs`, for the refusal to resume.
    pub fn differences(&self, other: &Self) -> Result<Vec<String>> {
        let table = |config: &Self| toml::Value::try_from(config).map_err(|error| Error::library("toml", error));
        let mut found = Vec::new();
        compare("", &table(&self.hashed())?, &table(&other.hashed())?, &mut found);
        Ok(found)
    }

    /// Without what only places the work.
    fn hashed(&self) -> Self {
        Self { recipe: self.recipe.of_the_result(), ..self.clone() }
    }
}

fn compare(key: &str, mine: &toml::Value, theirs: &toml::Value, found: &mut Vec<String>) {
    match (mine, theirs) {
        (toml::Value::Table(a), toml::Value::Table(b)) => {
            let mut names: Vec<&String> = a.keys().chain(b.keys()).collect();
            names.sort();
            names.dedup();
            let missing = toml::Value::String("(absent)".into());
            for name in names {
                let key = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
                compare(&key, a.get(name).unwrap_or(&missing), b.get(name).unwrap_or(&missing), found);
            }
        }
        _ if mine != theirs => found.push(format!("{key}: {mine} → {theirs}")),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Format, Loss};

    fn config() -> RunConfig {
        RunConfig {
            id: "a-resnet18-CE-s1".parse().unwrap(),
            dataset_fingerprint: "00".into(),
            images_fingerprint: "11".into(),
            synthetic: true,
            pretrained: String::new(),
            package: "original_256".into(),
            partition: Partition { name: "a".into(), label: "order".into(), split: "a".into() },
            recipe: Recipe::default(),
        }
    }

    #[test]
    fn threads_and_checkpoints_are_no_other_configuration_but_a_learning_rate_is() {
        let mut other = config();
        other.recipe.threads = 8;
        other.recipe.checkpoint_steps = 100;
        other.recipe.checkpoint_minutes = 0.5;
        other.recipe.images = Format::Hdf5;
        other.recipe.ranks.timeout_s = 5;
        assert_eq!(config().hash().unwrap(), other.hash().unwrap());
        other.recipe.lr = 0.5;
        other.id.loss = Loss::Focal;
        assert_ne!(config().hash().unwrap(), other.hash().unwrap());
        let differences = config().differences(&other).unwrap();
        assert_eq!(differences, ["id: \"a-resnet18-CE-s1\" → \"a-resnet18-Focal-s1\"", "recipe.lr: 0.001 → 0.5"]);
    }

    #[test]
    fn a_written_configuration_reads_back() {
        assert_eq!(toml::from_str::<RunConfig>(&config().to_toml().unwrap()).unwrap(), config());
    }
}
