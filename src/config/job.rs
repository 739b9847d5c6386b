//! A job file: what to run, on which data, by which recipe.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::config::{Experiment, Format, Grid, Preprocess, Recipe, Shares, Sweep, from_file};
use crate::error::{Error, Result};

/// A job file, complete.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// Names the job, its folder under `results/` and its Slurm jobs.
    pub name: String,
    /// Where things are.
    pub paths: Paths,
    /// How records are divided.
    #[serde(default)]
    pub split: Split,
    /// How images are prepared.
    #[serde(default)]
    pub preprocess: Preprocess,
    /// How runs are trained.
    #[serde(default)]
    pub train: Recipe,
    /// Which runs there are.
    pub grid: Grid,
    /// What the runs ask of a cluster, where the plan would choose otherwise.
    #[serde(default)]
    pub sweep: Sweep,
}

/// Where things are. `$NAME` and `${NAME}` are replaced from the environment; relative paths start at the current folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Paths {
    /// Holds the metadata and the chunks as published. Never written to.
    pub dataset: PathBuf,
    /// Holds everything this program writes. Default: `results/{name}`.
    #[serde(default)]
    pub output: PathBuf,
    /// Holds `{backbone}.safetensors`, timm's pretrained weights; needed unless `train.init` says `random`.
    pub weights: Option<PathBuf>,
}

/// How records are divided into train, validation and test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Split {
    /// Seed of the shuffle inside each class.
    pub seed: u64,
    /// Total records of the medium sets.
    pub medium: u64,
    /// Total records of the small sets.
    pub small: u64,
    /// How many of the most populous Diptera families make the diptera_family task.
    pub diptera_families: usize,
    /// Keep experiment columns that the metadata already has.
    pub keep_published: bool,
    /// Split columns of partitions of one's own → the column whose equal cells must stay on one side: a barcode, a site, a plate.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<String, String>,
    /// Split columns of partitions of one's own → their shares of train, validation and test, where these are not 70, 10 and 20 %.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub shares: BTreeMap<String, Shares>,
}

impl Default for Split {
    fn default() -> Self {
        Self {
            seed: 1,
            medium: 200_000,
            small: 50_000,
            diptera_families: 40,
            keep_published: true,
            groups: BTreeMap::new(),
            shares: BTreeMap::new(),
        }
    }
}

impl Job {
    /// Reads a job file, fills in what it leaves out and checks what a type cannot.
    pub fn load(path: &Path) -> Result<Self> {
        let mut job = Self::as_written(path)?;
        let crop = &mut job.preprocess.crop;
        let paths = [&mut job.paths.dataset, &mut job.paths.output];
        for path in paths.into_iter().chain(&mut job.paths.weights).chain(&mut crop.boxes).chain(&mut crop.weights) {
            *path = expand(path, |name| std::env::var(name).ok())?;
        }
        Ok(job)
    }

    /// As [`Job::load`], but keeps the `$NAME`s in the paths, for a script that resolves them where it runs.
    pub fn as_written(path: &Path) -> Result<Self> {
        let mut job: Self = from_file(path)?;
        if job.paths.output.as_os_str().is_empty() {
            job.paths.output = Path::new("results").join(&job.name);
        }
        job.check().map_err(|error| match error {
            Error::Usage { message, help } => Error::Usage { message: format!("{}: {message}", path.display()), help },
            other => other,
        })?;
        Ok(job)
    }

    /// The recipe of one experiment: the job's, with what differs on its partition, size, task, backbone and loss.
    #[must_use]
    pub fn recipe_for(&self, experiment: &Experiment) -> Recipe {
        self.train.on(experiment.id.axis_values())
    }
}

impl Paths {
    /// The published name of the metadata table.
    pub const METADATA: &str = "BIOSCAN_Insect_Dataset_metadata.tsv";

    /// The metadata as it came.
    #[must_use]
    pub fn metadata(&self) -> PathBuf {
        self.dataset.join(Self::METADATA)
    }

    /// The metadata with its experiment columns.
    #[must_use]
    pub fn split_metadata(&self) -> PathBuf {
        self.output.join(Self::METADATA)
    }

    /// Holds the prepared images, one folder a package.
    #[must_use]
    pub fn images(&self, package: &str) -> PathBuf {
        self.output.join("images").join(package)
    }

    /// Holds one pack a chunk: the form of the images that training reads unless the job says otherwise.
    #[must_use]
    pub fn packs(&self, package: &str) -> PathBuf {
        self.container(package, Format::Pack)
    }

    /// One form of the prepared images.
    #[must_use]
    pub fn container(&self, package: &str, format: Format) -> PathBuf {
        self.images(package).join(format.file_name(package))
    }

    /// Holds one folder a run.
    #[must_use]
    pub fn runs(&self) -> PathBuf {
        self.output.join("runs")
    }

    /// Holds the tables.
    #[must_use]
    pub fn tables(&self) -> PathBuf {
        self.output.join("tables")
    }
}

/// Replaces `$NAME` and `${NAME}` by what `lookup` says.
fn expand(path: &Path, lookup: impl Fn(&str) -> Option<String>) -> Result<PathBuf> {
    let text = path.to_string_lossy();
    let mut parts = text.split('$');
    let mut expanded = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = match part.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
            Some(braced) => braced,
            None => part.split_at(part.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(part.len())),
        };
        let value = lookup(name).ok_or_else(|| {
            Error::usage(format!("the path `{text}` needs the environment variable `{name}`, which is not set"))
        })?;
        expanded.push_str(&value);
        expanded.push_str(rest);
    }
    Ok(expanded.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::from_text;

    const JOB: &str = r#"
name = "mini"
paths = { dataset = "data" }
[train]
lr = 0.01
[train.for.large]
epochs = 7
[train.for.resnet18]
lr = 0.5
[grid]
sizes = ["small", "large"]
tasks = ["insect_order"]
backbones = ["resnet18", "resnet34"]
losses = ["CE"]
seeds = [1]
"#;

    #[test]
    fn the_narrowest_change_of_the_recipe_has_the_last_word() {
        let job: Job = from_text(JOB, "job.toml").unwrap();
        let recipe = |id: &str| job.recipe_for(&job.grid.find(id).unwrap());
        let (a, b) = (recipe("small_insect_order-resnet34-CE-s1"), recipe("large_insect_order-resnet18-CE-s1"));
        assert_eq!((a.epochs, a.lr), (100, 0.01));
        assert_eq!((b.epochs, b.lr), (7, 0.5));
    }

    #[test]
    fn paths_take_variables_from_the_environment() {
        let lookup = |name: &str| (name == "SCRATCH").then(|| "/scratch/me".to_owned());
        let expanded = |text: &str| expand(Path::new(text), lookup).map(|path| path.display().to_string());
        assert_eq!(expanded("$SCRATCH/a").unwrap(), "/scratch/me/a");
        assert_eq!(expanded("${SCRATCH}2/b").unwrap(), "/scratch/me2/b");
        assert!(expanded("$NOWHERE/a").unwrap_err().to_string().contains("`NOWHERE`"));
    }
}
