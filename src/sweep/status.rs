//! The runs' folders, the journals and one look at the queue → what has become of every run.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::Serialize;

use crate::config::{Cluster, Experiment, Job, Scheduler};
use crate::error::{IoContext, Result};
use crate::sweep::arguments::log_of;
use crate::sweep::desk::seconds_since_1970;
use crate::sweep::estimate::slurm_time;
use crate::sweep::logs;
use crate::sweep::manifest::{Ticket, sweep_of};
use crate::sweep::measured;
use crate::sweep::plan::{PlannedJob, Stage, plan_with};
use crate::sweep::prepared::folder_of;
use crate::sweep::progress::{Progress, duration};
use crate::sweep::render::EXPERIMENTS as SCRIPTS;
use crate::sweep::slurm::{Ending, Phase, QueuedTask, Slurm, TaskId};
use crate::sweep::state::state_unless;
use crate::sweep::submissions::{NAME, Submission, Submissions};
use crate::sweep::verdict::{Evidence, Standing, exit_words, judge};

/// What has become of a sweep.
#[derive(Clone, Debug, Serialize)]
pub struct Survey {
    /// The job.
    pub job: String,
    /// The clusters it was submitted to.
    pub clusters: Vec<String>,
    /// How many runs stand how.
    pub counts: BTreeMap<&'static str, usize>,
    /// The stages around training, as far as they are in the queue or ended lately.
    pub stages: Vec<StageStatus>,
    /// Every run, in the documented order.
    pub runs: Vec<RunStatus>,
}

/// What has become of a run.
#[derive(Clone, Debug, Serialize)]
pub struct RunStatus {
    /// Its index.
    pub index: usize,
    /// Its name.
    pub id: String,
    /// In a word.
    pub state: Standing,
    /// Why, where that is not plain.
    pub reason: Option<String>,
    /// Its newest task: `1234_5`.
    pub task: Option<TaskId>,
    /// Where that runs or ran.
    pub nodes: Option<String>,
    /// How far it is.
    pub progress: Option<Progress>,
    /// Its newest log.
    pub log: Option<PathBuf>,
    /// The last line of that, where the run failed.
    pub last_line: Option<String>,
}

/// What has become of the newest job of a stage.
#[derive(Clone, Debug, Serialize)]
pub struct StageStatus {
    /// Which stage.
    pub stage: Stage,
    /// Its job.
    pub job: u64,
    /// Where it stands.
    pub phase: Phase,
    /// Slurm's word for why.
    pub reason: String,
}

/// Everything that is known of a sweep's submissions and of the queue.
#[derive(Clone, Debug, Default)]
pub struct Knowledge {
    /// The clusters with a journal.
    pub clusters: Vec<String>,
    /// What was submitted, on all of them.
    pub submissions: Submissions,
    /// What the queue says of it; `None` where nobody could be asked.
    pub queue: Option<HashMap<TaskId, QueuedTask>>,
    /// What its jobs bear in their comment.
    sweep: String,
    endings: BTreeMap<TaskId, Ending>,
}

impl Knowledge {
    /// Reads the journals of `job`, of the cluster in `place` or of all, and asks `slurm` once. What the queue shows of this sweep and
    /// no journal knows, because one was lost, counts as well.
    pub fn gather(job: &Job, place: Place, slurm: Option<&Slurm>) -> Result<Self> {
        let clusters = match place.cluster {
            Some(cluster) => vec![cluster.name.clone()],
            None => clusters_with(job, NAME)?,
        };
        let mut submissions = Submissions::default();
        for cluster in &clusters {
            submissions.join(Submissions::read(&folder_of(job, cluster))?);
        }
        let mut known = Self { clusters, submissions, sweep: sweep_of(&job.paths.output)?, ..Self::default() };
        let Some(slurm) = slurm else { return Ok(known) };
        match slurm.queue() {
            Ok(queue) => {
                known.recover(job, place, &queue)?;
                known.queue = Some(queue.into_iter().map(|task| (task.id, task)).collect());
            }
            // Where nothing is known to be queued, a Slurm that does not answer is no news.
            Err(error) if known.submissions.is_empty() => tracing::info!("{error}: told from the runs' folders alone"),
            Err(error) => tracing::warn!("{error}: told from the runs' folders alone"),
        }
        known.ask_for_endings(slurm, job)?;
        Ok(known)
    }

