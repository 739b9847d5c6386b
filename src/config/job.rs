//! A job file: what to run, on which data, by which recipe.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::config::{Experiment, Format, Grid, Init, Preprocess, Sweep, from_file};
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
}

impl Default for Split {
    fn default() -> Self {
        Self { seed: 1, medium: 200_000, small: 50_000, diptera_families: 40, keep_published: true, groups: BTreeMap::new() }
    }
}

/// How a run is trained. The defaults are the paper's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Recipe {
    /// What the weights are before the first step.
    #[serde(skip_serializing_if = "Init::is_default")]
    pub init: Init,
    /// Passes over the training set.
    pub epochs: u64,
    /// Images a step, over all ranks together.
    pub global_batch: usize,
    /// Learning rate of the first epochs; never scaled by itself.
    pub lr: f64,
    /// SGD momentum.
    pub momentum: f64,
    /// Nesterov's form of it.
    pub nesterov: bool,
    /// L2 penalty on every parameter.
    pub weight_decay: f64,
    /// 0-based epochs at whose start the learning rate is multiplied by `lr_decay`.
    pub milestones: Vec<u64>,
    /// See `milestones`.
    pub lr_decay: f64,
    /// γ of the focal loss.
    pub focal_gamma: f64,
    /// The square the network sees.
    pub crop: Crop,
    /// Precision of the arithmetic.
    pub precision: Precision,
    /// Threads a rank; 0 takes what Slurm or the machine gives. Recorded, because a sum's last bits depend on it.
    pub threads: usize,
    /// Which of the containers that preprocessing wrote is read. All hold the same bytes, so it changes no result.
    pub images: Format,
    /// A checkpoint is saved every so many steps besides the end of each epoch; 0 saves at the ends alone.
    pub checkpoint_steps: u64,
    /// And whenever so many minutes have passed since the last one; 0 never does.
    pub checkpoint_minutes: f64,
    /// What a batch whose loss is no number comes to.
    pub on_nonfinite: OnNonFinite,
    /// What differs on one value of an axis: `[train.for.vit_tiny_patch16_224]`, `[train.for.large]`.
    #[serde(rename = "for", skip_serializing_if = "BTreeMap::is_empty")]
    pub changes: BTreeMap<String, RecipeChange>,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            init: Init::Pretrained,
            epochs: 100,
            global_batch: 32,
            lr: 1e-3,
            momentum: 0.9,
            nesterov: true,
            weight_decay: 1e-4,
            milestones: vec![20, 25],
            lr_decay: 0.1,
            focal_gamma: 2.0,
            crop: Crop::default(),
            precision: Precision::Float32,
            threads: 0,
            images: Format::Pack,
            checkpoint_steps: 0,
            checkpoint_minutes: 10.0,
            on_nonfinite: OnNonFinite::Stop,
            changes: BTreeMap::new(),
        }
    }
}

impl Recipe {
    /// The settings that change a run's result, the others as if left out: threads, the container that is read and checkpoints only place
    /// the work, and the first weights are told by their hash.
    #[must_use]
    pub fn of_the_result(&self) -> Self {
        let Self { init, threads, images, checkpoint_steps, checkpoint_minutes, .. } = Self::default();
        Self { init, threads, images, checkpoint_steps, checkpoint_minutes, ..self.clone() }
    }
}

/// The square the network sees.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Crop {
    /// The shorter side is resized to this before the crop, in pixels.
    pub resize: u32,
    /// Side of the square in pixels.
    pub size: u32,
    /// Random position and flip in training; the middle otherwise.
    pub augment: bool,
}

impl Default for Crop {
    fn default() -> Self {
        Self { resize: 256, size: 224, augment: true }
    }
}

/// Precision of the arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32-bit floats throughout: the reference.
    Float32,
}

/// What a batch whose loss is NaN or infinite comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnNonFinite {
    /// The run ends with an error that names the batch; the checkpoint before it is intact.
    #[default]
    Stop,
    /// The batch moves no weight, and is counted and recorded. To know it before the weights move costs a look at the loss, and under
    /// several ranks a message, in every step.
    Skip,
}

/// What differs from the recipe on one value of an axis.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RecipeChange {
    /// See [`Recipe::init`].
    pub init: Option<Init>,
    /// See [`Recipe::epochs`].
    pub epochs: Option<u64>,
    /// See [`Recipe::global_batch`].
    pub global_batch: Option<usize>,
    /// See [`Recipe::lr`].
    pub lr: Option<f64>,
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
        let mut recipe = Recipe { changes: BTreeMap::new(), ..self.train.clone() };
        // From the widest to the narrowest, so that the narrowest has the last word.
        for value in experiment.id.axis_values() {
            if let Some(change) = self.train.changes.get(value) {
                recipe.init = change.init.unwrap_or(recipe.init);
                recipe.epochs = change.epochs.unwrap_or(recipe.epochs);
                recipe.global_batch = change.global_batch.unwrap_or(recipe.global_batch);
                recipe.lr = change.lr.unwrap_or(recipe.lr);
            }
        }
        recipe
    }

    fn check(&self) -> Result<()> {
        let faults = [
            (self.name.is_empty() || self.name.contains(['/', ' ']), "`name` must be one word without `/`"),
            (self.train.global_batch == 0, "`train.global_batch` must be at least 1"),
            (self.train.epochs == 0, "`train.epochs` must be at least 1"),
            (!(self.train.lr > 0.0 && self.train.lr.is_finite()), "`train.lr` must be a positive number"),
            (
                !(self.train.checkpoint_minutes >= 0.0 && self.train.checkpoint_minutes.is_finite()),
                "`train.checkpoint_minutes` must be 0 or a positive number",
            ),
            (self.train.crop.size == 0, "`train.crop.size` must be at least 1 pixel"),
            (self.train.crop.resize < self.train.crop.size, "`train.crop.resize` must not be smaller than `train.crop.size`"),
            (self.grid.experiments().is_empty(), "the grid has no experiments: every axis needs a value"),
            (self.grid.idle_exclusion().is_some(), "a line of `grid.exclude` leaves nothing out: is a value misspelled?"),
            (self.sweep.fault().is_some(), self.sweep.fault().unwrap_or_default()),
        ];
        match faults.into_iter().find(|(wrong, _)| *wrong) {
            Some((_, message)) => Err(Error::usage(message)),
            None => self.preprocess.check(),
        }
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
