//! One pass over the training set: batches → moved weights and the epoch's figures.

use std::time::Duration;

use tch::{Device, Kind, Tensor};

use crate::comm::batch_norm::SharedStatistics;
use crate::comm::gpu::{Lead, finish_on};
use crate::comm::shares::{loss_scale, zero_loss};
use crate::comm::signals::StopFlag;
use crate::comm::tensor_ext::{Arithmetic, channels_last, in_bfloat16};
use crate::config::{OnNonFinite, Precision, Recipe, RunConfig};
use crate::error::{Error, Result};
use crate::model::Model;
use crate::telemetry::{Clock, Phase, Progress, doing};
use crate::train::checkpoint::{Checkpoint, Position, Skipped};
use crate::train::keeper::Keeper;
use crate::train::loader::{Batch, Order, Source, Views, memory};
use crate::train::losses::per_sample;
use crate::train::optimizer::Sgd;
use crate::train::order::{Share, shuffled};
use crate::train::parallel::{Averaging, Team};
use crate::train::recorded::{Made, Recorder};
use crate::train::schedule::learning_rate;
use crate::train::sums::Sums;

/// Steps between two looks at the sums on a GPU, where a look waits for the step, so not in each; but a loss that is no number must not
/// train on for long.
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
    /// Those whose images BatchNorm's statistics are taken from together; `None` where each rank takes its own.
    pub statistics: Option<&'team dyn SharedStatistics>,
    /// Where the tensors live.
    pub device: Device,
    /// Decodes images.
    pub pool: &'team rayon::ThreadPool,
    /// Raised by a signal.
    pub stop: StopFlag,
    /// Takes whole steps by recording one; `None` takes each by itself.
    pub recorder: Option<Recorder>,
}

/// How an epoch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All its steps are done.
    Whole,
    /// Stopped on a signal between two steps.
    Stopped,
}

