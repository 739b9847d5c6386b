//! A file of weights → a detector; pictures → the box of each.

use std::path::Path;

use tch::{Device, Kind, TchError, Tensor};

use super::network::Network;
use crate::error::{Error, Result};
use crate::model::variables::Variables;
use crate::model::{weight_file, weights};

/// DETR-ResNet-50 for one class, ready to run.
pub struct Detr {
    network: Network,
    device: Device,
}

/// What Lightning puts before each name: the attribute of its module that holds the network.
const LIGHTNING: &str = "model.";
/// A name that tells whether the prefix is there.
const CLASSIFIER: &str = "class_labels_classifier.weight";

impl Detr {
    /// Loads the crop tool's Lightning `.ckpt`, a state dict as `torch.save` writes it, or a `.safetensors`; names may carry
    /// Lightning's prefix `model.` or not.
    ///
    /// # Errors
    /// An input error that lists every missing, unexpected and misshapen tensor; libtorch's own, as out of memory.
    pub fn load(path: &Path, device: Device) -> Result<Self> {
        let (_, tensors) = weight_file::read(path)?;
        Self::build(&tensors, device)?.map_err(|message| {
            Error::input(path, format!("these weights are not the crop tool's: {message}")).with_help(
                "it is a DETR-ResNet-50 for one class: Hugging Face's DetrForObjectDetection with num_labels=1, as in \
                 BIOSCAN_Insect_crop_tool_checkpoint.ckpt",
            )
        })
    }

    /// From tensors by name, as [`load`](Self::load) reads them from a file.
    ///
    /// # Errors
    /// As there.
    pub fn from_state(tensors: &[(String, Tensor)], device: Device) -> Result<Self> {
        Self::build(tensors, device)?.map_err(|message| weights::misfit("the crop tool", message))
    }

    /// Name and shape of every tensor it is loaded from, without Lightning's prefix.
    ///
    /// # Errors
    /// libtorch's own, as out of memory.
    pub fn tensors() -> Result<Vec<(String, Vec<i64>)>> {
        let mut variables = Variables::new(Device::Cpu);
        drop(Network::new(&mut variables.root()).map_err(libtorch)?);
        Ok(variables.iter().map(|variable| (variable.name.clone(), variable.shape())).collect())
    }

    /// Where it runs.
    #[must_use]
    pub fn device(&self) -> Device {
        self.device
    }

    /// What does not fit is the inner error.
    fn build(tensors: &[(String, Tensor)], device: Device) -> Result<Result<Self, String>> {
        let prefixed = tensors.iter().any(|(name, _)| name.strip_prefix(LIGHTNING) == Some(CLASSIFIER));
        let bare = |name: &str| name.strip_prefix(if prefixed { LIGHTNING } else { "" }).unwrap_or(name).to_owned();
        let tensors: Vec<(String, Tensor)> = tensors.iter().map(|(name, tensor)| (bare(name), tensor.shallow_clone())).collect();
        let mut variables = Variables::new(device);
        let mut network = Network::new(&mut variables.root()).map_err(libtorch)?;
        if let Err(message) = weights::load_exact(&variables, &tensors) {
            return Ok(Err(message));
        }
        tch::no_grad(|| network.freeze()).map_err(libtorch)?;
        Ok(Ok(Self { network, device }))
    }

    /// Logits `[N, 100, 2]` (insect, nothing) and boxes `[N, 100, 4]` (centre x, centre y, width, height in 0..1) of pictures
    /// `[N, 3, H, W]`, float32 less ImageNet's mean over its deviation.
    ///
    /// # Errors
    /// What libtorch refuses: a wrong shape or kind, out of memory.
    pub fn outputs(&self, pictures: &Tensor) -> Result<(Tensor, Tensor)> {
        tch::no_grad(|| self.network.forward(&pictures.f_to_device(self.device)?)).map_err(libtorch)
    }

    /// For each picture of `[N, 3, H, W]` (as in [`outputs`](Self::outputs)) its most probable box, however improbable, and its
    /// probability: an insect there rather than nothing.
    ///
    /// # Errors
    /// As there.
    pub fn locate(&self, pictures: &Tensor) -> Result<Vec<([f32; 4], f32)>> {
        let (logits, boxes) = self.outputs(pictures)?;
        tch::no_grad(|| best(&logits, &boxes)).map_err(libtorch)
    }
}

/// Of each picture the box whose first class is the most probable.
fn best(logits: &Tensor, boxes: &Tensor) -> Result<Vec<([f32; 4], f32)>, TchError> {
    let insect = logits.f_softmax(-1, Kind::Float)?.f_select(-1, 0)?;
    let (scores, queries) = insect.f_max_dim(1, false)?;
    let places = queries.f_reshape([-1, 1, 1])?.f_expand([-1, 1, 4], false)?;
    let boxes = Vec::<f32>::try_from(boxes.f_gather(1, &places, false)?.f_flatten(0, -1)?)?;
    let scores = Vec::<f32>::try_from(scores)?;
    let corners = boxes.chunks_exact(4).map(|four| [four[0], four[1], four[2], four[3]]);
    Ok(corners.zip(scores).collect())
}

fn libtorch(error: impl std::fmt::Display) -> Error {
    Error::library("libtorch", error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_probable_query_wins_with_its_box_and_its_probability() {
        // Two pictures, two queries; logits (insect, nothing).
        let logits = Tensor::from_slice(&[0f32, 0.0, 1.0, 0.0, 3.0, 3.0, 0.0, 5.0]).view([2, 2, 2]);
        let boxes = Tensor::arange(16, (Kind::Float, Device::Cpu)).view([2, 2, 4]);
        let found = best(&logits, &boxes).unwrap();
        assert_eq!(found[0].0, [4.0, 5.0, 6.0, 7.0]);
        assert!((f64::from(found[0].1) - 1.0 / (1.0 + (-1f64).exp())).abs() < 1e-6);
        assert_eq!(found[1], ([8.0, 9.0, 10.0, 11.0], 0.5));
    }
}
