//! A run and a cluster → what it computes on: a slice of a GPU, one GPU, or several.

use crate::config::{Cluster, Experiment, GpuCounts, GpuKind, Job, Recipe, Wish};
use crate::error::{Error, Result};
use crate::sweep::estimate::{Estimate, Measurement, Question, SizeClass};

/// Memory of one training run in GiB. **Assumed**: decoding buffers, and the packs of its images in the page cache.
const RUN_MEMORY_GIB: u64 = 64;
/// Memory without which a run of that size would read its packs again and again, in GiB. **Assumed**: 6 for the program and 16 kB an
/// image.
const NEEDED_MEMORY_GIB: [(&str, u64); 2] = [("small", 8), ("medium", 12)];
/// Memory of the GPU in GB by the first letters of the backbone: fixed, and an image of the batch. **Assumed**, in float32 at 224 pixels.
const GPU_MEMORY: [(&str, f64, f64); 2] = [("resnet", 2.0, 0.1), ("", 3.0, 0.15)];
/// A run takes a slice where it ends there within one job of so many hours: many nodes serve such jobs, and a batch of 32 does not fill
/// a whole GPU.
const SLICE_HOURS: f64 = 12.0;

/// What one run computes on.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Choice<'a> {
    /// The GPU or slice; `None` is CPUs.
    pub kind: Option<GpuKind<'a>>,
    /// How many of them, a rank each.
    pub gpus: u32,
    /// Memory in GiB.
    pub memory_gib: u64,
    /// How long it takes there.
    pub estimate: Estimate,
    /// Why this kind, for the reader of the script.
    pub reason: String,
}

/// Chooses for one run: what the job file wants, or the smallest slice that it fits in, or one whole GPU.
pub(super) fn choose<'a>(
    job: &Job,
    cluster: &'a Cluster,
    experiment: &Experiment,
    finished: &[Measurement],
) -> Result<Choice<'a>> {
    let wish = job.wish_for(&experiment.id);
    let recipe = job.recipe_for(experiment);
    let class = SizeClass::of(&job.grid, experiment);
    let gpus = wish.gpus.unwrap_or(1);
    let question = Question { cluster, class, experiment, recipe: &recipe, gpus };
    let estimate = |kind: Option<GpuKind>| match wish.hours {
        Some(hours) => Estimate { hours, source: crate::sweep::estimate::Source::Stated },
        None => question.estimate(kind, finished),
    };
    let whole = cluster.training_gpu().map(|nodes| GpuKind { nodes, slice: None });
    let (kind, reason) = match &wish.gpu {
        None if gpus == 1 => {
            match smallest_slice(cluster, class, experiment, &recipe, &wish, |kind| estimate(Some(kind)).hours) {
                Some((slice, reason)) => (Some(slice), reason),
                None => (whole, "the model must be named".into()),
            }
        }
        None => (whole, "as the job file says, a rank each".into()),
        Some(name) if name == "whole" => (whole, "as the job file says".into()),
        // Without a scheduler nobody is asked for a GPU.
        Some(_) if cluster.gpus.is_empty() => (None, String::new()),
        Some(name) => (Some(named(cluster, name)?), "as the job file says".into()),
    };
    let ample = kind.and_then(|kind| kind.memory_gib()).map_or(RUN_MEMORY_GIB, |most| RUN_MEMORY_GIB.min(most * u64::from(gpus)));
    let memory_gib = wish.memory_gib.unwrap_or(ample);
    Ok(Choice { estimate: estimate(kind), kind, gpus, memory_gib, reason })
}

