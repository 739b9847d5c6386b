//! Batch normalisation by the statistics of more images than this process holds.
//!
//! A network normalises by whatever [`SharedStatistics`] it is handed and so knows nothing of ranks.

use tch::{TchError, Tensor};

/// A normalisation over `[N, C, H, W]`: its tensors, `[C]` each, and constants.
#[derive(Clone, Copy, Debug)]
pub struct BatchNorm<'a> {
    /// The scale.
    pub weight: &'a Tensor,
    /// The shift.
    pub bias: &'a Tensor,
    /// Moved by each forward pass.
    pub running_mean: &'a Tensor,
    /// Likewise, by the variance over the count less one.
    pub running_var: &'a Tensor,
    /// How far the running statistics move.
    pub momentum: f64,
    /// Added to the variance.
    pub eps: f64,
}

/// Those who normalise together.
pub trait SharedStatistics {
    /// Normalises this process's part `[n, C, H, W]` of a batch by the statistics of the whole batch, n ≥ 0; differentiable.
    ///
    /// Collective, and so is the backward pass: every part comes, an empty one too.
    ///
    /// # Errors
    /// When not all come, and what libtorch refuses.
    fn batch_norm(&self, x: &Tensor, norm: BatchNorm<'_>) -> Result<Tensor, TchError>;
}

#[cfg(feature = "mpi")]
impl SharedStatistics for super::process_group::ProcessGroup<'_> {
    fn batch_norm(&self, x: &Tensor, norm: BatchNorm<'_>) -> Result<Tensor, TchError> {
        let BatchNorm { weight, bias, running_mean, running_var, momentum, eps } = norm;
        let mut out = std::ptr::null_mut();
        // SAFETY: the group and the tensors are live and outlive the call, what autograd keeps of them it holds itself; `out` is
        // written on success.
        let message = unsafe {
            super::bridge::bioscan_sync_batch_norm(
                self.as_ptr(),
                x.as_ptr(),
                weight.as_ptr(),
                bias.as_ptr(),
                running_mean.as_ptr(),
                running_var.as_ptr(),
                momentum,
                eps,
                &raw mut out,
            )
        };
        super::bridge::outcome(message).map_err(TchError::Torch)?;
        // SAFETY: a call without a message has made a tensor that is ours.
        Ok(unsafe { Tensor::from_ptr(out) })
    }
}
