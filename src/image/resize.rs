//! pixels and a target → pixels of another size.

use std::cell::RefCell;
use std::f64::consts::PI;

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{Filter as Kernel, FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

use crate::config::Fit;
use crate::error::{Error, Result};
use crate::image::{Fault, Reason, RgbImage};

/// Width and height in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
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

/// How the pixels of the result are made of those of the source; all filters widen with the reduction, as PIL's do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Three lobes: what ImageMagick takes when it shrinks, so what the published images were made with.
    Lanczos3,
    /// A triangle: what the training transforms take.
    Bilinear,
    /// The mean of what a pixel covers: what the detector without weights takes.
    Area,
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
    let mut result = RgbImage::default();
    resize_into(image, to, filter, &mut result)?;
    Ok(result)
}

/// As [`resize`], into the memory that `result` has.
pub(super) fn resize_into(image: &RgbImage, to: Size, filter: Filter, result: &mut RgbImage) -> Result<()> {
    let refused = |error: &dyn std::fmt::Display| Error::library("fast_image_resize", error);
    let source = ImageRef::new(image.width, image.height, &image.pixels, PixelType::U8x3).map_err(|error| refused(&error))?;
    result.become_of(to);
    let mut target =
        Image::from_slice_u8(to.width, to.height, &mut result.pixels, PixelType::U8x3).map_err(|error| refused(&error))?;
    let filter = match filter {
        Filter::Lanczos3 => FilterType::Custom(Kernel::new("Lanczos3", lanczos3, 3.0).map_err(|error| refused(&error))?),
        Filter::Bilinear => FilterType::Bilinear,
        Filter::Area => FilterType::Box,
    };
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(filter)).use_alpha(false);
    RESIZER.with_borrow_mut(|resizer| resizer.resize(&source, &mut target, &options)).map_err(|error| refused(&error))
}

/// The series of sin(a)/a in powers of a²: 1, −1/3!, 1/5!, …; thirteen of them are exact to 1e-13 where |a| < π.
const SINC: [f64; 13] = {
    let mut series = [1.0; 13];
    let mut k = 1;
    while k < series.len() {
        series[k] = -series[k - 1] / ((2 * k) as f64 * (2 * k + 1) as f64);
        k += 1;
    }
    series
};

/// Lanczos with three lobes, sinc(πx) · sinc(πx/3) for |x| < 3.
///
/// The weights of one image are ten thousand values of it: by two calls of `sin` each, a fifth of the time of a resize. With
/// a = πx/3 and q = (sin a / a)², sin 3a = 3 sin a − 4 sin³ a makes it q · (1 − 4/3 a² q): no `sin`, so the same on every C library.
fn lanczos3(x: f64) -> f64 {
    if x.abs() >= 3.0 {
        return 0.0;
    }
    let square = (PI / 3.0 * x).powi(2);
    // Even and odd powers apart, so that the processor works on both at once.
    let fourth = square * square;
    let even = SINC.iter().step_by(2).rfold(0.0, |sum, term| sum * fourth + term);
    let odd = SINC.iter().skip(1).step_by(2).rfold(0.0, |sum, term| sum * fourth + term);
    let q = (even + square * odd).powi(2);
    q * (1.0 - 4.0 / 3.0 * square * q)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_series_is_lanczos_as_it_is_defined() {
        let sinc = |x: f64| if x == 0.0 { 1.0 } else { (PI * x).sin() / (PI * x) };
        for step in -3500..=3500 {
            let x = f64::from(step) / 1000.0;
            let defined = if x.abs() < 3.0 { sinc(x) * sinc(x / 3.0) } else { 0.0 };
            assert!((lanczos3(x) - defined).abs() < 1e-12, "{x}: {} is not {defined}", lanczos3(x));
        }
    }

    #[test]
    fn pixels_are_those_of_the_library_s_own_lanczos() {
        let mut state = 1u32;
        let noise = (0..3 * 300 * 200).map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        });
        let image = RgbImage { width: 300, height: 200, pixels: noise.collect() };
        let ours = resize(&image, Size { width: 71, height: 53 }, Filter::Lanczos3).unwrap();
        let source = ImageRef::new(300, 200, &image.pixels, PixelType::U8x3).unwrap();
        let mut theirs = Image::new(71, 53, PixelType::U8x3);
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3)).use_alpha(false);
        Resizer::new().resize(&source, &mut theirs, &options).unwrap();
        assert!(ours.pixels == theirs.buffer());
    }

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
