//! Pictures → where the insect is: DETR with a ResNet-50 (Carion et al. 2020), the crop tool's detector.
//!
//! ```text
//! Detr::load(the crop tool's .ckpt, a state dict, or a .safetensors, device)
//!   .locate(pictures [N, 3, H, W]) → for each its most probable box (centre x, centre y, width, height in 0..1) and score
//! ```
//!
//! Tensors are named as in Hugging Face's `DetrForObjectDetection`. Inference only: BatchNorm is folded into the convolutions as the
//! weights are loaded.

mod attention;
mod detector;
mod network;
mod positions;
mod transformer;

pub use detector::Detr;

/// Width of everything behind the backbone (`d_model`).
const WIDTH: i64 = 256;
