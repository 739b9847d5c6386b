//! The whole story of one run: data, model, epochs, the choice of the best, the test.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use tch::{Device, Tensor};

use crate::comm::signals::StopFlag;
use crate::comm::{World, tensor_ext};
use crate::config::{Experiment, Fingerprints, Job, RunConfig};
use crate::dataset::load_partition;
use crate::error::{Error, Result};
use crate::evaluate::{Evaluation, RunRecord, majority_baseline};
use crate::model::Model;
use crate::store::lock::Lock;
use crate::store::{atomic, hash};
use crate::telemetry::Provenance;
use crate::train::checkpoint::{Best, Checkpoint, Position};
use crate::train::directory::RunDirectory;
use crate::train::epoch::{Ended, Trainer};
use crate::train::examination::{Examination, Examiner, to_csv};
use crate::train::loader::{Images, Source};
use crate::train::metrics::{self, EpochMetrics};
use crate::train::optimizer::Sgd;
use crate::train::parallel::Team;
use crate::train::{events, schedule};

/// What a caller chooses that changes no result.
pub struct Options {
    /// Where the tensors live.
    pub device: Device,
    /// Threads of this rank.
    pub threads: usize,
    /// Raised by a signal.
    pub stop: StopFlag,
    /// Where the packs were staged; `None` reads them where preprocessing put them.
    pub packs: Option<PathBuf>,
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
    Run { job, config: &config, data: &data, directory: &directory, world, options: &options }.train()
}

/// Tests the best weights of a finished or unfinished run again; the result on rank 0.
pub fn test(job: &Job, experiment: &Experiment, world: &World, options: Options) -> Result<Option<Evaluation>> {
    let directory = RunDirectory::at(job.paths.runs().join(experiment.id.to_string()));
    let data = world.agree(Data::load(job, experiment, &options))?;
    let config = resolve(job, experiment, &data)?;
    let run = Run { job, config: &config, data: &data, directory: &directory, world, options: &options };
    let model = world.agree(run.model())?;
    let tested = run.examine_best(&model)?;
    Ok(tested.map(|tested| run.evaluation(&tested)))
}

/// The images and labels of one experiment.
struct Data {
    classes: Vec<String>,
    train: Source,
    validation: Source,
    test: Source,
    fingerprints: Fingerprints,
}

impl Data {
    fn load(job: &Job, experiment: &Experiment, options: &Options) -> Result<Self> {
        let metadata = job.paths.split_metadata();
        let partition = load_partition(&metadata, &experiment.partition)?;
        let packs = options.packs.clone().unwrap_or_else(|| job.paths.packs(&job.preprocess.package()));
        let images = Images::open(&packs)?;
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
fn resolve(job: &Job, experiment: &Experiment, data: &Data) -> Result<RunConfig> {
    let pretrained = pretrained_path(job, &experiment.id.backbone).map_or(Ok(String::new()), |path| hash::of_file(&path))?;
    Ok(RunConfig::new(job, experiment, data.fingerprints.clone(), pretrained))
}

/// Where the job's pretrained weights for `backbone` lie; `None` where it starts from random ones.
fn pretrained_path(job: &Job, backbone: &str) -> Option<PathBuf> {
    job.paths.weights.as_ref().map(|folder| folder.join(format!("{backbone}.safetensors")))
}

/// Everything a run is made of.
struct Run<'a> {
    job: &'a Job,
    config: &'a RunConfig,
    data: &'a Data,
    directory: &'a RunDirectory,
    world: &'a World,
    options: &'a Options,
}

impl Run<'_> {
    fn train(&self) -> Result<Outcome> {
        let team = Team::of(self.world)?;
        let outcome = self.train_as(&team);
        team.leave(outcome)
    }

