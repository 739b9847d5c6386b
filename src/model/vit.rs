//! Images `[N, 3, S, S]` → logits: the plain vision transformer (Dosovitskiy et al. 2021) as timm builds it.
//!
//! 16×16 patches, a class token in front, learned absolute positions, pre-norm blocks with a bias on q, k and v, exact GELU, and
//! the class token as the pooled output; LayerNorm's eps is 1e-6. Initial weights as timm's default: normal with std 0.02 for linear
//! layers and positions (timm cuts it at ±2, a hundred deviations out), 1e-6 for the class token, PyTorch's default for the patches.

use tch::{TchError, Tensor};

use super::init::Init;
use super::layers::{LayerNorm, Linear};
use super::variables::Scope;
use super::{Backbone, Pass};

/// The side of a patch, pixels.
pub(super) const PATCH: usize = 16;
/// The name of the position embedding, `[1, 1 + G², width]`.
pub(super) const POSITIONS: &str = "pos_embed";

const EPS: f64 = 1e-6;
const WEIGHTS: Init = Init::Normal { std: 0.02 };

/// The size of a transformer.
#[derive(Clone, Copy)]
pub(super) struct Size {
    width: i64,
    depth: usize,
    heads: i64,
    /// The width of an MLP's hidden layer, in widths.
    mlp_ratio: i64,
}

/// timm's `test_vit`, small enough for a CPU.
pub(super) const TEST: Size = Size { width: 64, depth: 6, heads: 2, mlp_ratio: 3 };
/// ViT-Ti.
pub(super) const TINY: Size = Size { width: 192, depth: 12, heads: 3, mlp_ratio: 4 };
/// ViT-S.
pub(super) const SMALL: Size = Size { width: 384, depth: 12, heads: 6, mlp_ratio: 4 };
/// ViT-B.
pub(super) const BASE: Size = Size { width: 768, depth: 12, heads: 12, mlp_ratio: 4 };

struct VisionTransformer {
    cls_token: Tensor,
    pos_embed: Tensor,
    patches: PatchEmbed,
    blocks: Vec<Block>,
    norm: LayerNorm,
    head: Linear,
}

/// Declares a transformer for images of `image_size` pixels a side, a multiple of [`PATCH`].
pub(super) fn build(scope: &mut Scope<'_>, classes: usize, image_size: usize, size: Size) -> Result<Box<dyn Backbone>, TchError> {
    let Size { width, depth, .. } = size;
    let grid = (image_size / PATCH) as i64;
    Ok(Box::new(VisionTransformer {
        cls_token: scope.parameter("cls_token", &[1, 1, width], Init::Normal { std: 1e-6 })?,
        pos_embed: scope.parameter(POSITIONS, &[1, 1 + grid * grid, width], WEIGHTS)?,
        patches: PatchEmbed::new(&mut scope.under("patch_embed.proj"), width)?,
        blocks: (0..depth)
            .map(|index| Block::new(&mut scope.under(format_args!("blocks.{index}")), size))
            .collect::<Result<_, _>>()?,
        norm: LayerNorm::new(&mut scope.under("norm"), width, EPS)?,
        head: Linear::new(&mut scope.under("head"), width, classes as i64, WEIGHTS, Init::Zeros)?,
    }))
}

impl Backbone for VisionTransformer {
    fn forward(&self, images: &Tensor, _pass: Pass<'_>) -> Result<Tensor, TchError> {
        let patches = self.patches.forward(images)?;
        let cls_token = self.cls_token.f_expand([patches.size()[0], -1, -1], false)?;
        let mut x = Tensor::f_cat(&[cls_token, patches], 1)?.f_add(&self.pos_embed)?;
        for block in &self.blocks {
            x = block.forward(&x)?;
        }
        self.head.forward(&self.norm.forward(&x)?.f_select(1, 0)?)
    }
}

struct PatchEmbed {
    weight: Tensor,
    bias: Tensor,
}

impl PatchEmbed {
    fn new(scope: &mut Scope<'_>, width: i64) -> Result<Self, TchError> {
        let side = PATCH as i64;
        let default = Init::torch_default(3 * side * side);
        Ok(Self {
            weight: scope.parameter("weight", &[width, 3, side, side], default)?,
            bias: scope.parameter("bias", &[width], default)?,
        })
    }

    /// `[N, 3, S, S]` → `[N, (S/16)², width]`, row by row.
    fn forward(&self, images: &Tensor) -> Result<Tensor, TchError> {
        images.f_conv2d(&self.weight, Some(&self.bias), PATCH as i64, 0, 1, 1)?.f_flatten(2, -1)?.f_transpose(1, 2)
    }
}

struct Block {
    norm1: LayerNorm,
    attn: Attention,
    norm2: LayerNorm,
    fc1: Linear,
    fc2: Linear,
}

impl Block {
    fn new(scope: &mut Scope<'_>, Size { width, heads, mlp_ratio, .. }: Size) -> Result<Self, TchError> {
        let hidden = mlp_ratio * width;
        Ok(Self {
            norm1: LayerNorm::new(&mut scope.under("norm1"), width, EPS)?,
            attn: Attention::new(&mut scope.under("attn"), width, heads)?,
            norm2: LayerNorm::new(&mut scope.under("norm2"), width, EPS)?,
            fc1: Linear::new(&mut scope.under("mlp.fc1"), width, hidden, WEIGHTS, Init::Zeros)?,
            fc2: Linear::new(&mut scope.under("mlp.fc2"), hidden, width, WEIGHTS, Init::Zeros)?,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let x = x.f_add(&self.attn.forward(&self.norm1.forward(x)?)?)?;
        let hidden = self.fc1.forward(&self.norm2.forward(&x)?)?.f_gelu("none")?;
        x.f_add(&self.fc2.forward(&hidden)?)
    }
}

struct Attention {
    qkv: Linear,
    proj: Linear,
    heads: i64,
}

impl Attention {
    fn new(scope: &mut Scope<'_>, width: i64, heads: i64) -> Result<Self, TchError> {
        Ok(Self {
            qkv: Linear::new(&mut scope.under("qkv"), width, 3 * width, WEIGHTS, Init::Zeros)?,
            proj: Linear::new(&mut scope.under("proj"), width, width, WEIGHTS, Init::Zeros)?,
            heads,
        })
    }

    /// `[N, T, width]` → `[N, T, width]`.
    fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let (images, tokens, width) = x.size3()?;
        let heads = self.heads;
        // [3, N, heads, T, width / heads]
        let qkv = self.qkv.forward(x)?.f_reshape([images, tokens, 3, heads, width / heads])?.f_permute([2, 0, 3, 1, 4])?;
        let [q, k, v] = [0, 1, 2].map(|index| qkv.f_select(0, index));
        let attended = Tensor::f_scaled_dot_product_attention::<&Tensor>(&q?, &k?, &v?, None, 0.0, false, None, false)?;
        self.proj.forward(&attended.f_transpose(1, 2)?.f_reshape([images, tokens, width])?)
    }
}
