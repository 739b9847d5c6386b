//! Images `[N, 3, S, S]` → logits: residual networks (He et al. 2016) as timm and torchvision build them.
//!
//! Version 1.5: in a bottleneck the stride sits in the 3×3 convolution. Initial weights as timm: Kaiming by fan out, the last
//! BatchNorm of each block at zero so that a block begins as the identity, PyTorch's default for the classifier.
//! The deep stem and the averaged downsampling are ResNet-D's (He et al. 2019).

use std::fmt::Display;

use tch::{TchError, Tensor};

use super::init::Init;
use super::layers::{BatchNorm2d, Conv2d, Linear};
use super::variables::Scope;
use super::{Backbone, Pass};

/// All that tells one ResNet from another.
#[derive(Clone, Copy)]
pub(super) struct Architecture {
    stem: Stem,
    /// Kind of block, number of blocks and inner channels of each stage.
    stages: [(Block, usize, i64); 4],
    downsample: Downsample,
}

/// ResNet-18.
pub(super) const RESNET18: Architecture = plain(Block::Basic, [2, 2, 2, 2]);
/// ResNet-34.
pub(super) const RESNET34: Architecture = plain(Block::Basic, [3, 4, 6, 3]);
/// ResNet-50.
pub(super) const RESNET50: Architecture = plain(Block::Bottleneck, [3, 4, 6, 3]);
/// timm's `test_resnet`, small enough for a CPU, with both kinds of block.
pub(super) const TEST: Architecture = Architecture {
    stem: DEEP_STEM,
    stages: [(Block::Basic, 1, 32), (Block::Basic, 1, 48), (Block::Bottleneck, 1, 48), (Block::Basic, 1, 96)],
    downsample: Downsample::Averaged,
};

const fn plain(block: Block, [first, second, third, fourth]: [usize; 4]) -> Architecture {
    let stages = [(block, first, 64), (block, second, 128), (block, third, 256), (block, fourth, 512)];
    Architecture { stem: STEM, stages, downsample: Downsample::Strided }
}

/// The names of a convolution and its BatchNorm, channels out, kernel and stride, one by one; a ReLU follows each.
type Stem = &'static [(&'static str, &'static str, i64, i64, i64)];

const STEM: Stem = &[("conv1", "bn1", 64, 7, 2)];
// timm numbers the ReLUs too, hence the gaps.
const DEEP_STEM: Stem = &[("conv1.0", "conv1.1", 16, 3, 2), ("conv1.3", "conv1.4", 16, 3, 1), ("conv1.6", "bn1", 32, 3, 1)];

/// How a block's input is brought to the shape of its output.
#[derive(Clone, Copy)]
enum Downsample {
    /// By a strided 1×1 convolution.
    Strided,
    /// By the means of 2×2 pixels, then a 1×1 convolution.
    Averaged,
}

/// The kind of residual block.
#[derive(Clone, Copy)]
enum Block {
    /// 3×3, 3×3: ResNet-18 and -34.
    Basic,
    /// 1×1, 3×3, 1×1 with four times the channels: ResNet-50.
    Bottleneck,
}

/// (channels in, channels out, kernel, stride) of a convolution.
type Shape = (i64, i64, i64, i64);

impl Block {
    /// (input channels, inner channels, stride) → each convolution.
    fn convolutions(self, inputs: i64, planes: i64, stride: i64) -> Vec<Shape> {
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
    trunk: Trunk,
    fc: Linear,
}

/// Declares the ResNet of that architecture.
pub(super) fn build(scope: &mut Scope<'_>, classes: usize, architecture: Architecture) -> Result<Box<dyn Backbone>, TchError> {
    let trunk = Trunk::new(scope, architecture)?;
    let default = Init::torch_default(trunk.channels);
    let fc = Linear::new(&mut scope.under("fc"), trunk.channels, classes as i64, default, default)?;
    Ok(Box::new(ResNet { trunk, fc }))
}

impl Backbone for ResNet {
    fn forward(&self, images: &Tensor, pass: Pass<'_>) -> Result<Tensor, TchError> {
        self.fc.forward(&self.trunk.forward(images, pass)?.f_adaptive_avg_pool2d([1, 1])?.f_flatten(1, -1)?)
    }
}

/// All of a ResNet that comes before the pooling.
pub(super) struct Trunk {
    stem: Vec<ConvBn>,
    blocks: Vec<Residual>,
    /// Channels of its features.
    pub channels: i64,
}

impl Trunk {
    /// Declares it.
    pub fn new(scope: &mut Scope<'_>, Architecture { stem: layers, stages, downsample }: Architecture) -> Result<Self, TchError> {
        let mut channels = 3;
        let mut stem = Vec::new();
        for &(conv, bn, outputs, kernel, stride) in layers {
            stem.push(ConvBn::new(scope, conv, bn, (channels, outputs, kernel, stride), Init::Ones)?);
            channels = outputs;
        }
        let mut blocks = Vec::new();
        for (stage, (block, depth, planes)) in (1..).zip(stages) {
            for index in 0..depth {
                let stride = if stage > 1 && index == 0 { 2 } else { 1 };
                let mut at = scope.under(format_args!("layer{stage}.{index}"));
                blocks.push(Residual::new(&mut at, block, channels, planes, stride, downsample)?);
                channels = block.outputs(planes);
            }
        }
        Ok(Self { stem, blocks, channels })
    }

