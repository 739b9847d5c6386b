//! pixels and a square of them → planes of floats, the form a network takes.

use crate::image::RgbImage;

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
    for row in 0..side {
        let start = 3 * ((y + row) * width + x);
        let source = image.pixels[start..start + 3 * side].chunks_exact(3);
        let target = row * side..(row + 1) * side;
        let (red, green, blue) = (&mut red[target.clone()], &mut green[target.clone()], &mut blue[target]);
        for (column, pixel) in source.enumerate() {
            let column = if flip { side - 1 - column } else { column };
            red[column] = f32::from(pixel[0]) / 255.0;
            green[column] = f32::from(pixel[1]) / 255.0;
            blue[column] = f32::from(pixel[2]) / 255.0;
        }
    }
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
    }
}
