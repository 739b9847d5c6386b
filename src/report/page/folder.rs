//! A run's folder → its epochs, its times and where it was made.

use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, IoContext, Result};
use crate::telemetry::Provenance;

/// What the figures need of a row of `metrics.csv`.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub struct Epoch {
    /// 0-based.
    pub epoch: u64,
    /// Mean training loss.
    pub loss_train: f64,
    /// Validation top-1, 0..1; none without validation images.
    pub top1_val: Option<f64>,
}

/// A row of `timing.csv`. An epoch done again after a kill has two.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub struct Time {
    /// Images trained on, over all ranks.
    pub images: u64,
    /// Wall time of training and validating.
    pub seconds: f64,
}

/// Every epoch of a run.
pub fn epochs(run: &Path) -> Result<Vec<Epoch>> {
    rows(&run.join("metrics.csv"))
}

/// Every time a run noted.
pub fn times(run: &Path) -> Result<Vec<Time>> {
    rows(&run.join("timing.csv"))
}

/// Where a run was made.
pub fn provenance(run: &Path) -> Result<Provenance> {
    let path = run.join("provenance.json");
    let bytes = std::fs::read(&path).at("read", &path)?;
    serde_json::from_slice(&bytes).map_err(|error| Error::input(path, error.to_string()))
}

fn rows<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let file = std::fs::File::open(path).at("open", path)?;
    let mut reader = ::csv::Reader::from_reader(file);
    reader.deserialize().collect::<std::result::Result<_, _>>().map_err(|error| Error::input(path, error.to_string()))
}
