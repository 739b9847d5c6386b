//! What a profile says of a cluster as a whole.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::gpu::{GpuKind, GpuNodes};

/// A cluster's profile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    /// What `--cluster` calls it.
    pub name: String,
    /// What people call it, and where it stands.
    pub title: String,
    /// What takes its jobs.
    pub scheduler: Scheduler,
    /// What an account is called there, as an example; absent where nobody is charged.
    pub account_example: Option<String>,
    /// What starts the ranks of an MPI program.
    pub launcher: Launcher,
    /// Modules to load, in order.
    pub modules: Vec<String>,
    /// Where a job's private folder lies.
    pub staging: Staging,
    /// Whether compute nodes reach the internet.
    pub internet: Option<Internet>,
    /// Whether jobs may be submitted from inside jobs.
    pub sbatch_from_jobs: Option<bool>,
    /// Whether jobs must be submitted from `$SCRATCH`, because the other file systems are read-only in jobs.
    pub submit_from_scratch: bool,
    /// Whether `--mem` means anything.
    pub memory_line: bool,
    /// How long jobs may last.
    #[serde(default)]
    pub walltime: Walltime,
    /// How many jobs one person may have.
    #[serde(default)]
    pub limits: Limits,
    /// What else a job must keep to.
    #[serde(default)]
    pub rules: Rules,
    /// What an account is charged for what a job keeps from others.
    #[serde(default)]
    pub charge: Charge,
    /// Nodes without GPUs.
    pub cpu: Option<CpuNodes>,
    /// Nodes with GPUs; training takes the first kind unless the job file names another.
    #[serde(default)]
    pub gpus: Vec<GpuNodes>,
    /// Key → the comment behind its value; filled by loading.
    #[serde(skip)]
    pub(super) sources: BTreeMap<String, String>,
}

/// What takes jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheduler {
    /// Slurm.
    Slurm,
    /// Nobody: this program starts the scripts itself.
    None,
}

/// What starts the ranks of an MPI program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Launcher {
    /// Slurm's own.
    Srun,
    /// Open MPI's.
    Mpirun,
}

/// What `$SLURM_TMPDIR` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Staging {
    /// A disk of the node: images are copied there first.
    Disk,
    /// Memory of the job: images are read where they lie.
    Memory,
    /// Not used: images are read where they lie.
    None,
}

/// Whether compute nodes reach the internet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Internet {
    /// Anywhere.
    Yes,
    /// Nowhere.
    No,
    /// A list of permitted sites through a proxy.
    Proxy,
}

/// How long jobs may last, in hours.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Walltime {
    /// The longest.
    pub max: Option<f64>,
    /// The shortest that is welcome.
    pub min: Option<f64>,
    /// The limits of the scheduler's classes, ascending; fewer nodes serve the longer ones.
    #[serde(default)]
    pub bins: Vec<f64>,
}

/// How many jobs one person may have; every task of an array counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// At the same time in the queue, waiting ones included.
    pub submitted: Option<u32>,
    /// Running at the same time.
    pub running: Option<u32>,
    /// Slurm's `MaxArraySize`: indices end one below it. `scontrol show config` says it.
    pub array_size: Option<u32>,
}

/// What else a job must keep to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// Whether a job must name the model of its GPUs.
    pub gpu_model: Option<bool>,
    /// Whether a job may hold one slice of a GPU at most.
    pub one_slice: Option<bool>,
    /// Whether the scheduler alone chooses the partition.
    pub no_partition: Option<bool>,
}

/// What goes together into one unit of an account; a job is charged for whichever it takes most of.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Charge {
    /// Cores that go with one reference GPU unit.
    pub cores_per_rgu: Option<f64>,
    /// Memory that goes with one reference GPU unit, in GiB.
    pub memory_gib_per_rgu: Option<f64>,
    /// Memory that goes with one core of a job without GPUs, in GiB.
    pub memory_gib_per_core: Option<f64>,
}

/// Nodes without GPUs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CpuNodes {
    /// How many there are.
    pub nodes: u32,
    /// Cores of one.
    pub cores: u32,
    /// Memory of one that jobs may use, in MiB.
    pub memory_mib: u64,
    /// Whether a job takes whole nodes.
    pub whole: bool,
}

impl Cluster {
    /// The GPUs that training takes by itself; `None` where it runs on CPUs.
    #[must_use]
    pub fn training_gpu(&self) -> Option<&GpuNodes> {
        self.gpus.first()
    }

    /// Everything that a job can name behind `--gpus-per-node`: whole GPUs and their slices, in the order of the profile.
    pub fn gpu_kinds(&self) -> impl Iterator<Item = GpuKind<'_>> {
        self.gpus.iter().flat_map(|nodes| {
            std::iter::once(GpuKind { nodes, slice: None })
                .chain(nodes.slices.iter().map(move |slice| GpuKind { nodes, slice: Some(slice) }))
        })
    }

    /// What `name` is here: Slurm's name of a GPU or of a slice, or the end of a slice's behind an underscore, as `1g.10gb`.
    #[must_use]
    pub fn gpu_kind(&self, name: &str) -> Option<GpuKind<'_>> {
        self.gpu_kinds()
            .find(|kind| kind.name() == name)
            .or_else(|| self.gpu_kinds().find(|kind| kind.name().strip_suffix(name).is_some_and(|front| front.ends_with('_'))))
    }

    /// Where the value of `key` comes from, or why it is absent, as the profile says: `walltime.max`, `gpus.0.counts`.
    #[must_use]
    pub fn source(&self, key: &str) -> &str {
        self.sources.get(key).map_or("the profile does not say", String::as_str)
    }
}
