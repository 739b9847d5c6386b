//! Several networks of the same classes → one whose probabilities are the mean of theirs.

use tch::{Kind, Tensor};

use super::Model;
use super::classifier::libtorch;
use crate::error::Result;

/// Says how likely each class is: one network, or several together.
pub trait Classify {
    /// Scores `[N, classes]` of images `[N, 3, S, S]` whose softmax is the probabilities; nothing is trained by it.
    ///
    /// # Errors
    /// As [`Model::forward`].
    fn scores(&self, images: &Tensor) -> Result<Tensor>;
}

impl Classify for Model {
    fn scores(&self, images: &Tensor) -> Result<Tensor> {
        self.forward(images, false)
    }
}

/// Networks that answer together.
pub struct Ensemble(pub Vec<Model>);

impl Classify for Ensemble {
    /// The logarithms of the mean probabilities, which softmax gives back and whose cross-entropy is the ensemble's.
    fn scores(&self, images: &Tensor) -> Result<Tensor> {
        let probabilities = |model: &Model| model.scores(images)?.f_softmax(-1, Kind::Float).map_err(libtorch);
        let each = self.0.iter().map(probabilities).collect::<Result<Vec<Tensor>>>()?;
        let mean = Tensor::f_stack(&each, 0).and_then(|all| all.f_mean_dim([0i64].as_slice(), false, Kind::Float));
        mean.and_then(|mean| mean.f_log()).map_err(libtorch)
    }
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;

    #[test]
    fn the_probabilities_are_the_mean_of_those_of_the_members() {
        let member = |seed| {
            let model = Model::new("test_resnet", 3, 32, Device::Cpu).unwrap();
            model.initialise(seed).unwrap();
            model
        };
        let images = Tensor::ones([2, 3, 32, 32], (Kind::Float, Device::Cpu)) * 0.5;
        let probabilities = |who: &dyn Classify| tch::no_grad(|| who.scores(&images).unwrap().softmax(-1, Kind::Float));
        let mean = (probabilities(&member(1)) + probabilities(&member(2))) / 2.0;
        let together = probabilities(&Ensemble(vec![member(1), member(2)]));
        assert!((together - mean).abs().max().double_value(&[]) < 1e-6);
    }
}
