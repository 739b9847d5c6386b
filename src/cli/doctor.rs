//! `doctor`: what this binary, machine and job are, and what is wrong with which setting mends it.

use std::path::PathBuf;

use serde::Serialize;

use crate::cli::{Context, answer};
use crate::comm::{World, speaks_for_all};
use crate::config::Job;
use crate::doctor::{Facts, Finding, findings, slow};
use crate::error::{Exit, Result};
use crate::telemetry::Speeds;

/// Arguments of `doctor`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bioscan-hpc doctor
  bioscan-hpc doctor jobs/bioscan-1m.toml
  srun --ntasks=2 --gpus-per-node=h100:1 bioscan-hpc doctor --json | jq .findings
  mpirun -n 2 bioscan-hpc doctor jobs/mine.toml --index 3

With a job whose images are prepared it also measures, for some seconds, how fast this machine
decodes them and takes the steps of one run, and under several ranks how long adding up its
gradients takes.

Exit code 5: something is wrong; the setting that mends it stands beside it.
With --json: {facts, speeds, findings: [{what, setting}]}.")]
pub struct Args {
    /// A job file: its output folder is looked at, and one of its runs is rehearsed
    job: Option<PathBuf>,
    /// Which run, by its index
    #[arg(long, value_name = "N", default_value_t = 0, requires = "job")]
    index: usize,
}

#[derive(Serialize)]
struct Answer<'a> {
    facts: &'a Facts,
    speeds: Option<&'a Speeds>,
    findings: &'a [Finding],
}

/// Runs `doctor`.
pub fn run(args: &Args, context: Context) -> Result<Exit> {
    let job = args.job.as_deref().map(Job::load).transpose()?;
    let world = World::connect();
    let facts = Facts::gather(job.as_ref().map(|job| job.paths.output.as_path()), &world)?;
    let speeds = match (&job, world) {
        (Some(job), Ok(world)) => {
            let outcome = rehearse(job, args.index, &world);
            world.leave(outcome)?
        }
        _ => None,
    };
    let mut findings = findings(&facts);
    findings.extend(speeds.iter().flat_map(slow));
    if speaks_for_all() {
        let speeds = speeds.as_ref();
        answer(context, &Answer { facts: &facts, speeds, findings: &findings }, || words(&facts, speeds, &findings))?;
    }
    Ok(if findings.is_empty() { Exit::Done } else { Exit::Faults })
}

/// Measures one run of the job; `None`, with a word in the log, where its images are not prepared yet.
#[cfg(feature = "torch")]
fn rehearse(job: &Job, index: usize, world: &World) -> Result<Option<Speeds>> {
    let images = job.paths.container(&job.preprocess.package(), job.train.images);
    if !(images.exists() && job.paths.split_metadata().exists()) {
        tracing::info!(images = %images.display(), "no prepared images and splits there yet: nothing is measured");
        return Ok(None);
    }
    crate::cli::train::rehearse(job, index, world).map(Some)
}

#[cfg(not(feature = "torch"))]
fn rehearse(_: &Job, _: usize, _: &World) -> Result<Option<Speeds>> {
    tracing::info!("built without libtorch: nothing is measured");
    Ok(None)
}

fn words(facts: &Facts, speeds: Option<&Speeds>, findings: &[Finding]) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| text.push_str(&format!("{name:<10} {value}\n"));
    let commit = facts.commit.get(..12).map(|commit| format!(" ({commit})")).unwrap_or_default();
    let features = if facts.features.is_empty() { "no features".into() } else { facts.features.join(", ") };
    line("version", format!("{}{commit}: {features}", facts.version));
    line(
        "libtorch",
        facts.libtorch.as_ref().map_or_else(not_built, |torch| match (torch.gpus, &torch.trouble) {
            (0, Some(trouble)) => format!("{}, no GPU: {trouble}", torch.version),
            (gpus, _) => format!("{}, {gpus} GPUs", torch.version),
        }),
    );
    line(
        "MPI",
        facts.mpi.as_ref().map_or_else(not_built, |mpi| match (mpi.rank, &mpi.threads) {
            (Some((rank, size)), Some(level)) => format!("{}, rank {rank} of {size}, {level}", mpi.library),
            _ => format!("{}, a world of one; under srun or mpirun its thread level is shown", mpi.library),
        }),
    );
    line("HDF5", facts.hdf5.clone().unwrap_or_else(not_built));
    line("modules", if facts.modules.is_empty() { "none".into() } else { facts.modules.join(" ") });
    let slurm = |name: &str| facts.slurm.get(name).map(|value| format!("{}={value}", name.trim_start_matches("SLURM_")));
    let shown =
        ["SLURM_JOB_ID", "SLURM_ARRAY_TASK_ID", "SLURM_NTASKS", "SLURM_CPUS_PER_TASK", "SLURM_GPUS_PER_NODE", "SLURM_TMPDIR"];
    let shown: Vec<String> = shown.into_iter().filter_map(slurm).collect();
    line("Slurm", if shown.is_empty() { "not in a job".into() } else { shown.join(" ") });
    let given = facts.threads.slurm.map_or_else(String::new, |given| format!(", {given} given by Slurm"));
    line("cores", format!("{} visible{given}", facts.threads.visible));
    if let Some(output) = &facts.output {
        let files = output.free_files.map_or_else(|| "files not counted".into(), |files| format!("{files} more files"));
        line("output", format!("{}: {} GiB free, {files}", output.path.display(), output.free_bytes >> 30));
    }
    if let Some(speeds) = speeds {
        line("decoding", format!("{:.0} images/s, {:.0} on the first look", speeds.decoding, speeds.first_read));
        let (step, ranks, threads) = (1e3 * speeds.step_s, speeds.ranks, speeds.threads);
        let of = format!("{} on {ranks} ranks of {threads} threads", speeds.run);
        line("steps", format!("{:.1} images/s, {step:.0} ms each: {of}", speeds.stepping));
        if let Some(seconds) = speeds.all_reduce_s {
            line("all-reduce", format!("{:.1} ms for all gradients", 1e3 * seconds));
        }
    }
    match findings {
        [] => text.push_str("\nnothing wrong was found\n"),
        _ => text.push_str("\nwrong:\n"),
    }
    for finding in findings {
        text.push_str(&format!("- {}\n  mend it by: {}\n", finding.what, finding.setting));
    }
    text
}

fn not_built() -> String {
    "not built in".into()
}
