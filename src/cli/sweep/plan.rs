//! `sweep plan`: a job file → its experiments, and the jobs they make on a cluster, with what each asks for and costs.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::cli::{Context, answer};
use crate::config::{Cluster, Experiment, Job, Scheduler};
use crate::error::{Exit, Result};
use crate::sweep::cost::{Cost, YEAR, at_most, expected};
use crate::sweep::estimate::slurm_time;
use crate::sweep::measured;
use crate::sweep::plan::{Plan, PlannedJob, Stage, plan_with};

/// Arguments of `sweep plan`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bioscan-hpc sweep plan jobs/bioscan-1m.toml
  bioscan-hpc sweep plan jobs/bioscan-1m.toml --cluster fir
  bioscan-hpc sweep plan jobs/bioscan-1m.toml --cluster fir --json | jq .total.expected

Times are measured where finished runs of the same backbone lie in the output folder, and
assumed otherwise; each says which. What an account is charged follows the time a job lasts; a
time limit that is asked for and not used costs nothing.

With --json: {job, experiments: [{index, id, partition, label, backbone, loss, seed}], cluster,
jobs: [{script, stage, array, tasks: [{index, experiments}], side_by_side, rounds, runs,
estimate: {hours, source}, minutes, nodes, tasks_per_node, cpus_per_task, gpus_per_node, memory,
expected, at_most}], total: {expected, at_most}, notes}, where expected and at_most are
{gpu_hours, rgu_hours, core_hours, uncounted_gpu_hours}, and a source is {measured: {run, on,
images_per_second}}, \"stated\" or {assumed: TEXT}. `cluster` is null without --cluster; `jobs`,
`total` and `notes` are, too, where no scheduler is asked for anything.")]
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
    let planned = match &cluster {
        Some(cluster) => Some(plan_with(&job, cluster, &measured::on_disk(&args.job, &cluster.name)?)?),
        None => None,
    };
    // Without a scheduler nothing is asked for, so there is nothing more to say.
    let asked = planned.as_ref().filter(|planned| planned.cluster.scheduler == Scheduler::Slurm);
    answer(context, &plan_json(&job, cluster.as_ref(), asked), || {
        let line = |experiment: Experiment| format!("{:>4}  {}\n", experiment.index, experiment.id);
        let list: String = job.grid.experiments().into_iter().map(line).collect();
        list + &asked.map(words).unwrap_or_default()
    })
}

/// A table of the jobs, where their times come from, and what they cost.
fn words(plan: &Plan) -> String {
    let mut text = String::new();
    let jobs = &plan.jobs;
    let width = |cell: &dyn Fn(&PlannedJob) -> usize, title: &str| jobs.iter().map(cell).max().unwrap_or(0).max(title.len());
    let gpus = |job: &PlannedJob| job.resources.gpus_per_node.clone().unwrap_or_else(|| "-".into());
    let (scripts, arrays) = (width(&|job| job.script.len(), "script"), width(&|job| job.array().len(), "array"));
    let kinds = width(&|job| gpus(job).len(), "gpus a node");
    text.push_str(&format!(
        "\n{:<scripts$}  {:<arrays$}  {:>5} {:>4}  {:>10}  {:<kinds$}  {:>5} {:>5} {:>6}  {:>9} {:>9} {:>10}\n",
        "script",
        "array",
        "tasks",
        "runs",
        "time",
        "gpus a node",
        "nodes",
        "cores",
        "memory",
        "GPU-hours",
        "RGU-hours",
        "core-hours"
    ));
    let (mut all, mut most) = (Cost::default(), Cost::default());
    for job in jobs {
        let (resources, cost) = (&job.resources, expected(job, &plan.cluster));
        all += cost;
        most += at_most(job, &plan.cluster);
        let time = slurm_time(resources.minutes);
        text.push_str(&format!(
            "{:<scripts$}  {:<arrays$}  {:>5} {:>4}  {time:>10}  {:<kinds$}  {:>5} {:>5} {:>6}  {}\n",
            job.script,
            job.array(),
            job.tasks.len().max(1),
            job.runs(),
            gpus(job),
            resources.nodes,
            resources.tasks_per_node * resources.cpus_per_task,
            resources.memory.as_deref().unwrap_or("-"),
            cells(&cost),
        ));
    }
    let before = scripts + arrays + kinds + 49;
    text.push_str(&format!("{:<before$}  {}\n", "expected", cells(&all)));
    text.push_str(&format!("{:<before$}  {}\n", "at most, where every task lasts as long as it may", cells(&most)));
    text.push_str("\nTime of one run; in training a fifth of it is to spare:\n");
    for job in jobs {
        let rounds = if job.rounds() > 1 { format!(", {} in a row", job.rounds()) } else { String::new() };
        text.push_str(&format!("- {}: {:.1} h{rounds}, {}\n", job.script, job.estimate.hours, job.estimate.source));
    }
    text.push('\n');
    text.push_str(&units(plan, &all));
    for note in &plan.notes {
        text.push_str(&format!("Note: {note}\n"));
    }
    text
}

