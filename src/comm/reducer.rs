//! Data-parallel gradients: a backward pass on every rank in, the mean gradient over all ranks in every parameter out.
//!
//! The [`Reducer`] is libtorch's own, the engine of PyTorch's `DistributedDataParallel`: hooks on the parameters gather gradients
//! into buckets, and each full bucket travels while the backward pass goes on. One step is
//!
//! ```text
//! clear_gradients → prepare_for_forward → forward → prepare_for_backward(loss) → loss.backward() → optimiser
//! ```
//!
//! To add up gradients over several micro-batches, leave both `prepare` calls out of all but the last of them.

use std::marker::PhantomData;
use std::ptr::{self, NonNull};

use super::bridge;
use super::process_group::{ProcessGroup, finished};
use crate::error::Result;
use tch::Tensor;

/// How gradients travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReducerOptions {
    /// A bucket is sent when it holds this many bytes: small ones leave earlier, large ones cost fewer messages.
    pub bucket_bytes: usize,
    /// The same for the first bucket; small, so that the network is busy early.
    pub first_bucket_bytes: usize,
    /// Looks in each step for parameters that the loss does not depend on. Without it, one such parameter is an error in the next step.
    pub find_unused: bool,
    /// Gradients are views into the buckets: one copy less in memory and in time.
    pub gradient_as_bucket_view: bool,
    /// Rearranges the buckets once, after the first step, in the order in which gradients really came.
    ///
    /// Where all-reduces run in a ring, as NCCL's do, over three or more ranks, this changes the last bits of sums from the second step
    /// on, and a resumed run is no longer bit-identical to an undisturbed one. Parameters in the order of the forward pass hardly need it.
    pub rebuild_buckets: bool,
}

impl Default for ReducerOptions {
    /// PyTorch's sizes (25 MiB, the first 1 MiB), views, and a layout that never changes.
    fn default() -> Self {
        Self {
            bucket_bytes: 25 << 20,
            first_bucket_bytes: 1 << 20,
            find_unused: false,
            gradient_as_bucket_view: true,
            rebuild_buckets: false,
        }
    }
}

/// Averages the gradients of a model over the ranks of a group while the backward pass computes them.
#[derive(Debug)]
pub struct Reducer<'group> {
    handle: NonNull<bridge::Reducer>,
    /// Its last reductions travel through the group, which must therefore go after it.
    group: PhantomData<&'group ProcessGroup<'group>>,
}

impl<'group> Reducer<'group> {
    /// Hooks into `parameters`: every one of them trainable, in the order of the forward pass, the same on all ranks.
    ///
    /// Collective. The values are not touched: see [`ProcessGroup::broadcast_coalesced`] for a common start.
    ///
    /// # Errors
    /// When the ranks' parameters differ in number, shape or kind, or not all ranks come.
    pub fn new(group: &'group ProcessGroup<'_>, parameters: &[Tensor], options: ReducerOptions) -> Result<Self> {
        let handles = bridge::handles(parameters);
        let options = bridge::ReducerOptions {
            bucket_bytes: bytes(options.bucket_bytes),
            first_bucket_bytes: bytes(options.first_bucket_bytes),
            find_unused: options.find_unused,
            gradient_as_bucket_view: options.gradient_as_bucket_view,
            rebuild_buckets: options.rebuild_buckets,
        };
        let mut handle = ptr::null_mut();
        // SAFETY: the group and the tensors are live; the Reducer takes its own references to them; `handle` is written on success.
        let message = unsafe {
            bridge::bioscan_reducer_new(group.as_ptr(), handles.as_ptr(), handles.len(), &raw const options, &raw mut handle)
        };
        finished(message)?;
        let handle = NonNull::new(handle).expect("a call without a message has set the handle");
        Ok(Self { handle, group: PhantomData })
    }

    /// Before the forward pass of a step whose gradients are to be averaged.
    ///
    /// # Errors
    /// When the last step's reduction did not end, for instance because a parameter got no gradient.
    pub fn prepare_for_forward(&mut self) -> Result<()> {
        // SAFETY: the handle is live and used by this thread alone.
        finished(unsafe { bridge::bioscan_reducer_prepare_for_forward(self.handle.as_ptr()) })
    }

    /// Between the forward and the backward pass, with what `backward` will be called on.
    ///
    /// The backward pass then ends when the average has arrived; a lost rank shows as its error.
    ///
    /// # Errors
    /// When the last step's reduction did not end.
    pub fn prepare_for_backward(&mut self, outputs: &[&Tensor]) -> Result<()> {
        let handles = bridge::handles(outputs.iter().copied());
        // SAFETY: as above; the outputs outlive the call, which only walks their graph.
        finished(unsafe { bridge::bioscan_reducer_prepare_for_backward(self.handle.as_ptr(), handles.as_ptr(), handles.len()) })
    }
}

impl Drop for Reducer<'_> {
    fn drop(&mut self) {
        // SAFETY: the handle came from `bioscan_reducer_new` and nobody uses it after this.
        if let Err(error) = finished(unsafe { bridge::bioscan_reducer_free(self.handle.as_ptr()) }) {
            tracing::warn!("removing the gradient hooks: {error}");
        }
    }
}

fn bytes(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}
