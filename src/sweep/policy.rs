//! A request and a cluster → what that cluster would refuse, with the rule and who says so. Pure: asks no scheduler.
//!
//! A rule that a profile does not state is not enforced: nothing is refused on a guess.

use std::fmt;

use crate::config::{Cluster, GpuCounts, GpuKind, Scheduler};
use crate::error::{Error, Result};
use crate::sweep::estimate::slurm_time;
use crate::sweep::plan::{Memory, Resources};
use crate::sweep::quote;

/// A request that a cluster would refuse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What is asked for, and what is allowed.
    pub message: String,
    /// The key of the profile that holds the rule.
    pub rule: String,
    /// Where that comes from.
    pub source: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}: {})", self.message, self.rule, self.source)
    }
}

fn refusal(cluster: &Cluster, rule: impl Into<String>, message: impl Into<String>) -> Refusal {
    let rule = rule.into();
    Refusal { source: cluster.source(&rule).to_owned(), message: message.into(), rule }
}

type Rule = fn(&Cluster, &Resources) -> Option<Refusal>;

/// Every rule on what one job asks for, in the order a reader would check them.
const RULES: [Rule; 8] = [
    too_long,
    too_short,
    gpu_unknown,
    several_slices,
    more_than_a_node,
    not_a_whole_gpu_node,
    not_a_whole_cpu_node,
    more_nodes_than_there_are,
];

/// What `cluster` would refuse of a job with `resources`; empty where nothing is known to speak against it.
#[must_use]
pub fn refusals(cluster: &Cluster, resources: &Resources) -> Vec<Refusal> {
    if cluster.scheduler == Scheduler::None {
        return Vec::new();
    }
    RULES.iter().filter_map(|rule| rule(cluster, resources)).collect()
}

fn too_long(cluster: &Cluster, resources: &Resources) -> Option<Refusal> {
    let max = cluster.walltime.max.filter(|max| resources.minutes as f64 > max * 60.0)?;
    let message = format!("--time={} is longer than the {max} h that a job may last", slurm_time(resources.minutes));
    Some(refusal(cluster, "walltime.max", message))
}

fn too_short(cluster: &Cluster, resources: &Resources) -> Option<Refusal> {
    let min = cluster.walltime.min.filter(|min| (resources.minutes as f64) < min * 60.0)?;
    let message = format!("--time={} is shorter than the {min} h that a job shall last", slurm_time(resources.minutes));
    Some(refusal(cluster, "walltime.min", message))
}

/// What the job's GPUs are on this cluster, with the number a node.
fn kind<'a>(cluster: &'a Cluster, resources: &Resources) -> Option<(GpuKind<'a>, u32)> {
    let (name, count) = resources.gpus()?;
    Some((cluster.gpu_kinds().find(|kind| kind.name() == name)?, count))
}

fn gpu_unknown(cluster: &Cluster, resources: &Resources) -> Option<Refusal> {
    let asked = resources.gpus_per_node.as_deref()?;
    if kind(cluster, resources).is_some() {
        return None;
    }
    let names: Vec<&str> = cluster.gpu_kinds().map(|kind| kind.name()).collect();
    let names = names.join(", ");
    if asked.bytes().all(|byte| byte.is_ascii_digit()) {
        let required = cluster.rules.gpu_model == Some(true);
        let message = format!("--gpus-per-node={asked} names no model; there are {names}");
        return required.then(|| refusal(cluster, "rules.gpu_model", message));
    }
    Some(refusal(cluster, "gpus.0.spec", format!("--gpus-per-node={asked} names no GPU of this cluster; there are {names}")))
}

fn several_slices(cluster: &Cluster, resources: &Resources) -> Option<Refusal> {
    let (kind, count) = kind(cluster, resources)?;
    let several = kind.slice.is_some() && count * resources.nodes > 1;
    let forbidden = several && cluster.rules.one_slice == Some(true);
    let message = format!("{} slices of a GPU in one job: one is allowed", count * resources.nodes);
    forbidden.then(|| refusal(cluster, "rules.one_slice", message))
}

