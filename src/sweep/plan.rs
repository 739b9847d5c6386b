//! A job and a cluster → the jobs to submit: their experiments, array and resources.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::config::{Cluster, Experiment, GpuCounts, GpuNodes, Job, Scheduler};
use crate::error::{Error, Result};
use crate::sweep::estimate::{PREPROCESS_HOURS, SizeClass, minutes_to_ask};

/// Memory of one training run in GiB. Assumed: decoding buffers, and the packs of a small or medium set in the page cache.
const RUN_MEMORY_GIB: u64 = 64;
/// Ranks of the preprocessing: they share 113 chunks, so that each has seven or eight.
const PREPROCESS_RANKS: u32 = 16;
/// Threads of a preprocessing rank where a job need not take a whole node.
const PREPROCESS_THREADS: u32 = 2;

/// All jobs of a sweep on one cluster.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where.
    pub cluster: Cluster,
    /// Every experiment, in the documented order.
    pub experiments: Vec<Experiment>,
    /// In the order they are submitted: preprocessing, training by ascending size, aggregation.
    pub jobs: Vec<PlannedJob>,
}

/// One script, submitted once.
#[derive(Clone, Debug)]
pub struct PlannedJob {
    /// What it does.
    pub stage: Stage,
    /// The script's file name.
    pub script: String,
    /// The kind of runs it holds: `small`, and so on; empty outside training.
    pub class: String,
    /// The tasks of its array and their experiments; empty outside training.
    pub tasks: Vec<Task>,
    /// What each task asks for.
    pub resources: Resources,
    /// What the time asked for rests on, in hours. Assumed.
    pub assumed_hours: f64,
}

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Chunks → packs, over MPI ranks.
    Preprocess,
    /// An array of experiments.
    Train,
    /// Runs → tables.
    Aggregate,
}

/// One task of an array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// What `--array` calls it: the experiment's index, or the pack's where several runs share a job.
    pub index: usize,
    /// Indices of its experiments; the position is the GPU's number.
    pub experiments: Vec<usize>,
}

/// What a job asks Slurm for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Resources {
    /// Minutes of walltime.
    pub minutes: u64,
    /// Nodes.
    pub nodes: u32,
    /// Processes on each.
    pub tasks_per_node: u32,
    /// Cores of each process.
    pub cpus_per_task: u32,
    /// GPUs of each node, as `model:number`.
    pub gpus_per_node: Option<String>,
    /// `--mem`, where the cluster reads it; `0` is all of the node's.
    pub memory: Option<String>,
}

impl PlannedJob {
    /// Whether several runs share a task.
    #[must_use]
    pub fn packed(&self) -> bool {
        self.tasks.iter().any(|task| task.experiments.len() > 1)
    }

    /// What `--array` holds: `0-23`, or `0-5,12-17`.
    #[must_use]
    pub fn array(&self) -> String {
        ranges(&self.tasks.iter().map(|task| task.index).collect::<Vec<_>>())
    }
}

