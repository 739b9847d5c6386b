//! A job and a cluster → the jobs to submit: their experiments, array and resources.

use serde::{Deserialize, Serialize};

use crate::config::{Cluster, Experiment, GpuCounts, Job, Scheduler};
use crate::error::{Error, Result};
pub(super) use crate::sweep::array::ranges;
use crate::sweep::choice::{Choice, choose};
use crate::sweep::estimate::{Estimate, Measurement, PREPROCESS_HOURS, SizeClass, Source, minutes_to_ask, shortest};
use crate::sweep::policy;

/// Ranks of the preprocessing: they share 113 chunks, so that each has seven or eight.
const PREPROCESS_RANKS: u32 = 16;
/// Threads of a preprocessing rank where a job need not take a whole node.
const PREPROCESS_THREADS: u32 = 2;

/// Slurm's own `MaxArraySize`, which a site may have changed.
pub const DEFAULT_ARRAY_SIZE: usize = 1001;

/// All jobs of a sweep on one cluster.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where.
    pub cluster: Cluster,
    /// Every experiment, in the documented order.
    pub experiments: Vec<Experiment>,
    /// In the order they are submitted: preprocessing, training by ascending size, aggregation.
    pub jobs: Vec<PlannedJob>,
    /// What a reader should know before submitting: idle GPUs, an array that must go in slices.
    pub notes: Vec<String>,
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
    /// Runs of a task at the same time, each on GPUs of its own; a task with more has them in rounds.
    pub side_by_side: usize,
    /// What each task asks for.
    pub resources: Resources,
    /// How long one run takes, the longest of them, and what that rests on.
    pub estimate: Estimate,
    /// Why these GPUs, for the reader of the script.
    pub gpus_reason: String,
}

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Indices of its experiments, side by side first: the third of a job with two GPUs goes onto the first GPU in the second round.
    pub experiments: Vec<usize>,
}

/// What a job asks Slurm for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
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

/// What `--mem` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// So much on each node.
    Gib(u64),
    /// All of the node's.
    WholeNode,
    /// Nothing is said.
    Unsaid,
}

impl Resources {
    /// Slurm's name of the GPUs, and how many on each node; `None` without GPUs, and where no model is named.
    #[must_use]
    pub fn gpus(&self) -> Option<(&str, u32)> {
        let asked = self.gpus_per_node.as_deref()?;
        let (name, count) = asked.rsplit_once(':').unwrap_or((asked, "1"));
        let named = !name.bytes().all(|byte| byte.is_ascii_digit());
        Some((name, count.parse().ok()?)).filter(|_| named)
    }

    /// What `--mem` asks for.
    #[must_use]
    pub fn memory(&self) -> Memory {
        match self.memory.as_deref() {
            None => Memory::Unsaid,
            Some("0") => Memory::WholeNode,
            Some(text) => text.strip_suffix('G').and_then(|gib| gib.parse().ok()).map_or(Memory::Unsaid, Memory::Gib),
        }
    }
}

impl PlannedJob {
    /// What its script, its farm and its log are called: the script's name without its ending.
    #[must_use]
    pub fn name(&self) -> &str {
        self.script.trim_end_matches(".sh")
    }

    /// Whether several runs share a task.
    #[must_use]
    pub fn packed(&self) -> bool {
        self.tasks.iter().any(|task| task.experiments.len() > 1)
    }

    /// Runs of all its tasks.
    #[must_use]
    pub fn runs(&self) -> usize {
        self.tasks.iter().map(|task| task.experiments.len()).sum()
    }

    /// How many runs a task does one after the other, at most.
    #[must_use]
    pub fn rounds(&self) -> usize {
        self.tasks.iter().map(|task| task.experiments.len().div_ceil(self.side_by_side.max(1))).max().unwrap_or(1)
    }

    /// Indices of its tasks, as `--array` holds them.
    #[must_use]
    pub fn indices(&self) -> Vec<usize> {
        self.tasks.iter().map(|task| task.index).collect()
    }

