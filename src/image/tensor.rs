//! pixels and a square of them → planes of floats, the form a network takes.

use crate::image::RgbImage;

/// v / 255 of each level v: what the division gives, at a quarter of its time.
static LEVELS: [f32; 256] = {
    let mut levels = [0.0; 256];
    let mut level = 0;
    while level < levels.len() {
        levels[level] = level as f32 / 255.0;
        level += 1;
    }
    levels
};

/// Writes the square of `side` pixels whose upper left corner is (`x`, `y`) to `out` as `[3, side, side]` float32 in 0..1,
/// mirrored left to right where `flip` says so.
///
/// # Panics
/// Where the square leaves the image or `out` does not hold `3 * side * side` values: the caller chose both.
pub fn crop_to_chw(image: &RgbImage, x: u32, y: u32, side: u32, flip: bool, out: &mut [f32]) {
    let (x, y, side, width) = (x as usize, y as usize, side as usize, image.width as usize);
    assert!(x + side <= width && y + side <= image.height as usize, "the crop leaves the image");
    assert_eq!(out.len(), 3 * side * side, "a place for [3, side, side] values");
    let (red, rest) = out.split_at_mut(side * side);
    let (green, blue) = rest.split_at_mut(side * side);
    let planes = red.chunks_exact_mut(side).zip(green.chunks_exact_mut(side)).zip(blue.chunks_exact_mut(side));
    for (row, ((red, green), blue)) in planes.enumerate() {
        let start = 3 * ((y + row) * width + x);
        let source = image.pixels[start..start + 3 * side].as_chunks().0;
        let targets = red.iter_mut().zip(green).zip(blue);
        if flip {
            source.iter().rev().zip(targets).for_each(write);
        } else {
            source.iter().zip(targets).for_each(write);
        }
    }
}

fn write(([r, g, b], ((red, green), blue)): (&[u8; 3], ((&mut f32, &mut f32), &mut f32))) {
    *red = LEVELS[usize::from(*r)];
    *green = LEVELS[usize::from(*g)];
    *blue = LEVELS[usize::from(*b)];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crop_takes_its_square_plane_by_plane_and_a_flip_mirrors_each_row() {
        // 3×2 pixels; red counts 0, 51, 102, ... from the upper left, green is 255, blue 0.
        let pixels = (0..6u8).flat_map(|index| [51 * index.min(5), 255, 0]).collect();
        let image = RgbImage { width: 3, height: 2, pixels };
        let mut out = [9.0; 12];
        crop_to_chw(&image, 1, 0, 2, false, &mut out);
        assert_eq!(out, [0.2, 0.4, 0.8, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
        crop_to_chw(&image, 1, 0, 2, true, &mut out);
        assert_eq!(out[..4], [0.4, 0.2, 1.0, 0.8]);
        assert!((0..=255u8).all(|level| LEVELS[usize::from(level)] == f32::from(level) / 255.0));
    }
}
