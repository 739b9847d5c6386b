//! A batch shared over ranks, however unevenly → losses whose mean over the ranks is the mean over its samples.

use tch::Tensor;

/// What a rank multiplies the sum of its samples' losses by, so that the Reducer's mean over ranks is the mean over all samples:
/// `ranks / global`. However unevenly the samples are shared, a rank's share may be empty.
#[must_use]
pub fn loss_scale(global_samples: usize, ranks: usize) -> f64 {
    ranks as f64 / global_samples.max(1) as f64
}

/// The loss of a rank without samples, where it need not go through the network for the others' sake: zero, with a gradient of zero in
/// every parameter, so that the rank takes part in the reductions that the others wait for.
pub fn zero_loss(parameters: &[Tensor]) -> Tensor {
    parameters.iter().map(|parameter| parameter.sum(parameter.kind()) * 0.0).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scaled_sums_over_ranks_are_the_mean_over_samples() {
        // 7 samples over 3 ranks: 4, 3 and none. Losses 1, 1, 1, 1 | 8, 8, 8 have the mean 28 / 7 = 4.
        let weighed = [4.0, 24.0, 0.0].map(|sum| sum * loss_scale(7, 3));
        assert!((weighed.iter().sum::<f64>() / 3.0 - 4.0).abs() < 1e-15);
        assert_eq!(loss_scale(8, 1), 0.125);
    }

    #[test]
    fn a_zero_loss_reaches_every_parameter() {
        let parameters = [Tensor::from_slice(&[1.0, -2.0]).set_requires_grad(true), Tensor::from(5.0).set_requires_grad(true)];
        let loss = zero_loss(&parameters);
        loss.backward();
        assert_eq!(loss.double_value(&[]), 0.0);
        assert_eq!(Vec::<f64>::try_from(parameters[0].grad()).unwrap(), [0.0, 0.0]);
        assert_eq!(parameters[1].grad().double_value(&[]), 0.0);
    }
}
