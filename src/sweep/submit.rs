//! A prepared sweep → its jobs in Slurm's queue: preprocessing, training arrays, aggregation, chained; each at most once.
//!
//! `submit` starts what was never submitted, `rerun` what was and is not done. Both leave alone what is done, queued, or owned by a
//! live process, so that either may be called again at any time.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::config::Experiment;
use crate::error::Result;
use crate::store::lock::Lock;
use crate::sweep::arguments::More;
use crate::sweep::desk::{Desk, placeholder};
use crate::sweep::feed::{Demand, Slice, fitting, slices, wanted};
use crate::sweep::plan::{PlannedJob, Stage};
use crate::sweep::prepared::Prepared;
use crate::sweep::slurm::{Phase, Slurm, TaskId};
use crate::sweep::state::{State, state_unless};

/// Which runs are meant.
#[derive(Clone, Debug, Default)]
pub struct Aim {
    /// Also those that were submitted before, in this very form, and are not done.
    pub again: bool,
    /// These alone, by their indices; `None` for all.
    pub only: Option<BTreeSet<usize>>,
    /// More memory or time than the plan's.
    pub more: More,
    /// Say what would be submitted, and submit nothing.
    pub dry: bool,
}

/// What came of it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// What was submitted, or would be.
    pub sent: Vec<Sent>,
    /// Runs of the job.
    pub runs: usize,
    /// Runs that are done.
    pub done: usize,
    /// Runs that were in the queue already, or are being run by a process outside of it.
    pub held: usize,
    /// Tasks for which the cluster has no room now.
    pub waiting: usize,
    /// Runs that were submitted before and are not done: `rerun` starts them again.
    pub ended: usize,
    /// What else a person should know.
    pub notes: Vec<String>,
}

/// One submission.
#[derive(Clone, Debug, Serialize)]
pub struct Sent {
    /// The script.
    pub script: String,
    /// Its stage.
    pub stage: Stage,
    /// `--array`.
    pub array: Option<String>,
    /// Slurm's id; `None` in a dry run.
    pub job: Option<u64>,
    /// The arguments of `sbatch`.
    pub arguments: Vec<String>,
    /// What Slurm said to a test of it, where it was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<Tested>,
}

/// What `sbatch --test-only` said.
#[derive(Clone, Debug, Serialize)]
pub struct Tested {
    /// Whether Slurm would take the script.
    pub taken: bool,
    /// Why not.
    pub said: String,
}

/// Submits what is to be submitted of `prepared` now.
///
/// # Errors
/// A missing dataset or split, a refusal by Slurm, no answer from it. What was accepted before stays in the queue and in the journal.
pub fn submit(prepared: &Prepared, slurm: &Slurm, aim: &Aim) -> Result<Report> {
    prepared.check()?;
    // A dry `rerun` shows what it would ask for, by the scripts that are there.
    if !(aim.dry && aim.again) {
        prepared.write()?;
    }
    let _lock = (!aim.dry).then(|| Lock::acquire(&prepared.folder)).transpose()?;
    let mut desk = Desk::open(prepared, slurm, aim)?;
    let standings = desk.standings()?;
    let mut report = desk.report(&standings);
    let training: Vec<PlannedJob> = wanted(&prepared.plan, &standings.iter().map(|known| known.demand).collect::<Vec<_>>());
    let Some(before) = desk.preprocessing(&mut report, !training.is_empty())? else { return Ok(report) };
    let array_size = if training.is_empty() { None } else { desk.array_size()? };
    let room = desk.room(usize::from(report.sent.iter().any(|sent| sent.stage == Stage::Preprocess)));
    let (now, mut waiting) = fitting(training, room);
    for slice in now.iter().flat_map(|planned| slices(planned, array_size)) {
        waiting += desk.send_array(slice, &before, &mut report)?;
    }
    report.waiting = waiting;
    if waiting == 0 {
        desk.aggregation(&mut report)?;
    }
    Ok(report)
}

/// What is known of a run.
#[derive(Clone, Copy, Debug)]
struct Known {
    demand: Demand,
    done: bool,
    ended: bool,
}

