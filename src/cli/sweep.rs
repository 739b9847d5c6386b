//! `sweep`: a job file → its experiments, their scripts, their state; and the runs themselves on this machine.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::cli::Context;
use crate::comm::signals::StopFlag;
use crate::config::{Cluster, Job, Scheduler};
use crate::error::{Error, Exit, Result};
use crate::sweep::estimate::slurm_time;
use crate::sweep::local::{Outcome, Sharing};
use crate::sweep::plan::{Plan, Stage, plan};
use crate::sweep::render::{Rendering, render, templates};
use crate::sweep::{State, local, state};

/// Arguments of `sweep`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bioscan-hpc sweep plan jobs/bioscan-1m.toml
  bioscan-hpc sweep plan jobs/bioscan-1m.toml --cluster fir
  bioscan-hpc sweep render jobs/bioscan-1m.toml --cluster fir --out slurm/fir
  bioscan-hpc sweep submit jobs/demo.toml --cluster local --jobs 2
  bioscan-hpc sweep status jobs/demo.toml")]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// List the experiments, and with --cluster the jobs they make
    Plan(PlanArgs),
    /// Write the scripts for a cluster, to read, edit and submit
    Render(RenderArgs),
    /// Run what is not done, here (--cluster local)
    Submit(SubmitArgs),
    /// Say what has become of each run
    Status(StatusArgs),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bioscan-hpc sweep plan jobs/bioscan-1m.toml
  bioscan-hpc sweep plan jobs/bioscan-1m.toml --cluster fir --json | jq .jobs

With --json: {job, experiments: [{index, id, partition, label, backbone, loss, seed}], cluster, jobs:
[{script, stage, array, tasks, runs, assumed_hours, minutes, nodes, tasks_per_node, cpus_per_task, gpus_per_node,
memory}]}; `cluster` and `jobs` are null without --cluster, and `jobs` where
no scheduler is asked for anything.")]
struct PlanArgs {
    /// The job file
    job: PathBuf,
    /// The cluster the jobs are planned for: a name, or the path of a profile
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// Take cluster profiles from this folder instead of the built-in ones
    #[arg(long, value_name = "DIR")]
    profiles: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  bioscan-hpc sweep render jobs/bioscan-1m.toml --cluster narval --account def-yourpi --out slurm/narval")]
struct RenderArgs {
    /// The job file; the scripts name it as it is named here, so submit them from this folder
    job: PathBuf,
    /// The cluster: a name, or the path of a profile
    #[arg(long, value_name = "NAME")]
    cluster: String,
    /// Where to write the scripts
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The account to charge: def-yourpi, rrg-yourpi-ab
    #[arg(long)]
    account: Option<String>,
    /// Take cluster profiles from this folder instead of the built-in ones
    #[arg(long, value_name = "DIR")]
    profiles: Option<PathBuf>,
    /// Take script templates from this folder where it has them
    #[arg(long, value_name = "DIR")]
    templates: Option<PathBuf>,
    /// Ranks of a run without Slurm
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    ranks: u32,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bioscan-hpc sweep submit jobs/demo.toml --cluster local
  bioscan-hpc sweep submit jobs/demo.toml --cluster local --jobs 1 --ranks 2

Exit code 4: runs are missing; their logs are named. The same command again goes on with them.")]
struct SubmitArgs {
    /// The job file
    job: PathBuf,
    /// `local`; for a cluster, the answer is what to type there
    #[arg(long, value_name = "NAME")]
    cluster: String,
    /// Runs at a time [default: as many as the cores hold]
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..))]
    jobs: Option<u32>,
    /// Ranks of each run
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    ranks: u32,
    /// Take cluster profiles from this folder instead of the built-in ones
    #[arg(long, value_name = "DIR")]
    profiles: Option<PathBuf>,
    /// Take script templates from this folder where it has them
    #[arg(long, value_name = "DIR")]
    templates: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  bioscan-hpc sweep status jobs/demo.toml --json | jq .counts

With --json: {job, counts: {done, running, incomplete, missing}, runs: [{index, id, state}]}.")]
struct StatusArgs {
    /// The job file
    job: PathBuf,
}

