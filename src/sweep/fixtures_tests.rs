//! Results of runs for the tests of this room.

use std::collections::BTreeMap;

use crate::config::{Experiment, Fingerprints, Job, RunConfig};
use crate::evaluate::{Accumulator, DEFAULT_KS, Evaluation, RunRecord, majority_baseline};

/// A result of the run `experiment`.
pub fn of_run(job: &Job, experiment: &Experiment) -> RunRecord {
    let config = RunConfig::new(job, experiment, Fingerprints::default(), String::new());
    RunRecord {
        id: experiment.id.clone(),
        config_hash: config.hash().unwrap(),
        config,
        best_epoch: 0,
        ranks: 1,
        evaluation: Evaluation::new(&Accumulator::new(2, &DEFAULT_KS), &["a".into(), "b".into()], 0),
        majority: majority_baseline(&[4, 4], &[4, 4]),
        notes: BTreeMap::new(),
    }
}
