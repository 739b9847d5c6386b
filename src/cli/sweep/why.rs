//! `sweep why`: a run → all that is known of it, in words, and what to do next.

use std::path::PathBuf;

use serde_json::json;

use crate::cli::sweep::past::{Past, find};
use crate::cli::{Context, answer};
use crate::error::{Exit, Result};
use crate::sweep::status::survey_one;
use crate::sweep::table;

/// Arguments of `sweep why`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bioscan-hpc sweep why jobs/bioscan-1m.toml large_insect_order-vit_base_patch16_224-CE-s1
  bioscan-hpc sweep why jobs/bioscan-1m.toml 54 --lines 40

With --json: {run: as in `sweep status`, tasks}.")]
pub(super) struct Args {
    /// The job file
    job: PathBuf,
    /// The run: its id or its index
    run: String,
    #[command(flatten)]
    past: Past,
    /// Lines of its log
    #[arg(long, value_name = "N", default_value_t = 10)]
    lines: usize,
}

/// Runs `sweep why`.
pub(super) fn run(args: &Args, context: Context) -> Result<Exit> {
    let (job, known) = args.past.gather(&args.job)?;
    let experiment = find(&job, &args.run)?;
    let run = survey_one(&job, &experiment, &known)?;
    let tasks = known.history(&run.id);
    answer(context, &json!({"run": run, "tasks": tasks}), || {
        table::why(&run, &tasks, &job.paths.runs().join(&run.id), args.lines)
    })
}
