//! A run and the figures of finished ones → how long it may take, and the time to ask for.

use std::cmp::Reverse;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::config::{Cluster, Experiment, ExperimentId, GpuKind, Grid, Recipe, Scheduler};

/// Training images of the paper's sizes: seven tenths of 50,000, of 200,000 and of all with a label.
const TRAINING_IMAGES: [(&str, f64); 3] = [("small", 35_000.0), ("medium", 140_000.0), ("large", 790_000.0)];
/// Images a second of training in float32 on one H100, by the first letters of the backbone. **Assumed**, not measured; what is not
/// listed counts as the last.
const ASSUMED_RATES: [(&str, f64); 2] = [("resnet", 900.0), ("", 350.0)];
/// Images go through the network at a third of the cost in validation, and there is one for seven of training.
const VALIDATION: f64 = 1.0 + 1.0 / 7.0 / 3.0;
/// Asked for above the estimate, because a run that is cut off starts again only after a wait in the queue.
const MARGIN: f64 = 1.2;

/// A cluster whose limit is not known is asked for no more than this many hours: a run goes on from its checkpoint anyway.
const CAUTIOUS_MAX: f64 = 24.0;

/// Preprocessing the 1.1 million images on 32 cores, in hours. **Assumed**: 15 ms an image and core make 9 minutes; the rest is for
/// reading the originals from a shared file system.
pub const PREPROCESS_HOURS: f64 = 3.0;

/// The kinds of runs that ask for similar things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SizeClass(pub &'static str);

impl SizeClass {
    /// The class of an experiment: the size its partition begins with, or `other` for a partition of the job's own.
    #[must_use]
    pub fn of(grid: &Grid, experiment: &Experiment) -> Self {
        let own = grid.partitions.iter().any(|partition| partition.name == experiment.id.partition);
        let size = experiment.id.partition.split('_').next().unwrap_or_default();
        let known = TRAINING_IMAGES.iter().find(|(name, _)| !own && *name == size);
        Self(known.map_or("other", |(name, _)| name))
    }

    /// Images in its training set, about. A partition of the job's own counts as large.
    fn images(self) -> f64 {
        TRAINING_IMAGES.iter().find(|(name, _)| *name == self.0).map_or(TRAINING_IMAGES[2].1, |(_, images)| *images)
    }
}

/// How long a run may take, and how that is known.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// Hours of one run, with something to spare.
    pub hours: f64,
    /// What they rest on.
    pub source: Source,
}

/// What an estimate rests on.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// A finished run.
    Measured {
        /// Which.
        run: ExperimentId,
        /// Where: a GPU or a slice as Slurm calls it.
        on: String,
        /// Training images a second there, validation included.
        images_per_second: f64,
    },
    /// The job file.
    Stated,
    /// Nothing but this assumption.
    Assumed(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Measured { run, on, images_per_second } => {
                write!(f, "measured: {images_per_second:.0} images/s in {run} on {on}")
            }
            Self::Stated => f.write_str("as the job file says"),
            Self::Assumed(what) => write!(f, "assumed: {what}"),
        }
    }
}

/// What a finished run says of the speed of its kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// The run.
    pub run: ExperimentId,
    /// Side of the square its network saw, in pixels.
    pub crop: u32,
    /// The GPU or slice as Slurm calls it, `cpu`, or nothing where it was not recorded.
    pub on: Option<String>,
    /// Training images of an epoch.
    pub images: u64,
    /// Training images a second and GPU, validation included.
    pub images_per_second: f64,
}

/// What a run is estimated from.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Where it shall run.
    pub cluster: &'a Cluster,
    /// The size of its training set.
    pub class: SizeClass,
    /// The run.
    pub experiment: &'a Experiment,
    /// How it is trained.
    pub recipe: &'a Recipe,
    /// GPUs of it.
    pub gpus: u32,
}

