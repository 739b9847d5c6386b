//! The probability of each prediction and whether it was right → expected calibration error.
//!
//! Predictions are put into 15 bins of equal width by the probability of the class they name; bin i holds `(i/15, (i + 1)/15]`. The
//! error is `Σ_bins n_bin / n · |accuracy − mean probability|` (Guo et al. 2017, eq. 3): 0 for a model whose 80 % are right four times
//! out of five.

use serde::{Deserialize, Serialize};

use super::ratio;

/// Bins of equal width, as in the paper's experiments.
pub const BINS: usize = 15;

/// One probability is counted in units of 2⁻³², so that sums are integers and exact in any order; a float32 above 2⁻⁸ is not rounded.
const UNIT: f64 = (1u64 << 32) as f64;

/// What was counted of each bin so far. Integers, so merging over ranks is exact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calibration {
    bins: Vec<Counts>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Counts {
    images: u64,
    right: u64,
    probability: u64,
}

/// How a model's probabilities agree with how often it is right. Fractions of 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CalibrationReport {
    /// Expected calibration error.
    pub ece: f64,
    /// Bins of equal width, from 0 to 1.
    pub bins: Vec<Bin>,
}

/// One bin. Accuracy and probability are 0 where it is empty.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// Predictions in it.
    pub images: u64,
    /// Share of them that were right.
    pub accuracy: f64,
    /// Mean of their probabilities.
    pub probability: f64,
}

impl Default for Calibration {
    fn default() -> Self {
        Self { bins: vec![Counts::default(); BINS] }
    }
}

impl Calibration {
    /// Counts one prediction: the probability of the class it names, and whether that was right.
    pub fn add(&mut self, probability: f32, right: bool) {
        // What is no probability ends in the first or the last bin; a NaN is 0 once it is cast.
        let probability = f64::from(probability).clamp(0.0, 1.0);
        let bin = ((probability * BINS as f64).ceil() as usize).clamp(1, BINS) - 1;
        if let Some(counts) = self.bins.get_mut(bin) {
            counts.images += 1;
            counts.right += u64::from(right);
            counts.probability += (probability * UNIT).round() as u64;
        }
    }

    /// Adds what another rank, or another run, has counted.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.bins.iter_mut().zip(&other.bins) {
            mine.images += theirs.images;
            mine.right += theirs.right;
            mine.probability += theirs.probability;
        }
    }

    /// The error and the bins; `None` before the first prediction.
    #[must_use]
    pub fn report(&self) -> Option<CalibrationReport> {
        let images: u64 = self.bins.iter().map(|counts| counts.images).sum();
        let bins: Vec<Bin> = self.bins.iter().map(Counts::bin).collect();
        let ece = bins.iter().map(|bin| bin.images as f64 * (bin.accuracy - bin.probability).abs()).sum::<f64>() / images as f64;
        (images > 0).then_some(CalibrationReport { ece, bins })
    }
}

impl Counts {
    fn bin(&self) -> Bin {
        let probability = if self.images == 0 { 0.0 } else { self.probability as f64 / UNIT / self.images as f64 };
        Bin { images: self.images, accuracy: ratio(self.right, self.images), probability }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_predictions_by_hand() {
        let mut seen = Calibration::default();
        // (0.7333, 0.8]: mean 0.765625, one of two right: 0.265625 off. (0.9333, 1]: mean 1, both right: nothing off.
        for (probability, right) in [(0.75, true), (0.78125, false), (1.0, true), (1.0, true)] {
            seen.add(probability, right);
        }
        let report = seen.report().unwrap();
        assert_eq!(report.ece, 0.265625 / 2.0);
        assert_eq!(report.bins.iter().map(|bin| bin.images).collect::<Vec<_>>()[11..], [2, 0, 0, 2]);
    }

    #[test]
    fn a_bin_holds_its_upper_edge_and_nothing_falls_outside() {
        let mut seen = Calibration::default();
        for probability in [0.0, 0.2, 1.0, f32::NAN, 7.0, -1.0] {
            seen.add(probability, true);
        }
        let images: Vec<u64> = seen.bins.iter().map(|counts| counts.images).collect();
        // 0.2 as float32 lies a hair above 3/15.
        assert_eq!((images[0], images[3], images[14]), (3, 1, 2));
        assert_eq!(Calibration::default().report(), None);
    }
}
