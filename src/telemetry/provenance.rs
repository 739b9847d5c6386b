//! This process and machine → the record of where a result came from.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What produced a result, beside its configuration: written to `provenance.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// Version of this program.
    pub version: String,
    /// The commit it was built from; empty outside a repository.
    pub git_commit: String,
    /// Versions of the libraries that shape the result.
    pub libraries: BTreeMap<String, String>,
    /// The machine rank 0 ran on.
    pub host: String,
    /// Its processor.
    pub cpu: String,
    /// World size.
    pub ranks: usize,
    /// Threads a rank.
    pub threads: usize,
    /// `cpu`, or the GPU's name.
    pub device: String,
    /// The Slurm job, where there is one.
    pub slurm_job: Option<String>,
    /// What Slurm gave it, as `h100:1`: the model of a GPU, which libtorch numbers but does not name.
    #[serde(default)]
    pub slurm_gpus: Option<String>,
    /// What else a reader should know: how BatchNorm kept its statistics, say.
    pub notes: BTreeMap<String, String>,
}

impl Provenance {
    /// Describes this process; the caller adds libraries and notes.
    #[must_use]
    pub fn here(ranks: usize, threads: usize, device: impl Into<String>) -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let cpuinfo = read("/proc/cpuinfo");
        let cpu = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':').map(|(_, name)| name.trim()));
        Self {
            version: env!("CARGO_PKG_VERSION").into(),
            git_commit: option_env!("BIOSCAN_GIT_COMMIT").unwrap_or_default().into(),
            libraries: BTreeMap::new(),
            host: read("/proc/sys/kernel/hostname").trim().into(),
            cpu: cpu.unwrap_or("unknown").into(),
            ranks,
            threads,
            device: device.into(),
            slurm_job: std::env::var("SLURM_JOB_ID").ok(),
            slurm_gpus: std::env::var("SLURM_GPUS_PER_NODE").ok(),
            notes: BTreeMap::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_names_this_version_and_machine() {
        let record = Provenance::here(2, 1, "cpu");
        assert_eq!((record.version.as_str(), record.ranks), (env!("CARGO_PKG_VERSION"), 2));
        assert!(!record.host.is_empty());
    }
}