    /// Adds the jobs in `queue` that no journal knows: their runs are told by the plan of each cluster whose profile is at hand.
    fn recover(&mut self, job: &Job, place: Place, queue: &[QueuedTask]) -> Result<()> {
        if self.submissions.lost(queue, &self.sweep).is_empty() {
            return Ok(());
        }
        let profiles: Vec<Cluster> = match place.cluster {
            Some(cluster) => vec![cluster.clone()],
            // What lay in a journal that is gone may be told by the scripts beside it.
            None => {
                let names = clusters_with(job, SCRIPTS)?;
                names.iter().filter_map(|name| Cluster::load(name, place.profiles).ok()).collect()
            }
        };
        for cluster in profiles.into_iter().filter(|cluster| cluster.scheduler == Scheduler::Slurm) {
            let folder = folder_of(job, &cluster.name);
            let planned = measured::known(job, &folder).and_then(|finished| plan_with(job, &cluster, &finished));
            let plan = match planned {
                Ok(plan) => plan,
                // What is in the queue can be cancelled all the same.
                Err(error) => {
                    tracing::warn!("{error}");
                    continue;
                }
            };
            let here = std::env::current_dir().at("find", "the current folder")?;
            let script = |planned: &PlannedJob| std::fs::read_to_string(folder.join(&planned.script)).unwrap_or_default();
            self.submissions.recover(queue, &self.sweep, &plan, |planned| log_of(&script(planned), &here));
        }
        let unknown: Vec<String> = self.submissions.lost(queue, &self.sweep).keys().map(u64::to_string).collect();
        if !unknown.is_empty() {
            let jobs = unknown.join(", ");
            tracing::warn!(
                "the jobs {jobs} are this sweep's, but {NAME} does not say which runs they hold: name their --cluster"
            );
        }
        Ok(())
    }

    /// Asks how the tasks ended whose runs are not done: of slurmctld while it knows them, of the accounting afterwards.
    fn ask_for_endings(&mut self, slurm: &Slurm, job: &Job) -> Result<()> {
        let queue = self.queue.clone().unwrap_or_default();
        let (mut failed, mut forgotten) = (BTreeSet::new(), BTreeSet::new());
        let by_run = self.submissions.by_run();
        for (run, tasks) in &by_run {
            let Some((_, task)) = tasks.first() else { continue };
            let phase = queue.get(task).map(|task| task.phase);
            if matches!(phase, Some(phase) if phase != Phase::Failed) || job.paths.runs().join(run).join("test.json").is_file() {
                continue;
            }
            if phase.is_some() {
                failed.insert(task.job)
            } else {
                forgotten.insert(task.job)
            };
        }
        for job in failed {
            self.endings.extend(slurm.endings(job));
        }
        self.endings.extend(slurm.accounting(&forgotten.into_iter().collect::<Vec<_>>()));
        Ok(())
    }

    fn task(&self, id: TaskId) -> Option<&QueuedTask> {
        self.queue.as_ref()?.get(&id)
    }

    /// Whether Slurm was asked and has no live job called `job`.
    fn has_forgotten(&self, job: &str) -> bool {
        let live = |id: TaskId| self.task(id).is_some_and(|task| task.phase.is_active());
        self.queue.is_some() && !job.parse().is_ok_and(live)
    }

    /// The jobs of `stage` that were submitted, the newest last.
    fn jobs_of(&self, stage: Stage) -> impl DoubleEndedIterator<Item = u64> {
        self.submissions.accepted().filter(move |(submission, _)| submission.stage == stage).map(|(_, job)| job)
    }

    fn stage(&self, stage: Stage) -> Option<StageStatus> {
        let task = self.jobs_of(stage).rev().find_map(|job| self.task(TaskId { job, index: None }))?;
        Some(StageStatus { stage, job: task.id.job, phase: task.phase, reason: task.reason.clone() })
    }

