//! A backbone's name and a number of classes → a network that can be initialised, loaded, run and saved.

use std::path::Path;

use rayon::prelude::*;
use tch::{Device, Kind, Tensor};

use super::registry::Spec;
use super::variables::{Variable, Variables};
use super::weight_file::WeightFile;
use super::weights::{self, LoadReport};
use super::{Backbone, Pass, safetensors};
use crate::comm::batch_norm::SharedStatistics;
use crate::error::{Error, Result};

/// A classifier: images `[N, 3, S, S]`, float32 in 0..1 → logits `[N, classes]`.
pub struct Model {
    spec: &'static Spec,
    classes: usize,
    image_size: usize,
    variables: Variables,
    network: Box<dyn Backbone>,
}

impl Model {
    /// The backbone `name` for images of `image_size` pixels a side, on `device`, in float32. Its weights are zero until
    /// [`initialise`](Self::initialise) or [`load_state`](Self::load_state).
    ///
    /// # Errors
    /// Wrong usage for an unknown name (naming the nearest) or a size the backbone cannot take; libtorch's own, as out of memory.
    pub fn new(name: &str, classes: usize, image_size: usize, device: Device) -> Result<Self> {
        let spec = Spec::find(name)?;
        let mut variables = Variables::new(device);
        let network = spec.build(&mut variables.root(), classes, image_size)?;
        Ok(Self { spec, classes, image_size, variables, network })
    }

