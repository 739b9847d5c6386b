//! the look of a class and a stream of randomness → the photograph of one specimen, as RGB pixels.
//!
//! An insect seen from above on the light grey of the imaging station. What belongs to the class (build, wings, legs, pattern, colours)
//! is [`Look`]; what belongs to the specimen (place, direction, size, shade) is drawn from the stream and small beside it, so that
//! classes can be told apart even at 32 pixels.

mod canvas;
mod look;
mod orders;

pub use look::Look;

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use canvas::{Canvas, Point};

/// Grey of the background, 0..255.
const BACKGROUND: f32 = 235.0;

/// Draws a specimen: `3 × width × height` bytes, RGB, row by row. The picture is the same at every size but for its noise.
#[must_use]
pub fn draw(look: &Look, width: u32, height: u32, rng: &mut ChaCha8Rng) -> Vec<u8> {
    let pose = Pose::draw(width as f32 / height as f32, rng);
    let mut canvas = Canvas::new(width, height, [BACKGROUND, BACKGROUND - 1.0, BACKGROUND - 3.0]);
    specimen(&mut canvas, look, &pose);
    canvas.finish(rng)
}

/// What differs between two specimens of a class.
struct Pose {
    centre: Point,
    /// Direction of the head in radians.
    direction: f32,
    scale: f32,
    /// Added to every colour.
    shade: [f32; 3],
    /// How far wings and legs are spread beyond the usual, in radians.
    spread: f32,
}

impl Pose {
    fn draw(aspect: f32, rng: &mut ChaCha8Rng) -> Self {
        // −1..1, denser in the middle.
        let mut jitter = || (unit(rng) + unit(rng)) - 1.0;
        Self {
            centre: Point { x: aspect / 2.0 + 0.07 * jitter(), y: 0.5 + 0.06 * jitter() },
            direction: 0.55 * jitter(),
            scale: 1.0 + 0.12 * jitter(),
            shade: std::array::from_fn(|_| 9.0 * jitter()),
            spread: 0.12 * jitter(),
        }
    }

    /// A place on the animal (x towards the head, y to its left, in body lengths of 1) in the picture.
    fn place(&self, x: f32, y: f32, length: f32) -> Point {
        let (sin, cos) = self.direction.sin_cos();
        let size = self.scale * length;
        Point { x: self.centre.x + size * (x * cos - y * sin), y: self.centre.y + size * (x * sin + y * cos) }
    }

    fn tint(&self, colour: [f32; 3]) -> [f32; 3] {
        std::array::from_fn(|channel| colour[channel] + self.shade[channel])
    }
}

/// Uniform in 0..1.
fn unit(rng: &mut ChaCha8Rng) -> f32 {
    (rng.next_u32() >> 8) as f32 / (1u32 << 24) as f32
}

/// Draws from the dish upwards: shadow, legs, antennae and tails, body, wings.
fn specimen(canvas: &mut Canvas, look: &Look, pose: &Pose) {
    let size = pose.scale * look.length;
    let belly = pose.place(-0.1, 0.0, look.length);
    let shadow = Point { x: belly.x + 0.02, y: belly.y + 0.03 };
    canvas.ellipse(shadow, [0.5 * size, 0.8 * look.breadth * size], pose.direction, [185.0; 3], 0.35);
    limbs(canvas, look, pose);
    body(canvas, look, pose);
    // The hind pair first: the fore pair lies over it.
    for pair in (0..look.wings.pairs).rev() {
        for side in [-1.0, 1.0] {
            wing(canvas, look, pose, pair, side);
        }
    }
}

