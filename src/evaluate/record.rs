//! A finished run's configuration and figures ↔ `runs/{id}/test.json`.
//!
//! Holds no wall time: two undisturbed runs of one configuration write the same bytes (contract 4); times lie in `timing.csv`.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::majority::Baseline;
use super::report::Evaluation;
use crate::config::{ExperimentId, RunConfig};
use crate::error::Result;
use crate::store::hash;

/// What `test.json` holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// The run.
    pub id: ExperimentId,
    /// How it was trained, and on what.
    pub config: RunConfig,
    /// [`RunConfig::hash`] of it.
    pub config_hash: String,
    /// The 0-based epoch whose weights were tested: the first with the highest validation top-1.
    pub best_epoch: u64,
    /// World size; with local BatchNorm statistics the result depends on it.
    pub ranks: usize,
    /// The figures on the test split.
    pub evaluation: Evaluation,
    /// What always saying the most frequent class of the training split would reach on the same test split.
    pub majority: Baseline,
    /// What else a reader of the figures should know: how BatchNorm kept its statistics, say.
    #[serde(default)]
    pub notes: BTreeMap<String, String>,
}

/// Why a folder holds no result of the run it is called like.
#[derive(Debug, thiserror::Error)]
pub enum NoRecord {
    /// Nothing is there.
    #[error("there is no test.json")]
    Missing,
    /// Not what was written.
    #[error("test.json disagrees with its seal, or the seal is missing")]
    Unsealed,
    /// Not in the form of this version.
    #[error("test.json is no record of this version: {0}")]
    Unreadable(serde_json::Error),
    /// A copy.
    #[error("test.json is of the run {0}")]
    Other(ExperimentId),
}

impl RunRecord {
    /// The result in a run's `folder`, which is called like the run: the one place that says whether a run is done.
    ///
    /// # Errors
    /// The file system refused.
    pub fn read(folder: &Path) -> Result<Result<Self, NoRecord>> {
        let is_its_own = |record: &Self| folder.file_name().is_some_and(|name| *name == *record.id.to_string());
        Ok(Self::sealed_in(folder)?
            .and_then(|record| if is_its_own(&record) { Ok(record) } else { Err(NoRecord::Other(record.id)) }))
    }

    /// The result in `folder`, whatever the folder is called.
    ///
    /// # Errors
    /// The file system refused.
    pub fn sealed_in(folder: &Path) -> Result<Result<Self, NoRecord>> {
        let path = folder.join("test.json");
        let Some(bytes) = hash::read_sealed(&path)? else {
            return Ok(Err(if path.exists() { NoRecord::Unsealed } else { NoRecord::Missing }));
        };
        Ok(serde_json::from_slice(&bytes).map_err(NoRecord::Unreadable))
    }
}