    fn train_as(&self, team: &Team<'_>) -> Result<Outcome> {
        let (model, pool) = (self.world.agree(self.model())?, self.pool()?);
        let mut sgd = Sgd::new(model.parameters(), &self.config.recipe);
        let mut position = self.world.agree(self.begin(&model, &mut sgd))?;
        // Ranks read the same files, so this changes nothing; it makes sure that they did.
        team.share(&tensors_of(model.state()))?;
        let parameters = tensors_of(model.parameters());
        let averaging = team.average(&parameters)?;
        let (device, stop) = (self.options.device, self.options.stop.clone());
        let mut trainer = Trainer { config: self.config, model: &model, sgd, team, averaging, device, pool: &pool, stop };
        while position.epoch < self.config.recipe.epochs {
            let started = Instant::now();
            if trainer.epoch(&self.data.train, &mut position, |checkpoint| self.save(checkpoint))? == Ended::Stopped {
                tracing::info!(epoch = position.epoch, step = position.step, "stopped on a signal, checkpoint saved");
                return Ok(Outcome::Stopped);
            }
            // BatchNorm's local statistics: rank 0's are everybody's, as in PyTorch's DistributedDataParallel.
            team.share(&tensors_of(model.buffers()))?;
            self.close_epoch(&model, &mut position, &pool, started)?;
            self.save(&trainer.checkpoint(&position))?;
        }
        drop(trainer);
        self.finish(&model, &position).map(Outcome::Finished)
    }

    /// The network on its device, with its first weights.
    fn model(&self) -> Result<Model> {
        let (id, recipe) = (&self.config.id, &self.config.recipe);
        let model = Model::new(&id.backbone, self.data.classes.len(), recipe.crop.size as usize, self.options.device)?;
        model.initialise(id.seed)?;
        if let Some(path) = pretrained_path(self.job, &id.backbone) {
            let report = model.load_pretrained(&path)?;
            tracing::info!(path = %path.display(), ?report, "loaded pretrained weights");
        }
        Ok(model)
    }

    fn pool(&self) -> Result<rayon::ThreadPool> {
        tch::set_num_threads(self.options.threads as i32);
        if self.options.device == Device::Cpu {
            tensor_ext::keep_freed_memory();
        }
        let pool = rayon::ThreadPoolBuilder::new().num_threads(self.options.threads).build();
        pool.map_err(|error| Error::library("rayon", error))
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
        let device = self.options.device;
        sgd.load_state(checkpoint.under("velocity/").into_iter().map(|(name, v)| (name, v.to_device(device))).collect());
        let position = checkpoint.position;
        tracing::info!(epoch = position.epoch, step = position.step, "resumed");
        Ok(position)
    }

    /// Validates, chooses the best, and moves `position` to the next epoch.
    fn close_epoch(&self, model: &Model, position: &mut Position, pool: &rayon::ThreadPool, started: Instant) -> Result<()> {
        let validated = self.examiner(model, pool).examine(&self.data.validation, &[])?;
        let [loss, hits, seen] = position.totals();
        let epoch = position.epoch;
        let mut top1 = [0.0];
        if let Some(validated) = &validated {
            let evaluation = Evaluation::new(&validated.seen, &self.data.classes, self.data.validation.expected as u64);
            let there = evaluation.used > 0;
            let at = |k| evaluation.at(k).filter(|_| there);
            let row = EpochMetrics {
                epoch,
                lr: schedule::learning_rate(&self.config.recipe, epoch),
                loss_train: loss / seen,
                top1_train: hits / seen,
                loss_val: evaluation.loss,
                top1_val: at(1).map(|top| top.micro),
                top5_val: at(5).map(|top| top.micro),
                macro_top1_val: at(1).map(|top| top.macro_all),
                f1_macro_val: there.then_some(evaluation.f1_macro),
            };
            tracing::info!(epoch, loss = row.loss_train, top1_train = row.top1_train, top1_val = row.top1_val, "epoch done");
            // Without validation images every epoch counts as better than the one before, so the last is tested.
            top1 = [row.top1_val.unwrap_or(epoch as f64)];
            position.history.push(row);
        }
        // Only rank 0 knows the figures; adding zeros tells the others.
        self.world.all_sum(&mut top1);
        let [top1] = top1;
        if position.best.is_none_or(|best| top1 > best.top1) {
            position.best = Some(Best { epoch, top1 });
            self.world.on_root(|| hash::write_sealed(&self.directory.best_weights(), &model.to_safetensors()?))?;
        }
        self.world.on_root(|| {
            let seconds = started.elapsed().as_secs_f64();
            self.directory.append_timing(metrics::TIMING_HEADER, &metrics::timing_row(epoch, seen as u64, seconds))?;
            atomic::write(&self.directory.file("metrics.csv"), &metrics::to_csv(&position.history)?)?;
            atomic::write(&self.directory.file(events::FILE_NAME), &events::to_event_file(&position.history))
        })?;
        *position = Position { epoch: epoch + 1, step: 0, sums: vec![], ..position.clone() };
        Ok(())
    }

