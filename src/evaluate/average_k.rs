//! Validation scores → the thresholds that name k classes an image *on average*; test scores → how often the truth is among those named.
//!
//! Top-k names k classes of every image, the easy ones too; average-k spends the same number of names where the model is unsure. The
//! definition is that of Pl@ntNet-300K (Garcin et al. 2021, §4.1): with the n × C probabilities of the validation split sorted
//! downwards, `s[0] ≥ s[1] ≥ …`, the threshold is `λ_k = (s[n·k − 1] + s[n·k]) / 2`, and a class is named where its probability
//! reaches λ_k.
//!
//! The original code has this definition in a branch that is switched off. The branch that runs takes as λ_k the mean of the k-th
//! probability of the *first* and of the *last* image of a *shuffled* validation split: two images drawn at random decide, so its
//! figure is not reproducible and ours is not comparable with it.

use serde::{Deserialize, Serialize};

use super::ratio;

/// Probabilities from `lambda` upwards name k classes an image on average.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    /// Classes an image on average.
    pub k: usize,
    /// λ_k, 0..1.
    pub lambda: f64,
}

/// Average-k accuracy at one k, as fractions of 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AverageK {
    /// Classes an image on average, on the validation split.
    pub k: usize,
    /// The threshold that does it there.
    pub lambda: f64,
    /// Images whose true class is named, over images.
    pub micro: f64,
    /// Mean of the same share over the classes with support.
    #[serde(rename = "macro")]
    pub macro_seen: f64,
    /// Classes an image that the threshold really names on the split measured: near k where the two splits are alike.
    pub named: f64,
}

/// The threshold of each k from the probabilities of a whole validation split, `[n · classes]` in any order, which are sorted.
///
/// A k of at least the number of classes names them all: λ is 0. None are given of an empty split.
#[must_use]
pub fn thresholds(probabilities: &mut [f32], classes: usize, ks: &[usize]) -> Vec<Threshold> {
    let images = probabilities.len().checked_div(classes).unwrap_or(0);
    if images == 0 {
        return vec![];
    }
    // A NaN is no probability and is named last.
    probabilities.iter_mut().filter(|p| p.is_nan()).for_each(|p| *p = f32::NEG_INFINITY);
    probabilities.sort_unstable_by(|a, b| b.total_cmp(a));
    let lambda = |k: usize| match (probabilities.get(images * k - 1), probabilities.get(images * k)) {
        (Some(&last_in), Some(&first_out)) => (f64::from(last_in) + f64::from(first_out)) / 2.0,
        _ => 0.0,
    };
    ks.iter().filter(|&&k| k > 0).map(|&k| Threshold { k, lambda: lambda(k) }).collect()
}

/// What one threshold named so far; integers, so merging over ranks is exact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Named {
    threshold: Threshold,
    /// Images of a class whose truth was named, `[C]`.
    hits: Vec<u64>,
    /// Classes named, over all images.
    named: u64,
}

impl Named {
    pub(super) fn new(threshold: Threshold, classes: usize) -> Self {
        Self { threshold, hits: vec![0; classes], named: 0 }
    }

    /// Counts one image with its probabilities, `[C]`.
    pub(super) fn add(&mut self, truth: usize, probabilities: &[f32]) {
        let reaches = |p: f32| f64::from(p) >= self.threshold.lambda;
        self.named += probabilities.iter().filter(|&&p| reaches(p)).count() as u64;
        self.hits[truth] += u64::from(reaches(probabilities[truth]));
    }

    pub(super) fn merge(&mut self, other: &Self) {
        assert_eq!(self.threshold, other.threshold, "counts under different thresholds");
        self.hits.iter_mut().zip(&other.hits).for_each(|(mine, theirs)| *mine += theirs);
        self.named += other.named;
    }

    pub(super) fn accuracy(&self, support: &[u64]) -> AverageK {
        let top = super::topk::top_k(self.threshold.k, &self.hits, support);
        let Threshold { k, lambda } = self.threshold;
        AverageK { k, lambda, micro: top.micro, macro_seen: top.macro_seen, named: ratio(self.named, support.iter().sum()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threshold_lies_between_the_last_probability_named_and_the_first_that_is_not() {
        // Two images, three classes: sorted 0.75 0.5 | 0.375 0.25 | 0.125 0.0.
        let mut scores = [0.75, 0.25, 0.0, 0.5, 0.375, 0.125];
        let found = thresholds(&mut scores, 3, &[1, 2, 3, 5]);
        let lambdas: Vec<_> = found.iter().map(|threshold| (threshold.k, threshold.lambda)).collect();
        assert_eq!(lambdas, [(1, 0.4375), (2, 0.1875), (3, 0.0), (5, 0.0)]);
    }

    #[test]
    fn a_sure_image_is_given_one_name_and_an_unsure_one_several() {
        let mut seen = Named::new(Threshold { k: 2, lambda: 0.2 }, 3);
        seen.add(0, &[0.9, 0.05, 0.05]); // named: 0
        seen.add(1, &[0.4, 0.3, 0.3]); // named: 0, 1, 2
        seen.add(2, &[0.8, 0.1, 0.1]); // named: 0; missed
        let found = seen.accuracy(&[1, 1, 1]);
        assert_eq!((found.micro, found.macro_seen, found.named), (2.0 / 3.0, 2.0 / 3.0, 5.0 / 3.0));
    }

    #[test]
    fn no_images_give_no_threshold_and_a_nan_is_named_last() {
        assert_eq!(thresholds(&mut [], 3, &[1]), []);
        assert_eq!(thresholds(&mut [f32::NAN, 0.5, 0.25], 3, &[1])[0].lambda, 0.375);
    }
}