/// The slice of the lowest charge on which the run has memory enough and ends in time.
fn smallest_slice<'a>(
    cluster: &'a Cluster,
    class: SizeClass,
    experiment: &Experiment,
    recipe: &Recipe,
    wish: &Wish,
    hours: impl Fn(GpuKind) -> f64,
) -> Option<(GpuKind<'a>, String)> {
    let backbone = &experiment.id.backbone;
    let (_, fixed, an_image) = GPU_MEMORY.iter().find(|(name, ..)| backbone.starts_with(name))?;
    let larger = (f64::from(recipe.crop.size) / 224.0).powi(2).max(1.0);
    let gpu_memory = fixed + an_image * recipe.global_batch as f64 * larger;
    let (_, needed) = NEEDED_MEMORY_GIB.iter().find(|(name, _)| *name == class.0)?;
    let memory = wish.memory_gib.unwrap_or(*needed);
    let fits = |kind: &GpuKind| {
        kind.slice.is_some()
            && kind.gpu_memory_gb().is_some_and(|memory| f64::from(memory) >= gpu_memory)
            && kind.memory_gib().is_some_and(|most| most >= memory)
            && hours(*kind) <= SLICE_HOURS
    };
    let smallest = cluster.gpu_kinds().filter(fits).min_by(|a, b| a.speed().total_cmp(&b.speed()))?;
    let reason = format!(
        "a slice is enough: {gpu_memory:.0} GB of its {}, {:.1} h of {SLICE_HOURS:.0} (assumed); one a job",
        smallest.gpu_memory_gb().unwrap_or_default(),
        hours(smallest)
    );
    Some((smallest, reason))
}

fn named<'a>(cluster: &'a Cluster, name: &str) -> Result<GpuKind<'a>> {
    cluster.gpu_kind(name).ok_or_else(|| {
        let known: Vec<&str> = cluster.gpu_kinds().map(|kind| kind.name()).collect();
        Error::usage(format!("{} has no GPU called `{name}` (`sweep.gpu` in the job file)", cluster.title))
            .with_help(format!("it has: whole, {}", known.join(", ")))
    })
}

impl Choice<'_> {
    /// How many runs share a node of this kind side by side: one a GPU, where whole nodes are rented.
    pub(super) fn side_by_side(&self) -> usize {
        let rented = self.kind.filter(|kind| kind.nodes.counts == GpuCounts::WholeNodes && self.gpus == 1);
        rented.map_or(1, |kind| kind.nodes.per_node as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::from_text;

    /// What the run `index` of the paper, with `more` in its job file, computes on.
    fn chosen(more: &str, cluster: &str, index: usize) -> Result<(String, u32, u64)> {
        let text = format!("{}\n{more}", include_str!("../../jobs/bioscan-1m.toml"));
        let job: Job = from_text(&text, "job.toml")?;
        let cluster = Cluster::load(cluster, None)?;
        let choice = choose(&job, &cluster, &job.grid.experiments()[index], &[])?;
        Ok((choice.kind.map(|kind| kind.name().to_owned()).unwrap_or_default(), choice.gpus, choice.memory_gib))
    }

    #[test]
    fn a_small_run_takes_a_slice_that_it_fits_in_and_the_others_a_whole_gpu() {
        assert_eq!(chosen("", "fir", 0).unwrap(), ("nvidia_h100_80gb_hbm3_1g.10gb".into(), 1, 35));
        assert_eq!(chosen("", "fir", 6).unwrap(), ("nvidia_h100_80gb_hbm3_3g.40gb".into(), 1, 64));
        assert_eq!(chosen("", "fir", 24).unwrap(), ("h100".into(), 1, 64));
        assert_eq!(chosen("", "narval", 0).unwrap(), ("a100_3g.20gb".into(), 1, 62));
        assert_eq!(chosen("", "trillium", 0).unwrap().0, "h100");
        assert_eq!(chosen("", "local", 0).unwrap().0, "");
    }

    #[test]
    fn what_the_job_file_wants_comes_before_what_would_fit() {
        assert_eq!(chosen("[sweep]\ngpu = \"whole\"", "fir", 0).unwrap().0, "h100");
        assert_eq!(chosen("[sweep.for.resnet50]\ngpu = \"2g.20gb\"", "fir", 24).unwrap().0, "nvidia_h100_80gb_hbm3_2g.20gb");
        assert_eq!(chosen("[sweep.for.large]\ngpus = 4\nmemory_gib = 200", "fir", 60).unwrap(), ("h100".into(), 4, 200));
        let refused = chosen("[sweep]\ngpu = \"v100\"", "fir", 0).unwrap_err();
        assert!(refused.help().unwrap().starts_with("it has: whole, h100, nvidia_h100_80gb_hbm3_1g.10gb"));
        assert!(chosen("[sweep]\ngpu = \"v100\"", "local", 0).is_ok());
    }
}
