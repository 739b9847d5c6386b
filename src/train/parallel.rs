//! The ranks of a run → one model: a common start, averaged gradients, common BatchNorm statistics, a common end.
//!
//! The averaging is libtorch's own, buckets overlapped with the backward pass; alone, there is nothing to average.

use std::mem::ManuallyDrop;
#[cfg(feature = "mpi")]
use std::time::Duration;

use tch::{Device, Tensor};

use crate::comm::World;
use crate::comm::batch_norm::SharedStatistics;
#[cfg(feature = "mpi")]
use crate::comm::process_group::{Agreement, GroupOptions, ProcessGroup};
#[cfg(feature = "mpi")]
use crate::comm::reducer::{Reducer, ReducerOptions};
#[cfg(feature = "mpi")]
use crate::config::Backend;
use crate::config::Ranks;
use crate::error::{Error, Result};

/// All ranks of a run and the process group between them.
pub struct Team<'world> {
    /// The ranks.
    pub world: &'world World,
    #[cfg(feature = "mpi")]
    group: Option<ProcessGroup<'world>>,
}

impl<'world> Team<'world> {
    /// Collective: every rank makes its team, and drops it, at the same place. With `device` a GPU, the tensors on it travel by the backend
    /// of `ranks`.
    pub fn of(world: &'world World, ranks: Ranks, device: Device) -> Result<Self> {
        #[cfg(feature = "mpi")]
        let group = if world.size() > 1 {
            let group = ProcessGroup::over_mpi(world, options(ranks))?;
            match ranks.backend {
                _ if !device.is_cuda() => {}
                Backend::Nccl => group.add_nccl(world, options(ranks))?,
                Backend::Mpi => group.serve_gpus()?,
            }
            Some(group)
        } else {
            None
        };
        #[cfg(not(feature = "mpi"))]
        let _ = (ranks, device);
        Ok(Self {
            world,
            #[cfg(feature = "mpi")]
            group,
        })
    }

    /// Ends this rank's part. After an error the others may never come to close the group, so it is left open: the command line then
    /// ends them all.
    pub fn leave<T>(self, outcome: Result<T>) -> Result<T> {
        if outcome.is_err() {
            let _left_open = ManuallyDrop::new(self);
        }
        outcome
    }

    /// Gives every rank rank 0's values.
    pub fn share(&self, tensors: &[Tensor]) -> Result<()> {
        #[cfg(feature = "mpi")]
        if let Some(group) = &self.group {
            return group.broadcast_coalesced(tensors, 0);
        }
        let _ = tensors;
        Ok(())
    }

    /// Adds up `tensor` over the ranks, in place.
    pub fn all_reduce_sum(&self, tensor: &Tensor) -> Result<()> {
        #[cfg(feature = "mpi")]
        if let Some(group) = &self.group {
            return group.all_reduce_sum(tensor);
        }
        let _ = tensor;
        Ok(())
    }

    /// Those whose images BatchNorm's statistics are taken from together; `None` alone.
    pub fn statistics(&self) -> Option<&dyn SharedStatistics> {
        #[cfg(feature = "mpi")]
        return self.group.as_ref().map(|group| group as &dyn SharedStatistics);
        #[cfg(not(feature = "mpi"))]
        None
    }

    /// Opens the question whether to stop, which the ranks answer after every step.
    pub fn ballot(&self) -> Ballot<'_> {
        Ballot {
            #[cfg(feature = "mpi")]
            group: self.group.as_ref(),
            #[cfg(feature = "mpi")]
            pending: None,
            #[cfg(not(feature = "mpi"))]
            team: std::marker::PhantomData,
        }
    }

    /// Starts averaging the gradients of `parameters`.
    pub fn average(&self, parameters: &[Tensor]) -> Result<Averaging<'_>> {
        #[cfg(feature = "mpi")]
        let reducer = match &self.group {
            Some(group) => Some(Reducer::new(group, parameters, ReducerOptions::default())?),
            None => None,
        };
        #[cfg(not(feature = "mpi"))]
        let _ = parameters;
        Ok(Averaging {
            #[cfg(feature = "mpi")]
            reducer,
            #[cfg(not(feature = "mpi"))]
            team: std::marker::PhantomData,
        })
    }
}

/// Gradients averaged over the ranks by the time the backward pass returns.
pub struct Averaging<'team> {
    #[cfg(feature = "mpi")]
    reducer: Option<Reducer<'team>>,
    #[cfg(not(feature = "mpi"))]
    team: std::marker::PhantomData<&'team ()>,
}

impl Averaging<'_> {
    /// To be called before the forward pass whose [`backward`](Self::backward) is a step's last.
    pub fn before_forward(&mut self) -> Result<()> {
        #[cfg(feature = "mpi")]
        if let Some(reducer) = &mut self.reducer {
            return reducer.prepare_for_forward();
        }
        Ok(())
    }

    /// The backward pass of this rank's part of the loss. With the step's `last`, the gradients of all its parts travel.
    pub fn backward(&mut self, loss: &Tensor, last: bool) -> Result<()> {
        #[cfg(feature = "mpi")]
        if let Some(reducer) = &mut self.reducer {
            if last {
                reducer.prepare_for_backward(&[loss])?;
            }
            return loss.f_backward().map_err(|error| Error::Comm(error.to_string()));
        }
        let _ = last;
        loss.f_backward().map_err(|error| Error::library("libtorch", error))
    }
}

/// Whether any rank was asked to stop, agreed on without a step waiting for it: an answer comes with the next question, by when
/// the gradients have met all ranks anyway.
pub struct Ballot<'team> {
    #[cfg(feature = "mpi")]
    group: Option<&'team ProcessGroup<'team>>,
    #[cfg(feature = "mpi")]
    pending: Option<Agreement<'team>>,
    #[cfg(not(feature = "mpi"))]
    team: std::marker::PhantomData<&'team ()>,
}

impl Ballot<'_> {
    /// Whether any rank had been asked by the question before; alone, whether this one has been by now. `asked`: whether this one has.
    pub fn vote(&mut self, asked: bool) -> Result<bool> {
        #[cfg(feature = "mpi")]
        if let Some(group) = self.group {
            let before = self.settle()?;
            self.pending = Some(group.begin_all_max(i64::from(asked))?);
            return Ok(before);
        }
        Ok(asked)
    }

    /// The answer to the last question, where it is still open.
    pub fn settle(&mut self) -> Result<bool> {
        #[cfg(feature = "mpi")]
        if let Some(pending) = self.pending.take() {
            return Ok(pending.wait()? > 0);
        }
        Ok(false)
    }
}

#[cfg(feature = "mpi")]
fn options(Ranks { timeout_s, poll_us, .. }: Ranks) -> GroupOptions {
    GroupOptions { timeout: Duration::from_secs(timeout_s), poll: Duration::from_micros(poll_us) }
}
