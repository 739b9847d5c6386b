//! The lines of `squeue` → the tasks of one person.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What `squeue -o` is asked for. The comment comes last, because it alone may hold any character.
pub const FORMAT: &str = "%F|%K|%T|%r|%N|%L|%k";

/// A job, or one task of an array: `1234`, `1234_5`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId {
    /// The id that `sbatch` gave.
    pub job: u64,
    /// The index in its array.
    pub index: Option<usize>,
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            Some(index) => write!(f, "{}_{index}", self.job),
            None => write!(f, "{}", self.job),
        }
    }
}

impl FromStr for TaskId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let number = |text: &str| text.parse().map_err(|_| ());
        Ok(match text.split_once('_') {
            Some((job, index)) => Self { job: number(job)?, index: Some(index.parse().map_err(|_| ())?) },
            None => Self { job: number(text)?, index: None },
        })
    }
}

impl Serialize for TaskId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It waits: for the first time, or again after a requeue.
    Waiting,
    /// It runs, or is about to end.
    Running,
    /// Its script ended with 0.
    Completed,
    /// Its script ended otherwise.
    Failed,
    /// Somebody, or an impossible dependency, ended it.
    Cancelled,
    /// It reached its time limit.
    TimeLimit,
    /// Its node failed.
    NodeFailed,
    /// It needed more memory than it had asked for.
    OutOfMemory,
    /// A job of higher priority took its place.
    Preempted,
    /// Ended in another way.
    Ended,
}

impl Phase {
    /// Slurm's word for it → what it means here. `sacct` adds to some of them: `CANCELLED by 123`.
    #[must_use]
    pub fn of(word: &str) -> Self {
        match word.split([' ', '+']).next().unwrap_or_default() {
            "PENDING" | "REQUEUED" | "REQUEUE_FED" | "REQUEUE_HOLD" | "SPECIAL_EXIT" | "RESV_DEL_HOLD" => Self::Waiting,
            "COMPLETED" => Self::Completed,
            "FAILED" => Self::Failed,
            "CANCELLED" => Self::Cancelled,
            "TIMEOUT" => Self::TimeLimit,
            "NODE_FAIL" => Self::NodeFailed,
            "OUT_OF_MEMORY" => Self::OutOfMemory,
            "PREEMPTED" => Self::Preempted,
            "BOOT_FAIL" | "DEADLINE" | "REVOKED" => Self::Ended,
            // RUNNING, COMPLETING, CONFIGURING, SUSPENDED, STOPPED, SIGNALING, STAGE_OUT, RESIZING, and what later versions add: taking
            // an unknown word for a live job starts nothing twice.
            _ => Self::Running,
        }
    }

    /// Whether the task is still Slurm's to run.
    #[must_use]
    pub fn is_active(self) -> bool {
        matches!(self, Self::Waiting | Self::Running)
    }
}

/// A line of `squeue`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedTask {
    /// Which.
    pub id: TaskId,
    /// Where it stands.
    pub phase: Phase,
    /// Slurm's word for why it waits or has ended: `Priority`, `NonZeroExitCode`.
    pub reason: String,
    /// Where it runs or ran.
    pub nodes: String,
    /// Time left, as Slurm writes it: `1-02:03:04`.
    pub left: String,
    /// `--comment`.
    pub comment: String,
}

/// Reads the lines of `squeue -h -r -o` [`FORMAT`]; what is no such line (a comment with a line break in it) is left out.
#[must_use]
pub fn parse(text: &str) -> Vec<QueuedTask> {
    text.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<QueuedTask> {
    let mut fields = line.splitn(7, '|');
    let mut next = || fields.next().map(str::trim);
    let job = next()?.parse().ok()?;
    let index = match next()? {
        "N/A" => None,
        index => Some(index.parse().ok()?),
    };
    let phase = Phase::of(next()?);
    let word = |text: &str| if text == "(null)" { String::new() } else { text.to_owned() };
    Some(QueuedTask {
        id: TaskId { job, index },
        phase,
        reason: word(next()?),
        nodes: word(next()?),
        left: word(next()?),
        comment: word(next()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_arrays_and_of_plain_jobs_are_read_and_others_left_out() {
        let text = "17|3|RUNNING|None|n2|59:30|bioscan-hpc:a:b:train:1\n\
                    17|4|PENDING|Resources||1:00:00|bioscan-hpc:a:b:train:1\n\
                    9|N/A|FAILED|NonZeroExitCode|n1|0:00|two|words\n\
                    of somebody's comment\n";
        let tasks = parse(text);
        assert_eq!(tasks.iter().map(|task| task.id.to_string()).collect::<Vec<_>>(), ["17_3", "17_4", "9"]);
        assert_eq!(tasks[0].phase, Phase::Running);
        assert_eq!((tasks[1].reason.as_str(), tasks[1].nodes.as_str()), ("Resources", ""));
        assert_eq!((tasks[2].phase, tasks[2].comment.as_str()), (Phase::Failed, "two|words"));
    }

    #[test]
    fn an_unknown_state_counts_as_live_and_a_requeued_task_as_waiting() {
        assert!(Phase::of("SOMETHING_NEW").is_active());
        assert_eq!(Phase::of("REQUEUE_HOLD"), Phase::Waiting);
        assert_eq!(Phase::of("CANCELLED by 1000"), Phase::Cancelled);
    }

    #[test]
    fn ids_read_back() {
        for text in ["1234", "1234_5"] {
            assert_eq!(text.parse::<TaskId>().unwrap().to_string(), text);
        }
        assert!("1234_[5-7]".parse::<TaskId>().is_err());
    }
}
