//! pixels and a target → pixels of another size.

use std::cell::RefCell;

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

use crate::config::Fit;
use crate::error::{Error, Result};
use crate::image::{Fault, Reason, RgbImage};

/// Width and height in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl Size {
    /// How many pixels.
    #[must_use]
    pub fn area(self) -> usize {
        self.width as usize * self.height as usize
    }
}

/// What a picture is to become; the aspect ratio is kept, and a small picture is enlarged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Which side is given.
    pub fit: Fit,
    /// Its length in pixels.
    pub length: u32,
}

/// JPEG holds no longer side.
pub(super) const LONGEST_SIDE: u64 = 65_500;

impl Target {
    /// The size a picture of size `from` becomes.
    ///
    /// The other side is rounded as ImageMagick's `-resize x256` does it: ⌊side · length / given + ½⌋, at least 1.
    /// A picture so thin that the other side passes what JPEG can hold is [`Reason::TooLarge`].
    pub fn size_for(self, from: Size) -> Result<Size, Fault> {
        let by_width = self.fit == Fit::Shorter && from.width < from.height;
        let (given, other) = if by_width { (from.width, from.height) } else { (from.height, from.width) };
        let (given, other, length) = (u64::from(given.max(1)), u64::from(other), u64::from(self.length));
        let other = ((2 * other * length + given) / (2 * given)).max(1);
        if other.max(length) > LONGEST_SIDE {
            let detail = format!("{}×{} pixels would get a side of {}", from.width, from.height, other.max(length));
            return Err(Fault::new(Reason::TooLarge, detail));
        }
        let other = other as u32;
        let (width, height) = if by_width { (self.length, other) } else { (other, self.length) };
        Ok(Size { width, height })
    }
}

/// How the pixels of the result are made of those of the source; both filters widen with the reduction, as PIL's do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Three lobes: what ImageMagick takes when it shrinks, so what the published images were made with.
    Lanczos3,
    /// A triangle: what the training transforms take.
    Bilinear,
}

thread_local! {
    /// Keeps its intermediate rows from one image to the next.
    static RESIZER: RefCell<Resizer> = RefCell::new(Resizer::new());
}

/// `image` at the size `to`, in sRGB values as they are (no gamma), like the original tools.
pub fn resize(image: &RgbImage, to: Size, filter: Filter) -> Result<RgbImage> {
    if image.size() == to {
        return Ok(image.clone());
    }
    let refused = |error: &dyn std::fmt::Display| Error::library("fast_image_resize", error);
    let source = ImageRef::new(image.width, image.height, &image.pixels, PixelType::U8x3).map_err(|error| refused(&error))?;
    let mut result = RgbImage::black(to);
    let mut target =
        Image::from_slice_u8(to.width, to.height, &mut result.pixels, PixelType::U8x3).map_err(|error| refused(&error))?;
    let filter = match filter {
        Filter::Lanczos3 => FilterType::Lanczos3,
        Filter::Bilinear => FilterType::Bilinear,
    };
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(filter)).use_alpha(false);
    RESIZER.with_borrow_mut(|resizer| resizer.resize(&source, &mut target, &options)).map_err(|error| refused(&error))?;
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn becomes(fit: Fit, width: u32, height: u32) -> (u32, u32) {
        let size = Target { fit, length: 256 }.size_for(Size { width, height }).unwrap();
        (size.width, size.height)
    }

    #[test]
    fn sizes_are_those_of_the_original_tool_by_height_and_of_its_documentation_by_the_shorter_side() {
        assert_eq!(becomes(Fit::Height, 2880, 2160), (341, 256));
        assert_eq!(becomes(Fit::Height, 900, 1500), (154, 256));
        assert_eq!(becomes(Fit::Height, 200, 150), (341, 256));
        assert_eq!(becomes(Fit::Shorter, 2880, 2160), (341, 256));
        assert_eq!(becomes(Fit::Shorter, 900, 1500), (256, 427));
        assert_eq!(becomes(Fit::Shorter, 1, 1), (256, 256));
    }

    #[test]
    fn a_half_rounds_up_and_nothing_vanishes() {
        // 3 · 256 / 512 = 1.5; 1 · 256 / 1024 = 0.25.
        assert_eq!(becomes(Fit::Height, 3, 512), (2, 256));
        assert_eq!(becomes(Fit::Height, 1, 1024), (1, 256));
    }

    #[test]
    fn a_thread_of_a_picture_is_refused() {
        let fault = Target { fit: Fit::Shorter, length: 256 }.size_for(Size { width: 1, height: 60_000 }).unwrap_err();
        assert_eq!(fault.reason, Reason::TooLarge);
    }

    #[test]
    fn a_flat_picture_stays_flat_under_both_filters() {
        let from = Size { width: 50, height: 40 };
        let image = RgbImage { pixels: [10u8, 200, 77].repeat(from.area()), ..RgbImage::black(from) };
        for filter in [Filter::Lanczos3, Filter::Bilinear] {
            let small = resize(&image, Size { width: 13, height: 9 }, filter).unwrap();
            assert!(small.pixels.chunks_exact(3).all(|pixel| pixel == [10, 200, 77]));
        }
    }

    #[test]
    fn halving_by_a_triangle_weighs_the_four_nearest_columns_by_1_3_3_1() {
        // A step from 0 to 240 after the second of 4 columns; edges renormalise: column 0 sees weights 3, 3, 1 → 240 · 1/7.
        let row = [0u8, 0, 240, 240].map(|v| [v; 3]).concat();
        let image = RgbImage { width: 4, height: 2, pixels: [row.clone(), row].concat() };
        let half = resize(&image, Size { width: 2, height: 2 }, Filter::Bilinear).unwrap();
        assert_eq!(half.pixels[..6], [34, 34, 34, 206, 206, 206]);
    }
}
