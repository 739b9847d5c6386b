//! Boxes drawn by people and boxes found → mean IoU, average precision, and how well empty pictures are recognised.
//!
//! For pictures with at most one object of one class each, so a found box is right or wrong by itself and matching needs no order.

use serde::{Deserialize, Serialize};

/// Half-open rectangle `[x0, y0, x1, y1]`, in any unit that both boxes of a picture share.
pub type Corners = [f64; 4];

/// One picture: what is in it and what was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sighting {
    /// The box a person drew; `None` where the picture is empty.
    pub truth: Option<Corners>,
    /// The box found and its score, greater where surer; `None` where the picture was called empty.
    pub found: Option<(Corners, f64)>,
}

impl Sighting {
    /// Intersection over union of both boxes; 0 where either is missing.
    #[must_use]
    pub fn iou(&self) -> f64 {
        match (self.truth, self.found) {
            (Some(truth), Some((found, _))) => iou(&truth, &found),
            _ => 0.0,
        }
    }
}

/// The figures of a detector on a set of pictures.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DetectionReport {
    /// Pictures with an object.
    pub objects: usize,
    /// Pictures without one.
    pub empties: usize,
    /// Mean IoU over the pictures with an object; one that was called empty counts 0.
    pub mean_iou: f64,
    /// The part of them with an IoU of at least 0.5.
    pub share_half: f64,
    /// Average precision where a box counts as right from an IoU of 0.5.
    pub ap50: f64,
    /// The same from 0.75.
    pub ap75: f64,
    /// The part of the pictures called empty that are.
    pub empty_precision: f64,
    /// The part of the empty pictures called so.
    pub empty_recall: f64,
    /// The part of the pictures with an object that were called empty.
    pub lost: f64,
}

impl DetectionReport {
    /// Reads all figures off `sightings`; a quotient without a denominator is 0.
    #[must_use]
    pub fn of(sightings: &[Sighting]) -> Self {
        let count = |wanted: &dyn Fn(&&Sighting) -> bool| sightings.iter().filter(wanted).count();
        let part = |some: f64, all: usize| if all == 0 { 0.0 } else { some / all as f64 };
        let objects = count(&|sighting| sighting.truth.is_some());
        let called_empty = count(&|sighting| sighting.found.is_none());
        let rightly_empty = count(&|sighting| sighting.found.is_none() && sighting.truth.is_none());
        let empties = sightings.len() - objects;
        Self {
            objects,
            empties,
            mean_iou: part(sightings.iter().map(Sighting::iou).sum(), objects),
            share_half: part(count(&|sighting| sighting.iou() >= 0.5) as f64, objects),
            ap50: average_precision(sightings, 0.5),
            ap75: average_precision(sightings, 0.75),
            empty_precision: part(rightly_empty as f64, called_empty),
            empty_recall: part(rightly_empty as f64, empties),
            lost: part((called_empty - rightly_empty) as f64, objects),
        }
    }
}

/// Average precision over the boxes found, one that overlaps the truth by at least `least_iou` being right.
///
/// As COCO computes it (`pycocotools`): boxes by falling score, ties in the order given; precision made non-increasing from the right;
/// its mean at the recalls 0, 0.01, ..., 1, and 0 at those never reached.
#[must_use]
pub fn average_precision(sightings: &[Sighting], least_iou: f64) -> f64 {
    let objects = sightings.iter().filter(|sighting| sighting.truth.is_some()).count();
    if objects == 0 {
        return 0.0;
    }
    let mut found: Vec<(f64, bool)> =
        sightings.iter().filter_map(|sighting| sighting.found.map(|(_, score)| (score, sighting.iou() >= least_iou))).collect();
    found.sort_by(|one, two| two.0.total_cmp(&one.0));
    let mut right = 0;
    let mut curve: Vec<(usize, f64)> = Vec::with_capacity(found.len());
    for (place, &(_, is_right)) in found.iter().enumerate() {
        right += usize::from(is_right);
        curve.push((right, right as f64 / (place + 1) as f64));
    }
    let mut best = 0.0;
    for (_, precision) in curve.iter_mut().rev() {
        best = f64::max(best, *precision);
        *precision = best;
    }
    // Recalls are compared in integers: 0.07 is not 7 / 100 in binary.
    let at = |hundredths: usize| curve.iter().find(|(right, _)| 100 * right >= hundredths * objects).map_or(0.0, |point| point.1);
    (0..=100).map(at).sum::<f64>() / 101.0
}