impl Question<'_> {
    /// Estimates the run on `kind`: from the most alike of the finished runs, or else from what is assumed.
    #[must_use]
    pub fn estimate(&self, kind: Option<GpuKind>, finished: &[Measurement]) -> Estimate {
        let speed = kind.map_or(1.0, |kind| kind.speed());
        let (rate, images, source) = match self.most_alike(kind, finished) {
            Some((found, its_speed)) => {
                let own = found.run.partition == self.experiment.id.partition;
                let images =
                    if own { found.images as f64 } else { found.images as f64 * self.class.images() / images_of(&found.run) };
                let on = found.on.clone().unwrap_or_else(|| "a GPU whose model was not recorded".into());
                let source = Source::Measured { run: found.run.clone(), on, images_per_second: found.images_per_second };
                (found.images_per_second / its_speed, images, source)
            }
            None => {
                let (_, rate) = ASSUMED_RATES
                    .iter()
                    .find(|(name, _)| self.experiment.id.backbone.starts_with(name))
                    .unwrap_or(&ASSUMED_RATES[1]);
                let larger = (f64::from(self.recipe.crop.size) / 224.0).powi(2).max(1.0);
                let what = format!("{:.0} images/s of {} on an H100", rate / larger, self.experiment.id.backbone);
                (rate / larger / VALIDATION, self.class.images(), Source::Assumed(what))
            }
        };
        let seconds = self.recipe.epochs as f64 * images / (rate * speed * f64::from(self.gpus));
        Estimate { hours: seconds / 3600.0 * MARGIN, source }
    }

    /// The finished run of the same backbone that tells most of this one, and the speed of what it ran on.
    fn most_alike<'m>(&self, kind: Option<GpuKind>, finished: &'m [Measurement]) -> Option<(&'m Measurement, f64)> {
        let id = &self.experiment.id;
        let alike = |found: &&Measurement| found.run.backbone == id.backbone && found.crop == self.recipe.crop.size;
        let usable = finished.iter().filter(alike).filter_map(|found| Some((found, self.speed_of(found)?)));
        let size = |partition: &str| partition.split('_').next().map(str::to_owned);
        usable.min_by_key(|(found, _)| {
            let other_place = kind.is_some_and(|kind| found.on.as_deref() != Some(kind.name()));
            let other_partition = found.run.partition != id.partition;
            (
                other_place,
                other_partition,
                size(&found.run.partition) != size(&id.partition),
                Reverse(found.images),
                found.run.clone(),
            )
        })
    }

    /// The speed of what a run was measured on; `None` where that says nothing of this cluster.
    fn speed_of(&self, found: &Measurement) -> Option<f64> {
        match (self.cluster.scheduler, found.on.as_deref()) {
            (Scheduler::None, _) => Some(1.0),
            (Scheduler::Slurm, Some("cpu")) => None,
            (Scheduler::Slurm, Some(name)) => self.cluster.gpu_kind(name).map(|kind| kind.speed()),
            // Most likely the GPUs that training takes here: the output folder lies on this cluster.
            (Scheduler::Slurm, None) => self.cluster.training_gpu().map(|gpu| gpu.speed),
        }
    }
}

fn images_of(run: &ExperimentId) -> f64 {
    let size = run.partition.split('_').next().unwrap_or_default();
    TRAINING_IMAGES.iter().find(|(name, _)| *name == size).map_or(TRAINING_IMAGES[2].1, |(_, images)| *images)
}

/// The minutes to ask for where `hours` are needed: rounded up into the cluster's bins, within its limits. Longer runs are asked for
/// in pieces, because they go on from their checkpoints.
#[must_use]
pub fn minutes_to_ask(hours: f64, cluster: &Cluster) -> u64 {
    let limits = &cluster.walltime;
    let max = limits.max.unwrap_or(CAUTIOUS_MAX);
    let wanted = hours.max(shortest(cluster)).min(max);
    let rounded = limits.bins.iter().copied().find(|bin| *bin >= wanted).unwrap_or(wanted.ceil());
    (rounded.min(max) * 60.0).round() as u64
}

/// The shortest job that is welcome, in hours; an hour where the cluster does not say.
#[must_use]
pub fn shortest(cluster: &Cluster) -> f64 {
    cluster.walltime.min.unwrap_or(1.0)
}

