//! Features of places `[N, HW, 256]` → what each query found `[N, 100, 256]`: DETR's encoder and decoder.
//!
//! Post-norm layers. Positions are added to what is asked with and asked for (queries and keys), in every layer, never to what is
//! answered (values).

use tch::{TchError, Tensor};

use super::WIDTH;
use super::attention::Attention;
use crate::model::init::Init;
use crate::model::layers::{LayerNorm, Linear};
use crate::model::variables::Scope;

const LAYERS: usize = 6;
/// Width of the feed-forward's hidden layer.
const HIDDEN: i64 = 2048;
const EPS: f64 = 1e-5;

/// Six layers in which every place looks at all places.
pub(super) struct Encoder {
    layers: Vec<EncoderLayer>,
}

impl Encoder {
    /// Declares it.
    pub fn new(scope: &mut Scope<'_>) -> Result<Self, TchError> {
        let layers = (0..LAYERS).map(|index| EncoderLayer::new(&mut scope.under(format_args!("layers.{index}"))));
        Ok(Self { layers: layers.collect::<Result<_, _>>()? })
    }

    /// Features `[N, HW, 256]` at positions `[1, HW, 256]` → the memory `[N, HW, 256]`.
    pub fn forward(&self, features: &Tensor, positions: &Tensor) -> Result<Tensor, TchError> {
        self.layers.iter().try_fold(features.shallow_clone(), |x, layer| layer.forward(&x, positions))
    }
}

struct EncoderLayer {
    look_around: Attention,
    norm: LayerNorm,
    think: FeedForward,
}

impl EncoderLayer {
    fn new(scope: &mut Scope<'_>) -> Result<Self, TchError> {
        Ok(Self {
            look_around: Attention::new(&mut scope.under("self_attn"))?,
            norm: LayerNorm::new(&mut scope.under("self_attn_layer_norm"), WIDTH, EPS)?,
            think: FeedForward::new(scope)?,
        })
    }

    fn forward(&self, x: &Tensor, positions: &Tensor) -> Result<Tensor, TchError> {
        let placed = x.f_add(positions)?;
        let seen = self.look_around.forward(&placed, &placed, x)?;
        self.think.forward(&self.norm.forward(&seen.f_add(x)?)?)
    }
}

/// Six layers in which the queries look at each other and then at the memory.
pub(super) struct Decoder {
    layers: Vec<DecoderLayer>,
    norm: LayerNorm,
}

impl Decoder {
    /// Declares it.
    pub fn new(scope: &mut Scope<'_>) -> Result<Self, TchError> {
        let layers = (0..LAYERS).map(|index| DecoderLayer::new(&mut scope.under(format_args!("layers.{index}"))));
        Ok(Self { layers: layers.collect::<Result<_, _>>()?, norm: LayerNorm::new(&mut scope.under("layernorm"), WIDTH, EPS)? })
    }

    /// The queries' own positions `[100, 256]`, the memory `[N, HW, 256]` at positions `[1, HW, 256]` → `[N, 100, 256]`.
    pub fn forward(&self, queries: &Tensor, memory: &Tensor, positions: &Tensor) -> Result<Tensor, TchError> {
        let placed = memory.f_add(positions)?;
        let nothing = queries.f_unsqueeze(0)?.f_zeros_like()?.f_repeat([memory.size()[0], 1, 1])?;
        let found = self.layers.iter().try_fold(nothing, |x, layer| layer.forward(&x, queries, memory, &placed))?;
        self.norm.forward(&found)
    }
}

struct DecoderLayer {
    look_around: Attention,
    norm_around: LayerNorm,
    look_at_memory: Attention,
    norm_memory: LayerNorm,
    think: FeedForward,
}

impl DecoderLayer {
    fn new(scope: &mut Scope<'_>) -> Result<Self, TchError> {
        Ok(Self {
            look_around: Attention::new(&mut scope.under("self_attn"))?,
            norm_around: LayerNorm::new(&mut scope.under("self_attn_layer_norm"), WIDTH, EPS)?,
            look_at_memory: Attention::new(&mut scope.under("encoder_attn"))?,
            norm_memory: LayerNorm::new(&mut scope.under("encoder_attn_layer_norm"), WIDTH, EPS)?,
            think: FeedForward::new(scope)?,
        })
    }

    /// `memory` stands for the values, `placed` (with its positions) for the keys.
    fn forward(&self, x: &Tensor, queries: &Tensor, memory: &Tensor, placed: &Tensor) -> Result<Tensor, TchError> {
        let asking = x.f_add(queries)?;
        let x = self.norm_around.forward(&self.look_around.forward(&asking, &asking, x)?.f_add(x)?)?;
        let found = self.look_at_memory.forward(&x.f_add(queries)?, placed, memory)?;
        self.think.forward(&self.norm_memory.forward(&found.f_add(&x)?)?)
    }
}

/// Two linear layers with a ReLU between them, added to their input and normalised.
struct FeedForward {
    fc1: Linear,
    fc2: Linear,
    norm: LayerNorm,
}

impl FeedForward {
    fn new(scope: &mut Scope<'_>) -> Result<Self, TchError> {
        Ok(Self {
            fc1: Linear::new(&mut scope.under("fc1"), WIDTH, HIDDEN, Init::Zeros, Init::Zeros)?,
            fc2: Linear::new(&mut scope.under("fc2"), HIDDEN, WIDTH, Init::Zeros, Init::Zeros)?,
            norm: LayerNorm::new(&mut scope.under("final_layer_norm"), WIDTH, EPS)?,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let thought = self.fc2.forward(&self.fc1.forward(x)?.f_relu_()?)?;
        self.norm.forward(&thought.f_add(x)?)
    }
}