fn iou(one: &Corners, two: &Corners) -> f64 {
    let area = |[x0, y0, x1, y1]: &Corners| (x1 - x0).max(0.0) * (y1 - y0).max(0.0);
    let shared = area(&[one[0].max(two[0]), one[1].max(two[1]), one[2].min(two[2]), one[3].min(two[3])]);
    let union = area(one) + area(two) - shared;
    if union > 0.0 { shared / union } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SQUARE: Corners = [0.0, 0.0, 10.0, 10.0];

    /// A found box of the same area, moved so far to the right that it overlaps [`SQUARE`] by 10 − `by` of 10 columns.
    fn moved(by: f64, score: f64) -> Sighting {
        Sighting { truth: Some(SQUARE), found: Some(([by, 0.0, 10.0 + by, 10.0], score)) }
    }

    #[test]
    fn a_box_moved_by_a_quarter_of_its_side_overlaps_by_three_fifths() {
        // Shared 75, union 125.
        assert_eq!(moved(2.5, 1.0).iou(), 0.6);
        assert_eq!(moved(0.0, 1.0).iou(), 1.0);
        assert_eq!(moved(10.0, 1.0).iou(), 0.0);
    }

    #[test]
    fn average_precision_of_three_boxes_by_hand() {
        // By score: right, wrong, right, of 2 objects plus one empty picture: precisions 1, 1/2, 2/3 at recalls 1/2, 1/2, 1.
        let sightings = [moved(0.0, 0.9), Sighting { truth: None, found: Some((SQUARE, 0.8)) }, moved(2.5, 0.7)];
        // Recalls 0 to 0.50 (51 of them) at 1, 0.51 to 1 (50) at 2/3.
        let expected = (51.0 + 50.0 * 2.0 / 3.0) / 101.0;
        assert!((average_precision(&sightings, 0.5) - expected).abs() < 1e-12);
        // From 0.75 only the first is right: recall 1/2 at most.
        assert!((average_precision(&sightings, 0.75) - 51.0 / 101.0).abs() < 1e-12);
    }

    #[test]
    fn the_report_counts_a_lost_object_everywhere() {
        let empty = Sighting { truth: None, found: None };
        let lost = Sighting { truth: Some(SQUARE), found: None };
        let sightings = [
            moved(0.0, 0.9),
            moved(2.5, 0.8),
            moved(10.0, 0.2),
            lost,
            empty,
            empty,
            Sighting { found: Some((SQUARE, 0.1)), ..empty },
        ];
        let report = DetectionReport::of(&sightings);
        assert_eq!((report.objects, report.empties), (4, 3));
        assert_eq!(report.mean_iou, 0.4, "(1 + 0.6 + 0 + 0) / 4");
        assert_eq!(report.share_half, 0.5);
        assert_eq!((report.empty_precision, report.empty_recall, report.lost), (2.0 / 3.0, 2.0 / 3.0, 0.25));
        assert!((report.ap50 - 51.0 / 101.0).abs() < 1e-12, "two of four right, both first");
        assert!((report.ap75 - 26.0 / 101.0).abs() < 1e-12, "recalls 0 to 0.25");
    }

    #[test]
    fn nothing_gives_zeros() {
        let report = DetectionReport::of(&[]);
        assert_eq!((report.mean_iou, report.ap50, report.empty_precision, report.lost), (0.0, 0.0, 0.0, 0.0));
    }
}
