//! `/proc` → what the figures were measured on, and how busy it was meanwhile.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use serde::Serialize;

/// Runnable tasks beside our own above which wall times mean nothing.
const QUIET: f64 = 0.3;

/// The machine, and its load before and after.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    cpu: String,
    cores: usize,
    load_before: f64,
    load_after: f64,
}

impl Machine {
    /// The machine as it is.
    pub fn now() -> Self {
        let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
        let load = load();
        Self {
            cpu: model.map_or("of an unknown model", |(_, model)| model.trim()).to_owned(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            load_before: load,
            load_after: load,
        }
    }

    /// The same machine after the work.
    pub fn until_now(&self) -> Self {
        Self { load_after: load(), ..self.clone() }
    }

    /// The machine and the versions of everything measured.
    pub fn markdown(&self, versions: &BTreeMap<String, String>) -> String {
        let mut text = format!("{}, {} cores; bioscan-hpc {}", self.cpu, self.cores, env!("CARGO_PKG_VERSION"));
        for (name, version) in versions {
            let _ = write!(text, ", {name} {version}");
        }
        let _ = write!(text, ". Load (1 min) {} before, {} after.", self.load_before, self.load_after);
        if self.load_before > QUIET {
            text += " **The machine was busy with other work: ratios of CPU time hold, wall times do not.**";
        }
        text + "\n"
    }
}

/// Tasks that ran or waited, averaged over the last minute.
fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().and_then(|load| load.parse().ok()).unwrap_or(f64::NAN)
}
