//! One pass over the training set: batches → moved weights and the epoch's figures.

use std::time::Duration;

use tch::{Device, Kind, Tensor};

use crate::comm::batch_norm::SharedStatistics;
use crate::comm::shares::{loss_scale, zero_loss};
use crate::comm::signals::StopFlag;
use crate::comm::tensor_ext::{Arithmetic, channels_last, in_bfloat16};
use crate::config::{OnNonFinite, Precision, Recipe, RunConfig};
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
}

/// How an epoch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All its steps are done.
    Whole,
    /// Stopped on a signal between two steps.
    Stopped,
}

/// What the network made of a piece of a batch: losses `[n]`, logits `[n, C]`, labels `[n]`.
struct Seen {
    losses: Tensor,
    logits: Tensor,
    labels: Tensor,
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
            let mut batches = source.stream(scope, self.pool, plan, Views::Random { seed, epoch });
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
                clock.lap(Phase::Computing);
                let (waited, copied) = batches.spent();
                clock.part_was(Phase::Waiting, waited);
                clock.part_was(Phase::Copying, copied);
                progress.advance(batch.len() as u64);
                let stop = ballot.vote(self.stop.raised())?;
                // Never where `checkpoint_steps` is 0: no step but the zeroth is a multiple of it.
                let due = position.step.is_multiple_of(recipe.checkpoint_steps);
                if stop || due || position.step.is_multiple_of(look) {
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
        self.sgd.clear_gradients()?;
        let skips = self.config.recipe.on_nonfinite == OnNonFinite::Skip;
        let before = if skips { copies(self.model.buffers())? } else { vec![] };
        let (mut seen, mut bad) = (Vec::with_capacity(count), false);
        for (number, piece) in (1..).zip(pieces) {
            let (piece, last) = (piece?, number == count);
            if last {
                self.averaging.before_forward()?;
            }
            let made = self.look_at(&piece, step)?;
            let loss = match &made {
                Some(made) => made.losses.sum(Kind::Float) * loss_scale(piece.global, self.team.world.size()),
                None => zero_loss(self.sgd.parameters()),
            };
            bad |= skips && !loss.double_value(&[]).is_finite();
            self.averaging.backward(&loss, last)?;
            seen.extend(made.map(Seen::detached));
        }
        // BatchNorm has taken the batch into its running statistics, where one NaN would stay for ever.
        if skips && self.team.world.all_max(u64::from(bad)) > 0 {
            restore(self.model.buffers(), &before)?;
            return Ok(false);
        }
        for Seen { losses, logits, labels } in seen {
            sums.add(step, &losses, &logits, &labels)?;
        }
        self.sgd.step(lr)?;
        Ok(true)
    }

    /// The forward pass of a piece; `None` where this rank has no image of it and no layer of the others' waits for it.
    fn look_at(&self, piece: &Batch, step: u64) -> Result<Option<Seen>> {
        if piece.labels.is_empty() && self.statistics.is_none() {
            return Ok(None);
        }
        let recipe = &self.config.recipe;
        let (images, labels) = piece.tensors(self.device)?;
        let images = if recipe.channels_last { channels_last(&images).map_err(libtorch)? } else { images };
        let forward = || match self.statistics {
            Some(ranks) => self.model.forward_together(&images, ranks),
            None => self.model.forward(&images, true),
        };
        let logits = match recipe.precision {
            Precision::Float32 | Precision::Tf32 => forward()?,
            Precision::BFloat16 => in_bfloat16(self.device, forward)?.f_to_kind(Kind::Float).map_err(libtorch)?,
        };
        let mut losses = per_sample(self.config.id.loss, recipe.focal_gamma, &logits, &labels);
        if doing::spoils(step) {
            losses *= f64::NAN;
        }
        Ok(Some(Seen { losses, logits, labels }))
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

impl Seen {
    /// Without the graph, whose memory the next piece wants.
    fn detached(self) -> Self {
        Self { losses: self.losses.detach(), logits: self.logits.detach(), labels: self.labels }
    }
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
