//! The whole story of one run: data, model, epochs, the choice of the best, the test.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use tch::{Device, Tensor};

use crate::comm::batch_norm::SharedStatistics;
use crate::comm::signals::StopFlag;
use crate::comm::{World, tensor_ext};
use crate::config::{BatchNorm, Experiment, Fingerprints, Job, RunConfig};
use crate::dataset::load_partition;
use crate::error::{Error, Result};
use crate::evaluate::{Evaluation, RunRecord, majority_baseline};
use crate::model::{Model, WeightFile};
use crate::store::lock::Lock;
use crate::store::{atomic, hash};
use crate::telemetry::{Clock, Provenance, Shares};
use crate::train::checkpoint::{Best, Checkpoint, Position};
use crate::train::directory::RunDirectory;
use crate::train::epoch::{Ended, Trainer};
use crate::train::examination::{Examination, Examiner, to_csv};
use crate::train::keeper::Keeper;
use crate::train::loader::{Images, Source};
use crate::train::metrics::{self, EpochMetrics, Timing};
use crate::train::optimizer::Sgd;
use crate::train::order::shuffled;
use crate::train::parallel::Team;
use crate::train::trained::best_weights_are_intact;
use crate::train::{events, schedule, staging};

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
    let config = resolve(job, experiment, &data)?;
    world.on_root(|| directory.claim(&config))?;
    if let Some(record) = directory.record()? {
        tracing::info!(run = %config.id, "already done");
        return Ok(Outcome::AlreadyDone(Some(Box::new(record))));
    }
    Run::of(job, &config, &data, world, &options).train()
}

/// The images and labels of one experiment.
pub(super) struct Data {
    pub classes: Vec<String>,
    pub train: Source,
    pub validation: Source,
    pub test: Source,
    pub fingerprints: Fingerprints,
}

impl Data {
    pub fn load(job: &Job, experiment: &Experiment, options: &Options) -> Result<Self> {
        let metadata = job.paths.split_metadata();
        let partition = load_partition(&metadata, &experiment.partition)?;
        let there = || job.paths.container(&job.preprocess.package(), job.train.images);
        let mut place = options.packs.clone().unwrap_or_else(there);
        if let Some(disk) = &options.stage {
            place = staging::stage(&place, disk)?;
        }
        let images = Images::open(&place)?;
        let source = |name: &str, samples| Source::new(name, samples, &images, job.train.crop.clone());
        let mut test = source("test", partition.test);
        // A class without a train row cannot be predicted, but its rows were promised to be tested.
        test.expected += partition.test_without_class;
        let (train, validation) = (source("train", partition.train), source("validation", partition.validation));
        let mut images = blake3::Hasher::new();
        [&train, &validation, &test].into_iter().try_for_each(|source| source.fingerprint(&mut images))?;
        let images = images.finalize().to_hex().to_string();
        let fingerprints = Fingerprints { dataset: partition.fingerprint, images, synthetic: partition.synthetic };
        Ok(Self { train, validation, test, classes: partition.classes, fingerprints })
    }
}

/// The configuration of the run, with the hash of the pretrained weights the job names for its backbone.
pub(super) fn resolve(job: &Job, experiment: &Experiment, data: &Data) -> Result<RunConfig> {
    let first = job.pretrained(&experiment.id.backbone, job.recipe_for(experiment).init)?;
    let pretrained = first.map_or(Ok(String::new()), |path| hash::of_file(&path))?;
    Ok(RunConfig::new(job, experiment, data.fingerprints.clone(), pretrained))
}

