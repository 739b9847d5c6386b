//! A plan → files of bash: their names and text.

use std::collections::BTreeMap;
use std::path::Path;

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, ErrorKind, UndefinedBehavior, context};

use crate::config::{Cluster, GpuCounts, Job, Scheduler, Staging};
use crate::error::{Error, IoContext, Result};
use crate::sweep::estimate::slurm_time;
use crate::sweep::plan::{Plan, PlannedJob, Stage};
use crate::sweep::quote;

/// How often a task that stops with a checkpoint is started again; `BIOSCAN_MAX_RESTARTS` changes it.
pub const MAX_RESTARTS: u32 = 10;

const TEMPLATES: [(&str, &str); 7] = [
    ("train.sh.j2", include_str!("../../slurm/templates/train.sh.j2")),
    ("preprocess.sh.j2", include_str!("../../slurm/templates/preprocess.sh.j2")),
    ("aggregate.sh.j2", include_str!("../../slurm/templates/aggregate.sh.j2")),
    ("_directives.sh.j2", include_str!("../../slurm/templates/_directives.sh.j2")),
    ("_survive.sh.j2", include_str!("../../slurm/templates/_survive.sh.j2")),
    ("_modules.sh.j2", include_str!("../../slurm/templates/_modules.sh.j2")),
    ("_supervise.sh.j2", include_str!("../../slurm/templates/_supervise.sh.j2")),
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

/// All files of `plan`: a script a job, `experiments.tsv`, and `packs.tsv` where runs share jobs.
pub fn render(plan: &Plan, rendering: &Rendering, templates: BTreeMap<String, String>) -> Result<BTreeMap<String, String>> {
    let environment = environment(templates)?;
    let mut files = BTreeMap::new();
    for job in &plan.jobs {
        files.insert(job.script.clone(), script(&environment, job, plan, rendering)?);
    }
    let lines = plan.experiments.iter().map(|experiment| format!("{}\t{}\n", experiment.index, experiment.id));
    files.insert("experiments.tsv".into(), std::iter::once("index\tid\n".to_owned()).chain(lines).collect());
    if plan.jobs.iter().any(PlannedJob::packed) {
        files.insert("packs.tsv".into(), packs_table(plan));
    }
    Ok(files)
}

/// Which runs share a task: (task, GPU, index, id).
fn packs_table(plan: &Plan) -> String {
    let mut table = "task\tgpu\tindex\tid\n".to_owned();
    for task in plan.jobs.iter().flat_map(|job| &job.tasks) {
        for (gpu, &index) in task.experiments.iter().enumerate() {
            let id = plan.experiments.get(index).map(|experiment| experiment.id.to_string()).unwrap_or_default();
            table.push_str(&format!("{}\t{gpu}\t{index}\t{id}\n", task.index));
        }
    }
    table
}

fn script(environment: &Environment, job: &PlannedJob, plan: &Plan, rendering: &Rendering) -> Result<String> {
    let cluster = &plan.cluster;
    let stage = job.stage == Stage::Train && cluster.staging == Staging::Disk;
    let package = rendering.job.preprocess.package();
    let gpu = cluster.training_gpu().filter(|_| job.resources.gpus_per_node.is_some());
    let whole_node = gpu.map_or(cluster.cpu.as_ref().is_some_and(|cpu| cpu.whole), |gpu| gpu.counts == GpuCounts::WholeNodes);
    let label = job.script.trim_end_matches(".sh");
    let values = context! {
        title => rendering.job.name.clone(),
        cluster_title => cluster.title.clone(),
        slurm => cluster.scheduler == Scheduler::Slurm,
        modules => cluster.modules.clone(),
        submit_from_scratch => cluster.submit_from_scratch,
        name => quote::job_name(&format!("{}-{label}", rendering.job.name)),
        account => rendering.account.map(account).transpose()?,
        account_example => cluster.account_example.clone().unwrap_or_default(),
        job_file => text_of(rendering.job_file)?,
        script_path => text_of(&rendering.folder.join(&job.script))?,
        resources => minijinja::value::Serde(job.resources.clone()),
        time => slurm_time(job.resources.minutes),
        max_restarts => MAX_RESTARTS,
        ranks => rendering.ranks,
        whole_node,
        runs => job.tasks.iter().map(|task| task.experiments.len()).sum::<usize>(),
        class => job.class.clone(),
        array => (!job.tasks.is_empty()).then(|| job.array()),
        example => job.tasks.iter().take(2).map(|task| task.index.to_string()).collect::<Vec<_>>().join(","),
        shared_tasks => job.packed().then(|| job.tasks.iter().map(|task| context! {
            index => task.index,
            experiments => task.experiments.clone(),
        }).collect::<Vec<_>>()),
        cores_a_run => gpu.map(|gpu| gpu.cores),
        stage,
        stage_flag => if stage { " --packs \"$packs\"" } else { "" },
        packs_source => text_of(&rendering.job.paths.packs(&package))?,
        ..reasons(job, cluster)
    };
    let name = match job.stage {
        Stage::Preprocess => "preprocess.sh.j2",
        Stage::Train => "train.sh.j2",
        Stage::Aggregate => "aggregate.sh.j2",
    };
    let text = environment.get_template(name).and_then(|template| template.render(values)).map_err(template_error)?;
    Ok(text.trim_end().to_owned() + "\n")
}

/// Why each directive has its value, for the reader of the script.
fn reasons(job: &PlannedJob, cluster: &Cluster) -> minijinja::Value {
    let gpu = cluster.training_gpu();
    let counts = gpu.map(|gpu| gpu.counts);
    let (hours, bins) = (job.assumed_hours, !cluster.walltime.bins.is_empty());
    let pieces = job.resources.minutes as f64 / 60.0 + 1e-9 < hours;
    let time = match job.stage {
        Stage::Aggregate if cluster.walltime.min.is_none() => "what is welcome here is not known".to_owned(),
        Stage::Aggregate => "the shortest that is welcome here".to_owned(),
        _ if pieces => format!("a run is assumed to need {hours} h: it goes on from its checkpoint"),
        Stage::Preprocess if bins => format!("assumed: {hours} h, rounded up into the cluster's bins"),
        Stage::Train if bins => format!("assumed: {hours} h a run, rounded up into the cluster's bins"),
        _ => format!("assumed: {hours} h; this cluster's bins are not known"),
    };
    let gpus = match (job.stage, counts) {
        (Stage::Train, Some(GpuCounts::WholeNodes)) => "whole nodes only: several runs share this job, one a GPU",
        (Stage::Train, Some(GpuCounts::OneOrWholeNodes)) => "exactly one, or a multiple of a whole node's",
        (Stage::Train, _) => "the model must be named",
        _ => "no nodes without GPUs are listed for this cluster",
    };
    let memory = if job.resources.memory.as_deref() == Some("0") { "all of the node's" } else { "assumed to be ample" };
    context! {
        time_reason => time,
        gpus_reason => gpus,
        memory_reason => memory,
        tasks_reason => if job.stage == Stage::Preprocess { "ranks: they share the 113 chunks" } else { "" },
        cpus_reason => match job.stage {
            Stage::Preprocess => "threads of a rank",
            Stage::Train if counts == Some(GpuCounts::WholeNodes) => "all of the node's, shared by its runs",
            Stage::Train => "this cluster's share of a GPU: decoding threads",
            Stage::Aggregate => "",
        },
        array_reason => if job.packed() { "tasks of packs.tsv" } else { "indices of experiments.tsv" },
    }
}

fn environment(templates: BTreeMap<String, String>) -> Result<Environment<'static>> {
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
    environment.add_function("directive", |option: &str, reason: &str| match reason {
        "" => format!("#SBATCH {option}"),
        reason => format!("#SBATCH {option:<36} # {reason}"),
    });
    for (name, text) in templates {
        environment.add_template_owned(name, text).map_err(template_error)?;
    }
    Ok(environment)
}

/// An account must be one plain word: `#SBATCH` lines are read by Slurm, not by a shell, so quoting would not help.
fn account(name: &str) -> Result<&str> {
    if quote::job_name(name) != name || name.is_empty() {
        return Err(
            Error::usage(format!("{name:?} is no account name")).with_help("accounts look like def-yourpi or rrg-yourpi-ab")
        );
    }
    if name.ends_with("_gpu") || name.ends_with("_cpu") {
        let plain = &name[..name.len() - 4];
        return Err(
            Error::usage(format!("Slurm adds the ending of `{name}` itself")).with_help(format!("write --account {plain}"))
        );
    }
    Ok(name)
}

fn text_of(path: &Path) -> Result<&str> {
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
