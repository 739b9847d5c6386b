//! `sweep logs`: a run → the end of its newest log.

use std::path::PathBuf;

use serde_json::json;

use crate::cli::sweep::past::{Past, find};
use crate::cli::{Context, answer};
use crate::error::{Error, Exit, Result};
use crate::sweep::logs;

/// Arguments of `sweep logs`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bioscan-hpc sweep logs jobs/bioscan-1m.toml large_insect_order-vit_base_patch16_224-CE-s1
  bioscan-hpc sweep logs jobs/bioscan-1m.toml 54 --lines 200

With --json: {log, lines}.")]
pub(super) struct Args {
    /// The job file
    job: PathBuf,
    /// The run: its id or its index
    run: String,
    #[command(flatten)]
    past: Past,
    /// How many of the last lines
    #[arg(long, value_name = "N", default_value_t = 50)]
    lines: usize,
}

/// Runs `sweep logs`.
pub(super) fn run(args: &Args, context: Context) -> Result<Exit> {
    let (job, known) = args.past.gather(&args.job)?;
    let experiment = find(&job, &args.run)?;
    let by_run = known.submissions.by_run();
    let tasks = by_run.get(experiment.id.to_string().as_str()).map(Vec::as_slice).unwrap_or_default();
    let Some(log) = logs::newest(&job, &experiment, tasks) else {
        return Err(Error::usage(format!("{} has no log yet", experiment.id))
            .with_help("`sweep why` says where it stands; a log begins when its task starts"));
    };
    let lines = logs::tail(&log, args.lines)?;
    tracing::info!("{}", log.display());
    answer(context, &json!({"log": log, "lines": lines}), || lines.iter().map(|line| format!("{line}\n")).collect())
}
