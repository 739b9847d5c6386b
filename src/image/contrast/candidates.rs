//! What stands out of the dish → every rectangle that may hold the specimen.

use super::components::{Component, components, rows, runs_above};
use super::morphology::open;
use super::rect::Rect;
use super::saliency::Saliency;

/// Contrasts (0..255) at which the dish is cut, each a quarter above the one before: faint wings part from the dish at the first,
/// only black bodies are left at the last.
pub const THRESHOLDS: [u8; 12] = [10, 12, 15, 19, 24, 30, 38, 48, 60, 75, 95, 120];

/// Half sides of the squares that open the contrast, in working pixels: 1 takes away fibres and antennae, 2 legs, 3 whatever is no body.
pub const RADII: [usize; 4] = [0, 1, 2, 3];

/// Fewer working pixels are dust.
const SMALLEST: u32 = 12;

/// A component that fills less than one part in so many of its box is a fibre, or hangs on one.
const SPARSEST: usize = 8;

/// How many components of a layer are looked at, the heaviest first: a specimen is seldom lighter than five other things.
const MOST: usize = 5;

/// A component of one layer: the contrast opened by one square and cut at one threshold.
pub struct Candidate {
    pub rect: Rect,
    pub component: Component,
    pub threshold: u8,
    pub radius: usize,
    /// How well the layers agree on this rectangle: the mean over them of its best overlap with any of theirs, 0..1.
    pub consensus: f32,
}

/// Every candidate, and how each overlaps each: row-major IoU, `[n, n]`.
pub struct Candidates {
    pub list: Vec<Candidate>,
    pub overlaps: Vec<f32>,
}

/// The contrast opened by the squares of [`RADII`], in their order.
pub fn openings(saliency: &Saliency) -> Vec<Vec<u8>> {
    RADII.iter().map(|&radius| open(&saliency.contrast, saliency.width, radius)).collect()
}

/// The heaviest components of every layer of `opened`.
pub fn candidates(opened: &[Vec<u8>], width: usize, height: usize) -> Candidates {
    let mut list = Vec::new();
    let mut layers = Vec::new();
    for (&radius, plane) in RADII.iter().zip(opened) {
        let mut within = rows(width, height);
        for threshold in THRESHOLDS {
            within = runs_above(plane, width, threshold, &within);
            let mut found = components(plane, width, &within);
            found.retain(|component| {
                component.area >= SMALLEST && SPARSEST * component.area as usize >= Rect::of(component).area()
            });
            found.sort_by_key(|component| std::cmp::Reverse(component.mass));
            found.truncate(MOST);
            layers.push(list.len()..list.len() + found.len());
            list.extend(found.into_iter().map(|component| Candidate {
                rect: Rect::of(&component),
                component,
                threshold,
                radius,
                consensus: 0.0,
            }));
        }
    }
    let rects: Vec<Rect> = list.iter().map(|candidate| candidate.rect).collect();
    let overlaps: Vec<f32> = rects.iter().flat_map(|one| rects.iter().map(|two| one.iou(two))).collect();
    for (candidate, overlaps) in list.iter_mut().zip(overlaps.chunks_exact(rects.len().max(1))) {
        let agreed: f32 = layers.iter().map(|layer| overlaps[layer.clone()].iter().copied().fold(0.0, f32::max)).sum();
        candidate.consensus = agreed / layers.len() as f32;
    }
    Candidates { list, overlaps }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A body of 9×9 pixels of contrast 100 at (10, 10), and a fibre of contrast 50 from it to the right edge.
    fn body_with_a_fibre() -> Saliency {
        let mut contrast = vec![0u8; 40 * 30];
        (10..40).for_each(|x| contrast[14 * 40 + x] = 50);
        (10..19).for_each(|y| contrast[y * 40 + 10..y * 40 + 19].fill(100));
        Saliency { width: 40, height: 30, glare: vec![0; 1200], colour: vec![0; 1200], contrast }
    }

    #[test]
    fn a_fibre_belongs_to_the_box_only_below_its_contrast_and_before_the_opening() {
        let saliency = body_with_a_fibre();
        let found = candidates(&openings(&saliency), 40, 30);
        let body = Rect { x0: 10, y0: 10, x1: 19, y1: 19 };
        for candidate in &found.list {
            let with_fibre = candidate.radius == 0 && candidate.threshold <= 50;
            assert_eq!(candidate.rect, if with_fibre { Rect { x1: 40, ..body } } else { body });
        }
        // Cut at 10 to 95 in each opening; 8 of these layers (10 to 48, not opened) hold the long box, the other 36 the body; the
        // 4 layers at 120 are empty. 9 / 30 is the overlap of both.
        assert_eq!(found.list.len(), 44);
        let last = found.list.last().unwrap();
        assert!((last.consensus - (36.0 + 8.0 * 0.3) / 48.0).abs() < 1e-6, "{}", last.consensus);
    }

    #[test]
    fn an_even_plane_has_none() {
        assert!(candidates(&vec![vec![3; 12]; 4], 4, 3).list.is_empty());
    }
}
