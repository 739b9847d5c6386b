//! Images `[N, 3, S, S]` → logits: residual networks (He et al. 2016) as timm and torchvision build them.
//!
//! Version 1.5: in a bottleneck the stride sits in the 3×3 convolution. Initial weights as timm: Kaiming by fan out, the last
//! BatchNorm of each block at zero so that a block begins as the identity, PyTorch's default for the classifier.

use tch::{TchError, Tensor};

use super::Backbone;
use super::init::Init;
use super::layers::{BatchNorm2d, Conv2d, Linear};
use super::variables::Scope;

/// The kind of residual block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Block {
    /// 3×3, 3×3: ResNet-18 and -34.
    Basic,
    /// 1×1, 3×3, 1×1 with four times the channels: ResNet-50.
    Bottleneck,
}

impl Block {
    /// (input channels, inner channels, stride) → (channels in, channels out, kernel, stride) of each convolution.
    fn convolutions(self, inputs: i64, planes: i64, stride: i64) -> Vec<(i64, i64, i64, i64)> {
        match self {
            Self::Basic => vec![(inputs, planes, 3, stride), (planes, planes, 3, 1)],
            Self::Bottleneck => vec![(inputs, planes, 1, 1), (planes, planes, 3, stride), (planes, 4 * planes, 1, 1)],
        }
    }

    fn outputs(self, planes: i64) -> i64 {
        match self {
            Self::Basic => planes,
            Self::Bottleneck => 4 * planes,
        }
    }
}

struct ResNet {
    stem: ConvBn,
    blocks: Vec<Residual>,
    fc: Linear,
}

/// Declares a ResNet with `depths` blocks in its four stages.
pub(super) fn build(
    scope: &mut Scope<'_>,
    classes: usize,
    block: Block,
    depths: [usize; 4],
) -> Result<Box<dyn Backbone>, TchError> {
    let stem = ConvBn {
        conv: Conv2d::new(&mut scope.under("conv1"), 3, 64, 7, 2)?,
        bn: BatchNorm2d::new(&mut scope.under("bn1"), 64, Init::Ones)?,
    };
    let mut blocks = Vec::new();
    let mut channels = 64;
    for (stage, (depth, planes)) in depths.into_iter().zip([64, 128, 256, 512]).enumerate() {
        for index in 0..depth {
            let stride = if stage > 0 && index == 0 { 2 } else { 1 };
            let mut at = scope.under(format_args!("layer{}.{index}", stage + 1));
            blocks.push(Residual::new(&mut at, block, channels, planes, stride)?);
            channels = block.outputs(planes);
        }
    }
    let default = Init::torch_default(channels);
    let fc = Linear::new(&mut scope.under("fc"), channels, classes as i64, default, default)?;
    Ok(Box::new(ResNet { stem, blocks, fc }))
}

impl Backbone for ResNet {
    fn forward(&self, images: &Tensor, train: bool) -> Result<Tensor, TchError> {
        let mut x = self.stem.forward(images, train)?.f_relu_()?.f_max_pool2d(3, 2, 1, 1, false)?;
        for block in &self.blocks {
            x = block.forward(&x, train)?;
        }
        self.fc.forward(&x.f_adaptive_avg_pool2d([1, 1])?.f_flatten(1, -1)?)
    }
}

struct ConvBn {
    conv: Conv2d,
    bn: BatchNorm2d,
}

impl ConvBn {
    fn forward(&self, x: &Tensor, train: bool) -> Result<Tensor, TchError> {
        self.bn.forward(&self.conv.forward(x)?, train)
    }
}

struct Residual {
    branch: Vec<ConvBn>,
    downsample: Option<ConvBn>,
}

impl Residual {
    fn new(scope: &mut Scope<'_>, block: Block, inputs: i64, planes: i64, stride: i64) -> Result<Self, TchError> {
        let convolutions = block.convolutions(inputs, planes, stride);
        let last = convolutions.len();
        let mut branch = Vec::with_capacity(last);
        for (number, (from, to, kernel, stride)) in (1..).zip(convolutions) {
            let gamma = if number == last { Init::Zeros } else { Init::Ones };
            branch.push(ConvBn {
                conv: Conv2d::new(&mut scope.under(format_args!("conv{number}")), from, to, kernel, stride)?,
                bn: BatchNorm2d::new(&mut scope.under(format_args!("bn{number}")), to, gamma)?,
            });
        }
        let outputs = block.outputs(planes);
        let downsample = if stride == 1 && inputs == outputs {
            None
        } else {
            Some(ConvBn {
                conv: Conv2d::new(&mut scope.under("downsample.0"), inputs, outputs, 1, stride)?,
                bn: BatchNorm2d::new(&mut scope.under("downsample.1"), outputs, Init::Ones)?,
            })
        };
        Ok(Self { branch, downsample })
    }

    fn forward(&self, x: &Tensor, train: bool) -> Result<Tensor, TchError> {
        let shortcut = self.downsample.as_ref().map(|downsample| downsample.forward(x, train)).transpose()?;
        let mut y = x.shallow_clone();
        for (index, layer) in self.branch.iter().enumerate() {
            y = layer.forward(&y, train)?;
            if index + 1 < self.branch.len() {
                y = y.f_relu_()?;
            }
        }
        y.f_add_(shortcut.as_ref().unwrap_or(x))?.f_relu_()
    }
}
