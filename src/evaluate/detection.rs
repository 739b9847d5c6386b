//! true boxes, found boxes and their scores → how well one specimen a picture is found.

/// A box: left, upper, right, lower edge, in one unit.
pub type Edges = [f64; 4];

/// One picture: the box a person drew, and the one that was found with its score; `None` for an empty dish.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scene {
    /// Where the specimen is.
    pub truth: Option<Edges>,
    /// Where it was found, and how sure.
    pub found: Option<(Edges, f64)>,
}

/// What [`measure`] finds; every figure but the counts is 0..1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Detection {
    /// Pictures with a specimen.
    pub specimens: usize,
    /// Pictures without.
    pub empty: usize,
    /// Mean IoU over the pictures with a specimen; one that was not found counts 0.
    pub mean_iou: f64,
    /// The share of them whose IoU is at least 0.5.
    pub half: f64,
    /// Average precision where an IoU of 0.5 counts as found.
    pub ap50: f64,
    /// The same at 0.75.
    pub ap75: f64,
    /// Of the dishes called empty, the share that is.
    pub empty_precision: f64,
    /// Of the empty dishes, the share called empty.
    pub empty_recall: f64,
    /// Of the specimens, the share called empty.
    pub lost: f64,
}

/// Measures what was found in `scenes`.
#[must_use]
pub fn measure(scenes: &[Scene]) -> Detection {
    let overlaps: Vec<f64> = scenes.iter().filter_map(|scene| Some(overlap(scene.truth?, scene.found))).collect();
    let count = |wanted: fn(&Scene) -> bool| scenes.iter().filter(|scene| wanted(scene)).count();
    let (specimens, empty) = (overlaps.len(), scenes.len() - overlaps.len());
    let (called, rightly) = (count(|scene| scene.found.is_none()), count(|scene| scene.found.is_none() && scene.truth.is_none()));
    let share = |part: usize, whole: usize| super::ratio(part as u64, whole as u64);
    Detection {
        specimens,
        empty,
        mean_iou: overlaps.iter().sum::<f64>() / specimens.max(1) as f64,
        half: share(overlaps.iter().filter(|overlap| **overlap >= 0.5).count(), specimens),
        ap50: average_precision(scenes, 0.5),
        ap75: average_precision(scenes, 0.75),
        empty_precision: share(rightly, called),
        empty_recall: share(rightly, empty),
        lost: share(called - rightly, specimens),
    }
}

/// Intersection over union with the truth; 0 where nothing was found.
fn overlap(truth: Edges, found: Option<(Edges, f64)>) -> f64 {
    let Some((found, _)) = found else { return 0.0 };
    let area = |[x0, y0, x1, y1]: Edges| (x1 - x0).max(0.0) * (y1 - y0).max(0.0);
    let shared = area([truth[0].max(found[0]), truth[1].max(found[1]), truth[2].min(found[2]), truth[3].min(found[3])]);
    let union = area(truth) + area(found) - shared;
    if union > 0.0 { shared / union } else { 0.0 }
}

/// COCO's average precision for one class and at most one box a picture: the precision at 101 recalls, 0, 0.01, ..., 1, each the best
/// that any higher recall still has (Lin et al. 2014; the arithmetic of pycocotools).
fn average_precision(scenes: &[Scene], at_least: f64) -> f64 {
    let specimens = scenes.iter().filter(|scene| scene.truth.is_some()).count();
    let mut found: Vec<(f64, bool)> = (scenes.iter())
        .filter_map(|scene| Some((scene.found?.1, scene.truth.is_some_and(|truth| overlap(truth, scene.found) >= at_least))))
        .collect();
    // A stable sort: equal scores keep the order of the pictures, as pycocotools' does.
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut right, mut curve) = (0, Vec::with_capacity(found.len()));
    for (index, (_, is_right)) in found.iter().enumerate() {
        right += usize::from(*is_right);
        curve.push((right as f64 / specimens.max(1) as f64, right as f64 / (index + 1) as f64));
    }
    let mut best = 0f64;
    for (_, precision) in curve.iter_mut().rev() {
        best = best.max(*precision);
        *precision = best;
    }
    let precision_at =
        |recall: f64| curve.iter().find(|(reached, _)| *reached >= recall).map_or(0.0, |(_, precision)| *precision);
    (0..=100).map(|hundredth| precision_at(f64::from(hundredth) / 100.0)).sum::<f64>() / 101.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRUTH: Edges = [0.0, 0.0, 10.0, 10.0];

    fn scene(truth: bool, width: Option<f64>, score: f64) -> Scene {
        Scene { truth: truth.then_some(TRUTH), found: width.map(|width| ([0.0, 0.0, width, 10.0], score)) }
    }

    #[test]
    fn overlaps_and_empty_dishes_are_counted_each_over_its_own_pictures() {
        // IoU 1, 0.8, 0.4 and not found; of two empty dishes one is called so.
        let scenes = [
            scene(true, Some(10.0), 0.9),
            scene(true, Some(8.0), 0.8),
            scene(true, Some(4.0), 0.7),
            scene(true, None, 0.0),
            scene(false, None, 0.0),
            scene(false, Some(5.0), 0.1),
        ];
        let measured = measure(&scenes);
        assert_eq!((measured.specimens, measured.empty), (4, 2));
        assert!((measured.mean_iou - 2.2 / 4.0).abs() < 1e-12);
        assert_eq!((measured.half, measured.lost), (0.5, 0.25));
        assert_eq!((measured.empty_precision, measured.empty_recall), (0.5, 0.5));
        // At 0.5 two of four specimens are found, before any mistake: precision 1 up to recall 0.5, that is at 51 of 101 recalls.
        assert!((measured.ap50 - 51.0 / 101.0).abs() < 1e-12);
    }

    #[test]
    fn a_mistake_with_a_high_score_costs_precision_at_every_recall() {
        let scenes = [scene(false, Some(5.0), 0.9), scene(true, Some(10.0), 0.5)];
        assert!((measure(&scenes).ap50 - 0.5).abs() < 1e-12, "1 of 2 right, at all 101 recalls");
        let last = [scene(false, Some(5.0), 0.1), scene(true, Some(10.0), 0.5)];
        assert!((measure(&last).ap50 - 1.0).abs() < 1e-12);
    }

    #[test]
    fn nothing_at_all_is_no_fault() {
        assert_eq!(measure(&[]), Detection::default());
    }
}
