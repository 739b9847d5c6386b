//! A finished run's configuration and figures ↔ `runs/{id}/test.json`.
//!
//! Holds no wall time: two undisturbed runs of one configuration write the same bytes (contract 4); times lie in `timing.csv`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::majority::Baseline;
use super::report::Evaluation;
use crate::config::{ExperimentId, RunConfig};

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
