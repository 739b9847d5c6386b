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

use crate::error::Result;
use crate::image::{BoundingBox, Filter, RgbImage, Size, resize};
use candidates::Candidate;
use clues::Sums;
use planes::Planes;
use rect::Rect;

/// A specimen that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Found {
    /// Where, in pixels of the original.
    pub bounding_box: BoundingBox,
    /// How sure: the probability of a specimen times the overlap expected with the box a person would draw, 0..1.
    pub score: f32,
    /// How many pixels of the original it covers: those in the box that stand out at least as much as the cut that drew it, legs and antennae
    /// among them.
    pub pixels: u64,
}

/// How many pixels along the longer side of a picture [`locate`] makes use of.
pub const SIDE: u32 = planes::WORKING_SIDE;

/// Finds the specimen in a photograph of one dish; `None` where the dish is empty.
///
/// `picture` is the photograph, or a reduction of it that has [`SIDE`] pixels along its longer side; `original` is the photograph's
/// size, in whose pixels the answer is. It is worked on at about that size, so that the box hardly depends on which of them it is.
///
/// # Errors
/// The resizing library's, of which none is known.
pub fn locate(picture: &RgbImage, original: Size) -> Result<Option<Found>> {
    let factor = planes::factor_for(original);
    let working = Size { width: original.width / factor, height: original.height / factor };
    if working.area() == 0 {
        return Ok(None);
    }
    let planes = if picture.size() == original {
        Planes::of(picture, factor as usize)
    } else {
        Planes::of(&resize(picture, working, Filter::Area)?, 1)
    };
    let edge = |at: usize| at as i32 * factor as i32;
    Ok(locate_in(&planes).map(|InPlanes { rect, score, pixels }| {
        let bounding_box = BoundingBox { x0: edge(rect.x0), y0: edge(rect.y0), x1: edge(rect.x1), y1: edge(rect.y1) };
        Found { bounding_box, score, pixels: pixels as u64 * u64::from(factor).pow(2) }
    }))
}

/// The same in working pixels.
struct InPlanes {
    rect: Rect,
    score: f32,
    pixels: usize,
}

fn locate_in(planes: &Planes) -> Option<InPlanes> {
    let saliency = saliency::saliency(planes, &background::background(planes));
    let opened = candidates::openings(&saliency);
    let sums = Sums::of(planes, &saliency, &opened);
    let found = candidates::candidates(&opened, planes.width, planes.height);
    let clues: Vec<_> = found.list.iter().map(|candidate| sums.clues(candidate)).collect();
    let judgement = judgement::judge(&clues, &found.overlaps)?;
    let &Candidate { rect, threshold, .. } = &found.list[judgement.candidate];
    let standing_out = |row: &[u8]| row[rect.x0..rect.x1].iter().filter(|contrast| **contrast >= threshold).count();
    (!judgement.is_empty()).then(|| InPlanes {
        rect,
        score: judgement.presence * judgement.overlap,
        pixels: saliency.contrast.chunks_exact(planes.width).take(rect.y1).skip(rect.y0).map(standing_out).sum(),
    })
}

#[cfg(test)]
#[path = "locate_tests.rs"]
mod tests;
