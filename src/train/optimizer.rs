//! gradients → new weights: SGD with momentum, as PyTorch defines it.

use tch::Tensor;

use crate::comm::tensor_ext::{SgdStep, clear_gradients, sgd_step};
use crate::config::Recipe;
use crate::error::{Error, Result};

/// SGD: `g ← ∇ + λw`, `v ← μv + g`, `w ← w − η(g + μv)` (Nesterov) or `w − ηv`; the first `v` is `g` itself.
pub struct Sgd {
    names: Vec<String>,
    parameters: Vec<Tensor>,
    /// In the order of the parameters, and laid out as they are.
    velocity: Vec<Tensor>,
    momentum: f64,
    weight_decay: f64,
    nesterov: bool,
}

impl Sgd {
    /// For `parameters` by name; the recipe gives momentum, weight decay and Nesterov.
    pub fn new(parameters: Vec<(String, Tensor)>, recipe: &Recipe) -> Self {
        let Recipe { momentum, weight_decay, nesterov, .. } = *recipe;
        let (names, parameters): (Vec<String>, Vec<Tensor>) = parameters.into_iter().unzip();
        let velocity = parameters.iter().map(Tensor::zeros_like).collect();
        Self { names, parameters, velocity, momentum, weight_decay, nesterov }
    }

    /// What it moves, in the order given.
    pub fn parameters(&self) -> &[Tensor] {
        &self.parameters
    }

    /// Forgets the gradients of the step before.
    pub fn clear_gradients(&self) -> Result<()> {
        clear_gradients(&self.parameters)
    }

    /// One step at learning rate `lr`. A parameter without a gradient (nothing depends on it) stays as it is.
    pub fn step(&mut self, lr: f64) -> Result<()> {
        let Self { momentum, weight_decay, nesterov, .. } = *self;
        sgd_step(&self.parameters, &self.velocity, SgdStep { lr, momentum, weight_decay, nesterov })
    }

    /// What a checkpoint must hold to go on exactly: the velocities by parameter name.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        self.names.iter().zip(&self.velocity).map(|(name, v)| (name.clone(), v.shallow_clone())).collect()
    }

    /// Takes up the velocities of a checkpoint, given in the order [`Sgd::state`] returns them.
    ///
    /// # Errors
    /// Where they are other parameters', by name or by shape.
    pub fn load_state(&mut self, state: &[(String, Tensor)]) -> Result<()> {
        if !self.names.iter().eq(state.iter().map(|(name, _)| name)) {
            return Err(Error::library("checkpoint", "the velocities are those of other parameters"));
        }
        let mut pairs = self.velocity.iter_mut().zip(state);
        pairs.try_for_each(|(velocity, (_, saved))| velocity.f_copy_(saved)).map_err(|e| Error::library("libtorch", e))
    }
}

#[cfg(test)]
mod tests {
    use tch::Kind;

    use super::*;

    /// Two steps on `loss = w²/2`, whose gradient is `w`, from w = 1 with lr 0.1.
    fn two_steps(recipe: &Recipe) -> f64 {
        let weight = Tensor::from_slice(&[1f64]).set_requires_grad(true);
        let mut sgd = Sgd::new(vec![("w".into(), weight.shallow_clone())], recipe);
        for _ in 0..2 {
            let mut gradient = weight.grad();
            if gradient.defined() {
                let _ = gradient.zero_();
            }
            (&weight * &weight * 0.5).sum(Kind::Double).backward();
            sgd.step(0.1).unwrap();
        }
        weight.double_value(&[0])
    }

    #[test]
    fn two_steps_by_hand() {
        let recipe = Recipe { momentum: 0.9, weight_decay: 0.0, nesterov: false, ..Recipe::default() };
        // v = 1, w = 0.9; v = 0.9 + 0.9 = 1.8, w = 0.9 − 0.18.
        assert!((two_steps(&recipe) - 0.72).abs() < 1e-12);
        // v = 1, w = 1 − 0.1·1.9 = 0.81; v = 0.9 + 0.81 = 1.71, w = 0.81 − 0.1·(0.81 + 0.9·1.71).
        assert!((two_steps(&Recipe { nesterov: true, ..recipe.clone() }) - 0.5751).abs() < 1e-12);
        // g = 1.2, v = 1.2, w = 0.88; g = 1.056, v = 1.08 + 1.056, w = 0.88 − 0.2136.
        assert!((two_steps(&Recipe { weight_decay: 0.2, ..recipe }) - 0.6664).abs() < 1e-12);
    }

    /// Numbers that binary holds exactly, another set for each step.
    fn numbers(step: i64, kind: Kind) -> Tensor {
        let places = Tensor::arange(60, (Kind::Int64, tch::Device::Cpu)) * 17 + 29 * step;
        ((places.remainder(64) - 31).to_kind(kind) / 64.0).view([3, 2, 2, 5])
    }

    #[test]
    fn the_fused_kernel_takes_the_steps_of_the_loop_that_pytorch_documents_on_either_layout() {
        let papers = Recipe::default();
        let recipes = [
            papers.clone(),
            Recipe { nesterov: false, weight_decay: 0.0, ..papers.clone() },
            Recipe { nesterov: false, momentum: 0.0, weight_decay: 0.01, ..papers },
        ];
        for (recipe, kind, bound) in recipes.iter().flat_map(|r| [(r, Kind::Double, 2e-15), (r, Kind::Float, 1e-6)]) {
            let last = crate::comm::tensor_ext::channels_last(&numbers(0, kind)).unwrap();
            for start in [numbers(0, kind), last] {
                let (weight, idle) = (start.copy().set_requires_grad(true), start.copy().set_requires_grad(true));
                let named =
                    [("weight", &weight), ("idle", &idle)].map(|(name, tensor)| (name.to_owned(), tensor.shallow_clone()));
                let mut sgd = Sgd::new(named.into(), recipe);
                let (mut expected, mut velocity) = (start.copy(), start.zeros_like());
                for step in 1..6 {
                    sgd.clear_gradients().unwrap();
                    (&weight * numbers(step, kind)).sum(kind).backward();
                    sgd.step(0.1).unwrap();
                    let gradient = numbers(step, kind) + &expected * recipe.weight_decay;
                    velocity = velocity * recipe.momentum + &gradient;
                    let direction = if recipe.nesterov { gradient + &velocity * recipe.momentum } else { velocity.copy() };
                    expected -= direction * 0.1;
                    let difference = (&weight - &expected).abs().max().double_value(&[]);
                    assert!(difference <= bound, "{recipe:?} {kind:?}: {difference:e} after step {step}");
                }
                assert!(idle.equal(&start), "nothing depends on it");
                let saved: Vec<_> = sgd.state().into_iter().map(|(name, v)| (name, v.contiguous())).collect();
                sgd.load_state(&saved).unwrap();
                assert!(sgd.state()[0].1.equal(&saved[0].1));
                assert!(sgd.load_state(&saved[..1]).is_err());
                sgd.step(0.1).unwrap();
            }
        }
    }
}
