//! The lines of `scontrol show job` and `sacct` → how tasks ended.

use std::collections::BTreeMap;

use crate::sweep::slurm::queue::{Phase, TaskId};

/// How a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Slurm's verdict.
    pub phase: Phase,
    /// The exit code of its script; 0 where a signal ended it.
    pub code: u8,
    /// The signal that ended it; 0 where it ended by itself.
    pub signal: u8,
}

/// What `sacct` is asked for.
pub const ACCOUNTING_FORMAT: &str = "JobID,State,ExitCode";

/// Reads `scontrol -o show job ID`, a line a task.
#[must_use]
pub fn parse_jobs(text: &str) -> BTreeMap<TaskId, Ending> {
    text.lines().filter_map(parse_job).collect()
}

fn parse_job(line: &str) -> Option<(TaskId, Ending)> {
    let value = |name: &str| {
        let mut words = line.split(' ');
        words.find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    };
    let job = value("ArrayJobId").or_else(|| value("JobId"))?.parse().ok()?;
    let index = value("ArrayTaskId").and_then(|index| index.parse().ok());
    let (code, signal) = exit_code(value("ExitCode")?)?;
    Some((TaskId { job, index }, Ending { phase: Phase::of(value("JobState")?), code, signal }))
}

/// Reads `sacct -X -P -n --format=` [`ACCOUNTING_FORMAT`].
#[must_use]
pub fn parse_accounting(text: &str) -> BTreeMap<TaskId, Ending> {
    text.lines().filter_map(parse_account).collect()
}

fn parse_account(line: &str) -> Option<(TaskId, Ending)> {
    let mut fields = line.split('|');
    let (id, state, exit) = (fields.next()?, fields.next()?, fields.next()?);
    let (code, signal) = exit_code(exit)?;
    Some((id.parse().ok()?, Ending { phase: Phase::of(state), code, signal }))
}

/// `6:0`: the code, and the signal.
fn exit_code(text: &str) -> Option<(u8, u8)> {
    let (code, signal) = text.split_once(':')?;
    Some((code.parse().ok()?, signal.parse().ok()?))
}

/// `MaxArraySize` in the text of `scontrol show config`: one more than the largest index.
#[must_use]
pub fn max_array_size(text: &str) -> Option<usize> {
    let mut settings = text.lines().filter_map(|line| line.split_once('='));
    settings.find(|(name, _)| name.trim() == "MaxArraySize")?.1.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_codes_of_an_array_are_found_by_task() {
        let text = "JobId=8 ArrayJobId=7 ArrayTaskId=0 JobName=x UserId=root(0) JobState=FAILED Reason=NonZeroExitCode ExitCode=6:0 Restarts=1\n\
                    JobId=7 ArrayJobId=7 ArrayTaskId=3 JobName=x JobState=COMPLETED ExitCode=0:0\n\
                    JobId=9 JobName=y JobState=FAILED ExitCode=0:9 \n\
                    JobId=11 ArrayJobId=11 ArrayTaskId=4-9 JobName=z JobState=PENDING ExitCode=0:0\n";
        let jobs = parse_jobs(text);
        let ending = |id: &str| jobs[&id.parse().unwrap()];
        assert_eq!(ending("7_0"), Ending { phase: Phase::Failed, code: 6, signal: 0 });
        assert_eq!(ending("7_3").phase, Phase::Completed);
        assert_eq!((ending("9").code, ending("9").signal), (0, 9));
    }

    #[test]
    fn accounting_may_add_who_cancelled() {
        let found = parse_accounting("7_0|CANCELLED by 1000|0:15\n7_1|OUT_OF_MEMORY|0:125\n7_[2-5]|PENDING|0:0\n");
        assert_eq!(found.len(), 2);
        assert_eq!(found[&"7_0".parse().unwrap()].phase, Phase::Cancelled);
        assert_eq!(found[&"7_1".parse().unwrap()].phase, Phase::OutOfMemory);
    }

    #[test]
    fn the_limit_of_an_array_is_read_off_the_configuration() {
        assert_eq!(max_array_size("MailProg = /bin/mail\nMaxArraySize            = 1001\nMaxBatchRequeue = 5\n"), Some(1001));
        assert_eq!(max_array_size("sinfo: error"), None);
    }
}
