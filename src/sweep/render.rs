//! A plan → files of bash: their names and text.

use std::collections::BTreeMap;
use std::path::Path;

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, ErrorKind, UndefinedBehavior, context};

use crate::config::{Cluster, GpuCounts, Job, Scheduler, Staging};
use crate::error::{Error, IoContext, Result};
use crate::sweep::estimate::slurm_time;
use crate::sweep::plan::{Memory, Plan, PlannedJob, Stage};
use crate::sweep::{policy, quote};

/// How often a task that stops with a checkpoint is started again; `BIOSCAN_MAX_RESTARTS` changes it.
pub const MAX_RESTARTS: u32 = 10;

/// The table beside the scripts that says which index is which experiment.
pub const EXPERIMENTS: &str = "experiments.tsv";

const TEMPLATES: [(&str, &str); 11] = [
    ("train.sh.j2", include_str!("../../slurm/templates/train.sh.j2")),
    ("preprocess.sh.j2", include_str!("../../slurm/templates/preprocess.sh.j2")),
    ("aggregate.sh.j2", include_str!("../../slurm/templates/aggregate.sh.j2")),
    ("metafarm_job_script.sh.j2", include_str!("../../slurm/templates/metafarm_job_script.sh.j2")),
    ("metafarm_single_case.sh.j2", include_str!("../../slurm/templates/metafarm_single_case.sh.j2")),
    ("_directives.sh.j2", include_str!("../../slurm/templates/_directives.sh.j2")),
    ("_survive.sh.j2", include_str!("../../slurm/templates/_survive.sh.j2")),
    ("_modules.sh.j2", include_str!("../../slurm/templates/_modules.sh.j2")),
    ("_supervise.sh.j2", include_str!("../../slurm/templates/_supervise.sh.j2")),
    ("_checkpoints.sh.j2", include_str!("../../slurm/templates/_checkpoints.sh.j2")),
    ("_end.sh.j2", include_str!("../../slurm/templates/_end.sh.j2")),
];

/// What a script is rendered for, beside its plan.
#[derive(Clone, Debug)]
pub struct Rendering<'a> {
    /// The job, its paths as written.
    pub job: &'a Job,
    /// The job file as the user named it: the scripts name it the same way.
    pub job_file: &'a Path,
    /// The folder the scripts will lie in, as the user named it.
    pub folder: &'a Path,
    /// The account, where one was given.
    pub account: Option<&'a str>,
    /// Ranks of a run without Slurm.
    pub ranks: u32,
}

/// The templates in the binary; those found in `folder` replace the ones of the same name.
pub fn templates(folder: Option<&Path>) -> Result<BTreeMap<String, String>> {
    let mut sources: BTreeMap<String, String> = TEMPLATES.iter().map(|(name, text)| ((*name).into(), (*text).into())).collect();
    let Some(folder) = folder else { return Ok(sources) };
    for (name, text) in &mut sources {
        let path = folder.join(name);
        if path.exists() {
            *text = std::fs::read_to_string(&path).at("read", &path)?;
        }
    }
    Ok(sources)
}

/// All files of `plan`: a script a job, `experiments.tsv`, and `packs.tsv` where runs share jobs. What the cluster would refuse of a
/// template of one's own is an error.
pub fn render(plan: &Plan, rendering: &Rendering, templates: BTreeMap<String, String>) -> Result<BTreeMap<String, String>> {
    let environment = environment(templates)?;
    let mut files = BTreeMap::new();
    for job in &plan.jobs {
        let name = match job.stage {
            Stage::Preprocess => "preprocess.sh.j2",
            Stage::Train => "train.sh.j2",
            Stage::Aggregate => "aggregate.sh.j2",
        };
        let text = fill(&environment, name, values(job, plan, rendering)?)?;
        policy::refuse(&plan.cluster, &job.script, &policy::script(&plan.cluster, &text))?;
        files.insert(job.script.clone(), text);
    }
    let lines = plan.experiments.iter().map(|experiment| format!("{}\t{}\n", experiment.index, experiment.id));
    files.insert(EXPERIMENTS.into(), std::iter::once("index\tid\n".to_owned()).chain(lines).collect());
    if plan.jobs.iter().any(PlannedJob::packed) {
        files.insert("packs.tsv".into(), packs_table(plan));
    }
    Ok(files)
}

