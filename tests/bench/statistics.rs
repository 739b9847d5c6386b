//! measured numbers → medians with their range, ratios and decibels. Pure: `tests/bench_core.rs` tests it.

use serde::Serialize;

/// The middle of several values, and how far apart they were.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// The median of rounds, or the mean of images.
    pub middle: f64,
    /// The least.
    pub min: f64,
    /// The most.
    pub max: f64,
    /// How many values there were.
    pub n: usize,
}

impl Spread {
    /// About the median of at least one value; of an even number, the mean of the two in the middle.
    ///
    /// # Panics
    /// Of none: there is no middle of nothing.
    pub fn median(values: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let n = sorted.len();
        assert!(n > 0, "a median of no values");
        Self { middle: f64::midpoint(sorted[(n - 1) / 2], sorted[n / 2]), min: sorted[0], max: sorted[n - 1], n }
    }

    /// About the mean of at least one value.
    pub fn mean(values: &[f64]) -> Self {
        let middle = values.iter().sum::<f64>() / values.len() as f64;
        Self { middle, ..Self::median(values.iter().copied()) }
    }

    /// Of `over[i] / under[i]`: what was measured in the same round shared the machine's state, so each round gives one ratio.
    pub fn of_ratios(over: &[f64], under: &[f64]) -> Self {
        assert_eq!(over.len(), under.len(), "a ratio needs both of a round");
        Self::median(over.iter().zip(under).map(|(over, under)| over / under))
    }
}

/// Whose turn it is in `round`: everybody once, each round begun by the next one, so that nobody always follows the same neighbour's
/// warm or cold caches.
pub fn turns(contenders: usize, round: usize) -> impl Iterator<Item = usize> {
    (0..contenders).map(move |turn| (turn + round) % contenders)
}

/// Peak signal-to-noise ratio of 8-bit values in dB: 10 · log10(255² / mean squared difference); infinite where nothing differs.
pub fn psnr(a: &[u8], b: &[u8]) -> f64 {
    assert_eq!(a.len(), b.len(), "pictures of two sizes");
    let squares: u64 = a.iter().zip(b).map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2)).sum();
    10.0 * (255.0 * 255.0 * a.len() as f64 / squares as f64).log10()
}