/// Runs `sweep`.
pub fn run(args: &Args, context: Context) -> Result<Exit> {
    match &args.action {
        Action::Plan(args) => list(args, context),
        Action::Render(args) => write(args),
        Action::Submit(args) => submit(args, context),
        Action::Status(args) => status(args, context),
    }
}

fn list(args: &PlanArgs, context: Context) -> Result<Exit> {
    let job = Job::as_written(&args.job)?;
    let cluster = args.cluster.as_ref().map(|name| Cluster::load(name, args.profiles.as_deref())).transpose()?;
    let planned = cluster.as_ref().map(|cluster| plan(&job, cluster)).transpose()?;
    if context.json {
        println!("{:#}", plan_json(&job, planned.as_ref()));
        return Ok(Exit::Done);
    }
    for experiment in job.grid.experiments() {
        println!("{:>4}  {}", experiment.index, experiment.id);
    }
    // Without a scheduler nothing is asked for, so there is nothing more to say.
    let Some(planned) = planned.filter(|planned| planned.cluster.scheduler == Scheduler::Slurm) else { return Ok(Exit::Done) };
    println!(
        "\n{:<18} {:<12} {:>5} {:>5} {:>12}  {:<10} {:>5} {:>6}",
        "script", "array", "tasks", "runs", "time", "gpus", "cores", "memory"
    );
    for job in &planned.jobs {
        let (resources, runs) = (&job.resources, job.tasks.iter().map(|task| task.experiments.len()).sum::<usize>());
        println!(
            "{:<18} {:<12} {:>5} {:>5} {:>12}  {:<10} {:>5} {:>6}",
            job.script,
            job.array(),
            job.tasks.len().max(1),
            runs,
            slurm_time(resources.minutes),
            resources.gpus_per_node.as_deref().unwrap_or("-"),
            resources.tasks_per_node * resources.cpus_per_task,
            resources.memory.as_deref().unwrap_or("-"),
        );
    }
    Ok(Exit::Done)
}

fn plan_json(job: &Job, planned: Option<&Plan>) -> serde_json::Value {
    let experiments = job.grid.experiments().into_iter().map(|experiment| {
        json!({
            "index": experiment.index,
            "id": experiment.id,
            "partition": experiment.id.partition,
            "label": experiment.partition.label,
            "backbone": experiment.id.backbone,
            "loss": experiment.id.loss,
            "seed": experiment.id.seed,
        })
    });
    let jobs = planned.filter(|planned| planned.cluster.scheduler == Scheduler::Slurm).map(|planned| {
        planned.jobs.iter().map(|job| {
            let resources = &job.resources;
            json!({
                "script": job.script,
                "stage": job.stage,
                "array": (job.stage == Stage::Train).then(|| job.array()),
                "tasks": job.tasks.len().max(1),
                "runs": job.tasks.iter().map(|task| task.experiments.len()).sum::<usize>(),
                "assumed_hours": job.estimate.hours,
                "minutes": resources.minutes,
                "nodes": resources.nodes,
                "tasks_per_node": resources.tasks_per_node,
                "cpus_per_task": resources.cpus_per_task,
                "gpus_per_node": resources.gpus_per_node,
                "memory": resources.memory,
            })
        })
    });
    json!({
        "job": job.name,
        "experiments": experiments.collect::<Vec<_>>(),
        "cluster": planned.map(|planned| &planned.cluster.name),
        "jobs": jobs.map(Iterator::collect::<Vec<_>>),
    })
}

fn write(args: &RenderArgs) -> Result<Exit> {
    let job = Job::as_written(&args.job)?;
    let cluster = Cluster::load(&args.cluster, args.profiles.as_deref())?;
    let planned = plan(&job, &cluster)?;
    let rendering =
        Rendering { job: &job, job_file: &args.job, folder: &args.out, account: args.account.as_deref(), ranks: args.ranks };
    let files = render(&planned, &rendering, templates(args.templates.as_deref())?)?;
    local::write_files(&args.out, &files)?;
    tracing::info!("{} files in {}", files.len(), args.out.display());
    if cluster.scheduler == Scheduler::Slurm {
        println!("{}", commands(&planned, &args.job, &args.out)?);
    }
    Ok(Exit::Done)
}