    /// Every task that ever held `run`, the newest first, in words.
    #[must_use]
    pub fn history(&self, run: &str) -> Vec<String> {
        let now = seconds_since_1970();
        let line = |(submission, task): &(&Submission, TaskId)| {
            let when = match submission.at {
                0 => "submitted at a time that the journal lost".to_owned(),
                at => format!("submitted {} ago", duration(now.saturating_sub(at) as f64)),
            };
            let memory = submission.memory.as_ref().map(|memory| format!(" and {memory}")).unwrap_or_default();
            let asked = slurm_time(submission.minutes);
            let at = self.task(*task).map(|task| task.nodes.as_str()).filter(|nodes| !nodes.is_empty());
            let at = at.map(|nodes| format!(" on {nodes}")).unwrap_or_default();
            let ending = self.endings.get(task).map(|ending| format!(": {}", exit_words(ending.code, ending.signal)));
            let script = &submission.ticket.script;
            format!("{task} of {script}.sh{at}, {when} with {asked}{memory}{}", ending.unwrap_or_default())
        };
        self.submissions.by_run().get(run).map(|tasks| tasks.iter().map(line).collect()).unwrap_or_default()
    }

    /// The live tasks that hold any of `runs`, and the other runs that those hold too.
    #[must_use]
    pub fn live_tasks_of(&self, runs: &[String]) -> (Vec<TaskId>, Vec<String>) {
        let (by_run, live) = (self.submissions.by_run(), self.live());
        let tasks: BTreeSet<TaskId> =
            runs.iter().flat_map(|run| by_run.get(run.as_str()).into_iter().flatten()).map(|held| held.1).collect();
        let tasks: Vec<TaskId> = tasks.into_iter().filter(|task| live.contains(task)).collect();
        let beside = tasks.iter().filter_map(|task| self.submissions.of_job(task.job)?.tasks.get(&task.index?));
        let beside = beside.flatten().filter(|run| !runs.contains(run)).cloned().collect();
        (tasks, beside)
    }

    /// All live tasks of this sweep: those of the journals, and those that bear its name in the queue.
    #[must_use]
    pub fn live(&self) -> Vec<TaskId> {
        self.live_where(|_| true)
    }

    /// Live tasks of this sweep of which nobody knows which runs they hold.
    #[must_use]
    pub fn live_unknown(&self) -> Vec<TaskId> {
        self.live_where(|task| self.submissions.of_job(task.id.job).is_none())
    }

    fn live_where(&self, wanted: impl Fn(&QueuedTask) -> bool) -> Vec<TaskId> {
        let by_comment = |task: &QueuedTask| task.comment.parse::<Ticket>().is_ok_and(|ticket| ticket.sweep == self.sweep);
        let is_ours = |task: &QueuedTask| self.submissions.of_job(task.id.job).is_some() || by_comment(task);
        let tasks = self.queue.iter().flat_map(HashMap::values);
        let ours = tasks.filter(|task| task.phase.is_active() && is_ours(task) && wanted(task));
        let mut ids: Vec<TaskId> = ours.map(|task| task.id).collect();
        ids.sort_unstable();
        ids
    }
}

/// Where a sweep's submissions are looked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place<'a> {
    /// The cluster; `None` for all that it was submitted to.
    pub cluster: Option<&'a Cluster>,
    /// Holds the profiles of the others, where they are not the built-in ones.
    pub profiles: Option<&'a Path>,
}

/// The clusters whose folder holds `file`: the journal where `job` was submitted to it, its scripts where they were written.
fn clusters_with(job: &Job, file: &str) -> Result<Vec<String>> {
    let folder = job.paths.output.join("slurm");
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder).at("list", &folder)? {
        let path = entry.at("list", &folder)?.path();
        if path.join(file).is_file() {
            names.extend(path.file_name().map(|name| name.to_string_lossy().into_owned()));
        }
    }
    names.sort();
    Ok(names)
}

