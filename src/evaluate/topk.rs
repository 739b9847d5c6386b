//! Scores and truth → the rank of the truth; counted ranks → micro and macro top-k.
//!
//! Micro top-k is the share of samples whose true class is among the k best scored. Macro top-k is the mean over classes of
//! each class's own share. The original code sums over the classes it *saw* but divides by *all* classes, so that a class
//! without a test image counts as missed; ours divides by the classes with support. The two agree wherever every class
//! has a test image, as in all six published splits; [`TopK::macro_all`] keeps the original's figure for the others.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::ratio;

/// Top-k accuracy at one k, as fractions of 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TopK {
    /// How many of the best classes may hold the truth.
    pub k: usize,
    /// Hits over samples.
    pub micro: f64,
    /// Mean of per-class recall@k over the classes with support.
    #[serde(rename = "macro")]
    pub macro_seen: f64,
    /// The same sum over *all* classes: the original code's divisor.
    pub macro_all: f64,
}

/// The 0-based place of `truth` when classes are sorted by descending score; ties go to the lower class index and NaN comes last.
///
/// # Panics
/// If `truth` is not an index of `scores`.
#[must_use]
pub fn rank(scores: &[f32], truth: usize) -> usize {
    (0..scores.len()).filter(|&class| precedes(scores, class, truth)).count()
}

/// The class with the best score, by the order of [`rank`]; 0 where there are no classes.
#[must_use]
pub fn best(scores: &[f32]) -> usize {
    (1..scores.len()).fold(0, |best, class| if precedes(scores, class, best) { class } else { best })
}

fn precedes(scores: &[f32], left: usize, right: usize) -> bool {
    let by_score = match (scores[left].is_nan(), scores[right].is_nan()) {
        (false, false) => scores[right].partial_cmp(&scores[left]).unwrap_or(Ordering::Equal),
        (left_is_nan, right_is_nan) => left_is_nan.cmp(&right_is_nan),
    };
    by_score.then(left.cmp(&right)) == Ordering::Less
}

/// Top-k from the hits and the support of each class.
#[must_use]
pub fn top_k(k: usize, hits: &[u64], support: &[u64]) -> TopK {
    let recalls: f64 = hits.iter().zip(support).map(|(&hit, &of)| ratio(hit, of)).sum();
    let over = |classes: usize| if classes == 0 { 0.0 } else { recalls / classes as f64 };
    TopK {
        k,
        micro: ratio(hits.iter().sum(), support.iter().sum()),
        macro_seen: over(support.iter().filter(|&&of| of > 0).count()),
        macro_all: over(support.len()),
    }
}

/// The `count` most probable classes with their probabilities, falling; ties to the lower class.
#[must_use]
pub fn likeliest(probabilities: &[f32], count: usize) -> Vec<(usize, f32)> {
    let mut ranked: Vec<(usize, f32)> = probabilities.iter().copied().enumerate().collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    ranked.truncate(count);
    ranked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rank_counts_better_classes_and_gives_ties_to_the_lower_index() {
        let scores = [0.1, 0.7, 0.1, 0.1];
        assert_eq!([0, 1, 2, 3].map(|truth| rank(&scores, truth)), [1, 0, 2, 3]);
        assert_eq!(best(&scores), 1);
        assert_eq!(best(&[0.5, 0.5]), 0);
    }

    #[test]
    fn a_nan_is_never_a_hit() {
        let scores = [f32::NAN, 0.2, f32::NAN, f32::NEG_INFINITY];
        assert_eq!([0, 1, 2, 3].map(|truth| rank(&scores, truth)), [2, 0, 3, 1]);
        assert_eq!(best(&scores), 1);
    }

    #[test]
    fn macro_is_the_mean_over_classes_with_support_and_the_originals_divisor_is_kept_beside_it() {
        // Recalls 8/10, 1/2 and a class without samples.
        let top = top_k(3, &[8, 1, 0], &[10, 2, 0]);
        assert_eq!(top.micro, 9.0 / 12.0);
        assert!((top.macro_seen - 1.3 / 2.0).abs() < 1e-15);
        assert!((top.macro_all - 1.3 / 3.0).abs() < 1e-15);
    }

    #[test]
    fn the_likeliest_classes_fall_and_ties_go_to_the_lower_class() {
        let classes: Vec<usize> =
            likeliest(&[0.1, 0.3, 0.3, 0.05, 0.05, 0.1, 0.1], 5).into_iter().map(|(class, _)| class).collect();
        assert_eq!(classes, [1, 2, 0, 5, 6]);
    }
}
