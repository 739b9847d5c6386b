//! gradients → new weights: SGD with momentum, as PyTorch defines it.

use tch::{Tensor, no_grad};

use crate::config::Recipe;

/// SGD: `g ← ∇ + λw`, `v ← μv + g`, `w ← w − η(g + μv)` (Nesterov) or `w − ηv`; the first `v` is `g` itself.
pub struct Sgd {
    parameters: Vec<(String, Tensor)>,
    /// In the order of the parameters; empty before the first step.
    velocity: Vec<Tensor>,
    momentum: f64,
    weight_decay: f64,
    nesterov: bool,
}

impl Sgd {
    /// For `parameters` by name; the recipe gives momentum, weight decay and Nesterov.
    pub fn new(parameters: Vec<(String, Tensor)>, recipe: &Recipe) -> Self {
        let Recipe { momentum, weight_decay, nesterov, .. } = *recipe;
        Self { parameters, velocity: Vec::new(), momentum, weight_decay, nesterov }
    }

    /// One step at learning rate `lr`. A parameter without a gradient (nothing depends on it) stays as it is.
    pub fn step(&mut self, lr: f64) {
        no_grad(|| {
            if self.velocity.is_empty() {
                self.velocity = self.parameters.iter().map(|(_, weight)| weight.zeros_like()).collect();
            }
            for ((_, weight), velocity) in self.parameters.iter_mut().zip(&mut self.velocity) {
                let gradient = weight.grad();
                if !gradient.defined() {
                    continue;
                }
                let gradient = gradient + &*weight * self.weight_decay;
                let _ = velocity.g_mul_scalar_(self.momentum).g_add_(&gradient);
                let step = if self.nesterov { gradient + &*velocity * self.momentum } else { velocity.shallow_clone() };
                let _ = weight.g_sub_(&(step * lr));
            }
        });
    }

    /// What a checkpoint must hold to go on exactly: the velocities by parameter name; none before the first step.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        self.parameters.iter().zip(&self.velocity).map(|((name, _), v)| (name.clone(), v.shallow_clone())).collect()
    }

    /// Takes up the velocities of a checkpoint, given in the order [`Sgd::state`] returns them.
    pub fn load_state(&mut self, state: Vec<(String, Tensor)>) {
        self.velocity = state.into_iter().map(|(_, velocity)| velocity).collect();
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
            sgd.step(0.1);
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
}
