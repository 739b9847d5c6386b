//! logits and labels → the loss of each sample.

use tch::Tensor;

use crate::config::Loss;

/// The loss of each sample, `[N]`, from logits `[N, C]` and labels `[N]` (int64).
///
/// Cross-entropy is `−log p_t`; focal loss `(1 − p_t)^γ · CE` without α (Lin et al. 2017, eq. 4). A batch's loss is the mean.
pub fn per_sample(loss: Loss, focal_gamma: f64, logits: &Tensor, labels: &Tensor) -> Tensor {
    let log_p = logits.log_softmax(-1, logits.kind()).gather(1, &labels.unsqueeze(1), false).squeeze_dim(1);
    match loss {
        Loss::CE => -log_p,
        Loss::Focal => {
            // p_t may round to a hair above 1, and a power of a negative base is NaN.
            let miss = (log_p.exp() * -1.0 + 1.0).clamp_min(0.0);
            miss.pow_tensor_scalar(focal_gamma) * -log_p
        }
    }
}

#[cfg(test)]
mod tests {
    use tch::Kind;

    use super::*;

    fn values(loss: Loss) -> Vec<f64> {
        // Logits ln 3 and 0: p = 3/4 and 1/4.
        let logits = Tensor::from_slice(&[3f64.ln(), 0.0, 3f64.ln(), 0.0]).view([2, 2]);
        let labels = Tensor::from_slice(&[0i64, 1]);
        Vec::try_from(per_sample(loss, 2.0, &logits, &labels)).unwrap()
    }

    #[test]
    fn cross_entropy_and_focal_loss_by_hand() {
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} instead of {b}");
        let (right, wrong) = ((4f64 / 3.0).ln(), 4f64.ln());
        let ce = values(Loss::CE);
        near(ce[0], right);
        near(ce[1], wrong);
        // (1 − 3/4)² and (1 − 1/4)².
        let focal = values(Loss::Focal);
        near(focal[0], right / 16.0);
        near(focal[1], wrong * 9.0 / 16.0);
    }

    #[test]
    fn a_sure_hit_has_a_finite_gradient_under_the_focal_loss() {
        let logits = Tensor::from_slice(&[60f32, -60.0]).view([1, 2]).set_requires_grad(true);
        per_sample(Loss::Focal, 2.0, &logits, &Tensor::from_slice(&[0i64])).mean(Kind::Float).backward();
        assert!(bool::try_from(logits.grad().isfinite().all()).unwrap());
    }
}
