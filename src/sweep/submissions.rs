//! `submissions.jsonl` ↔ which job of Slurm's holds which runs.
//!
//! A line before each `sbatch` and one behind it: a crash between the two leaves a submission that the next call looks for in the
//! queue by its ticket.

use std::collections::{BTreeMap, HashMap};
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
    /// Seconds since 1970.
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

    /// Adds the jobs in `queue` that this sweep submitted but the journal does not know: it was lost, or lies in another folder. What
    /// their tasks hold is taken from the `plan` of now.
    pub fn recover(&mut self, queue: &[QueuedTask], sweep: &str, plan: &Plan) {
        for task in queue {
            let Ok(ticket) = task.comment.parse::<Ticket>() else { continue };
            let planned = plan.jobs.iter().find(|planned| planned.script.trim_end_matches(".sh") == ticket.script);
            let (true, None, Some(planned)) = (ticket.sweep == sweep, self.of_job(task.id.job), planned) else { continue };
            tracing::warn!("job {} is this sweep's, but {NAME} does not know it", task.id.job);
            let (serial, offset) = (ticket.serial, ticket.offset);
            let runs = runs_of(plan, planned).into_iter();
            self.note(Entry::Submitting(Submission {
                ticket,
                stage: planned.stage,
                tasks: runs.filter_map(|(index, runs)| Some((index.checked_sub(offset)?, runs))).collect(),
                log: PathBuf::new(),
                minutes: planned.resources.minutes,
                memory: planned.resources.memory.clone(),
                at: 0,
            }));
            self.note(Entry::Accepted { serial, job: task.id.job });
        }
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
