//! `train`: one experiment of a job → a finished run.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

use crate::cli::{Context, answer};
use crate::comm::World;
use crate::comm::gpu::use_gpu;
use crate::comm::signals::StopFlag;
use crate::config::{Backend, Experiment, Job};
use crate::error::{Error, Exit, Result};
use crate::evaluate::RunRecord;
use crate::telemetry::Speeds;
use crate::train::{self, Options, Outcome};

/// How long a rehearsal's steps take in all.
const PATIENCE: Duration = Duration::from_secs(5);

/// Arguments of `train`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bioscan-hpc train jobs/demo.toml --experiment small_insect_order-resnet18-CE-s1
  mpirun -n 4 bioscan-hpc train jobs/bioscan-1m.toml --index 71 --device cpu
  srun bioscan-hpc train jobs/bioscan-1m.toml --index $SLURM_ARRAY_TASK_ID --stage

A run that was begun goes on from its last checkpoint; one that is done is left alone.")]
pub struct Args {
    /// The job file
    job: PathBuf,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    place: Place,
}

/// Which experiment of the job.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub struct Which {
    /// By its id, as `sweep plan` lists them
    #[arg(long, value_name = "ID")]
    experiment: Option<String>,
    /// By its index, as an array task knows it
    #[arg(long, value_name = "N")]
    index: Option<usize>,
}

impl Which {
    /// Finds it among the job's.
    pub fn of(&self, job: &Job) -> Result<Experiment> {
        match &self.experiment {
            Some(id) => job.grid.find(id),
            None => job.grid.at(self.index.unwrap_or_default()),
        }
    }
}

/// Which experiments of the job, one or several.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub struct Several {
    /// By their ids, as `sweep plan` lists them
    #[arg(long, value_name = "ID", num_args = 1..)]
    experiment: Vec<String>,
    /// By their indices, as array tasks know them
    #[arg(long, value_name = "N", num_args = 1..)]
    index: Vec<usize>,
}

impl Several {
    /// Finds them among the job's.
    pub fn of(&self, job: &Job) -> Result<Vec<Experiment>> {
        let named = self.experiment.iter().map(|id| job.grid.find(id));
        named.chain(self.index.iter().map(|&index| job.grid.at(index))).collect()
    }
}

/// Where a run computes.
#[derive(Debug, clap::Args)]
pub struct Place {
    #[command(flatten)]
    on: OnDevice,
    /// Read the images from this container, of any form, instead of where preprocessing put them
    #[arg(long, value_name = "DIR")]
    packs: Option<PathBuf>,
    /// Copy the images to this folder first, once a node, and read them there [without =DIR: $SLURM_TMPDIR]
    #[arg(long, value_name = "DIR", num_args = 0..=1, default_missing_value = "", require_equals = true)]
    stage: Option<OsString>,
}

/// What a network computes on.
#[derive(Debug, clap::Args)]
pub struct OnDevice {
    /// Where to compute; `auto` takes the GPU where there is one
    #[arg(long, value_enum, default_value = "auto")]
    device: Device,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Device {
    Auto,
    Cpu,
    Cuda,
}

impl Place {
    /// The options of a run in `world`: a device, threads, and an ear for signals.
    pub fn options(&self, job: &Job, world: &World) -> Result<Options> {
        Ok(Options {
            device: world.agree(self.on.device(world, job.train.ranks.backend))?,
            threads: world.threads(job.train.threads),
            stop: StopFlag::listen()?,
            packs: self.packs.clone(),
            stage: world.agree(self.stage.as_deref().map(stage_folder).transpose())?,
        })
    }
}

impl OnDevice {
    /// The device of this rank, where the tensors of GPUs travel by `backend`.
    pub fn device(&self, world: &World, backend: Backend) -> Result<tch::Device> {
        if self.device == Device::Cpu {
            return Ok(tch::Device::Cpu);
        }
        let loaded = crate::comm::tensor_ext::load_cuda();
        let found = loaded.is_ok() && tch::Cuda::is_available();
        match (self.device, found) {
            (_, true) => {
                let index = gpu_of(world, backend)?;
                use_gpu(index)?;
                Ok(tch::Device::Cuda(index))
            }
            (Device::Cuda, false) => {
                let why = loaded.err().map_or_else(|| "the driver shows none".to_owned(), |error| error.to_string());
                Err(Error::usage(format!("no GPU can be used: {why}")).with_help("ask Slurm for one, or take `--device cpu`"))
            }
            (_, false) => {
                // An allocation with a GPU that computes on the CPU wastes it, so say it where it can be seen.
                if std::env::var_os("SLURM_JOB_GPUS").is_some() || std::env::var_os("SLURM_GPUS_ON_NODE").is_some() {
                    tracing::warn!("Slurm gave this job a GPU, but libtorch cannot use it: computing on the CPU");
                }
                Ok(tch::Device::Cpu)
            }
        }
    }
}

/// Measures the run at `index` here, on the device that `train` would take by itself.
pub fn rehearse(job: &Job, index: usize, world: &World) -> Result<Speeds> {
    let experiment = Which { experiment: None, index: Some(index) }.of(job)?;
    let options = Place { on: OnDevice { device: Device::Auto }, packs: None, stage: None }.options(job, world)?;
    train::rehearse(job, &experiment, world, &options, PATIENCE, &mut |_| {})
}

/// The folder to stage to; where none is named, the job's own on the node's disk.
fn stage_folder(named: &OsStr) -> Result<PathBuf> {
    if !named.is_empty() {
        return Ok(named.into());
    }
    std::env::var_os("SLURM_TMPDIR").map(PathBuf::from).ok_or_else(|| {
        Error::usage("`--stage` needs a folder: SLURM_TMPDIR is not set").with_help("name one, as in `--stage=/local/me`")
    })
}

/// The GPU that this rank computes on.
#[cfg(feature = "mpi")]
fn gpu_of(world: &World, backend: Backend) -> Result<usize> {
    if world.size() == 1 { Ok(0) } else { crate::comm::nccl::gpu_of_this_rank(world, backend) }
}

/// The GPU of a process alone.
#[cfg(not(feature = "mpi"))]
fn gpu_of(_alone: &World, _: Backend) -> Result<usize> {
    Ok(0)
}

/// Runs `train`.
pub fn run(args: &Args, context: Context) -> Result<Exit> {
    let job = Job::load(&args.job)?;
    let experiment = args.which.of(&job)?;
    let world = World::connect()?;
    let speaks = world.is_root();
    let outcome = args.place.options(&job, &world).and_then(|options| train::train(&job, &experiment, &world, options));
    let (record, before) = match world.leave(outcome)? {
        Outcome::Stopped => return Ok(Exit::Stopped),
        Outcome::Finished(record) => (record, ""),
        Outcome::AlreadyDone(record) => (record, " (done before)"),
    };
    match record.filter(|_| speaks) {
        Some(record) => answer(context, &*record, || format!("{}{before}\n", summary(&record))),
        None => Ok(Exit::Done),
    }
}

/// One line of figures.
fn summary(record: &RunRecord) -> String {
    let figures = &record.evaluation;
    let top1 = figures.at(1).map_or(f64::NAN, |top| top.micro);
    let (id, used, expected, f1) = (&record.id, figures.used, figures.expected, 100.0 * figures.f1_macro);
    let majority = 100.0 * record.majority.accuracy;
    format!(
        "{id}: top-1 {:.2} % (majority {majority:.2} %), macro-F1 {f1:.2} % on {used} of {expected} test images",
        100.0 * top1
    )
}
