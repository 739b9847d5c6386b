//! `submissions.jsonl` ↔ which job of Slurm's holds which runs.
//!
//! A line before each `sbatch` and one behind it: a crash between the two leaves a submission that the next call looks for in the
//! queue by its ticket.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::store::journal;
use crate::sweep::manifest::Ticket;
use crate::sweep::plan::{Plan, PlannedJob, Stage};
use crate::sweep::slurm::{QueuedTask, TaskId};

/// The journal's name in `{output}/slurm/{cluster}/`.
pub const NAME: &str = "submissions.jsonl";

/// A line of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// `sbatch` is about to be called.
    Submitting(Submission),
    /// It gave this id, or the job was found in the queue.
    Accepted {
        /// Which submission.
        serial: u64,
        /// `SLURM_ARRAY_JOB_ID` of its tasks.
        job: u64,
    },
    /// Slurm refused it, or it was never seen in the queue.
    Refused {
        /// Which submission.
        serial: u64,
        /// Why.
        said: String,
    },
}

/// One call of `sbatch`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Submission {
    /// Its comment.
    pub ticket: Ticket,
    /// What it does.
    pub stage: Stage,
    /// Index in the array → ids of its runs; empty outside training.
    pub tasks: BTreeMap<usize, Vec<String>>,
    /// Its logs, absolute, with Slurm's `%x` resolved: `%A` and `%a` are left.
    pub log: PathBuf,
    /// Minutes of walltime that were asked for.
    pub minutes: u64,
    /// Memory that was asked for, as `--mem` writes it.
    pub memory: Option<String>,
    /// Seconds since 1970; 0 where only the queue knows of it.
    pub at: u64,
}

impl Submission {
    /// The log of `task`.
    #[must_use]
    pub fn log_of(&self, task: TaskId) -> PathBuf {
        let index = task.index.map_or_else(|| "4294967294".to_owned(), |index| index.to_string());
        let name = self.log.to_string_lossy().replace("%A", &task.job.to_string()).replace("%j", &task.job.to_string());
        PathBuf::from(name.replace("%a", &index))
    }
}

/// Everything that was ever submitted of a sweep.
#[derive(Clone, Debug, Default)]
pub struct Submissions {
    all: BTreeMap<u64, (Submission, Fate)>,
}

/// What became of a submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Nobody has noted it.
    Open,
    /// It is this job.
    Job(u64),
    /// It is none.
    Refused,
}

impl Submissions {
    /// Reads the journal in `folder`.
    pub fn read(folder: &Path) -> Result<Self> {
        Ok(Self::of(journal::read(&folder.join(NAME))?))
    }

    /// What these entries add up to.
    #[must_use]
    pub fn of(entries: Vec<Entry>) -> Self {
        let mut submissions = Self::default();
        entries.into_iter().for_each(|entry| submissions.note(entry));
        submissions
    }

    /// Adds what the journal was told.
    pub fn note(&mut self, entry: Entry) {
        let (serial, fate) = match entry {
            Entry::Submitting(submission) => {
                self.all.insert(submission.ticket.serial, (submission, Fate::Open));
                return;
            }
            Entry::Accepted { serial, job } => (serial, Fate::Job(job)),
            Entry::Refused { serial, .. } => (serial, Fate::Refused),
        };
        if let Some((_, known)) = self.all.get_mut(&serial) {
            *known = fate;
        }
    }