/// What has become of every run of `job`.
pub fn survey(job: &Job, known: &Knowledge) -> Result<Survey> {
    let (runs, by_run) = (job.paths.runs(), known.submissions.by_run());
    let experiments = job.grid.experiments();
    let one = |experiment: &Experiment| {
        let id = experiment.id.to_string();
        let tasks = by_run.get(id.as_str()).map(Vec::as_slice).unwrap_or_default();
        run_status(job, experiment, &runs.join(id), tasks, known)
    };
    let runs = experiments.par_iter().map(one).collect::<Result<Vec<_>>>()?;
    let count = |standing: Standing| runs.iter().filter(|run| run.state == standing).count();
    Ok(Survey {
        job: job.name.clone(),
        clusters: known.clusters.clone(),
        counts: Standing::ALL.map(|standing| (standing.word(), count(standing))).into(),
        stages: [Stage::Preprocess, Stage::Aggregate].into_iter().filter_map(|stage| known.stage(stage)).collect(),
        runs,
    })
}

/// What has become of one run.
pub fn survey_one(job: &Job, experiment: &Experiment, known: &Knowledge) -> Result<RunStatus> {
    let (id, by_run) = (experiment.id.to_string(), known.submissions.by_run());
    let tasks = by_run.get(id.as_str()).map(Vec::as_slice).unwrap_or_default();
    run_status(job, experiment, &job.paths.runs().join(&id), tasks, known)
}

fn run_status(
    job: &Job,
    experiment: &Experiment,
    folder: &Path,
    tasks: &[(&Submission, TaskId)],
    known: &Knowledge,
) -> Result<RunStatus> {
    let state = state_unless(folder, |job| known.has_forgotten(job))?;
    let newest = tasks.first();
    let queued = newest.and_then(|(_, task)| known.task(*task));
    let evidence = Evidence {
        task: queued.map(|task| (task.phase, task.reason.as_str())),
        ending: newest.and_then(|(_, task)| known.endings.get(task).copied()),
        submitted: newest.is_some(),
        asked: known.queue.is_some(),
        memory: newest.and_then(|(submission, _)| submission.memory.as_deref()),
    };
    let (state, reason) = judge(state, evidence);
    let begun = state == Standing::Running || state != Standing::Done && folder.is_dir();
    let log = (state != Standing::Done).then(|| logs::newest(job, experiment, tasks)).flatten();
    let last_line = log.as_deref().filter(|_| state == Standing::Failed).and_then(logs::last_word);
    Ok(RunStatus {
        index: experiment.index,
        id: experiment.id.to_string(),
        state,
        reason,
        task: newest.map(|(_, task)| *task),
        nodes: queued.map(|task| task.nodes.clone()).filter(|nodes| !nodes.is_empty()),
        progress: begun.then(|| Progress::of(folder, job.recipe_for(experiment).epochs)),
        log,
        last_line,
    })
}

impl Survey {
    /// How many runs stand so.
    #[must_use]
    pub fn count(&self, standing: Standing) -> usize {
        self.runs.iter().filter(|run| run.state == standing).count()
    }

    /// Whether every run is done.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.count(Standing::Done) == self.runs.len()
    }

    /// Whether anything may still change by itself.
    #[must_use]
    pub fn is_moving(&self) -> bool {
        self.count(Standing::Running) + self.count(Standing::Pending) > 0
            || self.stages.iter().any(|stage| stage.phase.is_active())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_of_another_host_is_judged_by_the_one_look_at_the_queue() {
        let task = |phase| QueuedTask {
            id: TaskId { job: 7, index: Some(3) },
            phase,
            reason: String::new(),
            nodes: String::new(),
            left: String::new(),
            comment: String::new(),
        };
        let known = |phase| Knowledge { queue: Some([(task(phase).id, task(phase))].into()), ..Knowledge::default() };
        assert!(!known(Phase::Running).has_forgotten("7_3"));
        assert!(known(Phase::Failed).has_forgotten("7_3"));
        assert!(known(Phase::Running).has_forgotten("7_4"));
        assert!(!Knowledge::default().has_forgotten("7_3"), "nobody was asked");
    }
}
