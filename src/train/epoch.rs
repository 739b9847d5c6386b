//! One pass over the training set: batches → moved weights and the epoch's figures.

use std::time::Duration;

use tch::{Device, Kind, Tensor};

use crate::comm::signals::StopFlag;
use crate::comm::tensor_ext::clear_gradients;
use crate::config::{OnNonFinite, RunConfig};
use crate::error::{Error, Result};
use crate::model::Model;
use crate::telemetry::{Clock, Phase, Progress, doing};
use crate::train::checkpoint::{Checkpoint, Position, Skipped};
use crate::train::keeper::Keeper;
use crate::train::loader::{Batch, Order, Source, Views};
use crate::train::losses::per_sample;
use crate::train::optimizer::Sgd;
use crate::train::order::{Share, shuffled};
use crate::train::parallel::{Averaging, Team};
use crate::train::schedule::learning_rate;
use crate::train::sums::Sums;

/// Steps between two looks at the sums: on a GPU a look waits for the step, so not in each; but a loss that is no number must not train
/// on for long.
const LOOK: u64 = 16;
/// So many steps skipped one after the other are no accident of a batch: the weights themselves are lost.
const MOST_SKIPPED: usize = 16;

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

impl Trainer<'_> {
    /// Trains from `position` to the end of its epoch, or to a signal. `keeper` saves every checkpoint due, `clock` learns where the time
    /// goes.
    pub fn epoch(&mut self, source: &Source, position: &mut Position, keeper: &mut Keeper, clock: &mut Clock) -> Result<Ended> {
        let recipe = &self.config.recipe;
        let minutes = Duration::from_secs_f64(60.0 * recipe.checkpoint_minutes);
        let (seed, epoch, lr) = (self.config.id.seed, position.epoch, learning_rate(recipe, position.epoch));
        let share = Share { rank: self.team.world.rank(), world: self.team.world.size() };
        let order = shuffled(source.samples.len(), seed, epoch);
        let steps: Vec<&[usize]> = order.chunks(recipe.global_batch).collect();
        let behind = position.step as usize;
        let plan = steps.iter().skip(behind).map(|batch| Order { indices: share.of(batch), global: batch.len() }).collect();
        let name = format!("epoch {} of {}", epoch + 1, recipe.epochs);
        let done = steps.iter().take(behind).map(|step| step.len() as u64).sum();
        let progress = Progress::start(order.len() as u64, "images").named(name).resumed_at(done);
        let mut sums = Sums::of(position, self.team.world, self.device)?;
        std::thread::scope(|scope| {
            let mut batches = source.stream(scope, self.pool, plan, Views::Random { seed, epoch });
            while let Some(batch) = batches.next() {
                let batch = batch?;
                let global = batch.global as u64;
                if !self.step(batch, position.step, lr, &mut sums)? {
                    position.skipped.push(Skipped { epoch, step: position.step });
                    tracing::warn!(epoch, step = position.step, "the loss is no number: step skipped");
                }
                if position.step == behind as u64 {
                    tracing::debug!(epoch, "first step done");
                }
                position.step += 1;
                clock.lap(Phase::Computing);
                let (waited, copied) = batches.spent();
                clock.part_was(Phase::Waiting, waited);
                clock.part_was(Phase::Copying, copied);
                progress.advance(global);
                let stop = self.team.world.all_max(u64::from(self.stop.raised())) > 0;
                // Never where `checkpoint_steps` is 0: no step but the zeroth is a multiple of it.
                let due = position.step.is_multiple_of(recipe.checkpoint_steps);
                if stop || due || position.step.is_multiple_of(LOOK) {
                    let old = !minutes.is_zero() && keeper.age() >= minutes;
                    let old = self.settle(&sums, source, &steps, position, old)?;
                    let totals = position.totals();
                    progress.say(format!("loss {:.4}", totals.loss / totals.seen));
                    clock.lap(Phase::Communicating);
                    if stop || due || old {
                        keeper.save(&self.checkpoint(position), None)?;
                        clock.lap(Phase::Checkpointing);
                    }
                }
                clock.lap(Phase::Communicating);
                if stop {
                    return Ok(Ended::Stopped);
                }
            }
            self.settle(&sums, source, &steps, position, false)?;
            clock.lap(Phase::Communicating);
            Ok(Ended::Whole)
        })
    }

    /// One step; false where its loss was no number and nothing moved.
    pub(super) fn step(&mut self, batch: Batch, step: u64, lr: f64, sums: &mut Sums) -> Result<bool> {
        let parameters: Vec<Tensor> = self.model.parameters().into_iter().map(|(_, tensor)| tensor).collect();
        clear_gradients(&parameters)?;
        let skips = self.config.recipe.on_nonfinite == OnNonFinite::Skip;
        let before = if skips { copies(self.model.buffers())? } else { vec![] };
        self.averaging.before_forward()?;
        let local = batch.labels.len();
        let seen = (local > 0).then(|| {
            let (images, labels) = batch.tensors(self.device)?;
            let logits = self.model.forward(&images, true)?;
            let mut losses = per_sample(self.config.id.loss, self.config.recipe.focal_gamma, &logits, &labels);
            if doing::spoils(step) {
                losses = losses * f64::NAN;
            }
            Ok::<_, Error>((losses, logits, labels))
        });
        let seen = seen.transpose()?;
        let loss = seen.as_ref().map(|(losses, ..)| losses.mean(Kind::Float));
        let bad = skips && loss.as_ref().is_some_and(|loss| !loss.double_value(&[]).is_finite());
        self.averaging.backward(loss, local, batch.global, &parameters)?;
        // BatchNorm has taken the batch into its running statistics, where one NaN would stay for ever.
        if skips && self.team.world.all_max(u64::from(bad)) > 0 {
            restore(self.model.buffers(), &before)?;
            return Ok(false);
        }
        if let Some((losses, logits, labels)) = seen {
            sums.add(step, &losses, &logits, &labels)?;
        }
        self.sgd.step(lr);
        Ok(true)
    }

    /// Brings every rank's sums into the position; returns whether rank 0 finds its last checkpoint `old`. A loss that was no number ends
    /// the run here, before anything is saved that came after it. Collective.
    fn settle(&self, sums: &Sums, source: &Source, steps: &[&[usize]], position: &mut Position, old: bool) -> Result<bool> {
        let look = sums.settle(self.team.world, position, old)?;
        let (epoch, last) = (position.epoch, &position.skipped[position.skipped.len().saturating_sub(MOST_SKIPPED)..]);
        let in_a_row = last.len() == MOST_SKIPPED && last[0] == Skipped { epoch, step: position.step - MOST_SKIPPED as u64 };
        match look.first_bad.or(in_a_row.then(|| last[0].step)) {
            None => Ok(look.due),
            Some(step) => {
                let images = source.names(steps.get(step as usize).copied().unwrap_or_default());
                Err(Error::NonFinite { epoch, step, images, checkpoint: None })
            }
        }
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

fn copies(tensors: Vec<(String, Tensor)>) -> Result<Vec<Tensor>> {
    let copy = |(_, tensor): (String, Tensor)| {
        let mut copy = tensor.f_zeros_like()?;
        copy.f_copy_(&tensor)?;
        Ok(copy)
    };
    tensors.into_iter().map(copy).collect::<std::result::Result<_, _>>().map_err(libtorch)
}

fn restore(tensors: Vec<(String, Tensor)>, from: &[Tensor]) -> Result<()> {
    tch::no_grad(|| tensors.into_iter().zip(from).try_for_each(|((_, mut tensor), from)| tensor.f_copy_(from))).map_err(libtorch)
}

fn libtorch(error: tch::TchError) -> Error {
    Error::library("libtorch", error)
}