/// What to type on the cluster: each stage waits for the one before it.
fn commands(planned: &Plan, job_file: &Path, folder: &Path) -> Result<String> {
    use crate::sweep::quote::word;
    let script = |name: &str| word(&folder.join(name).to_string_lossy());
    let mut lines =
        vec!["mkdir -p logs".to_owned(), format!("bioscan-hpc metadata split {}", word(&job_file.to_string_lossy())?)];
    let mut arrays = String::new();
    for job in &planned.jobs {
        let script = script(&job.script)?;
        match job.stage {
            Stage::Preprocess => lines.push(format!("pre=$(sbatch --parsable {script})")),
            Stage::Train => {
                let name = &job.class;
                lines.push(format!("{name}=$(sbatch --parsable --dependency=afterok:$pre --kill-on-invalid-dep=yes {script})"));
                arrays.push_str(&format!(":${name}"));
            }
            Stage::Aggregate => lines.push(format!("sbatch --dependency=afterany{arrays} {script}")),
        }
    }
    Ok(lines.join("\n"))
}

fn submit(args: &SubmitArgs, context: Context) -> Result<Exit> {
    let cluster = Cluster::load(&args.cluster, args.profiles.as_deref())?;
    if cluster.scheduler == Scheduler::Slurm {
        let render = format!("bioscan-hpc sweep render {} --cluster {} --out slurm", args.job.display(), args.cluster);
        return Err(Error::usage(format!("this version does not talk to the scheduler of {} itself", cluster.title))
            .with_help(format!("on its login node, `{render}` writes the scripts and prints the sbatch commands to type")));
    }
    let (job, written) = (Job::load(&args.job)?, Job::as_written(&args.job)?);
    let planned = plan(&written, &cluster)?;
    let folder = job.paths.output.join("slurm").join(&cluster.name);
    let rendering = Rendering { job: &written, job_file: &args.job, folder: &folder, account: None, ranks: args.ranks };
    local::write_files(&folder, &render(&planned, &rendering, templates(args.templates.as_deref())?)?)?;
    let sharing = Sharing::of(local::cores()?, job.train.threads, args.ranks as usize, args.jobs.map(|jobs| jobs as usize));
    let outcome = local::run(&planned, &job, &folder, sharing, &StopFlag::listen()?)?;
    Ok(report(&outcome, context))
}

fn report(outcome: &Outcome, context: Context) -> Exit {
    if context.json {
        let failed = outcome.failed.iter().map(|failure| json!({"id": failure.id, "reason": failure.reason, "log": failure.log}));
        println!(
            "{:#}",
            json!({"done": outcome.done, "of": outcome.of, "stopped": outcome.stopped, "failed": failed.collect::<Vec<_>>()})
        );
    } else {
        println!("{} of {} runs are done", outcome.done, outcome.of);
        for failure in &outcome.failed {
            println!("\n{}: {}\n  log: {}", failure.id, failure.reason, failure.log.display());
            for line in &failure.tail {
                println!("  | {line}");
            }
        }
    }
    match (outcome.done == outcome.of, outcome.stopped) {
        (true, _) => Exit::Done,
        (false, true) => Exit::Stopped,
        (false, false) => Exit::Incomplete,
    }
}

fn status(args: &StatusArgs, context: Context) -> Result<Exit> {
    let job = Job::load(&args.job)?;
    let experiments = job.grid.experiments();
    let states = state::states(&experiments, &job.paths.runs())?;
    let count = |wanted: State| states.iter().filter(|state| **state == wanted).count();
    if context.json {
        let counts: serde_json::Map<_, _> =
            State::ALL.iter().map(|state| (state.word().to_owned(), count(*state).into())).collect();
        let runs = experiments.iter().zip(&states);
        let runs = runs.map(|(experiment, state)| json!({"index": experiment.index, "id": experiment.id, "state": state}));
        println!("{:#}", json!({"job": job.name, "counts": counts, "runs": runs.collect::<Vec<_>>()}));
    } else {
        for (experiment, state) in experiments.iter().zip(&states) {
            println!("{:>4}  {:<10}  {}", experiment.index, state.word(), experiment.id);
        }
        let counts: Vec<String> = State::ALL.iter().map(|state| format!("{} {}", count(*state), state.word())).collect();
        println!("\n{} runs: {}", states.len(), counts.join(", "));
    }
    Ok(if count(State::Done) == states.len() { Exit::Done } else { Exit::Incomplete })
}