fn limbs(canvas: &mut Canvas, look: &Look, pose: &Pose) {
    let size = pose.scale * look.length;
    let at = |(x, y): (f32, f32)| pose.place(x, y, look.length);
    let colour = pose.tint(look.limbs);
    // Fore, middle and hind legs: where they begin, how long they are beside the others, how far they lean forwards.
    let legs = [(0.16, 0.9, 0.55, 1.0), (0.06, 1.0, -0.1, 1.0), (-0.04, 1.15, -0.75, look.hind_legs)];
    for side in [-1.0, 1.0] {
        for (root, share, lean, hind) in legs {
            let (reach, lean): (f32, f32) = (look.legs * share * hind, lean + pose.spread);
            let knee = (root + 0.55 * reach * lean.sin(), side * (look.breadth * 0.4 + 0.55 * reach * lean.cos()));
            let foot = (knee.0 + 0.5 * reach * (lean * 1.6).sin(), knee.1 + side * 0.35 * reach);
            let thickness = look.thickness * hind.sqrt() * size;
            canvas.line(at((root, side * look.breadth * 0.3)), at(knee), thickness, colour);
            canvas.line(at(knee), at(foot), 0.6 * thickness, colour);
        }
        let bend = (0.5 + 0.45 * look.antennae, side * (0.05 + 0.3 * look.antennae));
        let tip = (0.45 + 0.7 * look.antennae, side * (0.05 + 0.75 * look.antennae));
        canvas.line(at((0.42, side * 0.04)), at(bend), 0.7 * look.thickness * size, colour);
        canvas.line(at(bend), at(tip), 0.5 * look.thickness * size, colour);
    }
    for tail in 0..look.tails {
        let aside = if look.tails == 1 { 0.0 } else { f32::from(tail) / f32::from(look.tails - 1) * 2.0 - 1.0 };
        let end = (-0.55 - look.tail_length, aside * 0.3 * look.tail_length);
        canvas.line(at((-0.45, aside * 0.25 * look.breadth)), at(end), look.tail_thickness * size, colour);
    }
}

fn body(canvas: &mut Canvas, look: &Look, pose: &Pose) {
    let size = pose.scale * look.length;
    let at = |x: f32, y: f32| pose.place(x, y, look.length);
    let mut part = |x: f32, y: f32, [along, across]: [f32; 2], colour: [f32; 3]| {
        canvas.ellipse(at(x, y), [along * size, across * size], pose.direction, pose.tint(colour), 1.0);
    };
    part(-0.2, 0.0, [0.36, 0.5 * look.breadth], look.abdomen);
    part(0.17, 0.0, [0.2, 0.5 * look.shoulders], look.thorax);
    part(0.4, 0.0, [0.1, 0.5 * look.head], look.limbs);
    for side in [-1.0, 1.0] {
        part(0.42, side * 0.36 * look.head, [0.06, 0.17 * look.head], look.eyes);
    }
    for stripe in 0..look.stripes {
        let x = -0.44 + 0.42 * (f32::from(stripe) + 0.5) / f32::from(look.stripes);
        // As wide as the abdomen is there.
        let across = 0.47 * look.breadth * (1.0 - ((x + 0.2) / 0.37).powi(2)).max(0.0).sqrt();
        canvas.line(at(x, -across), at(x, across), 0.24 / f32::from(look.stripes) * size, pose.tint(look.stripe));
    }
}

