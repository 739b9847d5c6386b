//! A rendered plan → its runs on this machine, a few at a time, with the scripts and the environment Slurm would use.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::comm::signals::StopFlag;
use crate::config::{ExperimentId, Job};
use crate::error::{Error, IoContext, Result};
use crate::store::atomic;
use crate::sweep::logs;
use crate::sweep::plan::{Plan, Stage};
use crate::sweep::render::MAX_RESTARTS;
use crate::sweep::state::{State, states};
use crate::sweep::task::{Ended, LocalTask};
use crate::telemetry::Progress;

/// Lines of a failed run's log that are shown.
const TAIL: usize = 5;

/// How the runs share the machine.
#[derive(Clone, Copy, Debug)]
pub struct Sharing {
    /// Runs at a time.
    pub runs: usize,
    /// Threads of each rank of a run.
    pub threads: usize,
}

impl Sharing {
    /// As many runs as the cores hold, at least one. A job that leaves the threads of a run open gives all cores to one run at a time,
    /// unless `jobs` asks for more.
    #[must_use]
    pub fn of(cores: usize, threads: usize, ranks: usize, jobs: Option<usize>) -> Self {
        let fitting = if threads == 0 { 1 } else { cores / (threads * ranks).max(1) };
        let runs = jobs.unwrap_or(fitting).max(1);
        let threads = if threads == 0 { (cores / (runs * ranks).max(1)).max(1) } else { threads };
        Self { runs, threads }
    }
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Runs that are done, now or before.
    pub done: usize,
    /// Runs of the job.
    pub of: usize,
    /// Runs that were started and are not done.
    pub failed: Vec<Failure>,
    /// Whether it was told to stop.
    pub stopped: bool,
}

/// A run that was started and is not done.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The run.
    pub id: ExperimentId,
    /// Why, as far as its exit says.
    pub reason: String,
    /// Its whole log.
    pub log: PathBuf,
    /// The last lines of it.
    pub tail: Vec<String>,
}

/// Writes each file of a rendering into `folder`, unless it is there already, word for word.
pub fn write_files(folder: &Path, files: &BTreeMap<String, String>) -> Result<()> {
    for (name, text) in files {
        let path = folder.join(name);
        if std::fs::read(&path).is_ok_and(|there| there == text.as_bytes()) {
            continue;
        }
        atomic::write(&path, text.as_bytes())?;
    }
    Ok(())
}

/// Runs what is not done of `plan`. `scripts` holds its rendering; a failed run does not stop the others.
pub fn run(plan: &Plan, job: &Job, scripts: &Path, sharing: Sharing, stop: &StopFlag) -> Result<Outcome> {
    let runs = job.paths.runs();
    let before = states(&plan.experiments, &runs)?;
    let tasks = tasks(plan, job, scripts, sharing, &before)?;
    let done = before.iter().filter(|state| **state == State::Done).count();
    tracing::info!("{done} of {} runs are done; starting {}, {} at a time", before.len(), tasks.len(), sharing.runs);

    let progress = Progress::start(tasks.len() as u64, "runs");
    let next = AtomicUsize::new(0);
    let ends = Mutex::new(Vec::new());
    let work = || {
        while let Some(task) = tasks.get(next.fetch_add(1, Ordering::Relaxed)).filter(|_| !stop.raised()) {
            let ended = task.run(restarts(), stop);
            if !matches!(ended, Ok(Ended::Well)) {
                tracing::warn!("run {} did not end well; its log is {}", task.index, task.log.display());
            }
            ends.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((task, ended));
            progress.advance(1);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..sharing.runs.min(tasks.len()) {
            scope.spawn(work);
        }
    });
    drop(progress);

    let after = states(&plan.experiments, &runs)?;
    let mut outcome = Outcome { of: after.len(), stopped: stop.raised(), ..Outcome::default() };
    outcome.done = after.iter().filter(|state| **state == State::Done).count();
    let mut ends = ends.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    ends.sort_by_key(|(task, _)| task.index);
    for (task, ended) in ends {
        let (Some(experiment), Some(state)) = (plan.experiments.get(task.index), after.get(task.index)) else { continue };
        let reason = match ended? {
            _ if *state == State::Done => continue,
            Ended::Stopped => continue,
            Ended::Well => "it ended well, but left no result that agrees with its seal".into(),
            Ended::Failed(status) => Ended::reason(status),
        };
        outcome.failed.push(Failure {
            id: experiment.id.clone(),
            reason,
            log: task.log.clone(),
            tail: logs::tail(&task.log, TAIL)?,
        });
    }
    Ok(outcome)
}

fn tasks(plan: &Plan, job: &Job, scripts: &Path, sharing: Sharing, states: &[State]) -> Result<Vec<LocalTask>> {
    let program = match std::env::var_os("BIOSCAN_HPC") {
        Some(program) => program.into(),
        None => std::env::current_exe().at("find", "the running program")?,
    };
    let mut tasks = Vec::new();
    for planned in plan.jobs.iter().filter(|planned| planned.stage == Stage::Train) {
        for index in planned.tasks.iter().flat_map(|task| task.experiments.iter().copied()) {
            let (Some(experiment), Some(state)) = (plan.experiments.get(index), states.get(index)) else { continue };
            match state {
                State::Done => continue,
                State::Running => tracing::warn!("{} is being run by somebody else; left to them", experiment.id),
                State::Checkpointed | State::Missing => tasks.push(LocalTask {
                    index,
                    script: scripts.join(&planned.script),
                    log: logs::local(job, experiment),
                    array: std::process::id(),
                    cpus: sharing.threads,
                    program: program.clone(),
                }),
            }
        }
    }
    Ok(tasks)
}

/// The same bound, from the same variable, as the scripts have under Slurm.
fn restarts() -> u32 {
    std::env::var("BIOSCAN_MAX_RESTARTS").ok().and_then(|text| text.parse().ok()).unwrap_or(MAX_RESTARTS)
}

/// The cores of this machine that this process may use.
pub fn cores() -> Result<usize> {
    std::thread::available_parallelism().map(usize::from).map_err(|error| Error::library("system", error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_share_the_cores_by_their_threads_and_ranks() {
        let of = |cores, threads, ranks, jobs| {
            let sharing = Sharing::of(cores, threads, ranks, jobs);
            (sharing.runs, sharing.threads)
        };
        assert_eq!(of(8, 1, 1, None), (8, 1));
        assert_eq!(of(8, 1, 2, None), (4, 1));
        assert_eq!(of(2, 4, 1, None), (1, 4));
        assert_eq!(of(8, 0, 1, None), (1, 8));
        assert_eq!(of(8, 0, 2, Some(2)), (2, 2));
    }
}
