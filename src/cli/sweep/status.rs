//! `sweep status`: a job file → what has become of each run.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::cli::sweep::Past;
use crate::cli::{Context, answer, put};
use crate::comm::signals::StopFlag;
use crate::error::{Exit, Result};
use crate::sweep::status::survey;
use crate::sweep::table::table;

/// Arguments of `sweep status`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bioscan-hpc sweep status jobs/bioscan-1m.toml
  bioscan-hpc sweep status jobs/bioscan-1m.toml --watch
  bioscan-hpc sweep status jobs/demo.toml --json | jq .counts

The runs' own folders have the first word, then one look at Slurm's queue, then the accounting where
a site has one.

With --json: {job, clusters, counts: {done, running, pending, checkpointed, failed, cancelled,
missing}, stages: [{stage, job, phase, reason}], runs: [{index, id, state, reason, task, nodes,
progress: {epoch, epochs, images_per_second, seconds_left}, log, last_line}]}.

Exit code 4: not every run is done.")]
pub(super) struct Args {
    /// The job file
    job: PathBuf,
    #[command(flatten)]
    past: Past,
    /// A line for every run
    #[arg(long)]
    all: bool,
    /// Look again every minute, until nothing waits or runs
    #[arg(long)]
    watch: bool,
}

/// Runs `sweep status`.
pub(super) fn run(args: &Args, context: Context) -> Result<Exit> {
    let stop = StopFlag::listen()?;
    loop {
        let (job, known) = args.past.gather(&args.job)?;
        let survey = survey(&job, &known)?;
        if args.watch && std::io::stdout().is_terminal() && !context.json {
            // Clears the screen, so that the table stays in its place.
            put("\u{1b}[H\u{1b}[2J")?;
        }
        answer(context, &survey, || table(&survey, args.all))?;
        if !args.watch || !survey.is_moving() {
            return Ok(if survey.is_done() { Exit::Done } else { Exit::Incomplete });
        }
        let again = Instant::now() + args.past.pace()?.look;
        while Instant::now() < again {
            if stop.raised() {
                return Ok(Exit::Incomplete);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}