    /// `[N, 3, H, W]` → `[N, channels, H/32, W/32]`, sides rounded upwards.
    pub fn forward(&self, images: &Tensor, pass: Pass<'_>) -> Result<Tensor, TchError> {
        let mut x = images.shallow_clone();
        for layer in &self.stem {
            x = layer.forward(&x, pass)?.f_relu_()?;
        }
        x = x.f_max_pool2d(3, 2, 1, 1, false)?;
        for block in &self.blocks {
            x = block.forward(&x, pass)?;
        }
        Ok(x)
    }

    /// Makes it one for inference alone: each BatchNorm becomes part of the convolution before it, which wants images channels last.
    pub fn freeze(&mut self) -> Result<(), TchError> {
        let blocks = self.blocks.iter_mut();
        let inner = blocks.flat_map(|block| {
            let shortcut = block.shortcut.as_mut().map(|shortcut| &mut shortcut.projection);
            block.branch.iter_mut().chain(shortcut)
        });
        self.stem.iter_mut().chain(inner).try_for_each(ConvBn::freeze)
    }
}

struct ConvBn {
    conv: Conv2d,
    /// `None` once the convolution has taken it over.
    bn: Option<BatchNorm2d>,
}

impl ConvBn {
    fn new(scope: &mut Scope<'_>, conv: impl Display, bn: impl Display, shape: Shape, gamma: Init) -> Result<Self, TchError> {
        let (inputs, outputs, kernel, stride) = shape;
        Ok(Self {
            conv: Conv2d::new(&mut scope.under(conv), inputs, outputs, kernel, stride)?,
            bn: Some(BatchNorm2d::new(&mut scope.under(bn), outputs, gamma)?),
        })
    }

    fn freeze(&mut self) -> Result<(), TchError> {
        self.bn.take().map_or(Ok(()), |bn| self.conv.absorb(&bn))
    }

    fn forward(&self, x: &Tensor, pass: Pass<'_>) -> Result<Tensor, TchError> {
        let x = self.conv.forward(x)?;
        match &self.bn {
            Some(bn) => bn.forward(&x, pass),
            None => Ok(x),
        }
    }
}

/// A block's input in the shape of its output.
struct Shortcut {
    /// The side of the squares of pixels averaged first.
    pool: i64,
    projection: ConvBn,
}

impl Shortcut {
    fn new(scope: &mut Scope<'_>, downsample: Downsample, inputs: i64, outputs: i64, stride: i64) -> Result<Self, TchError> {
        let (pool, conv, bn, stride) = match downsample {
            Downsample::Strided => (1, "downsample.0", "downsample.1", stride),
            Downsample::Averaged => (stride, "downsample.1", "downsample.2", 1),
        };
        Ok(Self { pool, projection: ConvBn::new(scope, conv, bn, (inputs, outputs, 1, stride), Init::Ones)? })
    }

    fn forward(&self, x: &Tensor, pass: Pass<'_>) -> Result<Tensor, TchError> {
        // An odd side is halved upwards, as the branch's convolution halves it.
        let pooled = if self.pool > 1 { &x.f_avg_pool2d(self.pool, self.pool, 0, true, false, None)? } else { x };
        self.projection.forward(pooled, pass)
    }
}

struct Residual {
    branch: Vec<ConvBn>,
    shortcut: Option<Shortcut>,
}

impl Residual {
    fn new(
        scope: &mut Scope<'_>,
        block: Block,
        inputs: i64,
        planes: i64,
        stride: i64,
        downsample: Downsample,
    ) -> Result<Self, TchError> {
        let convolutions = block.convolutions(inputs, planes, stride);
        let last = convolutions.len();
        let mut branch = Vec::with_capacity(last);
        for (number, shape) in (1..).zip(convolutions) {
            let gamma = if number == last { Init::Zeros } else { Init::Ones };
            branch.push(ConvBn::new(scope, format_args!("conv{number}"), format_args!("bn{number}"), shape, gamma)?);
        }
        let outputs = block.outputs(planes);
        let same_shape = stride == 1 && inputs == outputs;
        let shortcut = (!same_shape).then(|| Shortcut::new(scope, downsample, inputs, outputs, stride)).transpose()?;
        Ok(Self { branch, shortcut })
    }

    fn forward(&self, x: &Tensor, pass: Pass<'_>) -> Result<Tensor, TchError> {
        let shortcut = self.shortcut.as_ref().map(|shortcut| shortcut.forward(x, pass)).transpose()?;
        let mut y = x.shallow_clone();
        for (index, layer) in self.branch.iter().enumerate() {
            y = layer.forward(&y, pass)?;
            if index + 1 < self.branch.len() {
                y = y.f_relu_()?;
            }
        }
        y.f_add_(shortcut.as_ref().unwrap_or(x))?.f_relu_()
    }
}
