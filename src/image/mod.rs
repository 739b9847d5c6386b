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
mod region;
mod resize;
mod tensor;
mod view;

pub use bounding_box::BoundingBox;
pub use crop::{box_from_fractions, crop, crop_jpeg, extended_box};
pub use decode::{decode, decode_for, decode_reduced, decode_reduced_serves};
pub use encode::encode;
pub use fault::{Fault, Reason};
pub use orientation::{decode_upright_for, orientation_of, upright};
pub use pil::resize_as_pil;
pub use resize::{Filter, Size, Target, resize};
pub use tensor::crop_to_chw;
pub use view::{View, view_of};

/// A picture: `[height, width, 3]` bytes in the order R, G, B, rows from top to bottom without padding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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

    /// Makes it one of `size`, in the memory it has; the pixels are whatever was there.
    fn become_of(&mut self, size: Size) {
        (self.width, self.height) = (size.width, size.height);
        self.pixels.resize(3 * size.area(), 0);
    }

    /// Its width and height.
    #[must_use]
    pub fn size(&self) -> Size {
        Size { width: self.width, height: self.height }
    }
}
