//! `sweep rerun`: what is not done and not queued → into the queue again, by the same scripts.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::cli::Context;
use crate::cli::sweep::past::find;
use crate::cli::sweep::submit::say;
use crate::config::{Cluster, Scheduler};
use crate::error::{Error, Exit, Result};
use crate::sweep::arguments::More;
use crate::sweep::prepared::{Prepared, Wishes};
use crate::sweep::slurm::{Pace, Slurm};
use crate::sweep::status::{Knowledge, Place, survey};
use crate::sweep::submit::{Aim, submit};
use crate::sweep::verdict::Standing;

/// Arguments of `sweep rerun`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bioscan-hpc sweep rerun jobs/bioscan-1m.toml --cluster fir --account def-yourpi
  bioscan-hpc sweep rerun jobs/bioscan-1m.toml --cluster fir --failed --more-memory 1.5
  bioscan-hpc sweep rerun jobs/bioscan-1m.toml --cluster fir --only 54,55 --more-time 2 --dry-run

What is done, queued or running is left alone. The scripts are the same, with another --array; a run
goes on from its checkpoint. Where several runs share a task, the task is submitted again, and its
finished runs end at once.

With --json: as `sweep submit`. Exit code 4: some runs are still neither done nor queued.")]
pub(super) struct Args {
    /// The job file
    job: PathBuf,
    /// The cluster: a name, or the path of a profile
    #[arg(long, value_name = "NAME")]
    cluster: String,
    /// Only those that failed, not those that were cancelled or stopped with a checkpoint
    #[arg(long)]
    failed: bool,
    /// Only these: ids or indices
    #[arg(long, value_name = "RUN", value_delimiter = ',')]
    only: Vec<String>,
    /// Ask for F times the memory
    #[arg(long, value_name = "F", value_parser = factor)]
    more_memory: Option<f64>,
    /// Ask for F times the time, as far as the cluster allows
    #[arg(long, value_name = "F", value_parser = factor)]
    more_time: Option<f64>,
    /// The account to charge: def-yourpi, rrg-yourpi-ab [default: that of the last submission]
    #[arg(long)]
    account: Option<String>,
    /// Print the sbatch lines, but submit nothing
    #[arg(long)]
    dry_run: bool,
    /// Take cluster profiles from this folder instead of the built-in ones
    #[arg(long, value_name = "DIR")]
    profiles: Option<PathBuf>,
    /// Take script templates from this folder where it has them
    #[arg(long, value_name = "DIR")]
    templates: Option<PathBuf>,
}

fn factor(text: &str) -> std::result::Result<f64, String> {
    let factor: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if factor.is_finite() && (0.1..=100.0).contains(&factor) { Ok(factor) } else { Err("valid: 0.1 to 100".into()) }
}

/// Runs `sweep rerun`.
pub(super) fn run(args: &Args, context: Context) -> Result<Exit> {
    let cluster = Cluster::load(&args.cluster, args.profiles.as_deref())?;
    if cluster.scheduler == Scheduler::None {
        return Err(Error::usage("there is no queue on this machine")
            .with_help("`sweep submit --cluster local` goes on with all runs that are not done"));
    }
    let wishes = Wishes { account: args.account.as_deref(), templates: args.templates.as_deref(), ranks: 1 };
    let prepared = Prepared::new(&args.job, &cluster, wishes)?;
    let slurm = Slurm::new(Pace::from_environment()?);
    let mut only: Option<BTreeSet<usize>> = None;
    if !args.only.is_empty() {
        let named = args.only.iter().map(|run| Ok(find(&prepared.job, run)?.index)).collect::<Result<_>>()?;
        only = Some(named);
    }
    if args.failed {
        let place = Place { cluster: Some(&cluster), ..Place::default() };
        let known = Knowledge::gather(&prepared.job, place, Some(&slurm))?;
        let runs = survey(&prepared.job, &known)?.runs;
        let failed: BTreeSet<usize> = runs.iter().filter(|run| run.state == Standing::Failed).map(|run| run.index).collect();
        only = Some(only.map_or_else(|| failed.clone(), |only| &only & &failed));
    }
    let more = More { memory: args.more_memory, time: args.more_time };
    let report = submit(&prepared, &slurm, &Aim { again: true, only, more, dry: args.dry_run })?;
    say(&report, &args.cluster, context)
}
