//! pixels and a square of them → planes of floats, the form a network takes.

use crate::image::{RgbImage, Size};

/// Pixels of four bytes, red, green, blue and one of no meaning: a processor takes several apart at once, which it cannot with three.
#[derive(Clone, Debug, Default)]
pub(super) struct PaddedImage {
    pub size: Size,
    /// `[height, width, 4]`.
    pub pixels: Vec<u8>,
}

/// The square of `side` pixels whose upper left corner is (`x`, `y`).
#[derive(Clone, Copy, Debug)]
struct Square {
    x: usize,
    y: usize,
    side: usize,
    flip: bool,
}

/// Writes the square of `side` pixels whose upper left corner is (`x`, `y`) to `out` as `[3, side, side]` float32 in 0..1,
/// mirrored left to right where `flip` says so.
///
/// # Panics
/// Where the square leaves the image or `out` does not hold `3 * side * side` values: the caller chose both.
pub fn crop_to_chw(image: &RgbImage, x: u32, y: u32, side: u32, flip: bool, out: &mut [f32]) {
    let square = Square { x: x as usize, y: y as usize, side: side as usize, flip };
    square.planes(image.size(), image.pixels.as_chunks().0, |[r, g, b]: [u8; 3]| [r, g, b].map(i32::from), out);
}

/// The same of a padded image.
pub(super) fn padded_to_chw(image: &PaddedImage, x: u32, y: u32, side: u32, flip: bool, out: &mut [f32]) {
    let square = Square { x: x as usize, y: y as usize, side: side as usize, flip };
    // One number a pixel, so that the compiler sees neighbours side by side.
    let levels = |pixel: [u8; 4]| {
        let pixel = i32::from_le_bytes(pixel);
        [pixel & 255, pixel >> 8 & 255, pixel >> 16 & 255]
    };
    square.planes(image.size, image.pixels.as_chunks().0, levels, out);
}

impl Square {
    /// `pixels` are `size`'s, row by row; `levels` takes one apart into red, green and blue, 0..255.
    fn planes<const N: usize>(self, size: Size, pixels: &[[u8; N]], levels: impl Fn([u8; N]) -> [i32; 3], out: &mut [f32]) {
        let Self { x, y, side, flip } = self;
        let (width, height) = (size.width as usize, size.height as usize);
        assert!(x + side <= width && y + side <= height, "the crop leaves the image");
        assert_eq!(out.len(), 3 * side * side, "a place for [3, side, side] values");
        let (red, rest) = out.split_at_mut(side * side);
        let (green, blue) = rest.split_at_mut(side * side);
        let planes = red.chunks_exact_mut(side).zip(green.chunks_exact_mut(side)).zip(blue.chunks_exact_mut(side));
        for (row, ((red, green), blue)) in planes.enumerate() {
            let source = &pixels[(y + row) * width + x..][..side];
            let targets = red.iter_mut().zip(green).zip(blue);
            let write = |(pixel, ((red, green), blue)): (&[u8; N], ((&mut f32, &mut f32), &mut f32))| {
                [*red, *green, *blue] = levels(*pixel).map(share);
            };
            if flip {
                source.iter().rev().zip(targets).for_each(write);
            } else {
                source.iter().zip(targets).for_each(write);
            }
        }
    }
}

/// `level / 255`, to the last bit for each of 0..255, and cheaper than a division: v/255 = v/256 + v/(256·255), of which the first is exact.
#[inline]
fn share(level: i32) -> f32 {
    const REST: f32 = 1.0 / (256.0 * 255.0);
    let level = level as f32;
    level * (1.0 / 256.0) + level * REST
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crop_takes_its_square_plane_by_plane_and_a_flip_mirrors_each_row() {
        // 3×2 pixels; red counts 0, 51, 102, ... from the upper left, green is 255, blue 0.
        let pixels: Vec<u8> = (0..6u8).flat_map(|index| [51 * index.min(5), 255, 0]).collect();
        // What stands in the fourth byte means nothing.
        let padded = pixels.as_chunks::<3>().0.iter().flat_map(|[r, g, b]| [*r, *g, *b, 0xee]).collect();
        let padded = PaddedImage { size: Size { width: 3, height: 2 }, pixels: padded };
        let image = RgbImage { width: 3, height: 2, pixels };
        let mut out = [9.0; 12];
        crop_to_chw(&image, 1, 0, 2, false, &mut out);
        assert_eq!(out, [0.2, 0.4, 0.8, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
        let mut same = [9.0; 12];
        padded_to_chw(&padded, 1, 0, 2, false, &mut same);
        assert_eq!(same, out);
        crop_to_chw(&image, 1, 0, 2, true, &mut out);
        assert_eq!(out[..4], [0.4, 0.2, 1.0, 0.8]);
        padded_to_chw(&padded, 1, 0, 2, true, &mut same);
        assert_eq!(same, out);
    }

    #[test]
    fn every_level_is_what_the_division_gives() {
        assert!((0..=255u8).all(|level| share(i32::from(level)).to_bits() == (f32::from(level) / 255.0).to_bits()));
    }
}