fn wing(canvas: &mut Canvas, look: &Look, pose: &Pose, pair: u8, side: f32) {
    let (wings, size) = (&look.wings, pose.scale * look.length);
    let (shrink, root) = if pair == 0 { (1.0, 0.2) } else { (0.8, 0.05) };
    let spread = wings.angle + pose.spread.abs() + 0.45 * f32::from(pair);
    let (reach, breadth) = (0.5 * wings.length * shrink, 0.5 * wings.breadth * shrink);
    let middle = (root - reach * spread.cos(), side * (0.12 * wings.angle.min(1.0) + reach * spread.sin()));
    // A place on the wing's own axis, from its middle (0) to its tip (1).
    let on_axis = |share: f32| {
        let beyond = share * reach;
        pose.place(middle.0 - beyond * spread.cos(), middle.1 + side * beyond * spread.sin(), look.length)
    };
    let (direction, veins) = (pose.direction - side * spread, pose.tint(wings.veins));
    canvas.ellipse(on_axis(0.0), [reach * size, breadth * size], direction, pose.tint(wings.colour), wings.alpha);
    canvas.line(pose.place(root, side * 0.1, look.length), on_axis(0.9), 0.012 * size, veins);
    if wings.spots > 0.0 {
        let radii = [wings.spots * reach * size, 1.6 * wings.spots * breadth * size];
        canvas.ellipse(on_axis(0.4), radii, direction, veins, 0.85);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::taxonomy::{DIPTERA, DIPTERA_FAMILIES, ORDERS};
    use crate::random::{Purpose, stream};

    fn picture(look: &Look, number: u64, width: u32, height: u32) -> Vec<u8> {
        draw(look, width, height, &mut stream(1, Purpose::SynthPicture, 0, number))
    }

    #[test]
    fn a_picture_is_a_function_of_look_and_stream_and_has_a_light_background() {
        let look = Look::of("Coleoptera", None);
        let pixels = picture(&look, 5, 96, 72);
        assert_eq!(pixels.len(), 96 * 72 * 3);
        assert_eq!(pixels, picture(&look, 5, 96, 72));
        assert_ne!(pixels, picture(&look, 6, 96, 72));
        let corner = pixels.iter().take(12).map(|value| f32::from(*value)).sum::<f32>() / 12.0;
        assert!((corner - BACKGROUND).abs() < 8.0, "{corner}");
        let darkest = pixels.iter().min().copied().unwrap();
        assert!(darkest < 80, "there is no insect");
    }

    /// Colours of everything that is not background, in bins of 64 levels a channel: blind to place and direction.
    fn colours(pixels: &[u8]) -> Vec<f32> {
        let mut bins = vec![0.0f32; 512];
        for rgb in pixels.chunks_exact(3).filter(|rgb| rgb.iter().any(|value| *value < 215)) {
            let bin = rgb.iter().fold(0, |bin, value| bin * 8 + usize::from(*value) / 32);
            bins[bin] += 1.0;
        }
        let norm = bins.iter().map(|bin| bin * bin).sum::<f32>().sqrt().max(1.0);
        bins.iter().map(|bin| bin / norm).collect()
    }

    /// The share of three new specimens a class that are nearest to the mean of six of their own class, by colour alone, at 40 pixels.
    fn told_apart(looks: &[Look]) -> f64 {
        let of = |class: usize, number: u64| colours(&picture(&looks[class], class as u64 * 100 + number, 53, 40));
        let mean = |class| {
            (0..6).map(|number| of(class, number)).reduce(|a, b| std::iter::zip(a, b).map(|(a, b)| a + b).collect()).unwrap()
        };
        let means: Vec<Vec<f32>> = (0..looks.len()).map(mean).collect();
        let likeness = |a: &[f32], b: &[f32]| std::iter::zip(a, b).map(|(a, b)| a * b).sum::<f32>();
        let right = (0..looks.len() * 3).filter(|trial| {
            let (class, new) = (trial / 3, of(trial / 3, 50 + *trial as u64 % 3));
            let best = (0..looks.len()).max_by(|a, b| {
                let norm = |class: usize| likeness(&means[class], &means[class]).sqrt();
                (likeness(&means[*a], &new) / norm(*a)).total_cmp(&(likeness(&means[*b], &new) / norm(*b)))
            });
            best == Some(class)
        });
        right.count() as f64 / (looks.len() * 3) as f64
    }

    #[test]
    fn classes_can_be_told_apart_at_40_pixels_even_by_colour_alone() {
        let families: Vec<Look> = DIPTERA_FAMILIES.iter().map(|(family, _)| Look::of(DIPTERA, Some(family))).collect();
        let orders: Vec<Look> = ORDERS.iter().map(|(order, _)| Look::of(order, None)).collect();
        let (families, orders) = (told_apart(&families), told_apart(&orders));
        assert!(families > 0.5, "families: {families:.2}, chance 0.025");
        assert!(orders > 0.6, "orders: {orders:.2}, chance 0.06");
    }
}
