//! A submission → the arguments of `sbatch`; and what a script's own directives say.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::sweep::estimate::{minutes_to_ask, slurm_time};
use crate::sweep::plan::{Plan, PlannedJob, Resources};

/// The variable in which a script finds what to add to `SLURM_ARRAY_TASK_ID`.
pub const OFFSET: &str = "BIOSCAN_ARRAY_OFFSET";

/// What a rerun asks for beyond the plan, as factors.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct More {
    /// Of memory.
    pub memory: Option<f64>,
    /// Of time.
    pub time: Option<f64>,
}

/// One call of `sbatch`, as far as it is known before the call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call<'a> {
    /// The script, absolute, so that no name can pass for an option.
    pub script: PathBuf,
    /// `--comment`.
    pub comment: String,
    /// `--array`.
    pub array: Option<String>,
    /// What the script adds to each index of it.
    pub offset: usize,
    /// `--dependency`: `afterok`, and the jobs.
    pub dependency: Option<(&'a str, Vec<String>)>,
    /// `--mem`, where it is not the script's.
    pub memory: Option<String>,
    /// Minutes, where they are not the script's.
    pub minutes: Option<u64>,
}

impl Call<'_> {
    /// What stands behind `sbatch`: options on the command line win over the script's own lines.
    #[must_use]
    pub fn arguments(&self) -> Vec<String> {
        let mut arguments = vec![format!("--comment={}", self.comment)];
        arguments.extend(self.array.as_ref().map(|array| format!("--array={array}")));
        // A requeued task keeps it: Slurm stores the environment with the job.
        arguments.extend((self.offset > 0).then(|| export(self.offset)));
        if let Some((kind, jobs)) = self.dependency.as_ref().filter(|(_, jobs)| !jobs.is_empty()) {
            arguments.push(format!("--dependency={kind}:{}", jobs.join(":")));
            // Without it a job whose dependency has failed waits for ever.
            arguments.push("--kill-on-invalid-dep=yes".into());
        }
        arguments.extend(self.memory.as_ref().map(|memory| format!("--mem={memory}")));
        arguments.extend(self.minutes.map(|minutes| format!("--time={}", slurm_time(minutes))));
        arguments.push(self.script.to_string_lossy().into_owned());
        arguments
    }
}

/// The option that tells a script's tasks what to add to their index.
#[must_use]
pub fn export(offset: usize) -> String {
    format!("--export=ALL,{OFFSET}={offset}")
}

/// What a `#SBATCH --name=value` line of a script says.
#[must_use]
pub fn directive<'a>(script: &'a str, name: &str) -> Option<&'a str> {
    let value = |line: &'a str| line.strip_prefix("#SBATCH --")?.strip_prefix(name)?.strip_prefix('=')?.split_whitespace().next();
    script.lines().find_map(value)
}

/// Where the logs of a script go that is submitted from `folder`; `%A`, `%a` and `%j` are left for Slurm's ids.
#[must_use]
pub fn log_of(script: &str, folder: &Path) -> PathBuf {
    let pattern = directive(script, "output").unwrap_or("slurm-%A_%a.out");
    folder.join(pattern.replace("%x", directive(script, "job-name").unwrap_or_default()))
}

/// What a job asks for with `more`, where that differs from its script: memory, and minutes rounded into the cluster's bins.
pub fn grown(planned: &PlannedJob, plan: &Plan, more: More) -> Result<Resources> {
    let mut resources = planned.resources.clone();
    if let Some(factor) = more.memory {
        let memory = resources.memory.as_deref().unwrap_or("0");
        let Some(gib) = memory.strip_suffix('G').and_then(|gib| gib.parse::<f64>().ok()) else {
            return Err(Error::usage(format!("{} on {} cannot be given more memory", planned.script, plan.cluster.title))
                .with_help("it has all of its share already: take another GPU in the profile, or a smaller batch"));
        };
        resources.memory = Some(format!("{}G", (gib * factor).ceil() as u64));
    }
    if let Some(factor) = more.time {
        let minutes = minutes_to_ask(resources.minutes as f64 * factor / 60.0, &plan.cluster);
        if minutes <= resources.minutes {
            tracing::warn!("{} asks for as long as {} allows already", planned.script, plan.cluster.title);
        }
        resources.minutes = minutes;
    }
    Ok(resources)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Cluster, from_text};
    use crate::sweep::plan::{Stage, plan};

    #[test]
    fn a_dependency_that_cannot_come_true_ends_the_job_and_the_script_comes_last() {
        let mut call = Call {
            script: "/scratch/a b/$(x)/-c.sh".into(),
            comment: "bioscan-hpc:a:b:c:1".into(),
            array: Some("0-3,7".into()),
            offset: 1001,
            dependency: Some(("afterok", vec!["12".into(), "13".into()])),
            memory: Some("96G".into()),
            minutes: Some(1440),
        };
        assert_eq!(
            call.arguments(),
            [
                "--comment=bioscan-hpc:a:b:c:1",
                "--array=0-3,7",
                "--export=ALL,BIOSCAN_ARRAY_OFFSET=1001",
                "--dependency=afterok:12:13",
                "--kill-on-invalid-dep=yes",
                "--mem=96G",
                "--time=1-00:00:00",
                "/scratch/a b/$(x)/-c.sh"
            ]
        );
        call = Call { array: None, offset: 0, dependency: Some(("afterany", vec![])), memory: None, minutes: None, ..call };
        assert_eq!(call.arguments().len(), 2);
    }

    #[test]
    fn a_scripts_own_lines_say_where_its_log_goes() {
        let script =
            "#!/bin/bash\n#SBATCH --job-name=demo-train-small\n#SBATCH --output=logs/%x-%A_%a.out      # make the folder first\n";
        assert_eq!(log_of(script, Path::new("/scratch")), Path::new("/scratch/logs/demo-train-small-%A_%a.out"));
        assert_eq!(directive(script, "mem"), None);
    }

    #[test]
    fn more_is_asked_for_in_whole_gibibytes_and_within_the_clusters_limits() {
        let job = from_text(include_str!("../../jobs/bioscan-1m.toml"), "jobs/bioscan-1m.toml").unwrap();
        let of = |cluster: &str, more: More| {
            let mut plan = plan(&job, &Cluster::load(cluster, None).unwrap()).unwrap();
            let at = plan.jobs.iter().position(|job| job.stage == Stage::Train).unwrap();
            plan.jobs[at].resources.minutes = 180;
            plan.jobs[at].resources.memory = Some("64G".into()).filter(|_| plan.cluster.memory_line);
            grown(&plan.jobs[at], &plan, more)
        };
        let grown = of("fir", More { memory: Some(1.5), time: Some(2.0) }).unwrap();
        assert_eq!((grown.memory.as_deref(), grown.minutes), (Some("96G"), 720));
        assert_eq!(of("trillium", More { memory: None, time: Some(100.0) }).unwrap().minutes, 1440);
        assert!(of("trillium", More { memory: Some(2.0), time: None }).is_err());
    }
}