    /// The line of the registry it was built from.
    #[must_use]
    pub fn spec(&self) -> &'static Spec {
        self.spec
    }

    /// The number of classes.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The side of the images it takes, pixels.
    #[must_use]
    pub fn image_size(&self) -> usize {
        self.image_size
    }

    /// Draws every weight as timm does for this family; a function of the seed and the tensors' names alone.
    pub fn initialise(&self, seed: u64) -> Result<()> {
        let plan: Vec<_> = self.variables.iter().map(|v| (v.init, v.name.as_str(), v.tensor.numel())).collect();
        let values: Vec<Vec<f32>> = plan.into_par_iter().map(|(init, name, len)| init.draw(seed, name, len)).collect();
        let fill = |(variable, values): (&Variable, Vec<f32>)| {
            let values = Tensor::f_from_slice(&values)?.f_reshape(variable.shape())?;
            variable.tensor.shallow_clone().f_copy_(&values)
        };
        tch::no_grad(|| self.variables.iter().zip(values).try_for_each(fill)).map_err(libtorch)
    }

    /// Loads published weights from a file of any form under timm's names (torchvision's are the same for ResNets). The classifier keeps
    /// its weights where the classes differ, the position embedding is resampled where the grid of patches differs,
    /// `num_batches_tracked` is ignored.
    ///
    /// # Errors
    /// One input error that lists every missing, unexpected and misshapen tensor; nothing is changed then.
    pub fn load_pretrained(&self, path: &Path) -> Result<LoadReport> {
        let file = WeightFile::read(path)?;
        weights::load_pretrained(&self.variables, self.spec.head, &file.tensors).map_err(|message| {
            self.not_mine(path, message).with_help(format!(
                "give the weights that timm publishes for `{}`; `bioscan-hpc weights inspect FILE` says what a file holds",
                self.spec.name
            ))
        })
    }

    /// Loads weights that were trained for these classes: every tensor must be there, the classifier too.
    ///
    /// # Errors
    /// One input error that lists every missing, unexpected and misshapen tensor; nothing is changed then.
    pub fn load_trained(&self, file: &WeightFile) -> Result<()> {
        weights::load_exact(&self.variables, &file.tensors).map_err(|message| {
            self.not_mine(&file.path, message).with_help("`bioscan-hpc weights inspect FILE` says what a file holds")
        })
    }

    fn not_mine(&self, path: &Path, message: String) -> Error {
        Error::input(path, format!("these weights are not {}'s: {message}", self.spec.name))
    }

    /// Logits `[N, classes]` of images `[N, 3, S, S]`. With `train`, BatchNorm uses the statistics of this batch and moves its
    /// running ones; gradients are recorded unless the caller turned them off.
    ///
    /// # Errors
    /// What libtorch refuses: a wrong shape, kind or device, out of memory.
    pub fn forward(&self, images: &Tensor, train: bool) -> Result<Tensor> {
        self.pass(images, if train { Pass::Train } else { Pass::Evaluate })
    }

    /// As [`forward`](Self::forward) in training, where `images` are this process's part, perhaps an empty one, of a batch that
    /// BatchNorm takes its statistics from. Collective, and so is the backward pass.
    ///
    /// # Errors
    /// As `forward`, and when not all parts come.
    pub fn forward_together(&self, images: &Tensor, ranks: &dyn SharedStatistics) -> Result<Tensor> {
        self.pass(images, Pass::TrainTogether(ranks))
    }

    fn pass(&self, images: &Tensor, pass: Pass<'_>) -> Result<Tensor> {
        let side = self.image_size as i64;
        match images.size().as_slice() {
            &[_, 3, height, width] if (height, width) == (side, side) => self.network.forward(images, pass).map_err(libtorch),
            other => Err(libtorch(format!("{} takes images [N, 3, {side}, {side}], not {other:?}", self.spec.name))),
        }
    }

    /// Whether it has a BatchNorm, the one layer that looks from one image at another.
    #[must_use]
    pub fn has_batch_norm(&self) -> bool {
        self.variables.iter().any(|variable| !variable.trainable)
    }

    /// Lays the convolutions' weights out channels last, which a GPU's 16-bit kernels want; images must lie so too. Call it before
    /// the first backward. States and files are the same either way.
    ///
    /// # Errors
    /// libtorch's own, as out of memory.
    pub fn to_channels_last(self) -> Result<Self> {
        self.variables.to_channels_last().map_err(libtorch)?;
        Ok(self)
    }

    /// The trainable tensors in the order of the forward pass, which is the order in which the Reducer's buckets must hold them:
    /// gradients come in the reverse of it. Handles, not copies.
    #[must_use]
    pub fn parameters(&self) -> Vec<(String, Tensor)> {
        self.named(|variable| variable.trainable)
    }

    /// BatchNorm's running statistics, in the same order; handles, not copies.
    #[must_use]
    pub fn buffers(&self) -> Vec<(String, Tensor)> {
        self.named(|variable| !variable.trainable)
    }

    /// Parameters and buffers together, in the same order: all that a checkpoint needs. Handles, not copies.
    #[must_use]
    pub fn state(&self) -> Vec<(String, Tensor)> {
        self.named(|_| true)
    }

    /// Takes over a state; names and shapes must be exactly the network's.
    ///
    /// # Errors
    /// One error that lists everything that does not fit; nothing is changed then.
    pub fn load_state(&self, state: &[(String, Tensor)]) -> Result<()> {
        weights::load_exact(&self.variables, state).map_err(|message| weights::misfit(self.spec.name, message))
    }

    /// The state as a safetensors file, readable by timm; equal states make equal bytes.
    pub fn to_safetensors(&self) -> Result<Vec<u8>> {
        safetensors::write(&self.state())
    }

    /// The same network in another floating kind, for tests in float64. Call it before the first backward.
    pub fn to_kind(self, kind: Kind) -> Result<Self> {
        self.variables.to_kind(kind).map_err(libtorch)?;
        Ok(self)
    }

    /// The same network over the same weights: a thread takes one of its own, since no two may use a tensor at a time.
    ///
    /// # Errors
    /// libtorch's own, as out of memory.
    pub fn twin(&self) -> Result<Self> {
        let twin = Self::new(self.spec.name, self.classes, self.image_size, self.variables.device())?;
        twin.variables.share(&self.variables).map_err(libtorch)?;
        Ok(twin)
    }

    fn named(&self, keep: impl Fn(&Variable) -> bool) -> Vec<(String, Tensor)> {
        let kept = self.variables.iter().filter(|variable| keep(variable));
        kept.map(|variable| (variable.name.clone(), variable.tensor.shallow_clone())).collect()
    }
}

pub(super) fn libtorch(error: impl std::fmt::Display) -> Error {
    Error::library("libtorch", error)
}
