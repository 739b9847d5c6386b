//! The journal, the queue and one call of `sbatch` → a job that is known to be there once.

use std::collections::BTreeSet;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::error::{Error, IoContext, Result};
use crate::store::journal;
use crate::sweep::arguments::{Call, grown, log_of};
use crate::sweep::feed::Slice;
use crate::sweep::manifest::Ticket;
use crate::sweep::plan::{PlannedJob, Stage};
use crate::sweep::prepared::Prepared;
use crate::sweep::slurm::{Answer, QueuedTask, Slurm};
use crate::sweep::submissions::{Entry, NAME, Submission, Submissions, runs_of};
use crate::sweep::submit::{Aim, Report, Sent};

/// Everything at hand while a sweep is being submitted.
pub(super) struct Desk<'a> {
    pub prepared: &'a Prepared,
    pub slurm: &'a Slurm,
    pub aim: &'a Aim,
    pub submissions: Submissions,
    pub queue: Vec<QueuedTask>,
}

impl<'a> Desk<'a> {
    pub(super) fn open(prepared: &'a Prepared, slurm: &'a Slurm, aim: &'a Aim) -> Result<Self> {
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
        let here = std::env::current_dir().at("find", "the current folder")?;
        let log = |planned: &PlannedJob| log_of(prepared.text_of(planned), &here);
        desk.submissions.recover(&desk.queue, &prepared.sweep, &prepared.plan, log);
        Ok(desk)
    }

    /// Calls `sbatch` once and notes it. The job's id as text; `None` where a limit on the number of jobs was reached.
    pub(super) fn send(
        &mut self,
        slice: &Slice,
        dependency: Option<(&str, Vec<String>)>,
        report: &mut Report,
    ) -> Result<Option<String>> {
        let (prepared, Slice { offset, job: planned }) = (self.prepared, slice);
        let (offset, array) = (*offset, (!planned.tasks.is_empty()).then(|| planned.array()));
        let here = std::env::current_dir().at("find", "the current folder")?;
        let train = planned.stage == Stage::Train;
        let asked = if train { grown(planned, &prepared.plan, self.aim.more)? } else { planned.resources.clone() };
        let script = planned.script.trim_end_matches(".sh").to_owned();
        let serial = self.submissions.next_serial(&self.queue) + if self.aim.dry { report.sent.len() as u64 } else { 0 };
        let ticket = Ticket { sweep: prepared.sweep.clone(), manifest: prepared.manifest.clone(), script, serial, offset };
        let path = prepared.folder.join(&planned.script);
        let call = Call {
            script: std::path::absolute(&path).at("find", &path)?,
            comment: ticket.to_string(),
            array: array.clone(),
            offset,
            dependency,
            memory: asked.memory.clone().filter(|_| asked.memory != planned.resources.memory),
            minutes: Some(asked.minutes).filter(|minutes| *minutes != planned.resources.minutes),
        };
        let arguments = call.arguments();
        let mut sent = Sent { script: planned.script.clone(), stage: planned.stage, array, job: None, arguments, test: None };
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
        prepared.keep()?;
        sent.job = Some(job);
        report.sent.push(sent);
        Ok(Some(job.to_string()))
    }

    /// The job with this ticket, submitted at `at`, should it appear in the queue within Slurm's patience.
    pub(super) fn look_for(&mut self, ticket: &Ticket, at: u64) -> Result<Option<u64>> {
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

    pub(super) fn note(&mut self, entry: Entry) -> Result<()> {
        journal::append(&self.prepared.folder.join(NAME), &entry)?;
        self.submissions.note(entry);
        Ok(())
    }

    pub(super) fn active(&self) -> impl Iterator<Item = &QueuedTask> {
        self.queue.iter().filter(|task| task.phase.is_active())
    }

    /// The jobs of a stage of this sweep that wait or run.
    pub(super) fn active_of(&self, stage: Stage) -> Vec<u64> {
        let of_stage = |job: &u64| self.submissions.of_job(*job).is_some_and(|submission| submission.stage == stage);
        let jobs: BTreeSet<u64> = self.active().map(|task| task.id.job).filter(of_stage).collect();
        jobs.into_iter().collect()
    }

    /// How many more tasks the cluster takes: `None` where its limit is not known. One place is kept for the aggregation, and one for
    /// each of the `sent` jobs, which the queue does not show yet.
    pub(super) fn room(&self, sent: usize) -> Option<usize> {
        let limit = self.prepared.plan.cluster.limits.submitted? as usize;
        Some(limit.saturating_sub(self.active().count() + sent + 1))
    }

    /// One more than the largest index that an array of this Slurm may hold; `None` where it does not say.
    pub(super) fn array_size(&self) -> Result<Option<usize>> {
        match self.slurm.max_array_size() {
            Err(error) if self.aim.dry => {
                tracing::warn!("{error}: arrays are shown in one piece");
                Ok(None)
            }
            size => size,
        }
    }
}

/// What stands for the id of a job that was not submitted.
pub(super) fn placeholder(script: &str) -> String {
    format!("JOB_OF_{script}")
}

/// Whether Slurm's refusal is about how many jobs a person has. The words of the general one name size and time limits too.
fn is_a_limit(said: &str) -> bool {
    let signs = ["SubmitJob", "submit limit", "job submit limit", "temporarily unable to accept"];
    signs.iter().any(|sign| said.contains(sign))
}

pub(super) fn seconds_since_1970() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}
