//! What a run's folder, Slurm and the journal say → what has become of the run, and why, in words.

use serde::Serialize;

use crate::error::Exit;
use crate::sweep::slurm::{Ending, Phase};
use crate::sweep::state::State;

/// What has become of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// Its result is there and agrees with its seal.
    Done,
    /// It runs.
    Running,
    /// It waits in the queue.
    Pending,
    /// It has stopped with a checkpoint to go on from, and is not in the queue.
    Checkpointed,
    /// It ended without a result.
    Failed,
    /// Somebody, or a dependency that cannot come true, took it out of the queue.
    Cancelled,
    /// It was never started.
    Missing,
}

impl Standing {
    /// All of them, the best first.
    pub const ALL: [Self; 7] =
        [Self::Done, Self::Running, Self::Pending, Self::Checkpointed, Self::Failed, Self::Cancelled, Self::Missing];

    /// In a word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Running => "running",
            Self::Pending => "pending",
            Self::Checkpointed => "checkpointed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Missing => "missing",
        }
    }
}

/// What is known of a run beside its folder.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Evidence<'a> {
    /// Its newest task, where Slurm still knows it: where that stands, and Slurm's word for why.
    pub task: Option<(Phase, &'a str)>,
    /// How that task ended.
    pub ending: Option<Ending>,
    /// Whether it was ever submitted.
    pub submitted: bool,
    /// Whether Slurm could be asked.
    pub asked: bool,
    /// Memory its task had asked for.
    pub memory: Option<&'a str>,
}

/// What has become of a run whose folder is in `state`, and why where that is not plain. The folder has the first word.
#[must_use]
pub fn judge(state: State, evidence: Evidence) -> (Standing, Option<String>) {
    let phase = evidence.task.map(|(phase, _)| phase).or(evidence.ending.map(|ending| ending.phase));
    let saved = state == State::Checkpointed;
    let told = |standing, words: &str| (standing, Some(words.to_owned()));
    match (state, phase) {
        (State::Done, _) => (Standing::Done, None),
        (_, Some(Phase::Waiting)) => (Standing::Pending, evidence.task.map(|(_, reason)| waiting(reason))),
        (_, Some(Phase::Running)) => (Standing::Running, None),
        (State::Running, _) => told(Standing::Running, "outside of Slurm's queue"),
        (_, Some(Phase::Cancelled)) if evidence.task.is_some_and(|(_, reason)| reason.contains("Dependency")) => {
            told(Standing::Cancelled, "the preprocessing it waited for did not finish")
        }
        (_, Some(Phase::Cancelled)) => (Standing::Cancelled, None),
        (_, Some(Phase::Preempted)) if saved => told(Standing::Checkpointed, "preempted by a job of higher priority"),
        (_, Some(Phase::TimeLimit)) if saved => {
            told(Standing::Checkpointed, "the time limit came; it goes on from its checkpoint")
        }
        (_, Some(phase)) if stopped(evidence.ending) && phase == Phase::Failed => {
            told(Standing::Checkpointed, "it stopped with a checkpoint (exit 85) and was not requeued")
        }
        (_, Some(phase)) => (Standing::Failed, Some(failure(phase, evidence))),
        (_, None) if saved => (Standing::Checkpointed, None),
        (_, None) if evidence.submitted && !evidence.asked => {
            told(Standing::Missing, "submitted, but there is no Slurm here to ask about it")
        }
        (_, None) if evidence.submitted => told(Standing::Failed, "it left no result, and Slurm no longer knows why"),
        (_, None) => (Standing::Missing, None),
    }
}

fn stopped(ending: Option<Ending>) -> bool {
    ending.is_some_and(|ending| ending.code == Exit::Stopped.code())
}

/// Why a task that ended left no result.
fn failure(phase: Phase, evidence: Evidence) -> String {
    let asked =
        evidence.memory.filter(|memory| *memory != "0").map(|memory| format!(": it had asked for {memory}")).unwrap_or_default();
    let exit = evidence.ending.map(|ending| exit_words(ending.code, ending.signal));
    match phase {
        Phase::OutOfMemory => format!("out of memory{asked}"),
        Phase::TimeLimit => "the time limit came before a checkpoint".into(),
        Phase::NodeFailed => "its node failed".into(),
        Phase::Preempted => "preempted by a job of higher priority".into(),
        Phase::Completed => "it ended well, but left no result that agrees with its seal".into(),
        Phase::Failed => exit.unwrap_or_else(|| "its script failed".into()),
        _ => exit.unwrap_or_else(|| "Slurm ended it".into()),
    }
}

/// What an exit code of a script means: ours from the table in the README, the shell's by custom.
#[must_use]
pub fn exit_words(code: u8, signal: u8) -> String {
    let ours = Exit::ALL.into_iter().find(|exit| exit.code() == code && code != 0).map(Exit::words);
    let means = match (code, signal) {
        (0, 0) => return "exit 0".into(),
        (0, signal) => return format!("killed by signal {signal}"),
        (126 | 127, _) => Some("the program was not found, or cannot be started there"),
        (137, _) => Some("killed, most often for lack of memory"),
        (134 | 139, _) => Some("the program crashed"),
        (143, _) => Some("told to end"),
        _ => ours,
    };
    means.map_or_else(|| format!("exit {code}"), |means| format!("exit {code}: {means}"))
}

