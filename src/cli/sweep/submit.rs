//! `sweep submit`: a job file → its jobs in Slurm's queue, or its runs on this machine.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cli::{Context, answer};
use crate::comm::signals::StopFlag;
use crate::config::{Cluster, Scheduler};
use crate::error::{Error, Exit, Result};
use crate::sweep::local::{self, Outcome, Sharing};
use crate::sweep::prepared::{Prepared, Wishes};
use crate::sweep::quote::word;
use crate::sweep::slurm::{Pace, Slurm};
use crate::sweep::state::{State, states};
use crate::sweep::submit::{Aim, Report, Sent, Tested, submit};

/// Arguments of `sweep submit`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bioscan-hpc sweep submit jobs/bioscan-1m.toml --cluster fir --account def-yourpi --dry-run --test
  bioscan-hpc sweep submit jobs/bioscan-1m.toml --cluster fir --account def-yourpi
  bioscan-hpc sweep submit jobs/demo.toml --cluster local --jobs 1 --ranks 2

On a cluster: preprocessing, the training arrays behind it, the aggregation behind those, as far as
they are not done, not queued and were not submitted before; so the same command twice submits
nothing twice. Where the cluster takes fewer jobs, the same command later, or --feed, submits the
rest. `sweep rerun` starts again what ended without a result. With --cluster local the runs that are
not done are trained here; `preprocess` comes before that, `aggregate` after it.

With --json: {sent: [{script, stage, array, job, arguments, test: {taken, said}}], runs, done, held,
waiting, ended, notes}; with --cluster local: {done, of, stopped, failed: [{id, reason, log}]}.

Exit code 4: some runs are neither done nor queued; the answer says how to go on with them.")]
pub(super) struct Args {
    /// The job file; the scripts name it as it is named here
    job: PathBuf,
    /// The cluster: a name, or the path of a profile; `local` trains here
    #[arg(long, value_name = "NAME")]
    cluster: String,
    /// The account to charge: def-yourpi, rrg-yourpi-ab [default: that of the last submission]
    #[arg(long)]
    account: Option<String>,
    /// Write the scripts and print the sbatch lines, but submit nothing
    #[arg(long)]
    dry_run: bool,
    /// With --dry-run: let Slurm say whether it would take each script
    #[arg(long, requires = "dry_run")]
    test: bool,
    /// Stay and submit the rest as room comes free
    #[arg(long, conflicts_with = "dry_run")]
    feed: bool,
    /// With `local`: runs at a time [default: as many as the cores hold]
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..))]
    jobs: Option<u32>,
    /// With `local`: ranks of each run [default: 1]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    ranks: Option<u32>,
    /// Take cluster profiles from this folder instead of the built-in ones
    #[arg(long, value_name = "DIR")]
    profiles: Option<PathBuf>,
    /// Take script templates from this folder where it has them
    #[arg(long, value_name = "DIR")]
    templates: Option<PathBuf>,
}

impl Args {
    /// Refuses what would be ignored.
    fn refuse_idle(&self, scheduler: Scheduler) -> Result<()> {
        match scheduler {
            Scheduler::None if self.dry_run || self.feed || self.account.is_some() => {
                Err(Error::usage("--account, --dry-run and --feed are for a cluster with Slurm")
                    .with_help("`sweep render --cluster local` writes the scripts without starting them"))
            }
            Scheduler::Slurm if self.jobs.is_some() || self.ranks.is_some() => {
                Err(Error::usage("--jobs and --ranks are for `--cluster local`").with_help(
                    "on a cluster the plan chooses; `gpus` under [sweep] of the job file sets the GPUs of a run, a rank each",
                ))
            }
            _ => Ok(()),
        }
    }
}

