//! The ranks of a run → one model: a common start, averaged gradients, common BatchNorm statistics.
//!
//! The averaging is libtorch's own, buckets overlapped with the backward pass; alone, there is nothing to average.

use std::mem::ManuallyDrop;

use tch::Tensor;

use crate::comm::World;
#[cfg(feature = "mpi")]
use crate::comm::process_group::{GroupOptions, ProcessGroup};
#[cfg(feature = "mpi")]
use crate::comm::reducer::{Reducer, ReducerOptions, loss_weight, zero_loss};
use crate::error::{Error, Result};

/// All ranks of a run and the process group between them.
pub struct Team<'world> {
    /// The ranks.
    pub world: &'world World,
    #[cfg(feature = "mpi")]
    group: Option<ProcessGroup<'world>>,
}

impl<'world> Team<'world> {
    /// Collective: every rank makes its team, and drops it, at the same place.
    pub fn of(world: &'world World) -> Result<Self> {
        Ok(Self {
            world,
            #[cfg(feature = "mpi")]
            group: (world.size() > 1).then(|| ProcessGroup::over_mpi(world, GroupOptions::default())).transpose()?,
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
    pub fn add_up(&self, tensor: &Tensor) -> Result<()> {
        #[cfg(feature = "mpi")]
        if let Some(group) = &self.group {
            return group.all_reduce_sum(tensor);
        }
        let _ = tensor;
        Ok(())
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
            #[cfg(feature = "mpi")]
            ranks: self.world.size(),
            #[cfg(not(feature = "mpi"))]
            team: std::marker::PhantomData,
        })
    }
}

/// Gradients averaged over the ranks by the time the backward pass returns.
pub struct Averaging<'team> {
    #[cfg(feature = "mpi")]
    reducer: Option<Reducer<'team>>,
    #[cfg(feature = "mpi")]
    ranks: usize,
    #[cfg(not(feature = "mpi"))]
    team: std::marker::PhantomData<&'team ()>,
}

impl Averaging<'_> {
    /// To be called before the forward pass of a step.
    pub fn before_forward(&mut self) -> Result<()> {
        #[cfg(feature = "mpi")]
        if let Some(reducer) = &mut self.reducer {
            return reducer.prepare_for_forward();
        }
        Ok(())
    }

    /// The backward pass of `loss`, the mean over this rank's `local` samples of a global batch of `global`; `None` where it has none.
    ///
    /// The mean over ranks of the weighed losses is the mean over the global batch, however unevenly it is shared.
    pub fn backward(&mut self, loss: Option<Tensor>, local: usize, global: usize, parameters: &[Tensor]) -> Result<()> {
        #[cfg(feature = "mpi")]
        if let Some(reducer) = &mut self.reducer {
            let weighed = match loss {
                Some(loss) => loss * loss_weight(local, global, self.ranks),
                None => zero_loss(parameters),
            };
            reducer.prepare_for_backward(&[&weighed])?;
            return weighed.f_backward().map_err(|error| Error::Comm(error.to_string()));
        }
        let _ = (local, global, parameters);
        loss.map_or(Ok(()), |loss| loss.f_backward()).map_err(|error| Error::library("libtorch", error))
    }
}