/// Slurm's commonest reasons for waiting, in words, beside its own term, which its documentation explains.
fn waiting(reason: &str) -> String {
    let words = match reason {
        "Priority" => "others come first",
        "Resources" => "next in line, waiting for room",
        "Dependency" => "waiting for the stage before it",
        "DependencyNeverSatisfied" => "the stage before it failed, so it will never start",
        "BeginTime" => "requeued a moment ago",
        "JobHeldUser" | "JobHeldAdmin" => "held",
        "launch failed requeued held" | "JobHoldMaxRequeue" => "held after too many starts that failed: `scontrol release` it",
        "ReqNodeNotAvail" => "its nodes are reserved or down",
        _ if reason.contains("MaxJobs") || reason.contains("GrpJobs") || reason.contains("JobLimit") => "a limit on running jobs",
        _ if reason.contains("Grp") || reason.contains("Limit") => "a limit of the account",
        _ => return reason.to_owned(),
    };
    format!("{words} ({reason})")
}

/// What to do about a run, where something is to be done.
#[must_use]
pub fn advice(standing: Standing, reason: Option<&str>) -> Option<&'static str> {
    let reason = reason.unwrap_or_default();
    Some(match standing {
        Standing::Failed if reason.contains("memory") => "`sweep rerun --failed --more-memory 1.5` asks for half as much again",
        Standing::Failed if reason.contains("time limit") => "`sweep rerun --failed --more-time 2` asks for twice the time",
        Standing::Failed if reason.starts_with("exit 2:") => "mend what the log names, then `sweep rerun --failed`",
        Standing::Failed if reason.starts_with("exit 1:") => "report it with the log; `sweep rerun --failed` tries again",
        Standing::Failed => "`sweep rerun --failed` tries again",
        Standing::Checkpointed => "`sweep rerun` goes on from the checkpoint",
        Standing::Cancelled => "`sweep rerun` starts it again",
        Standing::Missing => "`sweep submit` starts it",
        Standing::Pending if reason.contains("never start") => "`sweep cancel`, mend the stage before it, then `sweep rerun`",
        Standing::Pending if reason.contains("held") => "`scontrol release` it, or `sweep cancel` and `sweep rerun`",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(phase: Phase, reason: &str) -> Evidence<'_> {
        Evidence { task: Some((phase, reason)), submitted: true, asked: true, ..Evidence::default() }
    }

    fn ended(phase: Phase, code: u8) -> Evidence<'static> {
        let ending = Some(Ending { phase, code, signal: 0 });
        Evidence { ending, memory: Some("64G"), ..with(phase, "") }
    }

    fn words(state: State, evidence: Evidence) -> String {
        let (standing, reason) = judge(state, evidence);
        format!("{}: {}", standing.word(), reason.unwrap_or_default())
    }

    #[test]
    fn a_finished_folder_outweighs_all_that_slurm_says() {
        for phase in [Phase::Failed, Phase::Waiting, Phase::Cancelled] {
            assert_eq!(judge(State::Done, with(phase, "")), (Standing::Done, None));
        }
    }

    #[test]
    fn slurms_verdicts_become_words() {
        use State::{Checkpointed as Saved, Missing};
        assert_eq!(words(Missing, with(Phase::Waiting, "Resources")), "pending: next in line, waiting for room (Resources)");
        assert_eq!(words(Missing, with(Phase::Waiting, "Prolog")), "pending: Prolog");
        assert_eq!(words(Saved, with(Phase::Running, "")), "running: ");
        assert_eq!(words(Missing, ended(Phase::OutOfMemory, 0)), "failed: out of memory: it had asked for 64G");
        assert_eq!(words(Missing, ended(Phase::TimeLimit, 0)), "failed: the time limit came before a checkpoint");
        assert_eq!(words(Saved, ended(Phase::TimeLimit, 0)), "checkpointed: the time limit came; it goes on from its checkpoint");
        assert_eq!(words(Missing, ended(Phase::NodeFailed, 1)), "failed: its node failed");
        assert_eq!(words(Missing, ended(Phase::Failed, 2)), "failed: exit 2: wrong usage or configuration");
        assert_eq!(
            words(Missing, ended(Phase::Failed, 127)),
            "failed: exit 127: the program was not found, or cannot be started there"
        );
        assert_eq!(
            words(Saved, ended(Phase::Failed, 85)),
            "checkpointed: it stopped with a checkpoint (exit 85) and was not requeued"
        );
        assert_eq!(
            words(Missing, ended(Phase::Completed, 0)),
            "failed: it ended well, but left no result that agrees with its seal"
        );
        assert_eq!(words(Saved, with(Phase::Cancelled, "None")), "cancelled: ");
    }

    #[test]
    fn without_slurm_the_folder_and_the_journal_decide() {
        let nothing = Evidence::default();
        assert_eq!(words(State::Missing, nothing), "missing: ");
        assert_eq!(words(State::Checkpointed, nothing), "checkpointed: ");
        assert_eq!(words(State::Running, nothing), "running: outside of Slurm's queue");
        let forgotten = Evidence { submitted: true, asked: true, ..nothing };
        assert_eq!(words(State::Missing, forgotten), "failed: it left no result, and Slurm no longer knows why");
        let accounted = Evidence { ending: Some(Ending { phase: Phase::NodeFailed, code: 0, signal: 0 }), ..forgotten };
        assert_eq!(words(State::Missing, accounted), "failed: its node failed");
    }
}