/// Runs `sweep submit`.
pub(super) fn run(args: &Args, context: Context) -> Result<Exit> {
    let cluster = Cluster::load(&args.cluster, args.profiles.as_deref())?;
    args.refuse_idle(cluster.scheduler)?;
    let (account, templates, ranks) = (args.account.as_deref(), args.templates.as_deref(), args.ranks.unwrap_or(1));
    let prepared = Prepared::new(&args.job, &cluster, Wishes { account, templates, ranks })?;
    if cluster.scheduler == Scheduler::None {
        return here(&prepared, args, context);
    }
    let slurm = Slurm::new(Pace::from_environment()?);
    let aim = Aim { dry: args.dry_run, ..Aim::default() };
    let stop = StopFlag::listen()?;
    loop {
        let mut report = submit(&prepared, &slurm, &aim)?;
        if args.test {
            report.sent.iter_mut().for_each(|sent| sent.test = Some(test(sent, &slurm)));
        }
        let (exit, fed) = (say(&report, &args.cluster, context)?, report.waiting == 0);
        if args.test {
            return tested(&report);
        }
        if !args.feed || fed {
            return Ok(exit);
        }
        let again = Instant::now() + slurm.pace().look;
        while Instant::now() < again {
            if stop.raised() {
                return Ok(Exit::Incomplete);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// Tells what was submitted, and what to type for the rest.
pub(super) fn say(report: &Report, cluster: &str, context: Context) -> Result<Exit> {
    answer(context, report, || words(report, cluster))?;
    let left = report.waiting > 0 || report.ended > 0 || !report.notes.is_empty();
    Ok(if left { Exit::Incomplete } else { Exit::Done })
}

fn words(report: &Report, cluster: &str) -> String {
    let mut lines = Vec::new();
    for sent in &report.sent {
        let array = sent.array.as_ref().map(|array| format!(" [{array}]")).unwrap_or_default();
        lines.push(match sent.job {
            Some(job) => format!("submitted {}{array} as job {job}", sent.script),
            None => {
                let words: Vec<String> = sent.arguments.iter().map(|argument| quoted(argument)).collect();
                format!("sbatch --parsable {}", words.join(" "))
            }
        });
    }
    if report.sent.is_empty() {
        lines.push("nothing to submit".into());
    }
    lines.extend(report.sent.iter().filter_map(|sent| {
        let test = sent.test.as_ref()?;
        Some(if test.taken {
            format!("{}: Slurm would take it", sent.script)
        } else {
            format!("{}: refused: {}", sent.script, test.said)
        })
    }));
    let Report { runs, done, held, waiting, ended, .. } = report;
    lines.push(format!("{done} of {runs} runs were done, {held} queued or running"));
    if *waiting > 0 {
        lines.push(format!(
            "{waiting} tasks found no room in the queue: the same command later, or with --feed now, submits them"
        ));
    }
    if *ended > 0 {
        lines.push(format!(
            "{ended} runs were submitted before and are not done: `sweep status` says why, `sweep rerun JOB --cluster {cluster}` starts them again"
        ));
    }
    lines.extend(report.notes.iter().cloned());
    lines.join("\n") + "\n"
}

/// An argument as a person would type it: `--name=value` with the value quoted alone, where it must be.
fn quoted(argument: &str) -> String {
    let (name, value) = argument.split_once('=').filter(|_| argument.starts_with("--")).map_or(("", argument), |pair| pair);
    let plain = value.chars().all(|c| c.is_ascii_alphanumeric() || "-_.,:/".contains(c));
    let value = if plain { value.to_owned() } else { word(value).unwrap_or_default() };
    if name.is_empty() { value } else { format!("{name}={value}") }
}

/// Passes a script through `sbatch --test-only`.
fn test(sent: &Sent, slurm: &Slurm) -> Tested {
    // No such job is there to depend on.
    let arguments: Vec<String> =
        sent.arguments.iter().filter(|argument| !argument.starts_with("--dependency")).cloned().collect();
    let answer = slurm.test(&arguments);
    Tested { taken: answer.is_ok(), said: answer.err().unwrap_or_default() }
}

/// Whether Slurm would take every script.
fn tested(report: &Report) -> Result<Exit> {
    let refused = report.sent.iter().filter(|sent| sent.test.as_ref().is_some_and(|test| !test.taken)).count();
    match refused {
        0 => Ok(Exit::Done),
        _ => Err(Error::usage(format!("Slurm would refuse {refused} of {} scripts", report.sent.len()))),
    }
}

/// Trains on this machine.
fn here(prepared: &Prepared, args: &Args, context: Context) -> Result<Exit> {
    let (job, ranks) = (&prepared.job, args.ranks.unwrap_or(1) as usize);
    if states(&prepared.plan.experiments, &job.paths.runs())?.iter().any(|state| *state != State::Done) {
        prepared.check()?;
        prepared.check_images()?;
    }
    prepared.write()?;
    let sharing = Sharing::of(local::cores()?, job.train.threads, ranks, args.jobs.map(|jobs| jobs as usize));
    let outcome = local::run(&prepared.plan, job, &prepared.folder, sharing, &StopFlag::listen()?)?;
    report(&outcome, context)
}

fn report(outcome: &Outcome, context: Context) -> Result<Exit> {
    let failed = outcome.failed.iter().map(|failure| json!({"id": failure.id, "reason": failure.reason, "log": failure.log}));
    let failed: Vec<Value> = failed.collect();
    let value = json!({"done": outcome.done, "of": outcome.of, "stopped": outcome.stopped, "failed": failed});
    answer(context, &value, || {
        let failures = outcome.failed.iter().map(|failure| {
            let tail: String = failure.tail.iter().map(|line| format!("  | {line}\n")).collect();
            format!("\n{}: {}\n  log: {}\n{tail}", failure.id, failure.reason, failure.log.display())
        });
        format!("{} of {} runs are done\n{}", outcome.done, outcome.of, failures.collect::<String>())
    })?;
    Ok(match (outcome.done == outcome.of, outcome.stopped) {
        (true, _) => Exit::Done,
        (false, true) => Exit::Stopped,
        (false, false) => Exit::Incomplete,
    })
}
