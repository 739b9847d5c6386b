//! Questions and orders → Slurm's answers, none asked oftener than a cluster allows.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::sweep::slurm::call::{Called, call};
use crate::sweep::slurm::queue::{self, QueuedTask, TaskId};
use crate::sweep::slurm::records::{self, Ending};

/// How fast Slurm may be spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Between two orders (`sbatch`, `scancel`).
    pub between: Duration,
    /// Between two looks at the queue, where this program waits for something.
    pub look: Duration,
    /// How long an answer may take. After a lost answer the job is looked for as long again.
    pub patience: Duration,
}

impl Default for Pace {
    /// What the Alliance asks of its users: a second between two `sbatch`, and no `squeue` every few seconds.
    fn default() -> Self {
        Self { between: Duration::from_secs(1), look: Duration::from_secs(60), patience: Duration::from_secs(90) }
    }
}

impl Pace {
    /// The default, or for a Slurm of one's own what `BIOSCAN_SLURM_PACE` says: `BETWEEN,LOOK,PATIENCE` in seconds.
    pub fn from_environment() -> Result<Self> {
        std::env::var("BIOSCAN_SLURM_PACE").map_or_else(|_| Ok(Self::default()), |text| Self::parse(&text))
    }

    fn parse(text: &str) -> Result<Self> {
        let seconds: Vec<Duration> =
            text.split(',').filter_map(|part| Duration::try_from_secs_f64(part.trim().parse().ok()?).ok()).collect();
        match (seconds.as_slice(), text.split(',').count()) {
            (&[between, look, patience], 3) => Ok(Self { between, look, patience }),
            _ => Err(Error::usage(format!("BIOSCAN_SLURM_PACE is {text:?}"))
                .with_help("write three numbers of seconds, BETWEEN,LOOK,PATIENCE; the default is 1,60,90")),
        }
    }
}

/// What became of a submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The job's id.
    Accepted(u64),
    /// No answer, or one that does not say: the job may have been accepted all the same.
    Unclear(String),
    /// Not accepted, and why.
    Refused(String),
}

/// The Slurm of this machine.
#[derive(Debug)]
pub struct Slurm {
    pace: Pace,
    last_order: Cell<Option<Instant>>,
}

impl Slurm {
    /// Speaks to it at this pace.
    #[must_use]
    pub fn new(pace: Pace) -> Self {
        Self { pace, last_order: Cell::new(None) }
    }

    /// The pace it is spoken to at.
    #[must_use]
    pub fn pace(&self) -> Pace {
        self.pace
    }

    /// All tasks of this person that Slurm remembers, those that ended lately included.
    pub fn queue(&self) -> Result<Vec<QueuedTask>> {
        let asked = ["-h", "-r", "-t", "all", "--me", "-o", queue::FORMAT];
        self.ask("squeue", &asked).map(|text| queue::parse(&text))
    }

    /// Whether there is a Slurm to ask here.
    #[must_use]
    pub fn is_here(&self) -> bool {
        call(Command::new("squeue").arg("--version"), self.pace.patience) != Called::NotThere
    }

    /// How the tasks of `job` ended, while slurmctld remembers it; nothing where it does not.
    #[must_use]
    pub fn endings(&self, job: u64) -> BTreeMap<TaskId, Ending> {
        let answer = self.ask("scontrol", &["-o", "show", "job", &job.to_string()]);
        answer.map(|text| records::parse_jobs(&text)).unwrap_or_default()
    }

    /// How the tasks of `jobs` ended, from the accounting database; nothing where a site has none or it does not answer.
    #[must_use]
    pub fn accounting(&self, jobs: &[u64]) -> BTreeMap<TaskId, Ending> {
        if jobs.is_empty() {
            return BTreeMap::new();
        }
        let jobs = jobs.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
        let answer = self.ask("sacct", &["-X", "-P", "-n", "-j", &jobs, &format!("--format={}", records::ACCOUNTING_FORMAT)]);
        answer.map(|text| records::parse_accounting(&text)).unwrap_or_default()
    }

    /// One more than the largest index an array may hold; `None` where Slurm does not say.
    pub fn max_array_size(&self) -> Result<Option<usize>> {
        self.ask("scontrol", &["show", "config"]).map(|text| records::max_array_size(&text))
    }