fn more_than_a_node(cluster: &Cluster, resources: &Resources) -> Option<Refusal> {
    let cores = resources.tasks_per_node * resources.cpus_per_task;
    let memory_mib = match resources.memory() {
        Memory::Gib(gib) => gib * 1024,
        Memory::WholeNode | Memory::Unsaid => 0,
    };
    let exceeds = |what: &str, asked: u64, has: u64, rule: String| {
        (asked > has).then(|| refusal(cluster, rule, format!("{asked} {what} are asked for on each node, and one has {has}")))
    };
    if resources.gpus_per_node.is_none() {
        let cpu = cluster.cpu.as_ref()?;
        return exceeds("cores", cores.into(), cpu.cores.into(), "cpu.cores".into())
            .or_else(|| exceeds("MiB", memory_mib, cpu.memory_mib, "cpu.memory_mib".into()));
    }
    let (kind, count) = kind(cluster, resources)?;
    let place = cluster.gpus.iter().position(|nodes| nodes == kind.nodes).unwrap_or_default();
    let key = |key: &str| format!("gpus.{place}.{key}");
    let gpus = if kind.slice.is_some() { 0 } else { count };
    exceeds("GPUs", gpus.into(), kind.nodes.per_node.into(), key("per_node"))
        .or_else(|| exceeds("cores", cores.into(), kind.nodes.node_cores.into(), key("node_cores")))
        .or_else(|| exceeds("MiB", memory_mib, kind.nodes.node_memory_mib, key("node_memory_mib")))
}

fn not_a_whole_gpu_node(cluster: &Cluster, resources: &Resources) -> Option<Refusal> {
    let (kind, count) = kind(cluster, resources)?;
    let place = cluster.gpus.iter().position(|nodes| nodes == kind.nodes)?;
    let (whole, total) = (kind.nodes.per_node, count * resources.nodes);
    let allowed = match kind.nodes.counts {
        GpuCounts::Any => return None,
        GpuCounts::OneOrWholeNodes => total == 1 || count == whole,
        GpuCounts::WholeNodes => count == whole,
    };
    let but = match kind.nodes.counts {
        GpuCounts::OneOrWholeNodes => format!("exactly 1 is allowed, or a multiple of {whole}: whole nodes"),
        _ => format!("only whole nodes of {whole} are allowed"),
    };
    (!allowed).then(|| refusal(cluster, format!("gpus.{place}.counts"), format!("{total} GPUs are asked for: {but}")))
}

fn not_a_whole_cpu_node(cluster: &Cluster, resources: &Resources) -> Option<Refusal> {
    let cpu = cluster.cpu.as_ref().filter(|cpu| cpu.whole && resources.gpus_per_node.is_none())?;
    let cores = resources.tasks_per_node * resources.cpus_per_task;
    let message = format!("{cores} cores a node are asked for: only whole nodes of {} are allowed", cpu.cores);
    (cores != cpu.cores).then(|| refusal(cluster, "cpu.whole", message))
}

fn more_nodes_than_there_are(cluster: &Cluster, resources: &Resources) -> Option<Refusal> {
    let (nodes, rule) = match (kind(cluster, resources), &cluster.cpu) {
        (Some((kind, _)), _) => {
            let place = cluster.gpus.iter().position(|nodes| nodes == kind.nodes)?;
            (kind.nodes.nodes, format!("gpus.{place}.nodes"))
        }
        (None, Some(cpu)) => (cpu.nodes, "cpu.nodes".into()),
        (None, None) => return None,
    };
    let message = format!("{} nodes are asked for, and there are {nodes}", resources.nodes);
    (resources.nodes > nodes).then(|| refusal(cluster, rule, message))
}

