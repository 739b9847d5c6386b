//! ellipses and lines with soft edges → RGB pixels.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// A place in the picture; its height is 1, y points down.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    /// From the left.
    pub x: f32,
    /// From the top.
    pub y: f32,
}

/// Noise of the sensor: half its width in levels.
const NOISE: f32 = 5.0;

/// A picture being drawn.
pub struct Canvas {
    width: usize,
    height: usize,
    pixels: Vec<[f32; 3]>,
}

impl Canvas {
    /// An empty picture of one colour, 0..255 a channel.
    pub fn new(width: u32, height: u32, colour: [f32; 3]) -> Self {
        let (width, height) = (width as usize, height as usize);
        Self { width, height, pixels: vec![colour; width * height] }
    }

    /// A filled ellipse, its half axes `radii` in picture heights, the first along `direction` (radians); lit from the top left.
    pub fn ellipse(&mut self, centre: Point, radii: [f32; 2], direction: f32, colour: [f32; 3], alpha: f32) {
        let (sin, cos) = direction.sin_cos();
        let unit = 1.0 / self.height as f32;
        let [a, b] = radii.map(|radius| radius.max(0.5 * unit));
        let small = a.min(b);
        let reach = a.max(b) + unit;
        self.paint(centre, reach, |x, y| {
            let (along, across) = ((x * cos + y * sin) / a, (y * cos - x * sin) / b);
            let distance = along.hypot(across);
            let coverage = (0.5 + (1.0 - distance) * small / unit).clamp(0.0, 1.0);
            // Solid bodies are round: lighter towards the light, darker away from it.
            let light = if alpha < 1.0 { 0.0 } else { -22.0 * (x + y) / (a + b) * (1.0 - distance * 0.3) };
            (coverage * alpha, colour.map(|channel| channel + light))
        });
    }

    /// A line of the given thickness in picture heights, with round ends.
    pub fn line(&mut self, from: Point, to: Point, thickness: f32, colour: [f32; 3]) {
        let unit = 1.0 / self.height as f32;
        let (dx, dy) = (to.x - from.x, to.y - from.y);
        let length = (dx * dx + dy * dy).max(1e-12);
        // A line thinner than a pixel is as much paler.
        let (radius, alpha) = (thickness.max(unit) / 2.0, (thickness / unit).clamp(0.25, 1.0));
        let middle = Point { x: (from.x + to.x) / 2.0, y: (from.y + to.y) / 2.0 };
        self.paint(middle, length.sqrt() / 2.0 + radius + unit, |x, y| {
            let (x, y) = (x + middle.x - from.x, y + middle.y - from.y);
            let along = ((x * dx + y * dy) / length).clamp(0.0, 1.0);
            let distance = (x - along * dx).hypot(y - along * dy);
            ((0.5 + (radius - distance) / unit).clamp(0.0, 1.0) * alpha, colour)
        });
    }

    /// Lays `shade` (from a place relative to `centre` to an opacity and a colour) over the square of half side `reach`.
    fn paint(&mut self, centre: Point, reach: f32, shade: impl Fn(f32, f32) -> (f32, [f32; 3])) {
        let scale = self.height as f32;
        let span = |middle: f32, size: usize| {
            let low = ((middle - reach) * scale).floor().clamp(0.0, size as f32) as usize;
            low..((middle + reach) * scale).ceil().clamp(0.0, size as f32) as usize
        };
        let columns = span(centre.x, self.width);
        for row in span(centre.y, self.height) {
            let y = (row as f32 + 0.5) / scale - centre.y;
            let start = row * self.width;
            for (pixel, column) in self.pixels[start..start + self.width][columns.clone()].iter_mut().zip(columns.clone()) {
                let (alpha, colour) = shade((column as f32 + 0.5) / scale - centre.x, y);
                if alpha > 0.0 {
                    *pixel = std::array::from_fn(|channel| pixel[channel] + alpha * (colour[channel] - pixel[channel]));
                }
            }
        }
    }

    /// Adds noise and rounds.
    pub fn finish(self, rng: &mut ChaCha8Rng) -> Vec<u8> {
        let noisy = |value: f32, byte: u8| (value + NOISE * (f32::from(byte) / 127.5 - 1.0)).round().clamp(0.0, 255.0) as u8;
        let pixels = self.pixels.iter();
        pixels
            .flat_map(|pixel| {
                let [a, b, c, _] = rng.next_u32().to_le_bytes();
                [noisy(pixel[0], a), noisy(pixel[1], b), noisy(pixel[2], c)]
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, stream};

    #[test]
    fn an_ellipse_covers_its_area_and_shapes_beyond_the_edge_are_cut() {
        let mut canvas = Canvas::new(80, 60, [200.0; 3]);
        canvas.ellipse(Point { x: 0.6, y: 0.5 }, [0.3, 0.1], 0.4, [0.0; 3], 1.0);
        let dark = canvas.pixels.iter().filter(|pixel| pixel[0] < 100.0).count() as f32;
        let area = std::f32::consts::PI * 0.3 * 0.1 * 60.0 * 60.0;
        assert!((dark / area - 1.0).abs() < 0.05, "{dark} of {area}");
        canvas.line(Point { x: -3.0, y: -1.0 }, Point { x: 5.0, y: 9.0 }, 0.1, [0.0; 3]);
        canvas.ellipse(Point { x: 9.0, y: 9.0 }, [0.3, 0.1], 0.0, [0.0; 3], 1.0);
        assert_eq!(canvas.finish(&mut stream(1, Purpose::SynthPicture, 0, 0)).len(), 80 * 60 * 3);
    }
}
