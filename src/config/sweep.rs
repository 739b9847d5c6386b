//! What a job file wants of a cluster, where the plan would choose otherwise.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::config::{ExperimentId, Job};

/// `[sweep]`: for all runs; `[sweep.for.VALUE]`: for the runs with that value on an axis, `large` or `resnet50`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sweep {
    /// See [`Wish::gpu`].
    pub gpu: Option<String>,
    /// See [`Wish::gpus`].
    pub gpus: Option<u32>,
    /// See [`Wish::hours`].
    pub hours: Option<f64>,
    /// See [`Wish::memory_gib`].
    pub memory_gib: Option<u64>,
    /// What differs on one value of an axis.
    #[serde(rename = "for", skip_serializing_if = "BTreeMap::is_empty")]
    pub changes: BTreeMap<String, Wish>,
}

/// What a run shall ask for; what is absent is chosen by the plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Wish {
    /// `whole`, or a GPU or a slice by its name: `h100`, `nvidia_h100_80gb_hbm3_2g.20gb` or its end, `2g.20gb`.
    pub gpu: Option<String>,
    /// GPUs of one run, a rank each.
    pub gpus: Option<u32>,
    /// Hours of one run on these GPUs, in place of the estimate.
    pub hours: Option<f64>,
    /// Memory of one run.
    pub memory_gib: Option<u64>,
}

impl Job {
    /// What the job file wants for the run `id`; the narrowest value of an axis has the last word.
    #[must_use]
    pub fn wish_for(&self, id: &ExperimentId) -> Wish {
        let Sweep { gpu, gpus, hours, memory_gib, changes } = self.sweep.clone();
        let mut wish = Wish { gpu, gpus, hours, memory_gib };
        for change in id.axis_values().iter().filter_map(|value| changes.get(*value)) {
            wish.gpu = change.gpu.clone().or(wish.gpu);
            wish.gpus = change.gpus.or(wish.gpus);
            wish.hours = change.hours.or(wish.hours);
            wish.memory_gib = change.memory_gib.or(wish.memory_gib);
        }
        wish
    }
}

impl Sweep {
    /// What is wrong with it, and cannot be told by its types.
    pub(super) fn fault(&self) -> Option<&'static str> {
        let all = || self.changes.values().map(|wish| (wish.gpus, wish.hours)).chain([(self.gpus, self.hours)]);
        if all().any(|(gpus, _)| gpus == Some(0)) {
            return Some("`sweep.gpus` must be at least 1");
        }
        let wrong = |hours: Option<f64>| hours.is_some_and(|hours| !(hours > 0.0 && hours.is_finite()));
        all().any(|(_, hours)| wrong(hours)).then_some("`sweep.hours` must be a positive number")
    }
}