/// What `cluster` would refuse of an array of these `indices` in one piece, where `queued` jobs of the user are there already.
#[must_use]
pub fn array(cluster: &Cluster, indices: &[usize], queued: usize) -> Option<Refusal> {
    let last = indices.iter().copied().max()?;
    if let Some(size) = cluster.limits.array_size.filter(|size| last >= *size as usize) {
        let message = format!("the array ends at {last}, and indices end at {} here", size.saturating_sub(1));
        return Some(refusal(cluster, "limits.array_size", message));
    }
    let most = cluster.limits.submitted.filter(|most| queued + indices.len() > *most as usize)?;
    let before = if queued > 0 { format!(" beside the {queued} in the queue") } else { String::new() };
    let message = format!("an array of {} tasks{before} makes more than the {most} jobs that one person may have", indices.len());
    Some(refusal(cluster, "limits.submitted", message))
}

/// Why `cluster` would refuse a submission from inside a job; `None` where it is allowed, or not known to be forbidden.
#[must_use]
pub fn from_inside_a_job(cluster: &Cluster) -> Option<Refusal> {
    let message = "jobs may not be submitted from inside a job: submit from a login node";
    (cluster.sbatch_from_jobs == Some(false)).then(|| refusal(cluster, "sbatch_from_jobs", message))
}

/// What `cluster` would refuse of the text of a script, one's own template perhaps.
#[must_use]
pub fn script(cluster: &Cluster, text: &str) -> Vec<Refusal> {
    let directive = |options: &[&str]| {
        let mut lines = text.lines().filter_map(|line| line.strip_prefix("#SBATCH"));
        lines.any(|line| options.iter().any(|option| line.trim_start().starts_with(option)))
    };
    let partition = (cluster.rules.no_partition == Some(true) && directive(&["--partition", "-p"]))
        .then(|| refusal(cluster, "rules.no_partition", "the script names a partition: the scheduler chooses it here"));
    let nested = from_inside_a_job(cluster).filter(|_| text.lines().any(calls_sbatch));
    partition.into_iter().chain(nested).collect()
}

/// Whether a line runs `sbatch`: as the first word of a command, not in a comment or a quoted message.
fn calls_sbatch(line: &str) -> bool {
    let mut quoted = None;
    let mut word = String::new();
    let mut first = true;
    for c in line.chars().chain(['\n']) {
        match (quoted, c) {
            (Some(mark), c) if c == mark => quoted = None,
            (Some(_), _) => word.push('"'),
            (None, '"' | '\'') => quoted = Some(c),
            (None, '#') if word.is_empty() => return false,
            (None, ' ' | '\t' | '\n' | ';' | '|' | '&' | '(' | ')' | '`') => {
                if first && word == "sbatch" {
                    return true;
                }
                // An assignment before a command, and words that a command follows, leave the next word the first.
                first = if " \t".contains(c) { first && (word.is_empty() || opens_a_command(&word)) } else { true };
                word.clear();
            }
            (None, c) => word.push(c),
        }
    }
    false
}

fn opens_a_command(word: &str) -> bool {
    matches!(word, "if" | "then" | "else" | "elif" | "while" | "until" | "do" | "!" | "exec" | "time" | "command")
        || word.contains('=')
}

/// An account must be one plain word: `#SBATCH` lines are read by Slurm, not by a shell, so quoting would not help.
pub fn account(name: &str) -> Result<&str> {
    if quote::job_name(name) != name || name.is_empty() {
        return Err(
            Error::usage(format!("{name:?} is no account name")).with_help("accounts look like def-yourpi or rrg-yourpi-ab")
        );
    }
    if let Some(plain) = name.strip_suffix("_gpu").or_else(|| name.strip_suffix("_cpu")) {
        return Err(
            Error::usage(format!("Slurm adds the ending of `{name}` itself")).with_help(format!("write --account {plain}"))
        );
    }
    Ok(name)
}

/// An error that lists what `cluster` would refuse; nothing where that is nothing.
pub fn refuse(cluster: &Cluster, what: &str, refusals: &[Refusal]) -> Result<()> {
    if refusals.is_empty() {
        return Ok(());
    }
    let list: Vec<String> = refusals.iter().map(|refusal| format!("\n  - {refusal}")).collect();
    Err(Error::usage(format!("{} would refuse {what}:{}", cluster.title, list.concat()))
        .with_help("change `[sweep]` in the job file; where the rule is out of date, give a corrected profile by --profiles"))
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
