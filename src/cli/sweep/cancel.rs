//! `sweep cancel`: a sweep, or some of its runs → out of Slurm's queue.

use std::path::PathBuf;

use serde_json::json;

use crate::cli::sweep::past::{Past, find};
use crate::cli::{Context, answer};
use crate::error::{Error, Exit, Result};
use crate::sweep::slurm::Slurm;

/// Arguments of `sweep cancel`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bioscan-hpc sweep cancel jobs/bioscan-1m.toml
  bioscan-hpc sweep cancel jobs/bioscan-1m.toml large_insect_order-vit_base_patch16_224-CE-s1 70 71

A run that is cancelled while it trains saves a checkpoint first; `sweep rerun` goes on from it.

With --json: {cancelled, beside}: tasks, and the runs that shared a task with them and go too.")]
pub(super) struct Args {
    /// The job file
    job: PathBuf,
    /// Only these runs: ids or indices [default: everything of the sweep]
    runs: Vec<String>,
    #[command(flatten)]
    past: Past,
}

/// Runs `sweep cancel`.
pub(super) fn run(args: &Args, context: Context) -> Result<Exit> {
    let (job, known) = args.past.gather(&args.job)?;
    let runs = args.runs.iter().map(|run| Ok(find(&job, run)?.id.to_string())).collect::<Result<Vec<_>>>()?;
    if known.queue.is_none() {
        return Err(Error::library(
            "squeue",
            "it did not say what is in the queue, so nothing was cancelled: is this a login node?",
        ));
    }
    let unknown = known.live_unknown();
    if !runs.is_empty() && !unknown.is_empty() {
        let names: Vec<String> = unknown.iter().map(ToString::to_string).collect();
        return Err(Error::usage(format!("nobody knows which runs these tasks of the sweep hold: {}", names.join(", ")))
            .with_help("name the profile they were submitted with as --cluster, or cancel everything: `sweep cancel JOB`"));
    }
    let (tasks, beside) = if runs.is_empty() { (known.live(), Vec::new()) } else { known.live_tasks_of(&runs) };
    for run in &beside {
        tracing::warn!("{run} shares a task with them, and goes too");
    }
    Slurm::new(args.past.pace()?).cancel(&tasks)?;
    answer(context, &json!({"cancelled": tasks, "beside": beside}), || match tasks.len() {
        0 => "nothing of it was in the queue\n".into(),
        1 => "1 task cancelled\n".into(),
        count => format!("{count} tasks cancelled\n"),
    })
}
