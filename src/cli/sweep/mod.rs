//! `sweep`: a job file → its experiments, their scripts, their jobs in a queue, and their state.

mod cancel;
mod logs;
mod past;
mod plan;
mod render;
mod rerun;
mod status;
mod submit;
mod why;

use past::Past;

use crate::cli::Context;
use crate::error::{Exit, Result};

/// Arguments of `sweep`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bioscan-hpc sweep plan jobs/bioscan-1m.toml --cluster fir
  bioscan-hpc sweep submit jobs/bioscan-1m.toml --cluster fir --account def-yourpi
  bioscan-hpc sweep status jobs/bioscan-1m.toml
  bioscan-hpc sweep why jobs/bioscan-1m.toml 54
  bioscan-hpc sweep rerun jobs/bioscan-1m.toml --cluster fir --failed
  bioscan-hpc sweep submit jobs/demo.toml --cluster local --jobs 2")]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// List the experiments, and with --cluster the jobs they make
    Plan(plan::Args),
    /// Write the scripts for a cluster, to read, edit and submit
    Render(render::Args),
    /// Submit everything that was not submitted yet, each stage behind the one before; or train here (--cluster local)
    Submit(submit::Args),
    /// Say what has become of each run
    Status(status::Args),
    /// Say all that is known of one run, and what to do next
    Why(why::Args),
    /// Show the end of a run's log
    Logs(logs::Args),
    /// Submit again what is not done and not queued
    Rerun(rerun::Args),
    /// Take runs out of the queue
    Cancel(cancel::Args),
}

/// Runs `sweep`.
pub fn run(args: &Args, context: Context) -> Result<Exit> {
    match &args.action {
        Action::Plan(args) => plan::run(args, context),
        Action::Render(args) => render::run(args),
        Action::Submit(args) => submit::run(args, context),
        Action::Status(args) => status::run(args, context),
        Action::Why(args) => why::run(args, context),
        Action::Logs(args) => logs::run(args, context),
        Action::Rerun(args) => rerun::run(args, context),
        Action::Cancel(args) => cancel::run(args, context),
    }
}
