//! A cluster's name → what it has, what it allows and what it charges.
//!
//! The profiles in `jobs/clusters/` are part of the binary; a folder of other profiles or a path to one replaces them. A key that
//! is absent from a profile is not known: nothing is guessed in its place. The comment behind a value is its source, and
//! [`Cluster::source`] gives it back, so that a refusal can say who forbids.

mod gpu;
mod load;
mod profile;
mod sources;

pub use gpu::{GpuCounts, GpuKind, GpuNodes, Slice};
pub use profile::{Charge, Cluster, CpuNodes, Internet, Launcher, Limits, Rules, Scheduler, Staging, Walltime};