    fn save(&self, checkpoint: &Checkpoint) -> Result<()> {
        self.world.on_root(|| checkpoint.save(self.directory.path())).map(|_| ())
    }

    /// Tests the best weights and publishes the result; the record on rank 0.
    fn finish(&self, model: &Model, position: &Position) -> Result<Option<Box<RunRecord>>> {
        let tested = self.examine_best(model)?;
        let record = tested.map(|tested| self.publish(&tested, position)).transpose();
        self.world.on_root(|| record)?.map_or(Ok(None), |record| Ok(record.map(Box::new)))
    }

    fn publish(&self, tested: &Examination, position: &Position) -> Result<RunRecord> {
        let data = self.data;
        let classes = data.classes.len();
        let notes: BTreeMap<_, _> = [("batch_norm".to_owned(), "local statistics; rank 0's running ones".to_owned())].into();
        let mut provenance = Provenance::here(self.world.size(), self.options.threads, name_of(self.options.device));
        provenance.libraries.insert("libtorch".into(), env!("BIOSCAN_TORCH_VERSION").into());
        provenance.notes.clone_from(&notes);
        let record = RunRecord {
            id: self.config.id.clone(),
            config: self.config.clone(),
            config_hash: self.config.hash()?,
            best_epoch: position.best.map_or(0, |best| best.epoch),
            ranks: self.world.size(),
            evaluation: self.evaluation(tested),
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
        let path = self.directory.best_weights();
        let intact = || match hash::read_sealed(&path)? {
            Some(_) => model.load_pretrained(&path),
            None => Err(Error::input(&path, "the best weights are missing or damaged")
                .with_help("remove the run's folder and train it again")),
        };
        self.world.agree(intact())?;
        let pool = self.pool()?;
        let examiner = self.examiner(model, &pool);
        // Thresholds are the validation split's, so that the test split decides nothing about itself.
        let thresholds = examiner.thresholds(&self.data.validation)?;
        examiner.examine(&self.data.test, &thresholds)
    }

    fn examiner<'a>(&'a self, model: &'a Model, pool: &'a rayon::ThreadPool) -> Examiner<'a> {
        let (classes, device) = (self.data.classes.len(), self.options.device);
        Examiner { model, config: self.config, classes, world: self.world, device, pool }
    }

    fn evaluation(&self, tested: &Examination) -> Evaluation {
        let mut evaluation = Evaluation::new(&tested.seen, &self.data.classes, self.data.test.expected as u64);
        if let Some(as_original) = &mut evaluation.as_original {
            as_original.loss = tested.original_loss();
        }
        evaluation
    }
}

/// PyTorch's name of a device.
fn name_of(device: Device) -> String {
    match device {
        Device::Cuda(index) => format!("cuda:{index}"),
        other => format!("{other:?}").to_lowercase(),
    }
}

fn tensors_of(named: Vec<(String, Tensor)>) -> Vec<Tensor> {
    named.into_iter().map(|(_, tensor)| tensor).collect()
}
