//! What a profile says of nodes with GPUs, and of the slices some of those are cut into.

use serde::{Deserialize, Serialize};

/// Nodes with GPUs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GpuNodes {
    /// Slurm's name of the GPU, as in `--gpus-per-node=NAME:1`.
    pub spec: String,
    /// How many such nodes there are.
    pub nodes: u32,
    /// GPUs of one.
    pub per_node: u32,
    /// Cores of one node.
    pub node_cores: u32,
    /// Memory of one node, in MiB.
    pub node_memory_mib: u64,
    /// Cores that go with one GPU.
    pub cores: u32,
    /// Memory that goes with one GPU, in GiB.
    pub memory_gib: Option<u64>,
    /// The GPU's own memory, in GB.
    pub gpu_memory_gb: Option<u32>,
    /// Reference GPU units an account is charged for one.
    pub rgu: Option<f64>,
    /// How many GPUs a job may ask for.
    pub counts: GpuCounts,
    /// Training speed in multiples of an H100's.
    pub speed: f64,
    /// The slices (MIG instances) that some of the GPUs are cut into.
    #[serde(default)]
    pub slices: Vec<Slice>,
}

/// A slice of a GPU (a MIG instance).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slice {
    /// Slurm's name of it, the longest where there are several: it is valid on most clusters.
    pub spec: String,
    /// Cores that go with it.
    pub cores: u32,
    /// Memory that goes with it, in GiB.
    pub memory_gib: u64,
    /// The slice's own memory, in GB.
    pub gpu_memory_gb: u32,
    /// Reference GPU units an account is charged for it.
    pub rgu: Option<f64>,
    /// Training speed in multiples of an H100's.
    pub speed: f64,
}

/// How many GPUs a job may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GpuCounts {
    /// Any number.
    Any,
    /// Exactly one, or whole nodes.
    OneOrWholeNodes,
    /// Whole nodes alone: several runs share a job, one a GPU.
    WholeNodes,
}

/// A whole GPU or a slice of one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GpuKind<'a> {
    /// The nodes it belongs to.
    pub nodes: &'a GpuNodes,
    /// The slice; `None` is the whole GPU.
    pub slice: Option<&'a Slice>,
}

impl<'a> GpuKind<'a> {
    /// Slurm's name of it.
    #[must_use]
    pub fn name(&self) -> &'a str {
        self.slice.map_or(&self.nodes.spec, |slice| &slice.spec)
    }

    /// Cores that go with it.
    #[must_use]
    pub fn cores(&self) -> u32 {
        self.slice.map_or(self.nodes.cores, |slice| slice.cores)
    }

    /// Memory of the node that goes with it, in GiB.
    #[must_use]
    pub fn memory_gib(&self) -> Option<u64> {
        self.slice.map_or(self.nodes.memory_gib, |slice| Some(slice.memory_gib))
    }

    /// Its own memory, in GB.
    #[must_use]
    pub fn gpu_memory_gb(&self) -> Option<u32> {
        self.slice.map_or(self.nodes.gpu_memory_gb, |slice| Some(slice.gpu_memory_gb))
    }

    /// Reference GPU units an account is charged for it.
    #[must_use]
    pub fn rgu(&self) -> Option<f64> {
        self.slice.map_or(self.nodes.rgu, |slice| slice.rgu)
    }

    /// Training speed in multiples of an H100's.
    #[must_use]
    pub fn speed(&self) -> f64 {
        self.slice.map_or(self.nodes.speed, |slice| slice.speed)
    }
}
