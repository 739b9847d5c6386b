//! axes → experiments and their ids (contract 1).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::config::{Exclusion, nearest};
use crate::error::{Error, Result};

/// Every backbone that this program can train, by its timm name. A build without libtorch plans for them too.
pub const BACKBONES: [&str; 8] = [
    "test_resnet",
    "resnet18",
    "resnet34",
    "resnet50",
    "test_vit",
    "vit_tiny_patch16_224",
    "vit_small_patch16_224",
    "vit_base_patch16_224",
];

/// The split columns that BIOSCAN-1M publishes, size × task, in the order in which they must be made.
pub const EXPERIMENTS: [&str; 6] = [
    "large_diptera_family",
    "medium_diptera_family",
    "small_diptera_family",
    "large_insect_order",
    "medium_insect_order",
    "small_insect_order",
];

/// The loss a run is trained with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Loss {
    /// Cross-entropy, the mean over the batch.
    CE,
    /// Focal loss: the mean of `(1 − p_t)^γ · CE`, without α.
    Focal,
}

impl Loss {
    /// As ids and job files write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::CE => "CE",
            Self::Focal => "Focal",
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One classification problem: what the label is, and which column divides the records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Partition {
    /// The first part of every id: `large_insect_order`.
    pub name: String,
    /// The metadata column that holds the label: `order`. Records where it is blank take no part.
    pub label: String,
    /// The metadata column that says `train`, `validation`, `test` or `no_split`.
    pub split: String,
}

/// `{partition}-{backbone}-{loss}-s{seed}`: names a run, its folder and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExperimentId {
    /// `{size}_{task}` in the paper's grid.
    pub partition: String,
    /// The timm name.
    pub backbone: String,
    /// The loss.
    pub loss: Loss,
    /// The seed of everything random in the run.
    pub seed: u64,
}

impl ExperimentId {
    /// The values that a table of changes may be named after, from the widest to the narrowest: size, task, loss, backbone, partition.
    #[must_use]
    pub fn axis_values(&self) -> [&str; 5] {
        let (size, task) = self.partition.split_once('_').unwrap_or((&self.partition, ""));
        [size, task, self.loss.name(), &self.backbone, &self.partition]
    }
}

impl fmt::Display for ExperimentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { partition, backbone, loss, seed } = self;
        write!(f, "{partition}-{backbone}-{loss}-s{seed}")
    }
}

impl FromStr for ExperimentId {
    type Err = Error;

    /// From the right, because a partition may hold hyphens and the other parts do not.
    fn from_str(text: &str) -> Result<Self> {
        let mut parts = text.rsplitn(4, '-');
        let parsed = (|| {
            let seed = parts.next()?.strip_prefix('s')?.parse().ok()?;
            let loss = match parts.next()? {
                "CE" => Loss::CE,
                "Focal" => Loss::Focal,
                _ => return None,
            };
            let (backbone, partition) = (parts.next()?.to_owned(), parts.next()?.to_owned());
            (!backbone.is_empty() && !partition.is_empty()).then_some(Self { partition, backbone, loss, seed })
        })();
        parsed.ok_or_else(|| {
            Error::usage(format!("`{text}` is no experiment id")).with_help(
                "ids look like large_insect_order-vit_base_patch16_224-CE-s1; `bioscan-hpc sweep plan JOB.toml` lists them",
            )
        })
    }
}

/// Ids are written as their text wherever they are stored.
impl Serialize for ExperimentId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ExperimentId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// One cell of the grid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Experiment {
    /// Position in the documented order, 0-based: what `--array` holds.
    pub index: usize,
    /// Its name.
    pub id: ExperimentId,
    /// What it classifies.
    pub partition: Partition,
}

/// The axes. The paper's partitions are size × task; a job with data of its own lists its partitions instead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grid {
    /// Sizes of the training set: `small`, `medium`, `large`.
    #[serde(default)]
    pub sizes: Vec<String>,
    /// Tasks: `insect_order`, `diptera_family`.
    #[serde(default)]
    pub tasks: Vec<String>,
    /// Partitions of the job's own, behind those of size × task.
    #[serde(default)]
    pub partitions: Vec<Partition>,
    /// timm names.
    pub backbones: Vec<String>,
    /// Losses.
    pub losses: Vec<Loss>,
    /// Seeds.
    pub seeds: Vec<u64>,
    /// Cells that are left out. The others keep their order; their indices close up, so that none is missing from 0 to the last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<Exclusion>,
}

impl Grid {
    /// The partitions in the order of the ids: size first, then task, then the job's own.
    #[must_use]
    pub fn all_partitions(&self) -> Vec<Partition> {
        let of_the_paper = self.sizes.iter().flat_map(|size| {
            self.tasks.iter().map(move |task| {
                let name = format!("{size}_{task}");
                // `insect_order` asks for the column `order`, `diptera_family` for `family`.
                let label = task.rsplit('_').next().unwrap_or(task).to_owned();
                Partition { split: name.clone(), name, label }
            })
        });
        of_the_paper.chain(self.partitions.iter().cloned()).collect()
    }

    /// Every experiment in the documented order: size, task, backbone, loss, seed; the seed runs fastest. Excluded cells have no index.
    #[must_use]
    pub fn experiments(&self) -> Vec<Experiment> {
        let mut experiments = self.cells();
        experiments.retain(|cell| !self.exclude.iter().any(|exclusion| exclusion.covers(&cell.id)));
        for (index, experiment) in experiments.iter_mut().enumerate() {
            experiment.index = index;
        }
        experiments
    }