/// The name of an experiment by its index.
pub(super) fn id_of(plan: &Plan, index: usize) -> String {
    plan.experiments.get(index).map(|experiment| experiment.id.to_string()).unwrap_or_default()
}

/// Which runs share a task: (task, GPU, round, index, id).
fn packs_table(plan: &Plan) -> String {
    let mut table = "task\tgpu\tround\tindex\tid\n".to_owned();
    for job in plan.jobs.iter().filter(|job| job.packed()) {
        for task in &job.tasks {
            for (position, &index) in task.experiments.iter().enumerate() {
                let (gpu, round) = (position % job.side_by_side, position / job.side_by_side);
                table.push_str(&format!("{}\t{gpu}\t{round}\t{index}\t{}\n", task.index, id_of(plan, index)));
            }
        }
    }
    table
}

/// Fills the template called `name`.
pub(super) fn fill(environment: &Environment, name: &str, values: minijinja::Value) -> Result<String> {
    let text = environment.get_template(name).and_then(|template| template.render(values)).map_err(template_error)?;
    Ok(text.trim_end().to_owned() + "\n")
}

/// What the templates of a job may name.
pub(super) fn values(job: &PlannedJob, plan: &Plan, rendering: &Rendering) -> Result<minijinja::Value> {
    let cluster = &plan.cluster;
    let stage = job.stage == Stage::Train && cluster.staging == Staging::Disk;
    let gpu = job.resources.gpus().and_then(|(name, _)| cluster.gpu_kind(name));
    let whole_node =
        gpu.map_or(cluster.cpu.as_ref().is_some_and(|cpu| cpu.whole), |kind| kind.nodes.counts == GpuCounts::WholeNodes);
    Ok(context! {
        title => rendering.job.name.clone(),
        cluster_title => cluster.title.clone(),
        slurm => cluster.scheduler == Scheduler::Slurm,
        farm => false,
        modules => cluster.modules.clone(),
        submit_from_scratch => cluster.submit_from_scratch,
        name => quote::job_name(&format!("{}-{}", rendering.job.name, job.name())),
        account => rendering.account.map(policy::account).transpose()?,
        account_example => cluster.account_example.clone().unwrap_or_default(),
        job_file => text_of(rendering.job_file)?,
        script_path => text_of(&rendering.folder.join(&job.script))?,
        table_path => text_of(&rendering.folder.join(EXPERIMENTS))?,
        runs_folder => text_of(&rendering.job.paths.runs())?,
        resources => minijinja::value::Serde(job.resources.clone()),
        time => slurm_time(job.resources.minutes),
        max_restarts => MAX_RESTARTS,
        ranks => rendering.ranks,
        whole_node,
        runs => job.runs(),
        class => job.class.clone(),
        array => (!job.tasks.is_empty()).then(|| job.array()),
        example => job.tasks.iter().take(2).map(|task| task.index.to_string()).collect::<Vec<_>>().join(","),
        shared_tasks => job.packed().then(|| job.tasks.iter().map(|task| context! {
            index => task.index,
            experiments => task.experiments.clone(),
        }).collect::<Vec<_>>()),
        side_by_side => job.side_by_side,
        cores_a_run => gpu.map(|kind| kind.cores()),
        stage,
        stage_flag => if stage { " --stage" } else { "" },
        ..reasons(job, cluster)
    })
}