/// This rank's orders for one global batch, a piece of at most `piece` images each.
pub(super) fn pieces(batch: &[usize], piece: usize, share: Share) -> impl ExactSizeIterator<Item = Order> {
    let global = batch.len();
    batch.chunks(piece).map(move |piece| Order { indices: share.of(piece), global })
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
        let plan = steps.iter().skip(behind).flat_map(|batch| pieces(batch, recipe.piece(), share)).collect();
        let name = format!("epoch {} of {}", epoch + 1, recipe.epochs);
        let done = steps.iter().take(behind).map(|step| step.len() as u64).sum();
        let progress = Progress::start(order.len() as u64, "images").named(name).resumed_at(done);
        let mut sums = Sums::of(position, self.team.world, self.device)?;
        let mut ballot = self.team.ballot();
        let look = if self.device == Device::Cpu { 1 } else { LOOK };
        std::thread::scope(|scope| {
            let mut batches = source.stream(scope, self.pool, plan, Views::Random { seed, epoch }, memory(recipe, self.device));
            let mut lead = Lead::over(self.device);
            for batch in steps.iter().skip(behind) {
                let count = pieces(batch, recipe.piece(), share).len();
                if !self.step(batches.by_ref().take(count), count, position.step, lr, &mut sums)? {
                    position.skipped.push(Skipped { epoch, step: position.step });
                    tracing::warn!(epoch, step = position.step, "the loss is no number: step skipped");
                }
                if position.step == behind as u64 {
                    tracing::debug!(epoch, "first step done");
                }
                position.step += 1;
                lead.asked_for_a_step()?;
                clock.lap(Phase::Computing);
                let (waited, copied) = batches.spent();
                clock.part_was(Phase::Waiting, waited);
                clock.part_was(Phase::Copying, copied);
                progress.advance(batch.len() as u64);
                let stop = ballot.vote(self.stop.raised())?;
                // Never where `checkpoint_steps` is 0: no step but the zeroth is a multiple of it.
                let due = position.step.is_multiple_of(recipe.checkpoint_steps);
                if stop || due || position.step.is_multiple_of(look) {
                    finish_on(self.device);
                    clock.lap(Phase::Computing);
                    let old = !minutes.is_zero() && keeper.age() >= minutes;
                    let old = self.settle(&sums, source, &steps, position, old)?;
                    let totals = position.totals();
                    progress.say(format!("loss {:.4}", totals.loss / totals.seen));
                    clock.lap(Phase::Communicating);
                    if stop || due || old {
                        self.ensure_finite(source, &steps, position)?;
                        keeper.save(&self.checkpoint(position), None)?;
                        clock.lap(Phase::Checkpointing);
                    }
                }
                clock.lap(Phase::Communicating);
                if stop {
                    return Ok(Ended::Stopped);
                }
            }
            finish_on(self.device);
            clock.lap(Phase::Computing);
            self.settle(&sums, source, &steps, position, false)?;
            self.ensure_finite(source, &steps, position)?;
            // A signal that came with the last step must not wait until the validation is over.
            let stop = ballot.settle()?;
            clock.lap(Phase::Communicating);
            if stop {
                keeper.save(&self.checkpoint(position), None)?;
            }
            Ok(if stop { Ended::Stopped } else { Ended::Whole })
        })
    }

    /// One step from the `count` pieces of a global batch; false where its loss was no number and nothing moved.
    pub(super) fn step(
        &mut self,
        pieces: impl IntoIterator<Item = Result<Batch>>,
        count: usize,
        step: u64,
        lr: f64,
        sums: &mut Sums,
    ) -> Result<bool> {
        let Recipe { precision, deterministic, .. } = self.config.recipe;
        Arithmetic { tf32: precision == Precision::Tf32, deterministic }.set();
        let mut pieces = pieces.into_iter().peekable();
        // The last batch of an epoch may be smaller.
        let whole =
            |piece: &Result<Batch>| piece.as_ref().is_ok_and(|piece| piece.labels.len() == self.config.recipe.global_batch);
        if let Some(mut recorder) = self.recorder.take() {
            let piece = pieces.next_if(whole).transpose()?;
            let recorded = piece.map(|piece| self.recorded_step(&mut recorder, &piece, step, lr, sums));
            self.recorder = Some(recorder);
            if let Some(recorded) = recorded {
                return recorded.map(|()| true);
            }
        }
        self.step_by_pieces(pieces, count, step, lr, sums)
    }

    /// The step of a global batch whose gradients add up from `count` pieces, over all ranks.
    fn step_by_pieces(
        &mut self,
        pieces: impl Iterator<Item = Result<Batch>>,
        count: usize,
        step: u64,
        lr: f64,
        sums: &mut Sums,
    ) -> Result<bool> {
        self.sgd.clear_gradients()?;
        let skips = self.config.recipe.on_nonfinite == OnNonFinite::Skip;
        let before = if skips { copies(self.model.buffers())? } else { vec![] };
        let (mut seen, mut bad) = (Vec::with_capacity(count), false);
        for (number, piece) in (1..).zip(pieces) {
            let (piece, last) = (piece?, number == count);
            if last {
                self.averaging.before_forward()?;
            }
            // No layer of the others waits for a rank without an image of this piece, unless they normalise together.
            let absent = piece.labels.is_empty() && self.statistics.is_none();
            if absent {
                self.averaging.backward(&zero_loss(self.sgd.parameters()), last)?;
                continue;
            }
            let (images, labels) = piece.tensors(self.device)?;
            let made = self.forward(&images, &labels, step)?;
            let loss = self.loss_of(&made, piece.global);
            bad |= skips && !loss.double_value(&[]).is_finite();
            self.averaging.backward(&loss, last)?;
            seen.push((made.detached(), labels));
        }
        // BatchNorm has taken the batch into its running statistics, where one NaN would stay for ever.
        if skips && self.team.world.all_max(u64::from(bad)) > 0 {
            restore(self.model.buffers(), &before)?;
            return Ok(false);
        }
        for (Made { losses, logits }, labels) in seen {
            sums.add(step, &losses, &logits, &labels)?;
        }
        self.sgd.step(lr)?;
        Ok(true)
    }

    /// The step of a global batch in one piece, on a rank alone.
    fn recorded_step(&mut self, recorder: &mut Recorder, piece: &Batch, step: u64, lr: f64, sums: &mut Sums) -> Result<()> {
        let (images, labels) = piece.tensors(self.device)?;
        // Before a recording, which makes its own: those of a step before would hold their memory.
        self.sgd.clear_gradients()?;
        let Made { losses, logits } = recorder.step((&images, &labels), lr, |images, labels| {
            let made = self.forward(images, labels, step)?;
            self.averaging.backward(&self.loss_of(&made, piece.global), true)?;
            self.sgd.step(lr)?;
            Ok(made.detached())
        })?;
        sums.add(step, &losses, &logits, &labels)
    }

    /// What the losses of a piece give to the loss of the global batch.
    fn loss_of(&self, made: &Made, global: usize) -> Tensor {
        made.losses.sum(Kind::Float) * loss_scale(global, self.team.world.size())
    }

    /// The forward pass of a piece on its device.
    fn forward(&self, images: &Tensor, labels: &Tensor, step: u64) -> Result<Made> {
        let recipe = &self.config.recipe;
        let last;
        let images = if recipe.channels_last {
            last = channels_last(images).map_err(libtorch)?;
            &last
        } else {
            images
        };
        let forward = || match self.statistics {
            Some(ranks) => self.model.forward_together(images, ranks),
            None => self.model.forward(images, true),
        };
        let logits = match recipe.precision {
            Precision::Float32 | Precision::Tf32 => forward()?,
            Precision::BFloat16 => in_bfloat16(self.device, forward)?.f_to_kind(Kind::Float).map_err(libtorch)?,
        };
        let mut losses = per_sample(self.config.id.loss, recipe.focal_gamma, &logits, labels);
        if doing::spoils(step) {
            losses *= f64::NAN;
        }
        Ok(Made { losses, logits })
    }

    /// Brings every rank's sums into the position; returns whether rank 0 finds its last checkpoint `old`. A loss that was no number ends
    /// the run here, before anything is saved that came after it. Collective.
    fn settle(&self, sums: &Sums, source: &Source, steps: &[&[usize]], position: &mut Position, old: bool) -> Result<bool> {
        let look = sums.settle(self.team.world, position, old)?;
        let (epoch, last) = (position.epoch, position.step.saturating_sub(1));
        let lost = all_skipped(&position.skipped, Skipped { epoch, step: last }, steps.len() as u64);
        match look.first_bad.or(lost.then_some(last)) {
            None => Ok(look.due),
            Some(step) => Err(non_finite("the loss is", epoch, step, source, steps)),
        }
    }

    /// A loss tells of the step before it; what a checkpoint is to keep, or an epoch to hand on, is looked at itself.
    fn ensure_finite(&self, source: &Source, steps: &[&[usize]], position: &Position) -> Result<()> {
        let weights = self.model.state().into_iter().map(|(_, tensor)| tensor).filter(Tensor::is_floating_point);
        let finite = weights.map(|tensor| tensor.f_isfinite()?.f_all()).collect::<Result<Vec<_>, _>>();
        let all = finite.and_then(|each| Tensor::f_stack(&each, 0)?.f_all()).map_err(libtorch)?;
        if all.int64_value(&[]) != 0 {
            return Ok(());
        }
        Err(non_finite("the weights are", position.epoch, position.step.saturating_sub(1), source, steps))
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

/// Whether the last [`MOST_SKIPPED`] steps up to `now` were all skipped, over epochs of `steps` steps.
fn all_skipped(skipped: &[Skipped], now: Skipped, steps: u64) -> bool {
    let count = |at: &Skipped| at.epoch * steps + at.step;
    let first = skipped.len().checked_sub(MOST_SKIPPED).and_then(|first| skipped.get(first));
    first.is_some_and(|first| count(&now) - count(first) == MOST_SKIPPED as u64 - 1)
}

/// What ends a run at `step`, of whose `steps` this epoch is made.
fn non_finite(what: &'static str, epoch: u64, step: u64, source: &Source, steps: &[&[usize]]) -> Error {
    let images = source.names(steps.get(step as usize).copied().unwrap_or_default());
    Error::NonFinite { what, epoch, step, images, checkpoint: None }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_skipped_one_after_the_other_are_counted_over_epochs() {
        let at = |number: u64| Skipped { epoch: number / 7, step: number % 7 };
        let in_a_row: Vec<Skipped> = (3..19).map(at).collect();
        assert!(all_skipped(&in_a_row, at(18), 7));
        assert!(!all_skipped(&in_a_row, at(19), 7), "step 19 was none of them");
        assert!(!all_skipped(&in_a_row[1..], at(18), 7), "one too few");
        let with_a_gap: Vec<Skipped> = (2..19).filter(|number| *number != 9).map(at).collect();
        assert!(!all_skipped(&with_a_gap, at(18), 7));
    }
}
