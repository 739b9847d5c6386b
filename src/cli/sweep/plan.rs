//! `sweep plan`: a job file → its experiments, and the jobs they make on a cluster.

use std::path::PathBuf;

use serde_json::json;

use crate::cli::Context;
use crate::config::{Cluster, Job, Scheduler};
use crate::error::{Exit, Result};
use crate::sweep::estimate::slurm_time;
use crate::sweep::plan::{Plan, Stage, plan};

/// Arguments of `sweep plan`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bioscan-hpc sweep plan jobs/bioscan-1m.toml
  bioscan-hpc sweep plan jobs/bioscan-1m.toml --cluster fir --json | jq .jobs

With --json: {job, experiments: [{index, id, partition, label, backbone, loss, seed}], cluster, jobs:
[{script, stage, array, tasks, runs, assumed_hours, minutes, nodes, tasks_per_node, cpus_per_task, gpus_per_node,
memory}]}; `cluster` and `jobs` are null without --cluster, and `jobs` where
no scheduler is asked for anything.")]
pub(super) struct Args {
    /// The job file
    job: PathBuf,
    /// The cluster the jobs are planned for: a name, or the path of a profile
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// Take cluster profiles from this folder instead of the built-in ones
    #[arg(long, value_name = "DIR")]
    profiles: Option<PathBuf>,
}

/// Runs `sweep plan`.
pub(super) fn run(args: &Args, context: Context) -> Result<Exit> {
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
