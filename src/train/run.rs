//! The whole story of one run: data, model, epochs, the choice of the best.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use tch::{Device, Tensor};

use crate::comm::batch_norm::SharedStatistics;
use crate::comm::signals::StopFlag;
use crate::comm::{World, tensor_ext};
use crate::config::{BatchNorm, Experiment, Job, RunConfig};
use crate::error::{Error, Result};
use crate::evaluate::{Evaluation, RunRecord};
use crate::model::Model;
use crate::store::lock::Lock;
use crate::store::{atomic, hash};
use crate::telemetry::{Clock, Shares};
use crate::train::checkpoint::{Best, Checkpoint, Position};
use crate::train::data::{Data, resolve};
use crate::train::directory::RunDirectory;
use crate::train::epoch::{Ended, Trainer};
use crate::train::examination::Examiner;
use crate::train::keeper::Keeper;
use crate::train::metrics::{self, EpochMetrics, Timing};
use crate::train::optimizer::Sgd;
use crate::train::order::shuffled;
use crate::train::parallel::Team;
use crate::train::recorded::Recorder;
use crate::train::{events, schedule};

/// What a caller chooses that changes no result.
pub struct Options {
    /// Where the tensors live.
    pub device: Device,
    /// Threads of this rank.
    pub threads: usize,
    /// Raised by a signal.
    pub stop: StopFlag,
    /// The images to read; `None` takes the container that the job names, where preprocessing put it.
    pub packs: Option<PathBuf>,
    /// A folder on this node's own disk to copy them to first; `None` reads them where they are.
    pub stage: Option<PathBuf>,
}

impl Options {
    /// This rank's threads, libtorch's among them.
    pub(super) fn pool(&self) -> Result<rayon::ThreadPool> {
        tch::set_num_threads(self.threads as i32);
        if self.device == Device::Cpu {
            tensor_ext::keep_freed_memory();
        }
        let pool = rayon::ThreadPoolBuilder::new().num_threads(self.threads).build();
        pool.map_err(|error| Error::library("rayon", error))
    }
}

/// How [`train`] ended.
#[derive(Debug)]
pub enum Outcome {
    /// The run is done; its record on rank 0.
    Finished(Option<Box<RunRecord>>),
    /// It was done before.
    AlreadyDone(Option<Box<RunRecord>>),
    /// Stopped on a signal with a checkpoint saved.
    Stopped,
}

/// Trains and tests one experiment. A run that was begun goes on where it stood; one that is done is left alone.
pub fn train(job: &Job, experiment: &Experiment, world: &World, options: Options) -> Result<Outcome> {
    let directory = RunDirectory::at(job.paths.runs().join(experiment.id.to_string()));
    let _lock = world.on_root(|| {
        let lock = Lock::acquire(directory.path())?;
        atomic::remove_unfinished(directory.path())?;
        Ok(lock)
    })?;
    let data = world.agree(Data::load(job, experiment, &options))?;
    let config = world.agree(resolve(job, experiment, &data))?;
    world.on_root(|| directory.claim(&config))?;
    let record = world.on_root(|| directory.record())?.flatten();
    // Rank 0's word: on a shared file system the others may not see the file yet.
    if world.all_max(u64::from(record.is_some())) > 0 {
        tracing::info!(run = %config.id, "already done");
        return Ok(Outcome::AlreadyDone(record.map(Box::new)));
    }
    Run::of(job, &config, &data, world, &options).train()
}

/// Everything a run is made of.
pub(super) struct Run<'a> {
    job: &'a Job,
    pub(super) config: &'a RunConfig,
    pub(super) data: &'a Data,
    pub(super) directory: RunDirectory,
    pub(super) world: &'a World,
    pub(super) options: &'a Options,
}

impl<'a> Run<'a> {
    pub(super) fn of(job: &'a Job, config: &'a RunConfig, data: &'a Data, world: &'a World, options: &'a Options) -> Self {
        let directory = RunDirectory::at(job.paths.runs().join(config.id.to_string()));
        Self { job, config, data, directory, world, options }
    }
}