    /// Submits a job. `arguments` end with the script; the program that the script starts is this one, unless BIOSCAN_HPC names another.
    pub fn submit(&self, arguments: &[String]) -> Answer {
        let mut command = Command::new("sbatch");
        command.arg("--parsable").args(arguments);
        if let (None, Ok(program)) = (std::env::var_os("BIOSCAN_HPC"), std::env::current_exe()) {
            command.env("BIOSCAN_HPC", program);
        }
        self.wait_for_turn();
        match call(&mut command, self.pace.patience) {
            // `--parsable` answers `ID`, or `ID;CLUSTER`.
            Called::Well { stdout } => match stdout.trim().split(';').next().unwrap_or_default().parse() {
                Ok(job) => Answer::Accepted(job),
                Err(_) => Answer::Unclear(format!("sbatch answered {:?}", stdout.trim())),
            },
            Called::TimedOut => Answer::Unclear(format!("sbatch did not answer in {} s", self.pace.patience.as_secs())),
            Called::Failed { said } if is_unclear(&said) => Answer::Unclear(said),
            Called::Failed { said } => Answer::Refused(said),
            Called::NotThere => Answer::Refused("there is no sbatch here".into()),
        }
    }

    /// Whether Slurm would take a job; what it says where it would not.
    pub fn test(&self, arguments: &[String]) -> std::result::Result<(), String> {
        self.wait_for_turn();
        match call(Command::new("sbatch").arg("--test-only").args(arguments), self.pace.patience) {
            Called::Well { .. } => Ok(()),
            Called::Failed { said } => Err(said),
            Called::TimedOut => Err("sbatch did not answer".into()),
            Called::NotThere => Err("there is no sbatch here".into()),
        }
    }

    /// Ends tasks for good: a task that saves its checkpoint on the way out must not requeue itself.
    pub fn cancel(&self, tasks: &[TaskId]) -> Result<()> {
        if tasks.is_empty() {
            return Ok(());
        }
        let names: Vec<String> = tasks.iter().map(TaskId::to_string).collect();
        self.wait_for_turn();
        // A task that ended meanwhile cannot be changed, and need not be.
        let _ = self.ask("scontrol", &["update", &format!("JobId={}", names.join(",")), "Requeue=0"]);
        self.wait_for_turn();
        let mut arguments = vec!["--quiet"];
        arguments.extend(names.iter().map(String::as_str));
        self.ask("scancel", &arguments).map(drop)
    }

    fn ask(&self, program: &'static str, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(program);
        command.args(arguments);
        // A person's own formats and filters would change what the answer holds.
        let own = ["SQUEUE_", "SACCT_", "SCANCEL_", "SLURM_TIME_FORMAT"];
        for (name, _) in std::env::vars_os() {
            if own.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
                command.env_remove(name);
            }
        }
        match call(&mut command, self.pace.patience) {
            Called::Well { stdout } => Ok(stdout),
            Called::Failed { said } => Err(Error::library(program, said)),
            Called::TimedOut => Err(Error::library(program, format!("no answer in {} s", self.pace.patience.as_secs()))),
            Called::NotThere => Err(Error::usage(format!("there is no {program} here"))
                .with_help("run this on a login node of the cluster; `--cluster local` needs no Slurm")),
        }
    }

    /// Keeps the distance between two orders that a cluster asks for.
    fn wait_for_turn(&self) {
        if let Some(last) = self.last_order.get() {
            std::thread::sleep(self.pace.between.saturating_sub(last.elapsed()));
        }
        self.last_order.set(Some(Instant::now()));
    }
}

/// Whether slurmctld may have accepted the job although sbatch says that it failed.
fn is_unclear(said: &str) -> bool {
    let signs = [
        "Socket timed out",
        "Unable to contact slurm controller",
        "Zero Bytes were transmitted",
        "Connection reset",
        "timed out",
    ];
    signs.iter().any(|sign| said.contains(sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_answer_is_no_refusal() {
        assert!(is_unclear("sbatch: error: Batch job submission failed: Socket timed out on send/recv operation"));
        assert!(!is_unclear(
            "sbatch: error: Batch job submission failed: Invalid account or account/partition combination specified"
        ));
    }

    #[test]
    fn the_pace_is_three_numbers() {
        let seconds = Duration::from_secs_f64;
        assert_eq!(
            Pace::parse("0, 0.5,20").unwrap(),
            Pace { between: seconds(0.0), look: seconds(0.5), patience: seconds(20.0) }
        );
        for text in ["", "1,2", "1,2,x", "1,2,3,4", "-1,2,3"] {
            assert!(Pace::parse(text).is_err(), "{text}");
        }
    }
}