/// Why each directive has its value, for the reader of the script.
fn reasons(job: &PlannedJob, cluster: &Cluster) -> minijinja::Value {
    let several_ranks = job.stage == Stage::Train && job.resources.tasks_per_node > 1;
    context! {
        time_reason => time_reason(job, cluster),
        gpus_reason => match job.side_by_side {
            1 => job.gpus_reason.clone(),
            _ => "whole nodes only: several runs share this job, one a GPU".into(),
        },
        sharing_reason => match (job.side_by_side, job.rounds()) {
            (1, _) => "A run lasts under the shortest job that is welcome here, so each task holds several, one after the other.",
            (_, 1) => "Whole nodes are rented here, so each task holds several runs, one a GPU.",
            _ => "Whole nodes are rented here and a run is short, so each task holds several, one a GPU, in rounds.",
        },
        memory_reason => match job.resources.memory() {
            Memory::WholeNode => "all of the node's",
            _ => "assumed to be ample",
        },
        tasks_reason => match job.stage {
            Stage::Preprocess => "ranks: they share the 113 chunks",
            _ if several_ranks => "ranks: one a GPU",
            _ => "",
        },
        cpus_reason => match job.stage {
            Stage::Preprocess => "threads of a rank",
            Stage::Train if job.side_by_side > 1 => "all of the node's, shared by its runs",
            Stage::Train => "what goes with this GPU here: decoding threads",
            Stage::Aggregate => "",
        },
        array_reason => if job.packed() { "tasks of packs.tsv" } else { "indices of experiments.tsv" },
    }
}

fn time_reason(job: &PlannedJob, cluster: &Cluster) -> String {
    let rounds = job.rounds() as f64;
    let (hours, bins) = (job.estimate.hours * rounds, !cluster.walltime.bins.is_empty());
    let needed = match job.stage {
        Stage::Aggregate if cluster.walltime.min.is_none() => return "what is welcome here is not known".into(),
        Stage::Aggregate => return "the shortest that is welcome here".into(),
        Stage::Train if rounds > 1.0 => format!("{rounds} runs of {:.1} h ({})", job.estimate.hours, job.estimate.source),
        Stage::Train => format!("{hours:.1} h a run ({})", job.estimate.source),
        Stage::Preprocess => format!("{hours:.1} h ({})", job.estimate.source),
    };
    if job.resources.minutes as f64 / 60.0 + 1e-9 < hours {
        format!("{needed}: more than a job may have, so it goes on from its checkpoint")
    } else if bins {
        format!("{needed}, rounded up into the cluster's bins")
    } else {
        format!("{needed}; this cluster's bins are not known")
    }
}

pub(super) fn environment(templates: BTreeMap<String, String>) -> Result<Environment<'static>> {
    let syntax = SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .keep_trailing_newline(true)
        .build()
        .map_err(template_error)?;
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_syntax(syntax);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.add_filter("word", |text: &str| quote::word(text).map_err(refused));
    environment.add_filter("path", |text: &str| quote::path(text).map_err(refused));
    environment.add_filter("comment", |text: &str| quote::comment(text));
    // Slurm reads such a line and bash skips it: nothing in it may end it.
    environment.add_function("directive", |option: &str, reason: &str| match (quote::comment(option), quote::comment(reason)) {
        (option, reason) if reason.is_empty() => format!("#SBATCH {option}"),
        (option, reason) => format!("#SBATCH {option:<36} # {reason}"),
    });
    for (name, text) in templates {
        environment.add_template_owned(name, text).map_err(template_error)?;
    }
    Ok(environment)
}

pub(super) fn text_of(path: &Path) -> Result<&str> {
    path.to_str().ok_or_else(|| Error::usage(format!("{} is not UTF-8, so no script can name it", path.display())))
}

fn refused(error: Error) -> minijinja::Error {
    minijinja::Error::new(ErrorKind::InvalidOperation, error.to_string())
}

/// A fault of a template is its author's to mend: the message names the file and the line.
fn template_error(error: minijinja::Error) -> Error {
    let place = error.name().map(|name| format!("{name}, line {}: ", error.line().unwrap_or(0))).unwrap_or_default();
    let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
    Error::usage(format!("the script template {place}{error}{cause}"))
}
