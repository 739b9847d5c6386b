//! an epoch → its learning rate.

use crate::config::Recipe;

/// The step schedule: `first_lr · lr_decay^k` with `k` the milestones that have been reached (0-based epochs).
#[must_use]
pub fn learning_rate(recipe: &Recipe, epoch: u64) -> f64 {
    let reached = recipe.milestones.iter().filter(|&&milestone| milestone <= epoch).count();
    recipe.first_lr() * recipe.lr_decay.powi(reached as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_papers_rate_falls_at_epochs_20_and_25() {
        let rates = [0, 19, 20, 24, 25, 99].map(|epoch| learning_rate(&Recipe::default(), epoch));
        for (rate, expected) in rates.into_iter().zip([1e-3, 1e-3, 1e-4, 1e-4, 1e-5, 1e-5]) {
            assert!((rate - expected).abs() < 1e-18, "{rate} instead of {expected}");
        }
    }
}