fn cells(cost: &Cost) -> String {
    let or_dash = |value: f64| if value == 0.0 { "-".to_owned() } else { format!("{value:.1}") };
    let units = if cost.uncounted_gpu_hours > 0.0 && cost.rgu_hours == 0.0 { "unknown".into() } else { or_dash(cost.rgu_hours) };
    format!("{:>9} {units:>9} {:>10}", or_dash(cost.gpu_hours), or_dash(cost.core_hours))
}

/// What the units are, and where their values come from.
fn units(plan: &Plan, all: &Cost) -> String {
    let cluster = &plan.cluster;
    let years = format!("{:.4} RGU-years, {:.4} core-years", all.rgu_hours / YEAR, all.core_hours / YEAR);
    let source = cluster.source("charge.cores_per_rgu");
    let mut text =
        format!("Of an allocation: {years}. Charged is the largest of a job's GPUs, cores and memory, in bundles ({source}).\n");
    if all.uncounted_gpu_hours > 0.0 {
        let source = cluster.source("gpus.0.rgu");
        text.push_str(&format!(
            "{:.1} GPU-hours are not among them: what such a GPU is worth is {source}.\n",
            all.uncounted_gpu_hours
        ));
    }
    text
}

fn plan_json(job: &Job, cluster: Option<&Cluster>, asked: Option<&Plan>) -> Value {
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
    let total = asked.map(|plan| {
        let (mut all, mut most) = (Cost::default(), Cost::default());
        for job in &plan.jobs {
            all += expected(job, &plan.cluster);
            most += at_most(job, &plan.cluster);
        }
        json!({"expected": all, "at_most": most})
    });
    json!({
        "job": job.name,
        "experiments": experiments.collect::<Vec<_>>(),
        "cluster": cluster.map(|cluster| &cluster.name),
        "jobs": asked.map(|plan| plan.jobs.iter().map(|job| job_json(job, &plan.cluster)).collect::<Vec<_>>()),
        "total": total,
        "notes": asked.map(|plan| &plan.notes),
    })
}

fn job_json(job: &PlannedJob, cluster: &Cluster) -> Value {
    let resources = &job.resources;
    let tasks = job.tasks.iter().map(|task| json!({"index": task.index, "experiments": task.experiments}));
    json!({
        "script": job.script,
        "stage": job.stage,
        "array": (job.stage == Stage::Train).then(|| job.array()),
        "tasks": tasks.collect::<Vec<_>>(),
        "side_by_side": job.side_by_side,
        "rounds": job.rounds(),
        "runs": job.runs(),
        "estimate": job.estimate,
        "minutes": resources.minutes,
        "nodes": resources.nodes,
        "tasks_per_node": resources.tasks_per_node,
        "cpus_per_task": resources.cpus_per_task,
        "gpus_per_node": resources.gpus_per_node,
        "memory": resources.memory,
        "expected": expected(job, cluster),
        "at_most": at_most(job, cluster),
    })
}
