//! The four layers the networks are made of: each declares its tensors under PyTorch's names and calls one libtorch kernel.

use tch::{TchError, Tensor};

use super::Pass;
use super::init::Init;
use super::variables::Scope;
use crate::comm::batch_norm::BatchNorm;
use crate::comm::tensor_ext::channels_last;

/// A square 2-D convolution, without bias until it takes over a BatchNorm.
pub(super) struct Conv2d {
    weight: Tensor,
    bias: Option<Tensor>,
    stride: i64,
    padding: i64,
}

impl Conv2d {
    /// `[N, inputs, H, W]` → `[N, outputs, H/stride, W/stride]`; padded so that a stride of 1 keeps H and W.
    pub fn new(scope: &mut Scope<'_>, inputs: i64, outputs: i64, kernel: i64, stride: i64) -> Result<Self, TchError> {
        let weight = scope.parameter("weight", &[outputs, inputs, kernel, kernel], Init::kaiming_fan_out(outputs, kernel))?;
        Ok(Self { weight, bias: None, stride, padding: kernel / 2 })
    }

    /// Applies it.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        x.f_conv2d(&self.weight, self.bias.as_ref(), self.stride, self.padding, 1, 1)
    }

    /// Takes over the BatchNorm that follows it, as that is outside of training, and lays its weights out channels last, which the
    /// images must be too: a quarter less time on a CPU. The declared tensors stay as they are.
    pub fn absorb(&mut self, norm: &BatchNorm2d) -> Result<(), TchError> {
        let scale = norm.running_var.f_add_scalar(BatchNorm2d::EPS)?.f_rsqrt()?.f_mul(&norm.weight)?;
        self.bias = Some(norm.bias.f_sub(&norm.running_mean.f_mul(&scale)?)?);
        self.weight = channels_last(&self.weight.f_mul(&scale.f_reshape([-1, 1, 1, 1])?)?)?;
        Ok(())
    }
}

/// Batch normalisation over `[N, C, H, W]` with running statistics.
pub(super) struct BatchNorm2d {
    weight: Tensor,
    bias: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
}

impl BatchNorm2d {
    const MOMENTUM: f64 = 0.1;
    const EPS: f64 = 1e-5;

    /// Over `channels` channels; `gamma` is how its scale begins.
    pub fn new(scope: &mut Scope<'_>, channels: i64, gamma: Init) -> Result<Self, TchError> {
        Ok(Self {
            weight: scope.parameter("weight", &[channels], gamma)?,
            bias: scope.parameter("bias", &[channels], Init::Zeros)?,
            running_mean: scope.buffer("running_mean", &[channels], Init::Zeros)?,
            running_var: scope.buffer("running_var", &[channels], Init::Ones)?,
        })
    }

    /// Applies it.
    ///
    /// A single value a channel (one image, reduced to one pixel) has no variance: PyTorch refuses it. Here it is normalised by
    /// the running statistics, which stay as they are, so that an odd last image does not end a run.
    pub fn forward(&self, x: &Tensor, pass: Pass<'_>) -> Result<Tensor, TchError> {
        let train = match pass {
            Pass::TrainTogether(ranks) => return ranks.batch_norm(x, self.described()),
            Pass::Evaluate => false,
            Pass::Train => {
                let values: i64 = x.size().iter().enumerate().filter(|&(dim, _)| dim != 1).map(|(_, &length)| length).product();
                values > 1
            }
        };
        x.f_batch_norm(
            Some(&self.weight),
            Some(&self.bias),
            Some(&self.running_mean),
            Some(&self.running_var),
            train,
            Self::MOMENTUM,
            Self::EPS,
            true,
        )
    }

    fn described(&self) -> BatchNorm<'_> {
        let Self { weight, bias, running_mean, running_var } = self;
        BatchNorm { weight, bias, running_mean, running_var, momentum: Self::MOMENTUM, eps: Self::EPS }
    }
}

/// A fully connected layer with bias.
pub(super) struct Linear {
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    /// `[…, inputs]` → `[…, outputs]`.
    pub fn new(scope: &mut Scope<'_>, inputs: i64, outputs: i64, weight: Init, bias: Init) -> Result<Self, TchError> {
        Ok(Self {
            weight: scope.parameter("weight", &[outputs, inputs], weight)?,
            bias: scope.parameter("bias", &[outputs], bias)?,
        })
    }

    /// Applies it.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        x.f_linear(&self.weight, Some(&self.bias))
    }
}

/// Layer normalisation over the last dimension.
pub(super) struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    eps: f64,
}

impl LayerNorm {
    /// Over `width` features.
    pub fn new(scope: &mut Scope<'_>, width: i64, eps: f64) -> Result<Self, TchError> {
        Ok(Self {
            weight: scope.parameter("weight", &[width], Init::Ones)?,
            bias: scope.parameter("bias", &[width], Init::Zeros)?,
            eps,
        })
    }

    /// Applies it.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        x.f_layer_norm(self.weight.size(), Some(&self.weight), Some(&self.bias), self.eps, true)
    }
}