    /// What `--array` holds: `0-23`, or `0-5,12-17`.
    #[must_use]
    pub fn array(&self) -> String {
        ranges(&self.indices())
    }
}

/// Plans `job` on `cluster`, its times assumed.
pub fn plan(job: &Job, cluster: &Cluster) -> Result<Plan> {
    plan_with(job, cluster, &[])
}

/// Plans `job` on `cluster`, its times estimated from `finished` runs where they tell something. What the cluster would refuse is an
/// error that names the rule and its source.
///
/// With other `finished` runs the times, and with them the arrays, may come out otherwise: whoever has submitted a plan keeps its scripts.
pub fn plan_with(job: &Job, cluster: &Cluster, finished: &[Measurement]) -> Result<Plan> {
    if cluster.training_gpu().is_none() && cluster.scheduler == Scheduler::Slurm {
        return Err(Error::usage(format!("the profile of {} lists no GPUs to train on", cluster.name))
            .with_help("add `[[gpus]]` to the profile, or use --cluster local"));
    }
    let experiments = job.grid.experiments();
    let mut jobs = vec![preprocess(cluster)];
    jobs.extend(training(job, cluster, &experiments, finished)?);
    jobs.push(aggregate(cluster));
    for planned in &jobs {
        policy::refuse(cluster, &planned.script, &policy::refusals(cluster, &planned.resources))?;
    }
    let notes = jobs.iter().flat_map(|planned| notes(cluster, planned)).collect();
    Ok(Plan { cluster: cluster.clone(), experiments, jobs, notes })
}

/// Runs that ask for the same.
struct Group<'a> {
    class: SizeClass,
    resources: Resources,
    choice: Choice<'a>,
    /// Whether each lasts so short a time that several take turns.
    short: bool,
    members: Vec<&'a Experiment>,
}

/// The arrays: runs of one size that ask for the same share one, in the order of the experiments.
fn training(job: &Job, cluster: &Cluster, experiments: &[Experiment], finished: &[Measurement]) -> Result<Vec<PlannedJob>> {
    let mut groups: Vec<Group> = Vec::new();
    for experiment in experiments {
        let class = SizeClass::of(&job.grid, experiment);
        let choice = choose(job, cluster, experiment, finished)?;
        let short = cluster.scheduler == Scheduler::Slurm && choice.estimate.hours < shortest(cluster);
        let turns = if short { job.grid.seeds.len() } else { 1 };
        let resources = train_resources(cluster, &choice, turns);
        let alike = |group: &&mut Group| {
            // Without a scheduler nothing is asked for, and a script a size is enough.
            group.class == class
                && (cluster.scheduler == Scheduler::None || (group.short == short && group.resources == resources))
        };
        match groups.iter_mut().find(alike) {
            Some(group) => {
                group.members.push(experiment);
                if choice.estimate.hours > group.choice.estimate.hours {
                    group.choice = choice;
                }
            }
            None => groups.push(Group { class, resources, choice, short, members: vec![experiment] }),
        }
    }
    // By ascending size: the order in which the sizes first occur.
    let mut classes: Vec<SizeClass> = Vec::new();
    for group in &groups {
        if !classes.contains(&group.class) {
            classes.push(group.class);
        }
    }
    groups.sort_by_key(|group| classes.iter().position(|class| *class == group.class));
    let names = names(&groups);
    let mut packs = 0;
    Ok(groups.into_iter().zip(names).map(|(group, name)| group.into_job(name, job.grid.seeds.len(), &mut packs)).collect())
}

