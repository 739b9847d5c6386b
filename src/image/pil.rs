//! pixels and a size → pixels of that size, to the last level as PIL's `resize(size, BILINEAR)` makes them.
//!
//! [`resize`](super::resize) does the same faster, and one value in eight is a level off; where a network's answer is compared with the
//! original's, that is too much. As in Pillow (`Resample.c`): a triangle that widens with the reduction, weights in fixed point of 22
//! bits, columns first, rounded to 8 bits in between.

use super::{RgbImage, Size};

const BITS: u32 = 22;

/// The source pixels that make one pixel of the result along an axis: the first one, and the weight of each.
struct Taps {
    first: usize,
    weights: Vec<i32>,
}

/// `image` at the size `to`; black where it has no pixels.
#[must_use]
pub fn resize_as_pil(image: &RgbImage, to: Size) -> RgbImage {
    if image.size() == to {
        return image.clone();
    }
    if image.size().area() == 0 || to.area() == 0 {
        return RgbImage::black(to);
    }
    let columns = taps(image.width, to.width);
    let mut narrow = RgbImage::black(Size { width: to.width, height: image.height });
    let rows = image.pixels.chunks_exact(3 * image.width as usize);
    for (source, target) in rows.zip(narrow.pixels.chunks_exact_mut(3 * to.width as usize)) {
        for (Taps { first, weights }, pixel) in columns.iter().zip(target.chunks_exact_mut(3)) {
            let mut sums = [HALF; 3];
            for (values, weight) in source[3 * first..].chunks_exact(3).zip(weights) {
                for (sum, &value) in sums.iter_mut().zip(values) {
                    *sum += i32::from(value) * weight;
                }
            }
            pixel.copy_from_slice(&sums.map(level));
        }
    }

    let stride = 3 * to.width as usize;
    let mut result = RgbImage::black(to);
    let mut sums = vec![0; stride];
    for (Taps { first, weights }, target) in taps(image.height, to.height).iter().zip(result.pixels.chunks_exact_mut(stride)) {
        sums.fill(HALF);
        for (row, weight) in narrow.pixels[stride * first..].chunks_exact(stride).zip(weights) {
            for (sum, &value) in sums.iter_mut().zip(row) {
                *sum += i32::from(value) * weight;
            }
        }
        for (value, &sum) in target.iter_mut().zip(&sums) {
            *value = level(sum);
        }
    }
    result
}

const HALF: i32 = 1 << (BITS - 1);

fn level(sum: i32) -> u8 {
    (sum >> BITS).clamp(0, 255) as u8
}

/// For each pixel of an axis that becomes `to` pixels long.
fn taps(from: u32, to: u32) -> Vec<Taps> {
    let scale = f64::from(from) / f64::from(to);
    let support = scale.max(1.0);
    let pixel = |at: u32| {
        let centre = (f64::from(at) + 0.5) * scale;
        let first = (centre - support + 0.5).max(0.0) as usize;
        let end = ((centre + support + 0.5) as usize).min(from as usize);
        let triangle = |source: usize| (1.0 - ((source as f64 - centre + 0.5) * (1.0 / support)).abs()).max(0.0);
        let weights: Vec<f64> = (first..end).map(triangle).collect();
        let sum: f64 = weights.iter().sum();
        let fixed = |weight: f64| (0.5 + weight / sum * f64::from(1 << BITS)) as i32;
        Taps { first, weights: weights.into_iter().map(fixed).collect() }
    };
    (0..to).map(pixel).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grey(width: u32, height: u32, levels: &[u8]) -> RgbImage {
        RgbImage { width, height, pixels: levels.iter().flat_map(|&level| [level; 3]).collect() }
    }

    #[test]
    fn halving_weighs_the_four_nearest_columns_by_1_3_3_1_and_enlarging_by_quarters() {
        // At the edge 3, 3, 1 are left: 240 / 7 = 34.3.
        assert_eq!(resize_as_pil(&grey(4, 1, &[0, 0, 240, 240]), Size { width: 2, height: 1 }), grey(2, 1, &[34, 206]));
        assert_eq!(resize_as_pil(&grey(1, 2, &[0, 100]), Size { width: 1, height: 4 }), grey(1, 4, &[0, 25, 75, 100]));
    }

    #[test]
    fn a_flat_picture_stays_flat_and_no_size_panics() {
        let image = RgbImage { width: 7, height: 5, pixels: [10, 200, 255].repeat(35) };
        for (width, height) in [(1, 1), (3, 50), (700, 2), (7, 1)] {
            let result = resize_as_pil(&image, Size { width, height });
            assert!(
                result.size() == Size { width, height } && result.pixels.chunks_exact(3).all(|pixel| pixel == [10, 200, 255])
            );
        }
        assert_eq!(resize_as_pil(&RgbImage::black(Size { width: 0, height: 3 }), Size { width: 1, height: 1 }).pixels, [0; 3]);
    }
}
