//! JPEG bytes → pixels → the specimen's crop → smaller pixels → JPEG bytes or a tensor. One image at a time, pure functions.
//!
//! What is wrong with an image is a [`Fault`] for the quarantine, never an error that ends the command.

mod bounding_box;
pub mod contrast;
mod crop;
mod decode;
mod encode;
mod fault;
mod orientation;
mod pil;
mod resize;
mod tensor;

pub use bounding_box::BoundingBox;
pub use crop::{box_from_fractions, crop, extended_box};
pub use decode::{decode, decode_for};
pub use encode::encode;
pub use fault::{Fault, Reason};
pub use orientation::{decode_upright_for, orientation_of, upright};
pub use pil::resize_as_pil;
pub use resize::{Filter, Size, Target, resize};
pub use tensor::crop_to_chw;

/// A picture: `[height, width, 3]` bytes in the order R, G, B, rows from top to bottom without padding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RgbImage {
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// `3 * width * height` bytes.
    pub pixels: Vec<u8>,
}

impl RgbImage {
    /// A black picture.
    #[must_use]
    pub fn black(size: Size) -> Self {
        Self { width: size.width, height: size.height, pixels: vec![0; 3 * size.area()] }
    }

    /// Its width and height.
    #[must_use]
    pub fn size(&self) -> Size {
        Size { width: self.width, height: self.height }
    }
}
