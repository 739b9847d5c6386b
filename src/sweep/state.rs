//! A run's folder → what has become of the run. Nothing else is asked: no queue, no database.

use std::path::Path;

use serde::Serialize;

use crate::config::Experiment;
use crate::error::{IoContext, Result};
use crate::evaluate::RunRecord;
use crate::store::{hash, lock};

/// What has become of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// `test.json` is there, whole, and agrees with its seal.
    Done,
    /// A live process owns the folder.
    Running,
    /// Not done and not owned, but a checkpoint is there to go on from.
    Checkpointed,
    /// Nothing to go on from.
    Missing,
}

impl State {
    /// All of them, the best first.
    pub const ALL: [Self; 4] = [Self::Done, Self::Running, Self::Checkpointed, Self::Missing];

    /// In a word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Running => "running",
            Self::Checkpointed => "checkpointed",
            Self::Missing => "missing",
        }
    }
}

/// The record of a finished run; `None` where the run is not done: no `test.json`, one that disagrees with its seal, or not a record.
pub fn record_of(folder: &Path) -> Result<Option<RunRecord>> {
    let bytes = hash::read_sealed(&folder.join("test.json"))?;
    Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}

/// The state of the run in `folder`.
pub fn state_of(folder: &Path) -> Result<State> {
    judge(folder, lock::owner_of)
}

/// The state of the run in `folder`, for whoever has asked Slurm once for all runs: `forgotten` says whether it knows no such job.
pub fn state_unless(folder: &Path, forgotten: impl Fn(&str) -> bool) -> Result<State> {
    judge(folder, |folder| lock::owner_unless(folder, forgotten))
}

fn judge(folder: &Path, owner_of: impl FnOnce(&Path) -> Result<Option<String>>) -> Result<State> {
    Ok(if record_of(folder)?.is_some() {
        State::Done
    } else if owner_of(folder)?.is_some() {
        State::Running
    } else if has_checkpoint(folder)? {
        State::Checkpointed
    } else {
        State::Missing
    })
}

/// The state of every experiment, in their order; `runs` holds a folder an id.
pub fn states(experiments: &[Experiment], runs: &Path) -> Result<Vec<State>> {
    experiments.iter().map(|experiment| state_of(&runs.join(experiment.id.to_string()))).collect()
}

fn has_checkpoint(folder: &Path) -> Result<bool> {
    if !folder.is_dir() {
        return Ok(false);
    }
    for entry in std::fs::read_dir(folder).at("list", folder)? {
        if entry.at("list", folder)?.file_name().to_string_lossy().starts_with("checkpoint") {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_folder_goes_from_missing_to_running_to_checkpointed() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("a-resnet18-CE-s1");
        assert_eq!(state_of(&folder).unwrap(), State::Missing);
        let lock = lock::Lock::acquire(&folder).unwrap();
        fs::write(folder.join("checkpoint-3.safetensors"), b"x").unwrap();
        assert_eq!(state_of(&folder).unwrap(), State::Running);
        drop(lock);
        assert_eq!(state_of(&folder).unwrap(), State::Checkpointed);
    }

    #[test]
    fn a_result_without_its_seal_or_that_is_no_record_is_not_done() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("test.json");
        fs::write(&path, b"{}").unwrap();
        assert_eq!(state_of(root.path()).unwrap(), State::Missing);
        hash::write_sealed(&path, b"{}").unwrap();
        assert_eq!(state_of(root.path()).unwrap(), State::Missing);
    }
}