    /// Adds the jobs in `queue` that this sweep submitted but the journal does not know: it was lost, or lies in another folder. They
    /// hold the tasks that the queue shows, which may be a part of their script's; what those hold is taken from the `plan` of now,
    /// and where they write from `log_of`.
    pub fn recover(&mut self, queue: &[QueuedTask], sweep: &str, plan: &Plan, log_of: impl Fn(&PlannedJob) -> PathBuf) {
        for (job, (ticket, indices)) in self.lost(queue, sweep) {
            let Some(planned) = plan.jobs.iter().find(|planned| planned.name() == ticket.script) else { continue };
            tracing::warn!("job {job} is this sweep's, but {NAME} does not know it");
            let (serial, offset) = (ticket.serial, ticket.offset);
            let in_array = |(index, runs): (usize, Vec<String>)| Some((index.checked_sub(offset)?, runs));
            let submission = Submission {
                ticket,
                stage: planned.stage,
                tasks: runs_of(plan, planned)
                    .into_iter()
                    .filter_map(in_array)
                    .filter(|(index, _)| indices.contains(index))
                    .collect(),
                log: log_of(planned),
                minutes: planned.resources.minutes,
                memory: planned.resources.memory.clone(),
                at: 0,
            };
            // Another cluster's journal counts for itself.
            let taken = matches!(self.all.get(&serial), Some((_, Fate::Job(_))));
            let key = if taken { self.all.keys().last().map_or(0, |last| last + 1) } else { serial };
            self.all.insert(key, (submission, Fate::Job(job)));
        }
    }

    /// The jobs in `queue` that are the sweep's by their comment and that nothing is known of, with the indices of their tasks.
    #[must_use]
    pub fn lost(&self, queue: &[QueuedTask], sweep: &str) -> BTreeMap<u64, (Ticket, BTreeSet<usize>)> {
        let mut lost: BTreeMap<u64, (Ticket, BTreeSet<usize>)> = BTreeMap::new();
        for task in queue {
            let Ok(ticket) = task.comment.parse::<Ticket>() else { continue };
            if ticket.sweep == sweep && self.of_job(task.id.job).is_none() {
                lost.entry(task.id.job).or_insert_with(|| (ticket, BTreeSet::new())).1.extend(task.id.index);
            }
        }
        lost
    }

    /// Adds another journal's: those of a second cluster, which counts its submissions for itself.
    pub fn join(&mut self, other: Self) {
        let offset = self.all.keys().last().map_or(0, |last| last + 1);
        self.all.extend(other.all.into_iter().map(|(serial, known)| (serial + offset, known)));
    }

    /// Whether nothing was ever submitted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The next submission's number: beyond all of the journal's, and all in `queue`, should the journal have been lost.
    #[must_use]
    pub fn next_serial(&self, queue: &[QueuedTask]) -> u64 {
        let queued = queue.iter().filter_map(|task| task.comment.parse::<Ticket>().ok()).map(|ticket| ticket.serial);
        self.all.keys().copied().chain(queued).max().map_or(1, |last| last + 1)
    }

    /// Those whose end nobody has noted.
    #[must_use]
    pub fn open(&self) -> Vec<Submission> {
        self.all.values().filter(|(_, fate)| *fate == Fate::Open).map(|(submission, _)| submission.clone()).collect()
    }

    /// The submission that became `job`.
    #[must_use]
    pub fn of_job(&self, job: u64) -> Option<&Submission> {
        self.accepted().find(|(_, id)| *id == job).map(|(submission, _)| submission)
    }

    /// All that became jobs, the oldest first, with the jobs' ids.
    pub fn accepted(&self) -> impl DoubleEndedIterator<Item = (&Submission, u64)> {
        self.all.values().filter_map(|(submission, fate)| match fate {
            Fate::Job(job) => Some((submission, *job)),
            _ => None,
        })
    }

    /// Each run's tasks, the newest first.
    #[must_use]
    pub fn by_run(&self) -> HashMap<&str, Vec<(&Submission, TaskId)>> {
        let mut found: HashMap<&str, Vec<_>> = HashMap::new();
        for (submission, job) in self.accepted().rev() {
            for (index, runs) in &submission.tasks {
                for run in runs {
                    found.entry(run).or_default().push((submission, TaskId { job, index: Some(*index) }));
                }
            }
        }
        found
    }
}