impl Group<'_> {
    fn into_job(self, name: String, seeds: usize, packs: &mut usize) -> PlannedJob {
        let side_by_side = self.choice.side_by_side();
        let a_task = side_by_side * if self.short { seeds.max(1) } else { 1 };
        let tasks = if a_task == 1 {
            self.members.iter().map(|member| Task { index: member.index, experiments: vec![member.index] }).collect()
        } else {
            let first = *packs;
            // Runs of one backbone end at about the same time, so that no GPU waits for another.
            let mut backbones: Vec<&str> = Vec::new();
            for member in &self.members {
                if !backbones.contains(&member.id.backbone.as_str()) {
                    backbones.push(&member.id.backbone);
                }
            }
            let of =
                |backbone: &str| self.members.iter().filter(|run| run.id.backbone == backbone).map(|run| run.index).collect();
            let alike: Vec<Vec<usize>> = backbones.into_iter().map(of).collect();
            let shared = alike.iter().flat_map(|runs| runs.chunks(a_task)).enumerate();
            let tasks: Vec<Task> = shared.map(|(n, runs)| Task { index: first + n, experiments: runs.to_vec() }).collect();
            *packs += tasks.len();
            tasks
        };
        PlannedJob {
            stage: Stage::Train,
            script: format!("train-{name}.sh"),
            class: self.class.0.to_owned(),
            tasks,
            side_by_side,
            resources: self.resources,
            estimate: self.choice.estimate,
            gpus_reason: self.choice.reason,
        }
    }
}

/// A name a group: its size, with its backbone where that tells the groups of a size apart, or else a number.
fn names(groups: &[Group]) -> Vec<String> {
    let backbone = |group: &Group| {
        let first = group.members.first().map(|member| member.id.backbone.clone())?;
        group.members.iter().all(|member| member.id.backbone == first).then_some(first)
    };
    let same_size = |group: &Group| groups.iter().filter(|other| other.class == group.class).count();
    let mut names = Vec::new();
    for (position, group) in groups.iter().enumerate() {
        let size = group.class.0;
        let own = backbone(group).filter(|own| {
            let rival = |(other, rival): (usize, &Group)| {
                other != position && rival.class == group.class && backbone(rival).as_ref() == Some(own)
            };
            !groups.iter().enumerate().any(rival)
        });
        let number = groups.iter().take(position + 1).filter(|other| other.class == group.class).count();
        names.push(match own {
            _ if same_size(group) == 1 => size.to_owned(),
            Some(own) => format!("{size}-{}", crate::sweep::quote::job_name(&own)),
            None => format!("{size}-{number}"),
        });
    }
    names
}

fn train_resources(cluster: &Cluster, choice: &Choice, turns: usize) -> Resources {
    let minutes = minutes_to_ask(choice.estimate.hours * turns as f64, cluster);
    let Some(kind) = choice.kind else {
        return Resources { minutes, nodes: 1, tasks_per_node: 1, cpus_per_task: 1, gpus_per_node: None, memory: None };
    };
    let (per_node, whole) = (kind.nodes.per_node, kind.nodes.counts == GpuCounts::WholeNodes);
    // More GPUs than a node has are asked for as whole nodes; what does not divide is left for the policy to refuse.
    let nodes = if kind.slice.is_none() && choice.gpus > per_node && choice.gpus.is_multiple_of(per_node) {
        choice.gpus / per_node
    } else {
        1
    };
    let gpus_a_node = choice.gpus / nodes;
    let (gpus, tasks, cores, memory) = match (whole, choice.gpus) {
        // One process that starts the runs, with all of the node's cores.
        (true, 1) => (per_node, 1, kind.nodes.node_cores, "0".to_owned()),
        (true, _) => (gpus_a_node, gpus_a_node, kind.cores(), "0".to_owned()),
        (false, _) => (gpus_a_node, gpus_a_node, kind.cores(), format!("{}G", choice.memory_gib)),
    };
    Resources {
        minutes,
        nodes,
        tasks_per_node: tasks,
        cpus_per_task: cores,
        gpus_per_node: Some(format!("{}:{gpus}", kind.name())),
        memory: cluster.memory_line.then_some(memory),
    }
}

