//! Pictures `[N, 3, H, W]` → logits `[N, 100, 2]` and boxes `[N, 100, 4]`: the network under Hugging Face's names.

use tch::{TchError, Tensor};

use super::transformer::{Decoder, Encoder};
use super::{WIDTH, positions};
use crate::comm::tensor_ext::channels_last;
use crate::model::Pass;
use crate::model::init::Init;
use crate::model::layers::Linear;
use crate::model::resnet::{RESNET50, Trunk};
use crate::model::variables::Scope;

const QUERIES: i64 = 100;
/// An insect, or nothing.
const CLASSES: i64 = 2;

/// `DetrForObjectDetection` with a ResNet-50 and one class.
pub(super) struct Network {
    trunk: Trunk,
    /// `[256, 2048, 1, 1]`, as the file has it.
    projection: Tensor,
    projection_bias: Tensor,
    queries: Tensor,
    encoder: Encoder,
    decoder: Decoder,
    classes: Linear,
    boxes: [Linear; 3],
}

impl Network {
    /// Declares all 530 tensors, all zero: this network is only ever loaded.
    pub fn new(scope: &mut Scope<'_>) -> Result<Self, TchError> {
        let trunk = Trunk::new(&mut scope.under("model.backbone.conv_encoder.model"), RESNET50)?;
        let mut linear = |name: &str, outputs| Linear::new(&mut scope.under(name), WIDTH, outputs, Init::Zeros, Init::Zeros);
        let classes = linear("class_labels_classifier", CLASSES)?;
        let boxes = [
            linear("bbox_predictor.layers.0", WIDTH)?,
            linear("bbox_predictor.layers.1", WIDTH)?,
            linear("bbox_predictor.layers.2", 4)?,
        ];
        let mut model = scope.under("model");
        Ok(Self {
            projection: model.parameter("input_projection.weight", &[WIDTH, trunk.channels, 1, 1], Init::Zeros)?,
            projection_bias: model.parameter("input_projection.bias", &[WIDTH], Init::Zeros)?,
            queries: model.parameter("query_position_embeddings.weight", &[QUERIES, WIDTH], Init::Zeros)?,
            encoder: Encoder::new(&mut model.under("encoder"))?,
            decoder: Decoder::new(&mut model.under("decoder"))?,
            trunk,
            classes,
            boxes,
        })
    }

    /// Turns the loaded network into one for inference alone: BatchNorm becomes part of the convolutions.
    pub fn freeze(&mut self) -> Result<(), TchError> {
        self.trunk.freeze()
    }

    /// Logits (insect, nothing) and boxes (centre x, centre y, width, height in 0..1).
    pub fn forward(&self, pictures: &Tensor) -> Result<(Tensor, Tensor), TchError> {
        let features = self.trunk.forward(&channels_last(pictures)?, Pass::Evaluate)?;
        let features = features.f_conv2d(&self.projection, Some(&self.projection_bias), 1, 0, 1, 1)?;
        let (_, _, height, width) = features.size4()?;
        // [N, 256, H, W] → [N, HW, 256]
        let features = features.f_flatten(2, -1)?.f_transpose(1, 2)?.f_contiguous()?;
        let positions = positions::sine(height, width, pictures.device())?;
        let memory = self.encoder.forward(&features, &positions)?;
        let found = self.decoder.forward(&self.queries, &memory, &positions)?;

        let [first, second, third] = &self.boxes;
        let boxes = third.forward(&second.forward(&first.forward(&found)?.f_relu_()?)?.f_relu_()?)?.f_sigmoid_()?;
        Ok((self.classes.forward(&found)?, boxes))
    }
}