/// The tasks of a planned job with the ids of their runs.
#[must_use]
pub fn runs_of(plan: &Plan, planned: &PlannedJob) -> BTreeMap<usize, Vec<String>> {
    let id = |index: &usize| plan.experiments.get(*index).map(|experiment| experiment.id.to_string());
    planned.tasks.iter().map(|task| (task.index, task.experiments.iter().filter_map(id).collect())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Cluster, Job, from_text};
    use crate::sweep::plan::plan;
    use crate::sweep::slurm::Phase;

    fn submission(serial: u64, runs: &[(usize, &[&str])]) -> Submission {
        let ticket = Ticket { sweep: "s".into(), manifest: "m".into(), script: "train-small".into(), serial, offset: 0 };
        let tasks = runs.iter().map(|(index, runs)| (*index, runs.iter().map(|run| (*run).to_owned()).collect())).collect();
        let log = "/scratch/logs/demo-%A_%a.out".into();
        Submission { ticket, stage: Stage::Train, tasks, log, minutes: 60, memory: None, at: 0 }
    }

    #[test]
    fn a_run_is_found_in_its_newest_task_and_a_refused_submission_holds_nothing() {
        let submissions = Submissions::of(vec![
            Entry::Submitting(submission(1, &[(0, &["a", "b"]), (1, &["c"])])),
            Entry::Accepted { serial: 1, job: 70 },
            Entry::Submitting(submission(2, &[(0, &["a", "b"])])),
            Entry::Refused { serial: 2, said: "no".into() },
            Entry::Submitting(submission(3, &[(0, &["a", "b"])])),
            Entry::Accepted { serial: 3, job: 90 },
            Entry::Submitting(submission(4, &[(1, &["c"])])),
        ]);
        let found = &submissions.by_run()["b"];
        assert_eq!(found.iter().map(|(_, task)| task.to_string()).collect::<Vec<_>>(), ["90_0", "70_0"]);
        assert_eq!(found[0].0.log_of(found[0].1), Path::new("/scratch/logs/demo-90_0.out"));
        assert_eq!(submissions.open().len(), 1);
        assert_eq!(submissions.next_serial(&[]), 5);
    }

    #[test]
    fn a_job_the_journal_lost_holds_the_tasks_the_queue_shows_and_no_others() {
        let mut job: Job = from_text(include_str!("../../jobs/bioscan-1m.toml"), "job.toml").unwrap();
        job.grid.backbones.truncate(1);
        let plan = plan(&job, &Cluster::load("fir", None).unwrap()).unwrap();
        let planned = plan.jobs.iter().find(|planned| planned.stage == Stage::Train && !planned.packed()).unwrap();
        let task = |job: u64, index: usize, offset: usize| QueuedTask {
            id: TaskId { job, index: Some(index) },
            phase: Phase::Waiting,
            reason: String::new(),
            nodes: String::new(),
            left: String::new(),
            comment: Ticket { script: planned.name().into(), serial: 1, offset, ..submission(1, &[]).ticket }.to_string(),
        };
        let first = planned.tasks[0].index;
        let queue = [task(70, first + 2, 0), task(70, first + 4, 0), task(71, 1, first)];
        let log = |_: &PlannedJob| PathBuf::from("/logs/%A_%a.out");
        let mut known = Submissions::default();
        known.recover(&queue, "s", &plan, log);
        let held = |job: u64| known.of_job(job).unwrap().tasks.clone();
        let id = |index: usize| vec![plan.experiments[index].id.to_string()];
        assert_eq!(held(70), [(first + 2, id(first + 2)), (first + 4, id(first + 4))].into());
        // The same serial, of a slice: neither replaces the other.
        assert_eq!(held(71), [(1, id(first + 1))].into());
        assert_eq!(known.of_job(70).unwrap().log_of(queue[0].id), PathBuf::from(format!("/logs/70_{}.out", first + 2)));
        let mut strangers = Submissions::default();
        strangers.recover(&queue, "another", &plan, log);
        assert!(strangers.is_empty());
    }

    #[test]
    fn the_journal_reads_back_as_it_was_noted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        let mut noted = Submissions::default();
        for entry in [Entry::Submitting(submission(1, &[(0, &["a"])])), Entry::Accepted { serial: 1, job: 7 }] {
            journal::append(&path, &entry).unwrap();
            noted.note(entry);
        }
        assert_eq!(Submissions::read(folder.path()).unwrap().all, noted.all);
        assert_eq!(noted.of_job(7).unwrap().tasks[&0], ["a"]);
    }
}
