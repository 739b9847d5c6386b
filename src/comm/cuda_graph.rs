//! Work for a GPU, recorded once and asked for again with a single launch: CUDA graphs.
//!
//! **Not run on a GPU yet**: the plug-in compiles, and makes the calls of PyTorch's own `torch.cuda.graph`.

use std::ptr::{self, NonNull};

use super::bridge;
use super::plugin::plugin;
use crate::error::Result;

const WANTING: &str = "`train.cuda_graphs`";
const INSTEAD: &str = "set it to false";

/// Recorded work. The tensors it reads and writes are those of the recording, at the same addresses.
#[derive(Debug)]
pub struct CudaGraph(NonNull<bridge::Graph>);

impl CudaGraph {
    /// Whether graphs can be recorded here.
    ///
    /// # Errors
    /// Wrong usage where the plug-in is not beside the program.
    pub fn is_to_be_had() -> Result<()> {
        plugin(WANTING, INSTEAD).map(drop)
    }

    /// Records what `work` asks of GPU `index`, which does none of it yet. `work` must not look at a value on the GPU.
    ///
    /// # Errors
    /// Those of `work`, and what CUDA cannot record, in its words.
    pub fn record<T>(index: usize, work: impl FnOnce() -> Result<T>) -> Result<(Self, T)> {
        let path = plugin(WANTING, INSTEAD)?;
        let mut handle = ptr::null_mut();
        // SAFETY: the path outlives the call; `handle` is written on success.
        bridge::done(unsafe { bridge::bioscan_graph_begin(path.as_ptr(), bridge::gpu(index), &raw mut handle) })?;
        let graph = Self(NonNull::new(handle).expect("a call without a message has set the handle"));
        // Dropped by an error, the graph ends the recording.
        let made = work()?;
        // SAFETY: the handle is live.
        bridge::done(unsafe { bridge::bioscan_graph_end(graph.0.as_ptr()) })?;
        Ok((graph, made))
    }

    /// Asks for the work again.
    ///
    /// # Errors
    /// What CUDA refuses, in its words.
    pub fn replay(&self) -> Result<()> {
        // SAFETY: the handle is live, and so are the tensors of the recording, whose memory the graph holds.
        bridge::done(unsafe { bridge::bioscan_graph_replay(self.0.as_ptr()) })
    }
}

impl Drop for CudaGraph {
    fn drop(&mut self) {
        // SAFETY: the handle came from `bioscan_graph_begin` and nobody uses it after this.
        unsafe { bridge::bioscan_graph_free(self.0.as_ptr()) }
    }
}
