//! Main memory and a GPU: copies beside the computing, and how far the host runs ahead.
//!
//! **Not run on a GPU yet.** Each call is one that PyTorch's own `pin_memory`, `Tensor.to(non_blocking=True)`, streams and events make.

use std::collections::VecDeque;
use std::ptr::{self, NonNull};

use tch::{Device, Tensor};

use super::bridge;
use crate::error::Result;

/// Steps that the host may have asked for and the GPU not done: enough that it never waits for the next, few enough that little memory is
/// held for them.
const AHEAD: usize = 2;

/// From now on this thread speaks to GPU `index`, as PyTorch's `torch.cuda.set_device`: or else the first GPU would be woken besides.
///
/// # Errors
/// Without that GPU, in libtorch's words.
pub fn use_gpu(index: usize) -> Result<()> {
    // SAFETY: sets state of this thread in libtorch and CUDA.
    bridge::done(unsafe { bridge::bioscan_use_gpu(bridge::gpu(index)) })
}

/// A copy of `host` on GPU `index`, made on a stream of its own while the GPU computes: from pinned memory, which what is not there already is
/// brought to first. Returns at once; what is asked of the GPU after this waits for the copy.
///
/// # Errors
/// Without a GPU, and where its memory is full, in libtorch's words.
pub fn copy_to_gpu(host: &Tensor, index: usize) -> Result<Tensor> {
    let mut out = ptr::null_mut();
    // SAFETY: `host` is live for the length of the call, and libtorch keeps its memory until the copy is over; `out` is written on success.
    bridge::done(unsafe { bridge::bioscan_copy_to_gpu(host.as_ptr(), bridge::gpu(index), &raw mut out) })?;
    // SAFETY: a call without a message has made a tensor that is ours.
    Ok(unsafe { Tensor::from_ptr(out) })
}

/// Waits for what a GPU still has to do: its calls return before their work is done. A CPU has nothing left to do.
pub fn finish_on(device: Device) {
    if let Device::Cuda(index) = device {
        tch::Cuda::synchronize(index as i64);
    }
}

/// How far the host is ahead of its device.
#[derive(Debug)]
pub struct Lead {
    device: Device,
    /// The ends of the steps asked for, the oldest first.
    ends: VecDeque<Mark>,
}

impl Lead {
    /// Over `device`, nothing asked for yet. A CPU leaves no lead.
    #[must_use]
    pub fn over(device: Device) -> Self {
        Self { device, ends: VecDeque::new() }
    }

    /// A step has been asked for; returns once the device is no more than two behind.
    ///
    /// # Errors
    /// What the device met in a step before, in libtorch's words.
    pub fn asked_for_a_step(&mut self) -> Result<()> {
        let Device::Cuda(index) = self.device else { return Ok(()) };
        self.ends.push_back(Mark::here(index)?);
        if self.ends.len() <= AHEAD {
            return Ok(());
        }
        self.ends.pop_front().map_or(Ok(()), Mark::wait)
    }
}

/// A point in the work of a GPU.
#[derive(Debug)]
struct Mark(NonNull<bridge::Mark>);

impl Mark {
    /// The end of all that was asked of GPU `index` so far.
    fn here(index: usize) -> Result<Self> {
        let mut handle = ptr::null_mut();
        // SAFETY: `handle` is written on success.
        bridge::done(unsafe { bridge::bioscan_mark_new(bridge::gpu(index), &raw mut handle) })?;
        Ok(Self(NonNull::new(handle).expect("a call without a message has set the handle")))
    }

    fn wait(self) -> Result<()> {
        // SAFETY: the handle is live until `self` is dropped.
        bridge::done(unsafe { bridge::bioscan_mark_wait(self.0.as_ptr()) })
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        // SAFETY: the handle came from `bioscan_mark_new` and nobody uses it after this.
        unsafe { bridge::bioscan_mark_free(self.0.as_ptr()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cpu_leaves_no_lead() {
        let mut lead = Lead::over(Device::Cpu);
        (0..5).for_each(|_| lead.asked_for_a_step().unwrap());
        assert!(lead.ends.is_empty());
        finish_on(Device::Cpu);
    }

    #[test]
    fn without_a_gpu_each_call_says_so() {
        if tch::Cuda::is_available() {
            return;
        }
        let host = Tensor::from_slice(&[1.0f32]);
        assert!(use_gpu(0).is_err() && copy_to_gpu(&host, 0).is_err() && Mark::here(0).is_err());
        assert!(Lead::over(Device::Cuda(0)).asked_for_a_step().is_err());
    }
}