/// Minutes as Slurm reads them: `days-hours:minutes:seconds`.
#[must_use]
pub fn slurm_time(minutes: u64) -> String {
    format!("{}-{:02}:{:02}:00", minutes / 1440, minutes / 60 % 24, minutes % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Job, from_text};

    fn ask(hours: f64, cluster: &str) -> String {
        slurm_time(minutes_to_ask(hours, &Cluster::load(cluster, None).unwrap()))
    }

    #[test]
    fn time_is_rounded_up_into_the_bins_of_the_cluster() {
        assert_eq!(ask(2.5, "fir"), "0-03:00:00");
        assert_eq!(ask(9.0, "fir"), "0-12:00:00");
        assert_eq!(ask(50.0, "fir"), "3-00:00:00");
        assert_eq!(ask(0.1, "narval"), "0-03:00:00");
    }

    #[test]
    fn what_is_longer_than_the_limit_is_asked_for_in_pieces() {
        assert_eq!(ask(50.0, "trillium"), "1-00:00:00");
        assert_eq!(ask(500.0, "fir"), "7-00:00:00");
    }

    #[test]
    fn without_known_bins_or_limits_whole_hours_up_to_a_day_are_asked_for() {
        assert_eq!(ask(4.2, "killarney"), "0-05:00:00");
        assert_eq!(ask(50.0, "killarney"), "1-00:00:00");
        assert_eq!(ask(50.0, "vulcan"), "2-02:00:00");
    }

    /// The estimate of run `index` of the paper on `gpu` of Fir for `epochs`.
    fn estimate(index: usize, gpu: &str, epochs: u64, finished: &[Measurement]) -> Estimate {
        let job: Job = from_text(include_str!("../../jobs/bioscan-1m.toml"), "job.toml").unwrap();
        let experiment = job.grid.experiments().swap_remove(index);
        let recipe = Recipe { epochs, ..job.recipe_for(&experiment) };
        let cluster = Cluster::load("fir", None).unwrap();
        let class = SizeClass::of(&job.grid, &experiment);
        let question = Question { cluster: &cluster, class, experiment: &experiment, recipe: &recipe, gpus: 1 };
        question.estimate(cluster.gpu_kind(gpu), finished)
    }

    fn measurement(run: &str, on: Option<&str>, images: u64, images_per_second: f64) -> Measurement {
        Measurement { run: run.parse().unwrap(), crop: 224, on: on.map(str::to_owned), images, images_per_second }
    }

    #[test]
    fn fewer_epochs_and_a_slower_gpu_change_the_estimate_in_proportion() {
        let whole = estimate(0, "h100", 100, &[]);
        // 100 epochs of 35,000 images at 900 a second, a 21st more for validation, a fifth to spare.
        assert!((whole.hours - 100.0 * 35_000.0 / 900.0 * (22.0 / 21.0) * 1.2 / 3600.0).abs() < 1e-9, "{}", whole.hours);
        assert!((estimate(0, "3g.40gb", 50, &[]).hours - whole.hours / 2.0 / 0.45).abs() < 1e-9);
        assert_eq!(whole.source.to_string(), "assumed: 900 images/s of resnet50 on an H100");
    }

    #[test]
    fn a_finished_run_of_the_backbone_replaces_the_assumption() {
        let finished = [measurement("small_insect_order-resnet50-CE-s2", Some("h100"), 34_000, 500.0)];
        let own = estimate(0, "h100", 100, &finished);
        assert!((own.hours - 100.0 * 34_000.0 / 500.0 * 1.2 / 3600.0).abs() < 1e-9);
        assert_eq!(own.source.to_string(), "measured: 500 images/s in small_insect_order-resnet50-CE-s2 on h100");
        // A medium set is four times a small one; a slice of 0.45 takes so much longer.
        assert!((estimate(24, "h100", 100, &finished).hours - 4.0 * own.hours).abs() < 1e-9);
        assert!((estimate(0, "3g.40gb", 100, &finished).hours - own.hours / 0.45).abs() < 1e-9);
        // The other backbone, another crop, and a CPU say nothing of it.
        assert!(matches!(estimate(6, "h100", 100, &finished).source, Source::Assumed(_)));
        let cpu = [measurement("small_insect_order-resnet50-CE-s2", Some("cpu"), 34_000, 5.0)];
        assert!(matches!(estimate(0, "h100", 100, &cpu).source, Source::Assumed(_)));
        let other = [Measurement { crop: 32, ..finished[0].clone() }];
        assert!(matches!(estimate(0, "h100", 100, &other).source, Source::Assumed(_)));
    }

    #[test]
    fn of_several_finished_runs_the_most_alike_is_taken() {
        let finished = [
            measurement("large_insect_order-resnet50-CE-s1", Some("h100"), 790_000, 800.0),
            measurement("small_diptera_family-resnet50-CE-s1", Some("h100"), 35_000, 600.0),
            measurement("small_insect_order-resnet50-CE-s1", Some("nvidia_h100_80gb_hbm3_3g.40gb"), 35_000, 300.0),
            measurement("small_insect_order-resnet50-CE-s3", None, 35_000, 1.0),
        ];
        let run = |gpu: &str| match estimate(0, gpu, 100, &finished).source {
            Source::Measured { run, .. } => run.to_string(),
            other => other.to_string(),
        };
        assert_eq!(run("3g.40gb"), "small_insect_order-resnet50-CE-s1");
        assert_eq!(run("h100"), "small_diptera_family-resnet50-CE-s1");
    }
}