/// Everything a run is made of.
pub(super) struct Run<'a> {
    job: &'a Job,
    pub(super) config: &'a RunConfig,
    pub(super) data: &'a Data,
    directory: RunDirectory,
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
        let mut trainer =
            Trainer { config: self.config, model: &model, sgd, team, averaging, statistics, device, pool: &pool, stop };
        let mut keeper = Keeper::of(self.world.is_root().then_some(&self.directory));
        while position.epoch < self.config.recipe.epochs {
            let (started, before) = (Instant::now(), position.totals().seen);
            let mut clock = Clock::start();
            let ended = match trainer.epoch(&self.data.train, &mut position, &mut keeper, &mut clock) {
                Err(Error::NonFinite { epoch, step, images, .. }) => {
                    keeper.settle()?;
                    let checkpoint = Checkpoint::newest_in(self.directory.path())?;
                    return Err(Error::NonFinite { epoch, step, images, checkpoint });
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
            let best = self.close_epoch(&model, &mut position, &pool)?;
            self.tell(position.epoch, images, started, clock.shares())?;
            keeper.save(&trainer.checkpoint(&position), best)?;
        }
        keeper.settle()?;
        // The others may look for the best weights only once they are there.
        self.world.barrier();
        drop(trainer);
        self.finish(&model, &position).map(Outcome::Finished)
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
        let Some(checkpoint) = Checkpoint::load_newest(self.directory.path())? else {
            return Ok(Position { config_hash, ..Position::default() });
        };
        if checkpoint.position.config_hash != config_hash {
            let message = "the checkpoint belongs to a run of another configuration";
            return Err(Error::input(self.directory.path(), message).with_help("remove the folder to train again"));
        }
        model.load_state(&checkpoint.under("model/"))?;
        sgd.load_state(&checkpoint.under("velocity/"));
        let position = checkpoint.position;
        tracing::info!(epoch = position.epoch, step = position.step, "resumed");
        // Epochs that were told of after the checkpoint are cut off again.
        if self.world.is_root() {
            self.write_history(&position)?;
        }
        Ok(position)
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
        let better = position.best.is_none_or(|best| top1 > best.top1);
        if better {
            position.best = Some(Best { epoch, top1 });
        }
        self.world.on_root(|| self.write_history(position))?;
        *position = Position { epoch: epoch + 1, step: 0, sums: vec![], ..position.clone() };
        (better && self.world.is_root()).then(|| model.to_safetensors()).transpose()
    }

    /// What is told of the epochs so far, always from its beginning.
    fn write_history(&self, position: &Position) -> Result<()> {
        atomic::write(&self.directory.file("metrics.csv"), &metrics::to_csv(&position.history)?)?;
        atomic::write(&self.directory.file(events::FILE_NAME), &events::to_event_file(&position.history))?;
        if position.skipped.is_empty() {
            return Ok(());
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

    /// Tests the best weights and publishes the result; the record on rank 0.
    fn finish(&self, model: &Model, position: &Position) -> Result<Option<Box<RunRecord>>> {
        let tested = self.examine_best(model)?;
        let notes = notes(model.has_batch_norm(), self.config.recipe.batch_norm, self.world.size());
        let record = tested.map(|tested| self.publish(&tested, position, notes)).transpose();
        self.world.on_root(|| record)?.map_or(Ok(None), |record| Ok(record.map(Box::new)))
    }

    fn publish(&self, tested: &Examination, position: &Position, mut notes: BTreeMap<String, String>) -> Result<RunRecord> {
        let data = self.data;
        let classes = data.classes.len();
        if !position.skipped.is_empty() {
            notes.insert("skipped".into(), format!("{} steps whose loss was no number (skipped.csv)", position.skipped.len()));
        }
        let mut provenance = Provenance::here(self.world.size(), self.options.threads, name_of(self.options.device));
        provenance.libraries.insert("libtorch".into(), env!("BIOSCAN_TORCH_VERSION").into());
        provenance.notes.clone_from(&notes);
        let record = RunRecord {
            id: self.config.id.clone(),
            config: self.config.clone(),
            config_hash: self.config.hash()?,
            best_epoch: position.best.map_or(0, |best| best.epoch),
            ranks: self.world.size(),
            evaluation: tested.evaluation(&data.classes, data.test.expected),
            majority: majority_baseline(&data.train.class_totals(classes), &data.test.class_totals(classes)),
            notes,
        };
        let json = |error| Error::library("serde_json", error);
        atomic::write(&self.directory.file("predictions.csv"), &to_csv(&data.test, &data.classes, &tested.predictions)?)?;
        atomic::write(&self.directory.file("provenance.json"), &serde_json::to_vec_pretty(&provenance).map_err(json)?)?;
        self.directory.finish(&record)?;
        Ok(record)
    }

    fn examine_best(&self, model: &Model) -> Result<Option<Examination>> {
        let best = best_weights_are_intact(&self.directory).and_then(|()| WeightFile::read(&self.directory.best_weights()));
        self.world.agree(best.and_then(|best| model.load_trained(&best)))?;
        let pool = self.options.pool()?;
        let examiner = self.examiner(model, &pool);
        // Thresholds are the validation split's, so that the test split decides nothing about itself.
        let thresholds = examiner.thresholds(&self.data.validation)?;
        examiner.examine(&self.data.test, &thresholds)
    }

    fn examiner<'a>(&'a self, model: &'a Model, pool: &'a rayon::ThreadPool) -> Examiner<'a> {
        let (classes, device) = (self.data.classes.len(), self.options.device);
        Examiner { model, config: self.config, classes, world: self.world, device, pool }
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

/// For a reader of the figures: how BatchNorm kept its statistics, where there is one. The one thing besides rounding that the number of
/// ranks can change.
fn notes(has_batch_norm: bool, batch_norm: BatchNorm, ranks: usize) -> BTreeMap<String, String> {
    let note = match batch_norm {
        BatchNorm::Local if ranks > 1 => format!("each of {ranks} ranks by the statistics of its share; rank 0's running ones"),
        BatchNorm::Sync | BatchNorm::Local => "statistics of the whole batch".to_owned(),
    };
    has_batch_norm.then(|| ("batch_norm".to_owned(), note)).into_iter().collect()
}

/// PyTorch's name of a device.
fn name_of(device: Device) -> String {
    match device {
        Device::Cuda(index) => format!("cuda:{index}"),
        other => format!("{other:?}").to_lowercase(),
    }
}

pub(super) fn tensors_of(named: Vec<(String, Tensor)>) -> Vec<Tensor> {
    named.into_iter().map(|(_, tensor)| tensor).collect()
}
