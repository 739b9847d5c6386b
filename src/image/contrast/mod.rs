//! A photograph of a dish → the box of the specimen in it, or that the dish is empty. No weights file, no network: 10 ms on one core.
//!
//! A specimen is what stands out of the dish: darker, or more coloured. That much is easy; what is hard is its extent, because wings
//! are transparent, fibres touch legs, fragments of others lie beside it, and glass shines. So the picture is cut in many ways at once
//! and the cuts are weighed against each other:
//!
//! | file | step |
//! |---|---|
//! | [`planes`] | brightness and colour at about 512 pixels along the longer side |
//! | [`background`] | the dish without a specimen: two medians, the second without what the first finds foreign |
//! | [`saliency`] | how much darker and more coloured than that each pixel is |
//! | [`morphology`] | the same without fibres, legs, and all but bodies |
//! | [`components`] | connected pixels above a threshold |
//! | [`candidates`] | the heaviest components of 4 openings × 12 thresholds |
//! | [`clues`] | 17 measurements of each candidate, read from summed-area tables ([`integral`]) |
//! | [`judgement`] | how plausible each is, the one of the greatest expected overlap, and whether there is a specimen at all |

mod background;
mod candidates;
mod clues;
mod components;
mod integral;
mod judgement;
mod morphology;
mod planes;
mod rect;
mod saliency;

use crate::image::{BoundingBox, RgbImage, Size};
use clues::Sums;
use planes::Planes;

/// A specimen that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Found {
    /// Where, in pixels of the picture that was looked at.
    pub bounding_box: BoundingBox,
    /// How sure: the probability of a specimen times the overlap expected with the box a person would draw, 0..1.
    pub score: f32,
}

impl Found {
    /// The same in pixels of `original`, where the picture looked at was `of` it, decoded at 1/2, 1/4 or 1/8.
    ///
    /// Edges fall where they lie in the photograph, rounded outwards, and within the original.
    #[must_use]
    pub fn enlarged(self, of: Size, original: Size) -> Self {
        let scale = |at: i32, from: u32, to: u32, up: bool| {
            let (at, from, to) = (i64::from(at), i64::from(from.max(1)), i64::from(to));
            let scaled = if up { (at * to + from - 1) / from } else { at * to / from };
            scaled.clamp(0, to) as i32
        };
        let BoundingBox { x0, y0, x1, y1 } = self.bounding_box;
        let bounding_box = BoundingBox {
            x0: scale(x0, of.width, original.width, false),
            y0: scale(y0, of.height, original.height, false),
            x1: scale(x1, of.width, original.width, true),
            y1: scale(y1, of.height, original.height, true),
        };
        Self { bounding_box, ..self }
    }
}

/// Finds the specimen in a photograph of one dish; `None` where the dish is empty.
///
/// Any size will do: the picture is reduced to about 512 pixels along its longer side first. A photograph of 1024×768 pixels may as
/// well be decoded at 1/2, one of 2880×2160 at 1/4, and the result put back with [`Found::enlarged`].
#[must_use]
pub fn locate(picture: &RgbImage) -> Option<Found> {
    let factor = planes::factor_for(picture);
    let planes = Planes::of(picture, factor);
    if planes.luma.is_empty() {
        return None;
    }
    let saliency = saliency::saliency(&planes, &background::background(&planes));
    let opened = candidates::openings(&saliency);
    let sums = Sums::of(&planes, &saliency, &opened);
    let found = candidates::candidates(&opened, planes.width, planes.height);
    let clues: Vec<_> = found.list.iter().map(|candidate| sums.clues(candidate)).collect();
    let judgement = judgement::judge(&clues, &found.overlaps)?;
    if judgement.is_empty() {
        return None;
    }
    let rect = found.list[judgement.candidate].rect;
    let edge = |at: usize| (at * factor) as i32;
    let bounding_box = BoundingBox { x0: edge(rect.x0), y0: edge(rect.y0), x1: edge(rect.x1), y1: edge(rect.y1) };
    Some(Found { bounding_box, score: judgement.presence * judgement.overlap })
}

#[cfg(test)]
#[path = "locate_tests.rs"]
mod tests;
