//! Images → logits: the benchmark's networks on libtorch, under timm's tensor names.
//!
//! ```text
//! Model::new("vit_base_patch16_224", classes, image_size, device)   declares every tensor, all zero
//!   .initialise(seed)                                               timm's initial weights, a function of the seed and the names
//!   .load_pretrained(path)                                          timm's published weights; the head stays where classes differ
//!   .load_trained(file)                                             what was trained for these classes, here or elsewhere
//!   .forward(images [N, 3, S, S] in 0..1, train) → [N, classes]
//! ```
//!
//! [`Detr`] finds the insect in a picture; it is loaded, never trained.
//!
//! A backbone is one line in [`registry`] and one file a family (`resnet.rs`, `vit.rs`). Names, shapes and initial values are declared
//! where a layer is built, so the parameters, the file format and the initialisation cannot drift apart.
//! As in the original recipe no mean or standard deviation is taken off the images.

mod classifier;
mod detr;
mod ensemble;
mod hugging_face;
mod init;
mod layers;
mod pickle;
mod positions;
mod recognise;
pub mod registry;
mod resnet;
mod safetensors;
mod state_dict;
mod torch_stream;
mod torch_zip;
mod variables;
mod vit;
mod weight_file;
mod weights;

pub use classifier::Model;
pub use detr::Detr;
pub use ensemble::{Classify, Ensemble};
pub use hugging_face::config_json;
pub use recognise::{Recognised, recognise};
pub use registry::{BACKBONES, Spec};
pub use weight_file::{Form, WeightFile};
pub use weights::LoadReport;

use tch::{TchError, Tensor};

use crate::comm::batch_norm::SharedStatistics;

/// A network over declared variables.
trait Backbone: Send {
    /// `[N, 3, S, S]` → `[N, classes]`.
    fn forward(&self, images: &Tensor, pass: Pass<'_>) -> Result<Tensor, TchError>;
}

/// What a forward pass is for: which statistics BatchNorm normalises by.
#[derive(Clone, Copy)]
enum Pass<'a> {
    /// Inference: the running ones.
    Evaluate,
    /// Training alone: this batch's, which move the running ones.
    Train,
    /// Training together: those of the batch that this one is a part of; they move the running ones likewise.
    TrainTogether(&'a dyn SharedStatistics),
}
