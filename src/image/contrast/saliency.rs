//! A picture's planes and the empty dish → how much darker or more coloured each working pixel is.

use super::background::CELL;
use super::planes::Planes;

/// What a step of colour counts for against one of darkness. Specimens in ethanol are amber before they are dark; the dish is grey.
const COLOUR: f32 = 2.5;

/// What stands out of the dish, each `[height, width]`, 0..255.
pub struct Saliency {
    pub width: usize,
    pub height: usize,
    /// Darkness plus [`COLOUR`] times the distance in colour, saturating.
    pub contrast: Vec<u8>,
    /// How much *brighter* than the dish: highlights on glass, bubbles and rims, which no specimen has.
    pub glare: Vec<u8>,
    /// The distance in colour alone.
    pub colour: Vec<u8>,
}

#[inline]
fn distance(luma: f32, blue: f32, red: f32) -> (f32, f32) {
    (luma, (blue * blue + red * red).sqrt())
}

/// The contrast of one pixel of `planes` against the given dish.
pub fn contrast_of(planes: &Planes, at: usize, luma: u8, blue: u8, red: u8) -> u8 {
    let difference = |dish: u8, here: u8| f32::from(dish) - f32::from(here);
    let (dark, colour) =
        distance(difference(luma, planes.luma[at]), difference(blue, planes.blue[at]), difference(red, planes.red[at]));
    (dark.max(0.0) + COLOUR * colour) as u8
}

/// Compares every working pixel with the background, interpolated between the centres of its cells.
pub fn saliency(planes: &Planes, background: &Planes) -> Saliency {
    let (width, height) = (planes.width, planes.height);
    let empty = || Vec::with_capacity(width * height);
    let mut out = Saliency { width, height, contrast: empty(), glare: empty(), colour: empty() };
    let columns: Vec<(usize, f32)> = (0..width).map(|x| between(x, background.width)).collect();
    let mut dish: [Vec<f32>; 3] = std::array::from_fn(|_| vec![0.0; width]);
    let mut blended = vec![0.0f32; background.width];
    for y in 0..height {
        let (row, down) = between(y, background.height);
        let next = (row + 1).min(background.height - 1);
        for (dish, plane) in dish.iter_mut().zip([&background.luma, &background.blue, &background.red]) {
            let (upper, lower) = (&plane[row * background.width..], &plane[next * background.width..]);
            for (blended, (&upper, &lower)) in blended.iter_mut().zip(upper.iter().zip(lower)) {
                *blended = f32::from(upper) + down * (f32::from(lower) - f32::from(upper));
            }
            for (dish, &(column, right)) in dish.iter_mut().zip(&columns) {
                let (here, there) = (blended[column], blended[(column + 1).min(background.width - 1)]);
                *dish = here + right * (there - here);
            }
        }
        let at = y * width..(y + 1) * width;
        let (luma, blue, red) = (&planes.luma[at.clone()], &planes.blue[at.clone()], &planes.red[at]);
        for x in 0..width {
            let (dark, colour) =
                distance(dish[0][x] - f32::from(luma[x]), dish[1][x] - f32::from(blue[x]), dish[2][x] - f32::from(red[x]));
            out.contrast.push((dark.max(0.0) + COLOUR * colour) as u8);
            out.glare.push((-dark).max(0.0) as u8);
            out.colour.push(colour as u8);
        }
    }
    out
}

/// The cell whose centre lies at or before pixel `at`, and how far (0..1) the pixel is on its way to the next cell's centre.
fn between(at: usize, cells: usize) -> (usize, f32) {
    let place = ((at as f32 + 0.5) / CELL as f32 - 0.5).clamp(0.0, (cells - 1) as f32);
    (place as usize, place.fract())
}
