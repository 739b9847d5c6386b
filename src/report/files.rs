//! Run folders → records; a summary → the files of `tables/`.

use std::path::Path;

use crate::config::Experiment;
use crate::error::Result;
use crate::evaluate::RunRecord;
use crate::report::{EXPORTERS, Summary};
use crate::store::{atomic, hash};

/// The records of the finished runs among `experiments`; `runs` holds a folder an id. What is there but cannot count is named in the
/// log: a result that disagrees with its seal, one that is no record, one of another run.
pub fn read_records(experiments: &[Experiment], runs: &Path) -> Result<Vec<RunRecord>> {
    let mut records = Vec::new();
    for experiment in experiments {
        let path = runs.join(experiment.id.to_string()).join("test.json");
        let Some(bytes) = hash::read_sealed(&path)? else {
            if path.exists() {
                tracing::warn!("{} disagrees with its seal; left out", path.display());
            }
            continue;
        };
        match serde_json::from_slice::<RunRecord>(&bytes) {
            Ok(record) if record.id == experiment.id => records.push(record),
            Ok(record) => tracing::warn!("{} is of the run {}; left out", path.display(), record.id),
            Err(error) => tracing::warn!("{} is no record of this version: {error}; left out", path.display()),
        }
    }
    Ok(records)
}

/// Writes every format into `folder`; a file that would stay the same is not touched. Returns the names of those written.
pub fn write_tables(summary: &Summary, folder: &Path) -> Result<Vec<&'static str>> {
    let mut written = Vec::new();
    for exporter in EXPORTERS {
        let (path, text) = (folder.join(exporter.file()), exporter.export(summary)?);
        if std::fs::read(&path).is_ok_and(|there| there == text.as_bytes()) {
            continue;
        }
        atomic::write(&path, text.as_bytes())?;
        written.push(exporter.file());
    }
    Ok(written)
}