/// Plans `job` on `cluster`.
pub fn plan(job: &Job, cluster: &Cluster) -> Result<Plan> {
    let experiments = job.grid.experiments();
    let gpu = cluster.training_gpu();
    if gpu.is_none() && cluster.scheduler == Scheduler::Slurm {
        return Err(Error::usage(format!("the profile of {} lists no GPUs to train on", cluster.name))
            .with_help("add `[[gpus]]` to the profile, or use --cluster local"));
    }
    let runs_a_task = gpu.filter(|gpu| gpu.counts == GpuCounts::WholeNodes).map_or(1, |gpu| gpu.per_node as usize);
    let mut classes: BTreeMap<(usize, SizeClass), Vec<&Experiment>> = BTreeMap::new();
    let mut order = Vec::new();
    for experiment in &experiments {
        let class = SizeClass::of(&job.grid, experiment);
        let position = order.iter().position(|known| *known == class).unwrap_or_else(|| {
            order.push(class);
            order.len() - 1
        });
        classes.entry((position, class)).or_default().push(experiment);
    }

    let mut jobs = vec![preprocess(cluster)];
    let mut packs = 0;
    for ((_, class), members) in classes {
        let tasks: Vec<Task> = if runs_a_task == 1 {
            members.iter().map(|member| Task { index: member.index, experiments: vec![member.index] }).collect()
        } else {
            let packed = members.chunks(runs_a_task).map(|runs| runs.iter().map(|run| run.index).collect());
            packed.enumerate().map(|(n, experiments)| Task { index: packs + n, experiments }).collect()
        };
        packs += tasks.len();
        let speed = gpu.map_or(1.0, |gpu| gpu.speed);
        let hours = members.iter().map(|member| class.hours(&job.recipe_for(member), speed)).fold(0.0, f64::max);
        jobs.push(PlannedJob {
            stage: Stage::Train,
            script: format!("train-{}.sh", class.0),
            class: class.0.to_owned(),
            tasks,
            resources: train_resources(cluster, gpu, hours),
            assumed_hours: hours,
        });
    }
    jobs.push(aggregate(cluster));
    Ok(Plan { cluster: cluster.clone(), experiments, jobs })
}

fn train_resources(cluster: &Cluster, gpu: Option<&GpuNodes>, hours: f64) -> Resources {
    let minutes = minutes_to_ask(hours, cluster);
    let Some(gpu) = gpu else {
        return Resources { minutes, nodes: 1, tasks_per_node: 1, cpus_per_task: 1, gpus_per_node: None, memory: None };
    };
    let (gpus, cores, memory) = match gpu.counts {
        GpuCounts::WholeNodes => (gpu.per_node, gpu.node_cores, "0".to_owned()),
        GpuCounts::Any | GpuCounts::OneOrWholeNodes => {
            (1, gpu.cores, format!("{}G", gpu.memory_gib.map_or(RUN_MEMORY_GIB, |most| most.min(RUN_MEMORY_GIB))))
        }
    };
    Resources {
        minutes,
        nodes: 1,
        tasks_per_node: 1,
        cpus_per_task: cores,
        gpus_per_node: Some(format!("{}:{gpus}", gpu.spec)),
        memory: cluster.memory_line.then_some(memory),
    }
}

/// One node's worth of ranks: a CPU node, or a GPU node where the cluster lists no others.
fn preprocess(cluster: &Cluster) -> PlannedJob {
    let minutes = minutes_to_ask(PREPROCESS_HOURS, cluster);
    let mut resources = Resources {
        minutes,
        nodes: 1,
        tasks_per_node: PREPROCESS_RANKS,
        cpus_per_task: PREPROCESS_THREADS,
        gpus_per_node: None,
        memory: cluster.memory_line.then(|| format!("{}G", PREPROCESS_RANKS * PREPROCESS_THREADS * 2)),
    };
    match (&cluster.cpu, cluster.training_gpu()) {
        (Some(cpu), _) if cpu.whole => resources.cpus_per_task = (cpu.cores / PREPROCESS_RANKS).max(1),
        (None, Some(gpu)) => {
            let train = train_resources(cluster, Some(gpu), PREPROCESS_HOURS);
            resources.tasks_per_node = PREPROCESS_RANKS.min(train.cpus_per_task);
            resources.cpus_per_task = (train.cpus_per_task / PREPROCESS_RANKS).max(1);
            (resources.gpus_per_node, resources.memory) = (train.gpus_per_node, train.memory);
        }
        _ => {}
    }
    fixed(Stage::Preprocess, "preprocess.sh", resources, PREPROCESS_HOURS)
}

fn aggregate(cluster: &Cluster) -> PlannedJob {
    let whole = cluster.cpu.as_ref().filter(|cpu| cpu.whole);
    let mut resources = Resources {
        minutes: ((cluster.walltime.min.unwrap_or(1.0) * 60.0).round() as u64).max(15),
        nodes: 1,
        tasks_per_node: 1,
        cpus_per_task: whole.map_or(1, |cpu| cpu.cores),
        gpus_per_node: None,
        memory: cluster.memory_line.then(|| "4G".to_owned()),
    };
    if let (None, Some(gpu)) = (&cluster.cpu, cluster.training_gpu()) {
        let train = train_resources(cluster, Some(gpu), 0.0);
        (resources.gpus_per_node, resources.memory) = (train.gpus_per_node, train.memory);
        resources.cpus_per_task = train.cpus_per_task;
    }
    let hours = resources.minutes as f64 / 60.0;
    fixed(Stage::Aggregate, "aggregate.sh", resources, hours)
}

