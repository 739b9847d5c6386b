//! A job, its plan and its scripts → one hash, and the comment by which a job in Slurm's queue is known again.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::config::Job;
use crate::error::{Error, Result};
use crate::store::hash;

/// What begins every comment of ours.
const OURS: &str = "bioscan-hpc";

/// `--comment` of a submission: `bioscan-hpc:SWEEP:MANIFEST:SCRIPT:SERIAL:OFFSET`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ticket {
    /// Tells the sweeps of one person apart: from the absolute path of the job's output.
    pub sweep: String,
    /// [`manifest`] of what was submitted.
    pub manifest: String,
    /// The script's name without its ending.
    pub script: String,
    /// Tells the submissions of one script apart.
    pub serial: u64,
    /// What its tasks add to their index in the array: 0 but for a grid longer than an array may be.
    #[serde(default)]
    pub offset: usize,
}

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sweep, manifest, script, serial, offset } = self;
        write!(f, "{OURS}:{sweep}:{manifest}:{script}:{serial}:{offset}")
    }
}

impl FromStr for Ticket {
    type Err = ();

    fn from_str(text: &str) -> std::result::Result<Self, ()> {
        let parts: Vec<&str> = text.split(':').collect();
        let &[OURS, sweep, manifest, script, serial, offset] = parts.as_slice() else { return Err(()) };
        let (serial, offset) = (serial.parse().map_err(|_| ())?, offset.parse().map_err(|_| ())?);
        Ok(Self { sweep: sweep.into(), manifest: manifest.into(), script: script.into(), serial, offset })
    }
}

/// What tells this sweep from the same person's others.
pub fn sweep_of(output: &Path) -> Result<String> {
    let absolute = std::path::absolute(output).map_err(|error| Error::library("system", error))?;
    Ok(short(absolute.as_os_str().as_encoded_bytes(), 8))
}

/// The hash of all that is submitted: the job with its paths resolved, and every file of the rendering, which the plan speaks through.
pub fn manifest(job: &Job, files: &BTreeMap<String, String>) -> Result<String> {
    let text = serde_json::to_vec(&(job, files)).map_err(|error| Error::library("serde_json", error))?;
    Ok(short(&text, 16))
}

/// The first `digits` of the hash: sixteen are 64 bits, ample for the few manifests of one person.
fn short(bytes: &[u8], digits: usize) -> String {
    hash::of_bytes(bytes).chars().take(digits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_reads_back_from_its_comment_and_nothing_else_does() {
        let ticket = Ticket { sweep: "ab".into(), manifest: "cd".into(), script: "train-small".into(), serial: 7, offset: 1001 };
        assert_eq!(ticket.to_string(), "bioscan-hpc:ab:cd:train-small:7:1001");
        assert_eq!(ticket.to_string().parse(), Ok(ticket));
        for text in ["", "(null)", "bioscan-hpc", "other:ab:cd:train:7:0", "bioscan-hpc:ab:cd:train:x:0"] {
            assert!(text.parse::<Ticket>().is_err(), "{text}");
        }
    }
}