/// What the cluster's GPU nodes are asked for where it has no others.
fn gpu_resources(cluster: &Cluster, hours: f64) -> Option<Resources> {
    let nodes = cluster.training_gpu().filter(|_| cluster.cpu.is_none())?;
    let kind = Some(crate::config::GpuKind { nodes, slice: None });
    let estimate = Estimate { hours, source: Source::Stated };
    Some(train_resources(cluster, &Choice { kind, gpus: 1, memory_gib: 64, estimate, reason: String::new() }, 1))
}

/// One node's worth of ranks: a CPU node, or a GPU node where the cluster lists no others.
fn preprocess(cluster: &Cluster) -> PlannedJob {
    let mut resources = Resources {
        minutes: minutes_to_ask(PREPROCESS_HOURS, cluster),
        nodes: 1,
        tasks_per_node: PREPROCESS_RANKS,
        cpus_per_task: PREPROCESS_THREADS,
        gpus_per_node: None,
        memory: cluster.memory_line.then(|| format!("{}G", PREPROCESS_RANKS * PREPROCESS_THREADS * 2)),
    };
    if let Some(cpu) = cluster.cpu.as_ref().filter(|cpu| cpu.whole) {
        resources.cpus_per_task = (cpu.cores / PREPROCESS_RANKS).max(1);
    } else if let Some(gpu) = gpu_resources(cluster, PREPROCESS_HOURS) {
        let cores = gpu.cpus_per_task;
        resources =
            Resources { tasks_per_node: PREPROCESS_RANKS.min(cores), cpus_per_task: (cores / PREPROCESS_RANKS).max(1), ..gpu };
    }
    let what = "1.1 million images on 32 cores: 15 ms an image and core, the rest for reading the originals";
    fixed(Stage::Preprocess, "preprocess.sh", resources, PREPROCESS_HOURS, what)
}

fn aggregate(cluster: &Cluster) -> PlannedJob {
    let minutes = ((cluster.walltime.min.unwrap_or(1.0) * 60.0).round() as u64).max(15);
    let plain = Resources {
        minutes,
        nodes: 1,
        tasks_per_node: 1,
        cpus_per_task: cluster.cpu.as_ref().filter(|cpu| cpu.whole).map_or(1, |cpu| cpu.cores),
        gpus_per_node: None,
        memory: cluster.memory_line.then(|| "4G".to_owned()),
    };
    let resources = gpu_resources(cluster, 0.0).map_or(plain, |gpu| Resources { minutes, ..gpu });
    fixed(Stage::Aggregate, "aggregate.sh", resources, 0.01, "a matter of seconds")
}

fn fixed(stage: Stage, script: &str, resources: Resources, hours: f64, what: &str) -> PlannedJob {
    let estimate = Estimate { hours, source: Source::Assumed(what.into()) };
    let (class, tasks, gpus_reason) = (String::new(), vec![], "no nodes without GPUs are listed for this cluster".into());
    PlannedJob { stage, script: script.into(), class, tasks, side_by_side: 1, resources, estimate, gpus_reason }
}

/// What a reader should know of a job before it is submitted.
fn notes(cluster: &Cluster, job: &PlannedJob) -> Vec<String> {
    let mut notes = Vec::new();
    let slots = job.side_by_side * job.rounds();
    let idle: usize = job.tasks.iter().map(|task| slots - task.experiments.len().min(slots)).sum();
    if idle > 0 && job.packed() {
        notes.push(format!("{}: {idle} of {} places for runs stay empty, and are charged", job.script, slots * job.tasks.len()));
    }
    if let Some(refusal) = policy::array(cluster, &job.indices(), 0) {
        notes.push(format!("{}: {refusal}; `sweep submit` sends it in slices", job.script));
    }
    if cluster.limits.array_size.is_none() && job.indices().iter().any(|index| *index >= DEFAULT_ARRAY_SIZE) {
        let source = cluster.source("limits.array_size");
        let message = "whether indices above 1000 are allowed here is not known";
        notes.push(format!("{}: {message} ({source}); `sweep submit` asks Slurm, and cuts the array where it must", job.script));
    }
    notes
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
