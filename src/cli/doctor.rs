//! `doctor`: what this binary, machine and job are, and what is wrong with which setting mends it.

use std::path::PathBuf;

use serde::Serialize;

use crate::cli::{Context, answer};
use crate::comm::speaks_for_all;
use crate::config::Job;
use crate::doctor::{Facts, Finding, findings};
use crate::error::{Exit, Result};

/// Arguments of `doctor`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bioscan-hpc doctor
  bioscan-hpc doctor jobs/bioscan-1m.toml
  srun --ntasks=2 --gpus-per-node=h100:1 bioscan-hpc doctor --json | jq .findings

Exit code 5: something is wrong; the setting that mends it stands beside it.
With --json: {facts, findings: [{what, setting}]}.")]
pub struct Args {
    /// A job file: its output folder is looked at too
    job: Option<PathBuf>,
}

#[derive(Serialize)]
struct Answer<'a> {
    facts: &'a Facts,
    findings: &'a [Finding],
}

/// Runs `doctor`.
pub fn run(args: &Args, context: Context) -> Result<Exit> {
    let job = args.job.as_deref().map(Job::load).transpose()?;
    let facts = Facts::gather(job.as_ref().map(|job| job.paths.output.as_path()))?;
    let findings = findings(&facts);
    if speaks_for_all() {
        answer(context, &Answer { facts: &facts, findings: &findings }, || words(&facts, &findings))?;
    }
    Ok(if findings.is_empty() { Exit::Done } else { Exit::Faults })
}

fn words(facts: &Facts, findings: &[Finding]) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| text.push_str(&format!("{name:<9} {value}\n"));
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