impl Run<'_> {
    fn train(&self) -> Result<Outcome> {
        let recipe = &self.config.recipe;
        if recipe.lr_batch > 0 && self.world.is_root() {
            let (lr, global_batch, meant_for) = (recipe.first_lr(), recipe.global_batch, recipe.lr_batch);
            tracing::info!(lr, global_batch, meant_for, "the learning rate is scaled to the batch");
        }
        let team = Team::of(self.world, recipe.ranks, self.options.device)?;
        let outcome = self.train_as(&team);
        team.leave(outcome)
    }

    fn train_as(&self, team: &Team<'_>) -> Result<Outcome> {
        let (model, pool) = (self.world.agree(self.model())?, self.options.pool()?);
        let mut sgd = Sgd::new(model.parameters(), &self.config.recipe);
        let mut position = self.world.agree(self.begin(&model, &mut sgd))?;
        // Ranks read the same files, so this changes nothing; it makes sure that they did.
        team.share(&tensors_of(model.state()))?;
        let parameters = tensors_of(model.parameters());
        let averaging = team.average(&parameters)?;
        let statistics = statistics(team, &model, self.config.recipe.batch_norm);
        let (device, stop) = (self.options.device, self.options.stop.clone());
        let recorder = Recorder::of(&self.config.recipe, self.world, device)?;
        let mut trainer =
            Trainer { config: self.config, model: &model, sgd, team, averaging, statistics, device, pool: &pool, stop, recorder };
        let mut keeper = Keeper::of(self.world.is_root().then_some(&self.directory));
        while position.epoch < self.config.recipe.epochs {
            let (started, before) = (Instant::now(), position.totals().seen);
            let mut clock = Clock::start();
            let ended = match trainer.epoch(&self.data.train, &mut position, &mut keeper, &mut clock) {
                Err(Error::NonFinite { what, epoch, step, images, .. }) => {
                    keeper.settle()?;
                    let checkpoint = Checkpoint::newest_in(self.directory.path())?;
                    return Err(Error::NonFinite { what, epoch, step, images, checkpoint });
                }
                ended => ended?,
            };
            if ended == Ended::Stopped {
                keeper.settle()?;
                tracing::info!(epoch = position.epoch, step = position.step, "stopped on a signal, checkpoint saved");
                return Ok(Outcome::Stopped);
            }
            // Where BatchNorm's statistics are local, rank 0's are everybody's, as in PyTorch's DistributedDataParallel.
            team.share(&tensors_of(model.buffers()))?;
            let images = (position.totals().seen - before) as u64;
            let best = match self.close_epoch(&model, &mut position, &pool) {
                Err(Error::Stopped) => {
                    // All steps of the epoch are done, and the next life begins with its validation.
                    keeper.save(&trainer.checkpoint(&position), None)?;
                    keeper.settle()?;
                    tracing::info!(epoch = position.epoch, "stopped on a signal during validation, checkpoint saved");
                    return Ok(Outcome::Stopped);
                }
                closed => closed?,
            };
            // None where a life had nothing left but the validation.
            if images > 0 {
                self.tell(position.epoch, images, started, clock.shares())?;
            }
            keeper.save(&trainer.checkpoint(&position), best)?;
        }
        keeper.settle()?;
        // The others may look for the best weights only once they are there.
        self.world.barrier();
        drop(trainer);
        match self.finish(&model, &position) {
            Err(Error::Stopped) => Ok(Outcome::Stopped),
            finished => finished.map(Outcome::Finished),
        }
    }

    /// The network on its device, with its first weights.
    pub(super) fn model(&self) -> Result<Model> {
        let (id, recipe) = (&self.config.id, &self.config.recipe);
        let mut model = Model::new(&id.backbone, self.data.classes.len(), recipe.crop.size as usize, self.options.device)?;
        if recipe.channels_last {
            model = model.to_channels_last()?;
        }
        model.initialise(id.seed)?;
        if let Some(path) = self.job.pretrained(&id.backbone, recipe.init)? {
            let report = model.load_pretrained(&path)?;
            tracing::info!(path = %path.display(), "pretrained weights: {report}");
        }
        Ok(model)
    }

    /// Takes up the newest intact checkpoint, or starts at the beginning.
    fn begin(&self, model: &Model, sgd: &mut Sgd) -> Result<Position> {
        let config_hash = self.config.hash()?;
        let Some(checkpoint) = self.newest()? else { return Ok(Position { config_hash, ..Position::default() }) };
        if checkpoint.position.config_hash != config_hash {
            let message = "the checkpoint belongs to a run of another configuration";
            return Err(Error::input(self.directory.path(), message).with_help("remove the folder to train again"));
        }
        model.load_state(&checkpoint.under("model/"))?;
        sgd.load_state(&checkpoint.under("velocity/"))?;
        let position = checkpoint.position;
        tracing::info!(epoch = position.epoch, step = position.step, "resumed");
        // Epochs that were told of after the checkpoint are cut off again.
        if self.world.is_root() {
            self.directory.take_best(position.best.as_ref().map_or("", |best| &best.weights))?;
            self.write_history(&position)?;
        }
        Ok(position)
    }

    /// The newest intact checkpoint: the one that rank 0 finds, on all ranks.
    fn newest(&self) -> Result<Option<Checkpoint>> {
        let found = self.world.on_root(|| Checkpoint::take_newest(self.directory.path()))?.flatten();
        let mut path = found.as_ref().map(|(path, _)| path.as_os_str().as_encoded_bytes().to_vec()).unwrap_or_default();
        self.world.broadcast(&mut path)?;
        match found {
            Some((_, checkpoint)) => Ok(Some(checkpoint)),
            None if path.is_empty() => Ok(None),
            None => Checkpoint::load(Path::new(OsStr::from_bytes(&path))).map(Some),
        }
    }

    /// Validates, chooses the best, and moves `position` to the next epoch; returns the weights on rank 0 where they are the best so far.
    fn close_epoch(&self, model: &Model, position: &mut Position, pool: &rayon::ThreadPool) -> Result<Option<Vec<u8>>> {
        let validated = self.examiner(model, pool).examine_by_itself(&self.data.validation)?;
        let (epoch, mut top1) = (position.epoch, [0.0]);
        if let Some(validated) = &validated {
            let evaluation = Evaluation::new(&validated.seen, &self.data.classes, self.data.validation.expected as u64);
            let lr = schedule::learning_rate(&self.config.recipe, epoch);
            let row = EpochMetrics::of(epoch, lr, &position.totals(), Some(&evaluation).filter(|evaluation| evaluation.used > 0));
            tracing::info!(epoch, loss = row.loss_train, top1_train = row.top1_train, top1_val = row.top1_val, "epoch done");
            // Without validation images every epoch counts as better than the one before, so the last is tested.
            top1 = [row.top1_val.unwrap_or(epoch as f64)];
            position.history.push(row);
        }
        // Only rank 0 knows the figures; adding zeros tells the others.
        self.world.all_sum(&mut top1);
        let [top1] = top1;
        let better = position.best.as_ref().is_none_or(|best| top1 > best.top1);
        let weights = (better && self.world.is_root()).then(|| model.to_safetensors()).transpose()?;
        if better {
            let hash = weights.as_deref().map(hash::of_bytes).unwrap_or_default();
            position.best = Some(Best { epoch, top1, weights: hash });
        }
        self.world.on_root(|| self.write_history(position))?;
        *position = Position { epoch: epoch + 1, step: 0, sums: vec![], ..position.clone() };
        Ok(weights)
    }

    /// What is told of the epochs so far, always from its beginning.
    fn write_history(&self, position: &Position) -> Result<()> {
        atomic::write(&self.directory.file("metrics.csv"), &metrics::to_csv(&position.history)?)?;
        atomic::write(&self.directory.file(events::FILE_NAME), &events::to_event_file(&position.history))?;
        if position.skipped.is_empty() {
            // Those of a life whose last steps are lost.
            return atomic::remove(&self.directory.file("skipped.csv"));
        }
        let (seed, batch) = (self.config.id.seed, self.config.recipe.global_batch);
        let mut text = String::from("epoch,step,images\n");
        for skipped in &position.skipped {
            let order = shuffled(self.data.train.samples.len(), seed, skipped.epoch);
            let indices = order.chunks(batch).nth(skipped.step as usize).unwrap_or_default();
            text.push_str(&format!("{},{},{}\n", skipped.epoch, skipped.step, self.data.train.names(indices).join(" ")));
        }
        atomic::write(&self.directory.file("skipped.csv"), text.as_bytes())
    }

    /// Says how fast the epoch before `next` was, what held it up, and how long the rest will take; and notes it in `timing.csv`.
    fn tell(&self, next: u64, images: u64, started: Instant, shares: Shares) -> Result<()> {
        let timing = Timing { epoch: next - 1, images, seconds: started.elapsed().as_secs_f64(), shares };
        self.world.on_root(|| self.directory.append_timing(metrics::TIMING_HEADER, &timing.row()))?;
        let whole = timing.seconds * self.data.train.samples.len() as f64 / images.max(1) as f64;
        let left = whole * self.config.recipe.epochs.saturating_sub(next) as f64;
        tracing::info!("{:.0} images/s, about {left:.0} s left; {}", timing.images_per_second(), shares.words());
        if let Some(advice) = shares.advice() {
            tracing::info!("{advice}");
        }
        Ok(())
    }

    pub(super) fn examiner<'a>(&'a self, model: &'a Model, pool: &'a rayon::ThreadPool) -> Examiner<'a> {
        let (classes, device) = (self.data.classes.len(), self.options.device);
        Examiner { model, config: self.config, classes, world: self.world, device, pool, stop: &self.options.stop }
    }
}

/// Those whose images BatchNorm's statistics are taken from together; `None` where each rank takes its own, or there is no BatchNorm.
pub(super) fn statistics<'team>(
    team: &'team Team<'_>,
    model: &Model,
    batch_norm: BatchNorm,
) -> Option<&'team dyn SharedStatistics> {
    team.statistics().filter(|_| batch_norm == BatchNorm::Sync && model.has_batch_norm())
}

pub(super) fn tensors_of(named: Vec<(String, Tensor)>) -> Vec<Tensor> {
    named.into_iter().map(|(_, tensor)| tensor).collect()
}
