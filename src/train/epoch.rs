//! One pass over the training set: batches → moved weights and the epoch's figures.

use tch::{Device, Kind, Tensor};

use crate::comm::signals::StopFlag;
use crate::comm::tensor_ext::clear_gradients;
use crate::config::RunConfig;
use crate::error::{Error, Result};
use crate::model::Model;
use crate::telemetry::Progress;
use crate::train::checkpoint::{Checkpoint, Position};
use crate::train::loader::{Batch, Order, Source, Views};
use crate::train::losses::{hits, per_sample};
use crate::train::optimizer::Sgd;
use crate::train::order::{Share, shuffled};
use crate::train::parallel::{Averaging, Team};
use crate::train::schedule::learning_rate;

/// What moves weights: the model, its optimiser and the ranks it is spread over.
pub struct Trainer<'team> {
    /// The configuration of the run.
    pub config: &'team RunConfig,
    /// The network.
    pub model: &'team Model,
    /// Its optimiser.
    pub sgd: Sgd,
    /// All ranks.
    pub team: &'team Team<'team>,
    /// The average over them.
    pub averaging: Averaging<'team>,
    /// Where the tensors live.
    pub device: Device,
    /// Decodes images.
    pub pool: &'team rayon::ThreadPool,
    /// Raised by a signal.
    pub stop: StopFlag,
}

/// How an epoch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All its steps are done.
    Whole,
    /// Stopped on a signal between two steps.
    Stopped,
}

/// This rank's sums over an epoch, kept on the device so that no step waits for a number.
struct Sums {
    loss: Tensor,
    hits: Tensor,
    seen: u64,
}

impl Trainer<'_> {
    /// Trains from `position` to the end of its epoch, or to a signal. `save` is called with every checkpoint due.
    pub fn epoch(&mut self, source: &Source, position: &mut Position, save: impl Fn(&Checkpoint) -> Result<()>) -> Result<Ended> {
        let recipe = &self.config.recipe;
        let (seed, epoch, lr) = (self.config.id.seed, position.epoch, learning_rate(recipe, position.epoch));
        let share = Share { rank: self.team.world.rank(), world: self.team.world.size() };
        let order = shuffled(source.samples.len(), seed, epoch);
        let batches = order.chunks(recipe.global_batch).skip(position.step as usize);
        let plan: Vec<Order> = batches.map(|batch| Order { indices: share.of(batch), global: batch.len() }).collect();
        let steps_left = plan.len() as u64;
        let progress = Progress::start(steps_left, "steps");
        let mut sums = self.sums_of(position);
        std::thread::scope(|scope| {
            let batches = source.stream(scope, self.pool, plan, Views::Random { seed, epoch });
            for batch in batches {
                self.step(&batch?, lr, &mut sums)?;
                position.step += 1;
                progress.advance(1);
                let stop = self.team.world.all_max(u64::from(self.stop.raised())) > 0;
                // Never where `checkpoint_steps` is 0: no step but the zeroth is a multiple of it.
                let due = position.step.is_multiple_of(recipe.checkpoint_steps);
                if stop || due {
                    self.settle(&sums, position)?;
                    save(&self.checkpoint(position))?;
                }
                if stop {
                    return Ok(Ended::Stopped);
                }
            }
            self.settle(&sums, position)?;
            Ok(Ended::Whole)
        })
    }

    fn step(&mut self, batch: &Batch, lr: f64, sums: &mut Sums) -> Result<()> {
        let parameters: Vec<Tensor> = self.model.parameters().into_iter().map(|(_, tensor)| tensor).collect();
        clear_gradients(&parameters)?;
        self.averaging.before_forward()?;
        let local = batch.labels.len();
        let loss = (local > 0).then(|| {
            let (images, labels) = tensors(batch, self.device);
            let logits = self.model.forward(&images, true)?;
            let losses = per_sample(self.config.id.loss, self.config.recipe.focal_gamma, &logits, &labels);
            tch::no_grad(|| {
                sums.loss += losses.sum(Kind::Double);
                sums.hits += hits(&logits, &labels);
            });
            Ok::<_, Error>(losses.mean(Kind::Float))
        });
        self.averaging.backward(loss.transpose()?, local, batch.global, &parameters)?;
        self.sgd.step(lr);
        sums.seen += local as u64;
        Ok(())
    }

    /// What this rank had added up when the checkpoint was made. Another number of ranks gives it all to rank 0.
    fn sums_of(&self, position: &Position) -> Sums {
        let world = self.team.world;
        let [loss, hits, seen] = if position.sums.len() == world.size() {
            position.sums[world.rank()]
        } else if world.is_root() {
            position.totals()
        } else {
            [0.0; 3]
        };
        let on_device = |value: f64| Tensor::from(value).to_device(self.device);
        Sums { loss: on_device(loss), hits: on_device(hits), seen: seen as u64 }
    }

    /// Brings every rank's sums into the position; a loss that is no number stops the run before anything is saved.
    fn settle(&self, sums: &Sums, position: &mut Position) -> Result<()> {
        let world = self.team.world;
        let mut all = vec![0.0; 3 * world.size()];
        all[3 * world.rank()..][..3].copy_from_slice(&[
            sums.loss.double_value(&[]),
            sums.hits.double_value(&[]),
            sums.seen as f64,
        ]);
        world.all_sum(&mut all);
        position.sums = all.chunks_exact(3).map(|three| [three[0], three[1], three[2]]).collect();
        let loss = position.totals()[0];
        if !loss.is_finite() {
            return Err(Error::NonFinite { loss, epoch: position.epoch, step: position.step.saturating_sub(1) });
        }
        Ok(())
    }

    /// The run as it stands.
    pub fn checkpoint(&self, position: &Position) -> Checkpoint {
        let named = |prefix: &str, tensors: Vec<(String, Tensor)>| {
            tensors.into_iter().map(|(name, tensor)| (format!("{prefix}{name}"), tensor)).collect::<Vec<_>>()
        };
        let mut tensors = named("model/", self.model.state());
        tensors.extend(named("velocity/", self.sgd.state()));
        Checkpoint { position: position.clone(), tensors }
    }
}

/// The batch as tensors on `device`: images `[n, 3, side, side]` float32, labels `[n]` int64.
pub fn tensors(batch: &Batch, device: Device) -> (Tensor, Tensor) {
    let n = batch.labels.len() as i64;
    let side = ((batch.pixels.len() / batch.labels.len().max(1) / 3) as f64).sqrt().round() as i64;
    let images = Tensor::from_slice(&batch.pixels).view([n, 3, side, side]);
    (images.to_device(device), Tensor::from_slice(&batch.labels).to_device(device))
}
