//! A picture → brightness and two colour differences at the working resolution, about 512 pixels along the longer side.

use crate::image::{RgbImage, Size};

/// What the longer side is brought near to: there a BIOSCAN specimen still has 8 to 350 pixels a side, and legs one or two.
pub const WORKING_SIDE: u32 = 512;

/// Brightness and colour differences of a picture (the JPEG transform of ITU-R BT.601, full range), each `[height, width]`, 0..255.
pub struct Planes {
    pub width: usize,
    pub height: usize,
    /// Y: 0 black, 255 white.
    pub luma: Vec<u8>,
    /// Cb: 128 neutral, above it blue.
    pub blue: Vec<u8>,
    /// Cr: 128 neutral, above it red.
    pub red: Vec<u8>,
}

/// How many pixels of an original make one working pixel along each side: 2 at 1024×768, 6 at 2880×2160.
pub fn factor_for(original: Size) -> u32 {
    ((original.width.max(original.height) + WORKING_SIDE / 2) / WORKING_SIDE).max(1)
}

impl Planes {
    /// Means over squares of `factor` pixels; a last row or column of incomplete squares is left out.
    pub fn of(image: &RgbImage, factor: usize) -> Self {
        let (width, height) = (image.width as usize / factor, image.height as usize / factor);
        let mut planes = Self {
            width,
            height,
            luma: Vec::with_capacity(width * height),
            blue: Vec::with_capacity(width * height),
            red: Vec::with_capacity(width * height),
        };
        let stride = 3 * image.width as usize;
        // Down first, every byte for itself, as the processor adds sixteen at a time; then across, a `factor`-th of the work. No side of a
        // JPEG is so long that `factor` bytes overflow 16 bits.
        let mut columns = vec![0u16; 3 * factor * width];
        let share = 1.0 / (factor * factor) as f32;
        for y in 0..height {
            columns.fill(0);
            for row in image.pixels[y * factor * stride..].chunks_exact(stride).take(factor) {
                columns.iter_mut().zip(row).for_each(|(sum, value)| *sum += u16::from(*value));
            }
            for square in columns.chunks_exact(3 * factor) {
                let mut sums = [0u32; 3];
                for column in square.chunks_exact(3) {
                    sums.iter_mut().zip(column).for_each(|(sum, value)| *sum += u32::from(*value));
                }
                let [r, g, b] = sums.map(|sum| sum as f32 * share);
                let luma = 0.299 * r + 0.587 * g + 0.114 * b;
                planes.luma.push((luma + 0.5) as u8);
                planes.blue.push((0.564 * (b - luma) + 128.5) as u8);
                planes.red.push((0.713 * (r - luma) + 128.5) as u8);
            }
        }
        planes
    }

    /// Means over squares of `factor` working pixels; those at the right and lower edge may be smaller.
    pub fn reduced(&self, factor: usize) -> Self {
        let (width, height) = (self.width.div_ceil(factor), self.height.div_ceil(factor));
        let shrink = |plane: &[u8]| {
            let mut out = Vec::with_capacity(width * height);
            for y in 0..height {
                for x in 0..width {
                    let (rows, columns) =
                        (y * factor..((y + 1) * factor).min(self.height), x * factor..((x + 1) * factor).min(self.width));
                    let count = (rows.len() * columns.len()) as u32;
                    let sum: u32 =
                        rows.flat_map(|y| &plane[y * self.width..][columns.clone()]).map(|&value| u32::from(value)).sum();
                    out.push(((sum + count / 2) / count) as u8);
                }
            }
            out
        };
        Self { width, height, luma: shrink(&self.luma), blue: shrink(&self.blue), red: shrink(&self.red) }
    }

    /// Each pixel repeated over a square of `factor`, cut to `width` × `height`: undoes [`Planes::reduced`] but for the detail.
    pub fn enlarged(&self, factor: usize, width: usize, height: usize) -> Self {
        let places: Vec<usize> =
            (0..height).flat_map(|y| (0..width).map(move |x| y / factor * self.width + x / factor)).collect();
        let grow = |plane: &[u8]| places.iter().map(|&place| plane[place]).collect();
        Self { width, height, luma: grow(&self.luma), blue: grow(&self.blue), red: grow(&self.red) }
    }

    /// How steeply brightness changes around each pixel: |right - left| + |below - above|, saturating at 255; 0 along the edges.
    pub fn steepness(&self) -> Vec<u8> {
        let mut out = vec![0u8; self.luma.len()];
        let width = self.width;
        for y in 1..self.height.saturating_sub(1) {
            let row = |y: usize| &self.luma[y * width..(y + 1) * width];
            let (above, here, below) = (row(y - 1), row(y), row(y + 1));
            let inner = width.saturating_sub(2);
            let out = &mut out[y * width + 1..][..inner];
            for (x, out) in out.iter_mut().enumerate() {
                *out = here[x].abs_diff(here[x + 2]).saturating_add(above[x + 1].abs_diff(below[x + 1]));
            }
        }
        out
    }
}
