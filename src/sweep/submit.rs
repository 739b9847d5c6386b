//! A prepared sweep → its jobs in Slurm's queue: preprocessing, training arrays, aggregation, chained; each at most once.
//!
//! `submit` starts what was never submitted, `rerun` what was and is not done. Both leave alone what is done, queued, or owned by a
//! live process, so that either may be called again at any time.

use std::collections::BTreeSet;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::error::{Error, IoContext, Result};
use crate::store::journal;
use crate::store::lock::Lock;
use crate::sweep::feed::{Demand, fitting, wanted};
use crate::sweep::manifest::Ticket;
use crate::sweep::plan::{PlannedJob, Stage};
use crate::sweep::prepared::Prepared;
use crate::sweep::sbatch::{Call, More, grown, log_of};
use crate::sweep::slurm::{Answer, Phase, QueuedTask, Slurm, TaskId};
use crate::sweep::state::{State, state_unless};
use crate::sweep::submissions::{Entry, NAME, Submission, Submissions, runs_of};

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
}

/// Submits what is to be submitted of `prepared` now.
///
/// # Errors
/// A missing dataset or split, a refusal by Slurm, no answer from it. What was accepted before stays in the queue and in the journal.
pub fn submit(prepared: &Prepared, slurm: &Slurm, aim: &Aim) -> Result<Report> {
    prepared.check()?;
    prepared.write()?;
    let _lock = (!aim.dry).then(|| Lock::acquire(&prepared.folder)).transpose()?;
    let mut desk = Desk::open(prepared, slurm, aim)?;
    let standings = desk.standings()?;
    let mut report = desk.report(&standings);
    let training: Vec<PlannedJob> = wanted(&prepared.plan, &standings.iter().map(|known| known.demand).collect::<Vec<_>>());
    let Some(before) = desk.preprocessing(&mut report, !training.is_empty())? else { return Ok(report) };
    desk.check_indices(&training)?;
    let room = desk.room(usize::from(report.sent.iter().any(|sent| sent.stage == Stage::Preprocess)));
    let (now, mut waiting) = fitting(training, room);
    for planned in now {
        waiting += desk.send_array(&planned, &before, &mut report)?;
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

/// Everything at hand while a sweep is being submitted.
struct Desk<'a> {
    prepared: &'a Prepared,
    slurm: &'a Slurm,
    aim: &'a Aim,
    submissions: Submissions,
    queue: Vec<QueuedTask>,
}

impl<'a> Desk<'a> {
    fn open(prepared: &'a Prepared, slurm: &'a Slurm, aim: &'a Aim) -> Result<Self> {
        let submissions = Submissions::read(&prepared.folder)?;
        let queue = match slurm.queue() {
            Err(error) if aim.dry => {
                tracing::warn!("{error}: shown as if nothing were queued");
                Vec::new()
            }
            queue => queue?,
        };
        let mut desk = Self { prepared, slurm, aim, submissions, queue };
        for open in desk.submissions.open().into_iter().filter(|_| !aim.dry) {
            // A call of this program ended between its sbatch and its note.
            let serial = open.ticket.serial;
            match desk.look_for(&open.ticket, open.at)? {
                Some(job) => desk.note(Entry::Accepted { serial, job })?,
                None => desk.note(Entry::Refused { serial, said: "never seen in the queue".into() })?,
            }
        }
        desk.submissions.recover(&desk.queue, &prepared.sweep, &prepared.plan);
        Ok(desk)
    }

    /// What each run is, in the order of the experiments.
    fn standings(&self) -> Result<Vec<Known>> {
        let runs = self.prepared.job.paths.runs();
        let active: BTreeSet<TaskId> = self.active().map(|task| task.id).collect();
        let is_active = |job: &str| job.parse().is_ok_and(|id| active.contains(&id));
        let by_run = self.submissions.by_run();
        let known = |experiment: &crate::config::Experiment| {
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
        let Some(planned) = planned.filter(|_| wanted && !self.prepared.is_preprocessed()) else { return Ok(Some(Vec::new())) };
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
        let sent = self.send(planned, None, None, report)?;
        Ok(sent.map(|job| vec![job]))
    }

    /// Sends the tasks of `planned` behind the jobs `before`; how many of them found no room.
    fn send_array(&mut self, planned: &PlannedJob, before: &[String], report: &mut Report) -> Result<usize> {
        let mut rest = planned.clone();
        let mut most = rest.tasks.len();
        while !rest.tasks.is_empty() {
            let mut part = rest.clone();
            part.tasks.truncate(most);
            let dependency = Some(("afterok", before.to_vec()));
            if self.send(&part, Some(part.array()), dependency, report)?.is_some() {
                rest.tasks.drain(..part.tasks.len());
            } else if most > 1 {
                // A limit that the profile does not know: half as many may do.
                most /= 2;
            } else {
                break;
            }
        }
        Ok(rest.tasks.len())
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
        if self.send(planned, None, Some(("afterany", arrays)), report)?.is_none() {
            report
                .notes
                .push("the aggregation found no room in the queue; submit again later, or run `bioscan-hpc aggregate`".into());
        }
        Ok(())
    }

    /// Calls `sbatch` once and notes it. The job's id as text; `None` where a limit on the number of jobs was reached.
    fn send(
        &mut self,
        planned: &PlannedJob,
        array: Option<String>,
        dependency: Option<(&str, Vec<String>)>,
        report: &mut Report,
    ) -> Result<Option<String>> {
        let prepared = self.prepared;
        let here = std::env::current_dir().at("find", "the current folder")?;
        let train = planned.stage == Stage::Train;
        let asked = if train { grown(planned, &prepared.plan, self.aim.more)? } else { planned.resources.clone() };
        let script = planned.script.trim_end_matches(".sh").to_owned();
        let serial = self.submissions.next_serial(&self.queue) + if self.aim.dry { report.sent.len() as u64 } else { 0 };
        let ticket = Ticket { sweep: prepared.sweep.clone(), manifest: prepared.manifest.clone(), script, serial };
        let path = prepared.folder.join(&planned.script);
        let call = Call {
            script: std::path::absolute(&path).at("find", &path)?,
            comment: ticket.to_string(),
            array: array.clone(),
            dependency,
            memory: asked.memory.clone().filter(|_| asked.memory != planned.resources.memory),
            minutes: Some(asked.minutes).filter(|minutes| *minutes != planned.resources.minutes),
        };
        let arguments = call.arguments();
        let mut sent = Sent { script: planned.script.clone(), stage: planned.stage, array, job: None, arguments };
        if self.aim.dry {
            let name = placeholder(&sent.script);
            report.sent.push(sent);
            return Ok(Some(name));
        }
        let log = log_of(prepared.text_of(planned), &here);
        if let Some(folder) = log.parent() {
            // Without its folder Slurm ends a job without a word.
            std::fs::create_dir_all(folder).at("create the folder", folder)?;
        }
        let at = seconds_since_1970();
        let tasks = runs_of(&prepared.plan, planned);
        let (stage, minutes, memory) = (planned.stage, asked.minutes, asked.memory);
        self.note(Entry::Submitting(Submission { ticket: ticket.clone(), stage, tasks, log, minutes, memory, at }))?;
        let job = match self.slurm.submit(&sent.arguments) {
            Answer::Accepted(job) => job,
            Answer::Unclear(said) => {
                tracing::warn!("{said}: looking for the job before anything else");
                let unseen =
                    format!("{said}; no such job was seen since. The same command again looks for it first, and then submits it");
                self.look_for(&ticket, at)?.ok_or_else(|| Error::library("sbatch", unseen))?
            }
            Answer::Refused(said) => {
                self.note(Entry::Refused { serial, said: said.clone() })?;
                // With nothing in the queue no limit on the number of jobs can be the reason.
                let has_jobs = !report.sent.is_empty() || self.active().next().is_some();
                if has_jobs && is_a_limit(&said) {
                    report.notes.push(format!("Slurm takes no more for now: {said}"));
                    return Ok(None);
                }
                return Err(Error::usage(format!("Slurm refused {}: {said}", planned.script))
                    .with_help("`sweep submit --dry-run --test` shows what is asked for and what Slurm says to each script"));
            }
        };
        self.note(Entry::Accepted { serial, job })?;
        sent.job = Some(job);
        report.sent.push(sent);
        Ok(Some(job.to_string()))
    }

    /// The job with this ticket, submitted at `at`, should it appear in the queue within Slurm's patience.
    fn look_for(&mut self, ticket: &Ticket, at: u64) -> Result<Option<u64>> {
        let pace = self.slurm.pace();
        let age = Duration::from_secs(seconds_since_1970().saturating_sub(at));
        let until = Instant::now() + pace.patience.saturating_sub(age);
        loop {
            let answer = self.slurm.queue();
            let late = Instant::now() >= until;
            match answer {
                Ok(queue) => self.queue = queue,
                Err(error) if late => return Err(error),
                Err(error) => tracing::warn!("{error}"),
            }
            let comment = ticket.to_string();
            if let Some(found) = self.queue.iter().find(|task| task.comment == comment) {
                tracing::info!("it is job {}", found.id.job);
                return Ok(Some(found.id.job));
            }
            if late {
                return Ok(None);
            }
            // A few looks in all, so oftener than a watch, but never in a hurry.
            std::thread::sleep(pace.look.min(pace.patience / 6));
        }
    }

    fn note(&mut self, entry: Entry) -> Result<()> {
        journal::append(&self.prepared.folder.join(NAME), &entry)?;
        self.submissions.note(entry);
        Ok(())
    }

    fn active(&self) -> impl Iterator<Item = &QueuedTask> {
        self.queue.iter().filter(|task| task.phase.is_active())
    }

    /// The jobs of a stage of this sweep that wait or run.
    fn active_of(&self, stage: Stage) -> Vec<u64> {
        let of_stage = |job: &u64| self.submissions.of_job(*job).is_some_and(|submission| submission.stage == stage);
        let jobs: BTreeSet<u64> = self.active().map(|task| task.id.job).filter(of_stage).collect();
        jobs.into_iter().collect()
    }

    /// How many more tasks the cluster takes: `None` where its limit is not known. One place is kept for the aggregation, and one for
    /// each of the `sent` jobs, which the queue does not show yet.
    fn room(&self, sent: usize) -> Option<usize> {
        let limit = self.prepared.plan.cluster.limits.submitted? as usize;
        Some(limit.saturating_sub(self.active().count() + sent + 1))
    }

    /// Refuses an index that no array of this Slurm may hold.
    fn check_indices(&self, jobs: &[PlannedJob]) -> Result<()> {
        let Some(largest) = jobs.iter().flat_map(|job| &job.tasks).map(|task| task.index).max() else { return Ok(()) };
        let size = match self.slurm.max_array_size() {
            Err(error) if self.aim.dry => {
                tracing::warn!("{error}: the largest index is not checked");
                None
            }
            size => size?,
        };
        match size {
            Some(size) if largest >= size => {
                Err(Error::usage(format!("this grid has a task {largest}, and an array here ends at {}", size.saturating_sub(1)))
                    .with_help("divide the grid over several job files with one `paths.output`: runs are found by their ids"))
            }
            _ => Ok(()),
        }
    }
}

/// What stands for the id of a job that was not submitted.
fn placeholder(script: &str) -> String {
    format!("JOB_OF_{script}")
}

/// Whether Slurm's refusal is about how many jobs a person has. The words of the general one name size and time limits too.
fn is_a_limit(said: &str) -> bool {
    let signs = ["SubmitJob", "submit limit", "job submit limit", "temporarily unable to accept"];
    signs.iter().any(|sign| said.contains(sign))
}

fn seconds_since_1970() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}