    /// An exclusion that leaves nothing out: a misspelled value, most likely.
    #[must_use]
    pub fn idle_exclusion(&self) -> Option<&Exclusion> {
        let cells = self.cells();
        self.exclude.iter().find(|exclusion| !cells.iter().any(|cell| exclusion.covers(&cell.id)))
    }

    /// Every cell, those too that are left out.
    pub(super) fn cells(&self) -> Vec<Experiment> {
        let mut experiments = Vec::new();
        for partition in self.all_partitions() {
            for backbone in &self.backbones {
                for &loss in &self.losses {
                    for &seed in &self.seeds {
                        let id = ExperimentId { partition: partition.name.clone(), backbone: backbone.clone(), loss, seed };
                        experiments.push(Experiment { index: experiments.len(), id, partition: partition.clone() });
                    }
                }
            }
        }
        experiments
    }

    /// The experiment number `index`, from 0, as array tasks know it; the error names the last.
    pub fn at(&self, index: usize) -> Result<Experiment> {
        let experiments = self.experiments();
        let count = experiments.len();
        experiments.into_iter().nth(index).ok_or_else(|| {
            Error::usage(format!("the job has no experiment {index}"))
                .with_help(format!("valid: 0 to {}", count.saturating_sub(1)))
        })
    }

    /// The experiment called `id`; the error names the nearest.
    pub fn find(&self, id: &str) -> Result<Experiment> {
        let experiments = self.experiments();
        if let Some(found) = experiments.iter().find(|experiment| experiment.id.to_string() == id) {
            return Ok(found.clone());
        }
        let names: Vec<String> = experiments.iter().map(|experiment| experiment.id.to_string()).collect();
        let near =
            nearest(id, names.iter().map(String::as_str)).map(|name| format!("did you mean `{name}`? ")).unwrap_or_default();
        Err(Error::usage(format!("the job has no experiment `{id}`"))
            .with_help(format!("{near}`bioscan-hpc sweep plan JOB.toml` lists the {} it has", names.len())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paper() -> Grid {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect();
        Grid {
            sizes: words("small medium large"),
            tasks: words("insect_order diptera_family"),
            partitions: vec![],
            backbones: words("resnet50 vit_base_patch16_224"),
            losses: vec![Loss::CE, Loss::Focal],
            seeds: vec![1, 2, 3],
            exclude: vec![],
        }
    }

    #[test]
    fn excluded_cells_close_up_and_the_ids_of_the_others_stay() {
        let mut grid = paper();
        grid.exclude = vec![Exclusion { size: Some("small".into()), backbone: Some("resnet50".into()), ..Exclusion::default() }];
        let experiments = grid.experiments();
        assert_eq!(experiments.len(), 60);
        assert!(experiments.iter().enumerate().all(|(index, experiment)| experiment.index == index));
        assert_eq!(experiments[0].id.to_string(), "small_insect_order-vit_base_patch16_224-CE-s1");
        assert_eq!(experiments[12].id.to_string(), "medium_insect_order-resnet50-CE-s1");
        assert!(grid.find("small_insect_order-resnet50-CE-s1").is_err());
        assert_eq!(grid.idle_exclusion(), None);
        grid.exclude.push(Exclusion { task: Some("insect_odrer".into()), ..Exclusion::default() });
        assert_eq!(grid.idle_exclusion(), grid.exclude.get(1));
    }

    #[test]
    fn the_papers_grid_has_72_experiments_with_the_seed_fastest() {
        let experiments = paper().experiments();
        let at = |index: usize| experiments[index].id.to_string();
        assert_eq!(experiments.len(), 72);
        assert_eq!(at(0), "small_insect_order-resnet50-CE-s1");
        assert_eq!(at(1), "small_insect_order-resnet50-CE-s2");
        assert_eq!(at(3), "small_insect_order-resnet50-Focal-s1");
        assert_eq!(at(6), "small_insect_order-vit_base_patch16_224-CE-s1");
        assert_eq!(at(12), "small_diptera_family-resnet50-CE-s1");
        assert_eq!(at(24), "medium_insect_order-resnet50-CE-s1");
        assert_eq!(at(71), "large_diptera_family-vit_base_patch16_224-Focal-s3");
        assert_eq!(experiments[12].partition.label, "family");
    }

    #[test]
    fn an_id_reads_back_as_what_it_names_even_with_hyphens_in_the_partition() {
        for text in ["large_insect_order-vit_base_patch16_224-CE-s1", "my-own-data-resnet18-Focal-s42"] {
            assert_eq!(text.parse::<ExperimentId>().unwrap().to_string(), text);
        }
        assert_eq!("my-own-data-resnet18-Focal-s42".parse::<ExperimentId>().unwrap().partition, "my-own-data");
        for text in ["", "resnet50-CE-s1", "a-resnet50-MSE-s1", "a-resnet50-CE-1"] {
            assert!(text.parse::<ExperimentId>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_unknown_experiment_is_answered_with_the_nearest() {
        let error = paper().find("small_insect_order-resnet50-CE-s4").unwrap_err();
        assert!(error.help().unwrap().starts_with("did you mean `small_insect_order-resnet50-CE-s"));
    }
}