fn fixed(stage: Stage, script: &str, resources: Resources, assumed_hours: f64) -> PlannedJob {
    PlannedJob { stage, script: script.into(), class: String::new(), tasks: vec![], resources, assumed_hours }
}

/// Ascending indices as Slurm writes them: `0-5,12,14-15`.
fn ranges(indices: &[usize]) -> String {
    let mut spans: Vec<(usize, usize)> = Vec::new();
    for &index in indices {
        match spans.last_mut() {
            Some((_, last)) if *last + 1 == index => *last = index,
            _ => spans.push((index, index)),
        }
    }
    let text = |(first, last): (usize, usize)| if first == last { first.to_string() } else { format!("{first}-{last}") };
    spans.into_iter().map(text).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::from_text;

    fn paper() -> Job {
        from_text(include_str!("../../jobs/bioscan-1m.toml"), "jobs/bioscan-1m.toml").unwrap()
    }

    fn train_jobs(job: &Job, cluster: &str) -> Vec<PlannedJob> {
        let plan = plan(job, &Cluster::load(cluster, None).unwrap()).unwrap();
        plan.jobs.into_iter().filter(|job| job.stage == Stage::Train).collect()
    }

    #[test]
    fn the_arrays_of_the_paper_hold_the_documented_indices() {
        let jobs = train_jobs(&paper(), "fir");
        let arrays: Vec<_> = jobs.iter().map(|job| (job.script.as_str(), job.array())).collect();
        let expected = [("train-small.sh", "0-23"), ("train-medium.sh", "24-47"), ("train-large.sh", "48-71")];
        assert_eq!(arrays, expected.map(|(script, array)| (script, array.to_owned())));
    }

    #[test]
    fn where_whole_nodes_are_rented_72_runs_become_18_jobs_of_four() {
        let jobs = train_jobs(&paper(), "tamia");
        assert_eq!(jobs.iter().map(|job| job.array()).collect::<Vec<_>>(), ["0-5", "6-11", "12-17"]);
        assert_eq!(jobs[1].tasks[0], Task { index: 6, experiments: vec![24, 25, 26, 27] });
        assert_eq!(jobs[0].resources.gpus_per_node.as_deref(), Some("h100:4"));
    }

    #[test]
    fn a_grid_whose_sizes_interleave_gets_sparse_arrays_and_every_run_once() {
        let mut job = paper();
        job.grid.sizes = vec!["small".into()];
        job.grid.tasks = vec!["insect_order".into()];
        job.grid.partitions = vec![crate::config::Partition { name: "mine".into(), label: "genus".into(), split: "mine".into() }];
        let jobs = train_jobs(&job, "fir");
        assert_eq!(
            jobs.iter().map(|job| (job.class.as_str(), job.array())).collect::<Vec<_>>(),
            [("small", "0-11".to_owned()), ("other", "12-23".to_owned())]
        );
    }

    #[test]
    fn indices_are_written_as_slurm_reads_them() {
        assert_eq!(ranges(&[0, 1, 2, 5, 7, 8]), "0-2,5,7-8");
        assert_eq!(ranges(&[]), "");
    }

    #[test]
    fn trillium_gets_no_memory_line_and_a_whole_cpu_node() {
        let plan = plan(&paper(), &Cluster::load("trillium", None).unwrap()).unwrap();
        assert!(plan.jobs.iter().all(|job| job.resources.memory.is_none()));
        let preprocess = &plan.jobs[0].resources;
        assert_eq!(preprocess.tasks_per_node * preprocess.cpus_per_task, 192);
    }
}
