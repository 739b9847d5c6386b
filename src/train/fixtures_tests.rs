//! The optimiser, the schedule, the losses and the ranks' parts, against PyTorch's own (`tests/fixtures/make_training_fixtures.py`).

use serde::Deserialize;
use tch::{Kind, Tensor};

use crate::config::{Loss, Recipe};
use crate::train::losses::per_sample;
use crate::train::optimizer::Sgd;
use crate::train::order::Share;
use crate::train::schedule::learning_rate;

#[derive(Deserialize)]
struct Fixtures {
    sgd: Vec<Path>,
    schedule: Vec<Schedule>,
    losses: Vec<Losses>,
    parts: Vec<Parts>,
}

#[derive(Deserialize)]
struct Path {
    momentum: f64,
    weight_decay: f64,
    nesterov: bool,
    start: Vec<f64>,
    gradients: Vec<Vec<f64>>,
    rates: Vec<f64>,
    path: Vec<Vec<f64>>,
}

#[derive(Deserialize)]
struct Schedule {
    milestones: Vec<u64>,
    gamma: f64,
    rates: Vec<f64>,
}

#[derive(Deserialize)]
struct Losses {
    gamma: Option<f64>,
    logits: Vec<Vec<f64>>,
    labels: Vec<i64>,
    losses: Vec<f64>,
    gradient: Vec<Vec<f64>>,
}

#[derive(Deserialize)]
struct Parts {
    samples: usize,
    world: usize,
    ranks: Vec<Vec<usize>>,
}

fn fixtures() -> Fixtures {
    serde_json::from_str(include_str!("../../tests/fixtures/training.json")).unwrap()
}

fn assert_near(ours: &Tensor, theirs: &[f64], what: &str) {
    let difference = (ours.flatten(0, -1) - Tensor::from_slice(theirs)).abs().max().double_value(&[]);
    assert!(difference < 1e-14, "{what}: {difference:e}");
}

#[test]
fn weights_go_the_way_that_pytorchs_sgd_goes() {
    for Path { momentum, weight_decay, nesterov, start, gradients, rates, path } in fixtures().sgd {
        let recipe = Recipe { momentum, weight_decay, nesterov, ..Recipe::default() };
        let weight = Tensor::from_slice(&start).set_requires_grad(true);
        let mut sgd = Sgd::new(vec![("weight".into(), weight.shallow_clone())], &recipe);
        for ((gradient, lr), expected) in gradients.iter().zip(rates).zip(&path) {
            sgd.clear_gradients().unwrap();
            (&weight * Tensor::from_slice(gradient)).sum(Kind::Double).backward();
            sgd.step(lr).unwrap();
            assert_near(&weight, expected, &format!("{recipe:?}"));
        }
    }
}

#[test]
fn the_learning_rate_falls_as_by_multi_step_lr() {
    for Schedule { milestones, gamma, rates } in fixtures().schedule {
        let recipe = Recipe { milestones, lr: 0.001, lr_decay: gamma, ..Recipe::default() };
        for (epoch, expected) in rates.into_iter().enumerate() {
            let rate = learning_rate(&recipe, epoch as u64);
            assert!((rate / expected - 1.0).abs() < 1e-12, "{rate} instead of {expected} in epoch {epoch}");
        }
    }
}

#[test]
fn losses_and_their_gradients_are_pytorchs() {
    for Losses { gamma, logits, labels, losses, gradient } in fixtures().losses {
        let shape = [labels.len() as i64, -1];
        let logits = Tensor::from_slice(&logits.concat()).view(shape).set_requires_grad(true);
        let loss = if gamma.is_some() { Loss::Focal } else { Loss::CE };
        let ours = per_sample(loss, gamma.unwrap_or(0.0), &logits, &Tensor::from_slice(&labels));
        assert_near(&ours, &losses, &format!("{loss:?}"));
        ours.mean(Kind::Double).backward();
        assert_near(&logits.grad(), &gradient.concat(), &format!("gradient of {loss:?}"));
    }
}

#[test]
fn ranks_share_the_samples_as_by_distributed_sampler_but_for_those_it_repeats() {
    for Parts { samples, world, ranks } in fixtures().parts {
        let order: Vec<usize> = (0..samples).collect();
        for (rank, theirs) in ranks.into_iter().enumerate() {
            // Theirs fills the last round up with the first samples again, so that those count twice.
            let once: Vec<usize> =
                theirs.into_iter().enumerate().filter(|(round, _)| round * world + rank < samples).map(|(_, s)| s).collect();
            let ours: Vec<usize> = order.chunks(2 * world).flat_map(|batch| Share { rank, world }.of(batch)).collect();
            assert_eq!(ours, once, "rank {rank} of {world}");
        }
    }
}
