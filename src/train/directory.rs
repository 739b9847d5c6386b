//! The folder of one run (contract 2): which file is which, and what state they add up to.

use std::fs;
use std::path::{Path, PathBuf};

use crate::config::{RunConfig, from_file};
use crate::error::{Error, Result};
use crate::evaluate::{NoRecord, RunRecord};
use crate::store::{atomic, hash};

/// A run's folder, `runs/{id}`.
#[derive(Clone, Debug)]
pub struct RunDirectory(PathBuf);

impl RunDirectory {
    /// The folder at `path`; it need not exist yet.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A file in it.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The weights of the best epoch, under timm's names.
    #[must_use]
    pub fn best_weights(&self) -> PathBuf {
        self.file("best.safetensors")
    }

    /// Where new best weights wait until a checkpoint speaks of them.
    #[must_use]
    fn next_weights(&self) -> PathBuf {
        self.file("best.safetensors.next")
    }

    /// Writes weights that are the best so far, to be taken by [`RunDirectory::take_best`] once a checkpoint names their hash: until then
    /// those before are the best, to whoever goes on from here.
    pub fn offer_best(&self, weights: &[u8]) -> Result<()> {
        atomic::write(&self.next_weights(), weights)
    }

    /// Makes the weights of this blake3 the run's best, where they wait; any others that wait belong to no checkpoint, and go.
    pub fn take_best(&self, blake3: &str) -> Result<()> {
        let next = self.next_weights();
        if !next.is_file() {
            return Ok(());
        }
        if hash::of_file(&next)? != blake3 {
            return atomic::remove(&next);
        }
        let best = self.best_weights();
        hash::seal(&best, blake3)?;
        atomic::publish(&next, &best)
    }

    /// Takes up a run of `config`: writes `config.toml`, or refuses where the folder holds a run of another configuration.
    pub fn claim(&self, config: &RunConfig) -> Result<()> {
        let path = self.file("config.toml");
        if path.is_file() {
            let there: RunConfig = from_file(&path)?;
            let differences = there.differences(config)?;
            if !differences.is_empty() {
                let help = "give the job another `paths.output` or `name`, or remove the folder to train again";
                let message = format!("holds a run of another configuration; there → now: {}", differences.join("; "));
                return Err(Error::input(&self.0, message).with_help(help));
            }
            return Ok(());
        }
        atomic::write(&path, config.to_toml()?.as_bytes())
    }

    /// The result of a finished run; `None` while it is not finished.
    pub fn record(&self) -> Result<Option<RunRecord>> {
        match RunRecord::sealed_in(&self.0)? {
            Err(error @ NoRecord::Unreadable(_)) => {
                Err(Error::input(&self.0, error.to_string()).with_help("remove its test.json and run again"))
            }
            record => Ok(record.ok()),
        }
    }

    /// Publishes the result: from now on the run is done.
    pub fn finish(&self, record: &RunRecord) -> Result<()> {
        let mut text = serde_json::to_vec_pretty(record).map_err(|error| Error::library("serde_json", error))?;
        text.push(b'\n');
        hash::write_sealed(&self.file("test.json"), &text)
    }

    /// Adds a line to `timing.csv`, the one file that is appended to and may differ between equal runs. One with other columns, of an
    /// older version, is begun anew.
    pub fn append_timing(&self, header: &str, row: &str) -> Result<()> {
        let path = self.file("timing.csv");
        let there = fs::read_to_string(&path).unwrap_or_default();
        let mut text = if there.starts_with(header) { there } else { header.to_owned() };
        text.push_str(row);
        atomic::write(&path, text.as_bytes())
    }
}
