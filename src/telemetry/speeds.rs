//! How fast this machine is at the parts of a training step.

use serde::Serialize;

/// What a rehearsal of a job measured here, over all ranks together.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Speeds {
    /// The run that was rehearsed.
    pub run: String,
    /// Images a second from the container to pixels, on the first look at them: from the disk, unless somebody read them before.
    pub first_read: f64,
    /// The same on a second look, from memory: decoding alone.
    pub decoding: f64,
    /// Images a second through forward, backward and the optimiser.
    pub stepping: f64,
    /// Seconds of a step.
    pub step_s: f64,
    /// Seconds of adding up all gradients over the ranks by itself; none for one rank. In training most of it is hidden behind the
    /// backward pass.
    pub all_reduce_s: Option<f64>,
    /// World size.
    pub ranks: usize,
    /// Threads a rank.
    pub threads: usize,
}