impl Desk<'_> {
    /// What each run is, in the order of the experiments.
    fn standings(&self) -> Result<Vec<Known>> {
        let runs = self.prepared.job.paths.runs();
        let active: BTreeSet<TaskId> = self.active().map(|task| task.id).collect();
        let is_active = |job: &str| job.parse().is_ok_and(|id| active.contains(&id));
        let by_run = self.submissions.by_run();
        let known = |experiment: &Experiment| {
            let id = experiment.id.to_string();
            let tasks = by_run.get(id.as_str()).map(Vec::as_slice).unwrap_or_default();
            let queued = tasks.iter().any(|(_, task)| active.contains(task));
            let ended = tasks.iter().any(|(submission, _)| submission.ticket.manifest == self.prepared.manifest);
            let state = state_unless(&runs.join(&id), |job| !is_active(job))?;
            let asked = self.aim.only.as_ref().is_none_or(|only| only.contains(&experiment.index));
            let demand = match state {
                State::Done => Demand::Unwanted,
                State::Running => Demand::Held,
                _ if queued => Demand::Held,
                _ if asked && (self.aim.again || !ended) => Demand::Wanted,
                _ => Demand::Unwanted,
            };
            let (done, over) = (state == State::Done, demand == Demand::Unwanted && ended);
            Ok(Known { demand, done, ended: over && !done })
        };
        self.prepared.plan.experiments.iter().map(known).collect()
    }

    fn report(&self, standings: &[Known]) -> Report {
        let count = |wanted: &dyn Fn(&Known) -> bool| standings.iter().filter(|known| wanted(known)).count();
        Report {
            runs: standings.len(),
            done: count(&|known| known.done),
            held: count(&|known| known.demand == Demand::Held),
            ended: count(&|known| known.ended),
            ..Report::default()
        }
    }

    /// The jobs that training waits for; `None` where training cannot be submitted.
    fn preprocessing(&mut self, report: &mut Report, wanted: bool) -> Result<Option<Vec<String>>> {
        let plan = &self.prepared.plan;
        let planned = plan.jobs.iter().find(|planned| planned.stage == Stage::Preprocess);
        let Some(planned) = planned.filter(|_| wanted) else { return Ok(Some(Vec::new())) };
        if self.prepared.is_preprocessed()? {
            return Ok(Some(Vec::new()));
        }
        let queued: Vec<String> = self.active_of(Stage::Preprocess).iter().map(u64::to_string).collect();
        if !queued.is_empty() {
            return Ok(Some(queued));
        }
        let before = self.submissions.accepted().rfind(|(submission, _)| {
            submission.stage == Stage::Preprocess && submission.ticket.manifest == self.prepared.manifest
        });
        if let Some((submission, job)) = before.filter(|_| !self.aim.again) {
            let log = submission.log_of(TaskId { job, index: None });
            report.notes.push(format!(
                "preprocessing was submitted as job {job} and has not finished; its log is {}; `sweep rerun` submits it again",
                log.display()
            ));
            return Ok(None);
        }
        let sent = self.send(&Slice::whole(planned), None, report)?;
        Ok(sent.map(|job| vec![job]))
    }

    /// Sends the tasks of `rest` behind the jobs `before`; how many of them found no room.
    fn send_array(&mut self, mut rest: Slice, before: &[String], report: &mut Report) -> Result<usize> {
        let mut most = rest.job.tasks.len();
        while !rest.job.tasks.is_empty() {
            let mut part = rest.clone();
            part.job.tasks.truncate(most);
            let dependency = Some(("afterok", before.to_vec()));
            if self.send(&part, dependency, report)?.is_some() {
                rest.job.tasks.drain(..part.job.tasks.len());
            } else if most > 1 {
                // A limit that the profile does not know: half as many may do.
                most /= 2;
            } else {
                break;
            }
        }
        Ok(rest.job.tasks.len())
    }

    /// Sends the aggregation behind every array that is in the queue, unless it is there already.
    fn aggregation(&mut self, report: &mut Report) -> Result<()> {
        let last = |stage: Stage| {
            let of_stage = self.submissions.accepted().filter(|(submission, _)| submission.stage == stage);
            of_stage.map(|(submission, _)| submission.ticket.serial).max()
        };
        let sent = report.sent.iter().any(|sent| sent.stage == Stage::Train);
        let Some(planned) = self.prepared.plan.jobs.iter().find(|planned| planned.stage == Stage::Aggregate) else {
            return Ok(());
        };
        if !sent && last(Stage::Train) <= last(Stage::Aggregate) {
            return Ok(());
        }
        let waits = |id: &u64| self.active().any(|task| task.id.job == *id && task.phase == Phase::Waiting);
        let early: Vec<u64> = self.active_of(Stage::Aggregate).into_iter().filter(waits).collect();
        let mut arrays: Vec<String> = self.active_of(Stage::Train).iter().map(u64::to_string).collect();
        let new = report.sent.iter().filter(|sent| sent.stage == Stage::Train);
        arrays.extend(
            new.filter_map(|sent| sent.job.map(|job| job.to_string())).filter(|job| !arrays.contains(job)).collect::<Vec<_>>(),
        );
        if self.aim.dry {
            arrays.extend(report.sent.iter().filter(|sent| sent.stage == Stage::Train).map(|sent| placeholder(&sent.script)));
        } else {
            // It would aggregate before the runs that were submitted just now.
            self.slurm.cancel(&early.iter().map(|job| TaskId { job: *job, index: None }).collect::<Vec<_>>())?;
        }
        if self.send(&Slice::whole(planned), Some(("afterany", arrays)), report)?.is_none() {
            report
                .notes
                .push("the aggregation found no room in the queue; submit again later, or run `bioscan-hpc aggregate`".into());
        }
        Ok(())
    }
}
