//! Ranks as libtorch sees them: the world's communicator in, tensors summed and shared over the ranks out.
//!
//! The group is libtorch's own `c10d::ProcessGroup`; it talks through a small c10d backend over MPI (`bridge/mpi_backend.h`), for tensors
//! on GPUs also through NCCL. Collectives run on one thread of their own, in the order they were asked for, on a duplicate of the
//! world's communicator: they may overlap with anything else that the program sends.

use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::time::Duration;

use super::{World, bridge};
use crate::error::{Error, Result};
use tch::Tensor;

/// How a [`ProcessGroup`] waits for the other ranks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupOptions {
    /// A collective that not all ranks have come to by then fails, and with it every later one of this group.
    pub timeout: Duration,
    /// How often the communication thread looks for a rank that is late; it sleeps in between. Zero never sleeps, which costs a core.
    pub poll: Duration,
}

impl Default for GroupOptions {
    /// Half an hour, as in PyTorch, looking every 100 µs.
    fn default() -> Self {
        Self { timeout: Duration::from_secs(30 * 60), poll: Duration::from_micros(100) }
    }
}

/// All ranks of the [`World`], able to share tensors. Not `Send`: its collectives must be asked for in the same order on every rank.
#[derive(Debug)]
pub struct ProcessGroup<'world> {
    handle: NonNull<bridge::Group>,
    /// Freeing the communicator needs MPI: the group must go before the world does.
    world: PhantomData<&'world World>,
}

impl<'world> ProcessGroup<'world> {
    /// A group over all ranks of `world`. Collective: every rank calls it, and drops it, at the same place.
    ///
    /// # Errors
    /// When `world` is a single process without MPI, or MPI runs without `MPI_THREAD_MULTIPLE`.
    pub fn over_mpi(world: &'world World, options: GroupOptions) -> Result<Self> {
        let communicator =
            world.fortran_handle().ok_or_else(|| Error::Comm("a process group needs ranks started by an MPI launcher".into()))?;
        let mut handle = ptr::null_mut();
        // SAFETY: the communicator lives as long as `world`; `handle` is written on success.
        let message = unsafe {
            bridge::bioscan_group_new(
                communicator,
                whole(options.timeout.as_millis()),
                whole(options.poll.as_micros()),
                &raw mut handle,
            )
        };
        finished(message)?;
        let handle = NonNull::new(handle).expect("a call without a message has set the handle");
        Ok(Self { handle, world: PhantomData })
    }

    /// From now on tensors on GPUs travel over MPI as those in main memory do, through pinned copies there: slower than NCCL, but it needs
    /// no plug-in, and goes where NCCL cannot, on slices of a GPU (MIG). **Not run on a GPU yet.**
    ///
    /// # Errors
    /// None that is known.
    pub fn serve_gpus(&self) -> Result<()> {
        // SAFETY: the group is live.
        finished(unsafe { bridge::bioscan_group_serve_gpus(self.as_ptr()) })
    }

    /// Adds up `tensor` over all ranks, in place; every rank ends with the same bits.
    ///
    /// Takes a dense tensor of the same shape on all ranks, floats of 16, 32 or 64 bits, or integers: in main memory, or on the GPUs of a
    /// group that serves them. One with gaps in its memory is copied for the way.
    ///
    /// # Errors
    /// For any other tensor, and when not all ranks arrive before the time-out.
    pub fn all_reduce_sum(&self, tensor: &Tensor) -> Result<()> {
        // SAFETY: the group and the tensor are live and outlive the call, which waits for its end.
        finished(unsafe { bridge::bioscan_group_all_reduce_sum(self.as_ptr(), tensor.as_ptr()) })
    }

    /// Overwrites `tensors` on every rank with those of rank `root`, many to a message.
    ///
    /// The ranks give tensors of the same shapes and kinds in the same order (sorted by name, or in the order of creation).
    /// Parameters may be among them: this is how all ranks start from the same weights, and how BatchNorm's statistics are shared.
    ///
    /// # Errors
    /// When `root` is no rank, and when not all ranks arrive before the time-out.
    pub fn broadcast_coalesced(&self, tensors: &[Tensor], root: usize) -> Result<()> {
        let root = i32::try_from(root).map_err(|_| Error::Comm(format!("there is no rank {root}")))?;
        if tensors.is_empty() {
            return Ok(());
        }
        let handles = bridge::handles(tensors);
        // SAFETY: as above.
        finished(unsafe { bridge::bioscan_group_broadcast_coalesced(self.as_ptr(), handles.as_ptr(), handles.len(), root) })
    }

    /// Returns when every rank has come here.
    ///
    /// # Errors
    /// When not all do before the time-out.
    pub fn barrier(&self) -> Result<()> {
        // SAFETY: the group is live.
        finished(unsafe { bridge::bioscan_group_barrier(self.as_ptr()) })
    }

    /// Begins to find the largest `value` of all ranks, while the caller goes on.
    ///
    /// # Errors
    /// When an earlier collective has failed.
    pub fn begin_all_max(&self, value: i64) -> Result<Agreement<'_>> {
        let mut handle = ptr::null_mut();
        // SAFETY: the group is live; `handle` is written on success.
        finished(unsafe { bridge::bioscan_agreement_new(self.as_ptr(), value, &raw mut handle) })?;
        let handle = NonNull::new(handle).expect("a call without a message has set the handle");
        Ok(Agreement { handle, group: PhantomData })
    }

    pub(super) fn as_ptr(&self) -> *const bridge::Group {
        self.handle.as_ptr()
    }
}

impl Drop for ProcessGroup<'_> {
    fn drop(&mut self) {
        // SAFETY: the handle came from `bioscan_group_new` and nobody uses it after this.
        if let Err(error) = finished(unsafe { bridge::bioscan_group_free(self.handle.as_ptr()) }) {
            tracing::warn!("closing the process group: {error}");
        }
    }
}

/// The largest value of all ranks, on its way.
#[derive(Debug)]
pub struct Agreement<'group> {
    handle: NonNull<bridge::Agreement>,
    group: PhantomData<&'group ProcessGroup<'group>>,
}

impl Agreement<'_> {
    /// The value, once every rank has named its own.
    ///
    /// # Errors
    /// When not all do before the time-out.
    pub fn wait(self) -> Result<i64> {
        let mut largest = 0;
        // SAFETY: the handle is live until `self` is dropped; `largest` is written on success.
        finished(unsafe { bridge::bioscan_agreement_wait(self.handle.as_ptr(), &raw mut largest) })?;
        Ok(largest)
    }
}

impl Drop for Agreement<'_> {
    fn drop(&mut self) {
        // SAFETY: the handle came from `bioscan_agreement_new`; the collective, if it still runs, holds its own tensor.
        unsafe { bridge::bioscan_agreement_free(self.handle.as_ptr()) }
    }
}

/// The outcome of a call that talks to other ranks.
pub(super) fn finished(message: bridge::Message) -> Result<()> {
    bridge::outcome(message).map_err(Error::Comm)
}

/// C++ counts nanoseconds in 64 bits when it compares durations; what goes beyond is as good as endless.
fn whole(units: u128) -> u64 {
    u64::try_from(units).unwrap_or(u64::MAX).min(i64::MAX as u64 / 1_000_000)
}
