//! Group sizes → how often each group is drawn when as many images are drawn with replacement: one replicate of a bootstrap.
//!
//! Images that every run treats alike are one group, so a replicate costs as much as there are groups, not images. The draws are exact:
//! the images are divided between two halves of the groups, each half between its halves, and so on; each division is a binomial, and a
//! binomial is fair coins, 64 a word, thrown until each image is decided by a digit of the probability.

use rand::Rng;

/// Draws `Σ counts` images from the groups with replacement; how many fell into each.
#[must_use]
pub fn draw(counts: &[u64], rng: &mut impl Rng) -> Vec<u64> {
    let mut before = vec![0];
    before.extend(counts.iter().scan(0, |sum, count| {
        *sum += count;
        Some(*sum)
    }));
    let mut drawn = vec![0; counts.len()];
    divide(before.last().copied().unwrap_or(0), &before, &mut drawn, rng);
    drawn
}

/// Divides `images` over the groups of `drawn`; `before` holds the running total in front of each, and behind the last.
fn divide(images: u64, before: &[u64], drawn: &mut [u64], rng: &mut impl Rng) {
    match drawn {
        [] => {}
        [one] => *one = images,
        _ if images == 0 => {}
        several => {
            let middle = several.len() / 2;
            let left = binomial(images, before[middle] - before[0], before[several.len()] - before[0], rng);
            let (first, second) = several.split_at_mut(middle);
            divide(left, &before[..=middle], first, rng);
            divide(images - left, &before[middle..], second, rng);
        }
    }
}

/// How many of `trials` succeed, each with probability `part / whole`, to 64 binary digits.
fn binomial(trials: u64, part: u64, whole: u64, rng: &mut impl Rng) -> u64 {
    if part >= whole {
        return trials;
    }
    let digits = ((u128::from(part) << 64) / u128::from(whole)) as u64;
    // Each trial is a random number in 0..1, read digit by digit until it differs from the probability's; it succeeds if it is below.
    let (mut undecided, mut succeeded) = (trials, 0);
    for place in (0..64).rev() {
        if undecided == 0 {
            break;
        }
        let ones = heads(undecided, rng);
        if digits >> place & 1 == 1 {
            succeeded += undecided - ones;
            undecided = ones;
        } else {
            undecided -= ones;
        }
    }
    succeeded
}

/// Heads among so many fair coins.
fn heads(mut coins: u64, rng: &mut impl Rng) -> u64 {
    let mut heads = 0;
    while coins > 0 {
        let thrown = coins.min(64);
        heads += u64::from((rng.next_u64() >> (64 - thrown)).count_ones());
        coins -= thrown;
    }
    heads
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, stream};

    #[test]
    fn as_many_are_drawn_as_there_are_and_none_from_an_empty_group() {
        for replicate in 0..100 {
            let drawn = draw(&[5, 0, 1, 994], &mut stream(1, Purpose::Bootstrap, replicate, 0));
            assert_eq!((drawn.iter().sum::<u64>(), drawn[1]), (1000, 0));
        }
        assert!(draw(&[], &mut stream(1, Purpose::Bootstrap, 0, 0)).is_empty());
    }

    #[test]
    fn means_and_variances_are_those_of_the_multinomial() {
        let (counts, replicates) = ([30u64, 10, 60], 20_000);
        let (mut sums, mut squares, mut product) = ([0.0; 3], [0.0; 3], 0.0);
        for replicate in 0..replicates {
            let drawn = draw(&counts, &mut stream(2, Purpose::Bootstrap, replicate, 0));
            for group in 0..3 {
                sums[group] += drawn[group] as f64;
                squares[group] += (drawn[group] as f64).powi(2);
            }
            product += (drawn[0] * drawn[2]) as f64;
        }
        let n = replicates as f64;
        for group in 0..3 {
            let p = counts[group] as f64 / 100.0;
            let (mean, variance) = (sums[group] / n, squares[group] / n - (sums[group] / n).powi(2));
            // Five standard errors of the mean; the variance to 5 %.
            assert!((mean - 100.0 * p).abs() < 5.0 * (100.0 * p * (1.0 - p) / n).sqrt(), "{group}: {mean}");
            assert!((variance / (100.0 * p * (1.0 - p)) - 1.0).abs() < 0.05, "{group}: {variance}");
        }
        // Cov = −n p q = −100 · 0.3 · 0.6.
        let covariance = product / n - sums[0] / n * sums[2] / n;
        assert!((covariance + 18.0).abs() < 1.5, "{covariance}");
    }
}
