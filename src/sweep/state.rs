//! A run's folder → what has become of the run. Nothing else is asked: no queue, no database.

use std::path::Path;

use serde::Serialize;

use crate::config::Experiment;
use crate::error::{IoContext, Result};
use crate::evaluate::RunRecord;
use crate::store::lock;

/// What has become of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// `test.json` is there, whole, of this very run, and agrees with its seal.
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

/// The state of the run in `folder`.
pub fn state_of(folder: &Path) -> Result<State> {
    judge(folder, lock::owner_of)
}

/// The state of the run in `folder`, for whoever has asked Slurm once for all runs: `forgotten` says whether it knows no such job.
pub fn state_unless(folder: &Path, forgotten: impl Fn(&str) -> bool) -> Result<State> {
    judge(folder, |folder| lock::owner_unless(folder, forgotten))
}

fn judge(folder: &Path, owner_of: impl FnOnce(&Path) -> Result<Option<String>>) -> Result<State> {
    Ok(if RunRecord::read(folder)?.is_ok() {
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
    use crate::config::{Job, from_text};
    use crate::store::hash;
    use crate::sweep::fixtures_tests::of_run;
    use crate::sweep::measured::measurements;
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
    fn a_copy_of_another_runs_result_is_no_result() {
        let root = tempfile::tempdir().unwrap();
        let job: Job = from_text(include_str!("../../jobs/bioscan-1m.toml"), "job.toml").unwrap();
        let experiments = job.grid.experiments();
        let record = of_run(&job, &experiments[1]);
        for (folder, state) in [(&experiments[1].id, State::Done), (&experiments[2].id, State::Missing)] {
            let path = root.path().join(folder.to_string()).join("test.json");
            hash::write_sealed(&path, &serde_json::to_vec(&record).unwrap()).unwrap();
            assert_eq!(state_of(path.parent().unwrap()).unwrap(), state, "{folder}");
        }
        assert!(measurements(&experiments[2..3], root.path()).unwrap().is_empty());
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
