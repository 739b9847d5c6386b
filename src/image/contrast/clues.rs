//! A candidate and the planes it lies in → the numbers that tell a specimen's box from another.

use super::candidates::{Candidate, RADII};
use super::integral::Integral;
use super::planes::Planes;
use super::rect::Rect;
use super::saliency::Saliency;

/// What is known of a candidate. Contrasts count 0..255; logarithms are natural, of the value plus one where it can be 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Clue {
    /// 1: for terms with one clue.
    One,
    /// Logarithm of the greatest contrast.
    Peak,
    /// Logarithm of the threshold it was cut at.
    Threshold,
    /// Logarithm of the mean contrast in a frame around the box over that within: high where the box cuts something off.
    Halo,
    /// The greatest part of a side that can be cut from the box at a loss of 3 % of what the narrowest opening left of its contrast:
    /// high where a fibre sticks out.
    Slack,
    /// Logarithm of the mean contrast along the faintest of the four sides.
    Edge,
    /// The part of the picture's contrast within the box.
    Share,
    /// How well the layers agree on the box.
    Consensus,
    /// Pixels of the component per pixel of the box.
    Fill,
    /// The part of the contrast that outlasts the widest opening: bodies, not fibres.
    Thickness,
    /// How steep the edges within are: the mean of the steepness, weighted by itself. Low out of focus.
    Sharpness,
    /// Squared distance of the box's centre from the picture's, in parts of its sides.
    OffCentre,
    /// Distance in colour for each unit of contrast.
    Colour,
    /// Half side of the square that opened the layer.
    Radius,
    /// Logarithm of the mean brightness beyond the dish's.
    Glare,
    /// Logarithm of the part of the picture the box covers.
    Area,
    /// How many of the picture's upper and lower edges the box touches.
    Cut,
    /// Logarithm of the sum of contrast.
    Mass,
}

/// How many clues there are.
pub const CLUES: usize = Clue::Mass as usize + 1;

/// The frame of [`Clue::Halo`] in parts of the box's mean side, at least [`THINNEST_FRAME`] working pixels.
const FRAME: f32 = 0.12;
const THINNEST_FRAME: f32 = 3.0;

/// Working pixels along a side that [`Clue::Edge`] looks at.
const STRIP: usize = 2;

/// The contrast that [`Clue::Slack`] gives away.
const GIVEN_AWAY: f32 = 0.03;

/// Sums over any rectangle of a working picture.
pub struct Sums {
    whole: Rect,
    contrast: Integral,
    glare: Integral,
    colour: Integral,
    without_fibres: Integral,
    thick: Integral,
    steep: Integral,
    steep_squared: Integral,
}

impl Sums {
    /// From what stands out, and the same after the openings of [`RADII`].
    pub fn of(planes: &Planes, saliency: &Saliency, opened: &[Vec<u8>]) -> Self {
        let integral = |plane: &[u8]| Integral::of(plane, saliency.width);
        let steep = planes.steepness();
        let squared: Vec<u8> = steep.iter().map(|&steep| (u16::from(steep) * u16::from(steep) / 255) as u8).collect();
        Self {
            whole: Rect { x0: 0, y0: 0, x1: saliency.width, y1: saliency.height },
            contrast: integral(&saliency.contrast),
            glare: integral(&saliency.glare),
            colour: integral(&saliency.colour),
            without_fibres: integral(&opened[1]),
            thick: integral(&opened[RADII.len() - 1]),
            steep: integral(&steep),
            steep_squared: integral(&squared),
        }
    }

    /// What is known of `candidate`, in the order of [`Clue`].
    pub fn clues(&self, candidate: &Candidate) -> [f32; CLUES] {
        let Candidate { rect, component, .. } = candidate;
        let area = rect.area() as f32;
        let inside = self.contrast.sum(rect);
        let side = area.sqrt();
        let frame = rect.grown((FRAME * side).max(THINNEST_FRAME) as usize, self.whole.x1, self.whole.y1);
        let around = (self.contrast.sum(&frame) - inside) / (frame.area() as f32 - area).max(1.0);
        let off = |from: usize, to: usize, of: usize| (from + to) as f32 / 2.0 / of as f32 - 0.5;
        let (across, down) = (off(rect.x0, rect.x1, self.whole.x1), off(rect.y0, rect.y1, self.whole.y1));
        [
            1.0,
            f32::from(component.peak).ln(),
            f32::from(candidate.threshold).ln(),
            (around + 1.0).ln() - (inside / area + 1.0).ln(),
            self.slack(rect),
            (self.faintest_side(rect) + 1.0).ln(),
            inside / self.contrast.sum(&self.whole).max(1.0),
            candidate.consensus,
            component.area as f32 / area,
            self.thick.sum(rect) / (inside + 1.0),
            255.0 * self.steep_squared.sum(rect) / (self.steep.sum(rect) + 1.0),
            across * across + down * down,
            self.colour.sum(rect) / (inside + 1.0),
            candidate.radius as f32,
            (self.glare.sum(rect) / area + 1.0).ln(),
            (area / self.whole.area() as f32).ln(),
            f32::from(u8::from(rect.y0 <= 1) + u8::from(rect.y1 + 1 >= self.whole.y1)),
            (inside + 1.0).ln(),
        ]
    }

    fn faintest_side(&self, rect: &Rect) -> f32 {
        let (across, down) = (STRIP.min(rect.width()), STRIP.min(rect.height()));
        let sides = [
            Rect { x1: rect.x0 + across, ..*rect },
            Rect { x0: rect.x1 - across, ..*rect },
            Rect { y1: rect.y0 + down, ..*rect },
            Rect { y0: rect.y1 - down, ..*rect },
        ];
        sides.iter().map(|side| self.contrast.sum(side) / side.area() as f32).fold(f32::MAX, f32::min)
    }

    fn slack(&self, rect: &Rect) -> f32 {
        let enough = self.without_fibres.sum(rect) * GIVEN_AWAY;
        let part = |length: usize, cut: &dyn Fn(usize) -> Rect| {
            // The first length whose strip holds enough; sums only grow with the strip.
            let (mut low, mut high) = (0, length);
            while low < high {
                let middle = usize::midpoint(low, high);
                if self.without_fibres.sum(&cut(middle)) >= enough { high = middle } else { low = middle + 1 }
            }
            low as f32 / length as f32
        };
        let (width, height) = (rect.width(), rect.height());
        [
            part(width, &|n| Rect { x1: rect.x0 + n, ..*rect }),
            part(width, &|n| Rect { x0: rect.x1 - n, ..*rect }),
            part(height, &|n| Rect { y1: rect.y0 + n, ..*rect }),
            part(height, &|n| Rect { y0: rect.y1 - n, ..*rect }),
        ]
        .into_iter()
        .fold(0.0, f32::max)
    }
}
