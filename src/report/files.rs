//! Run folders → records and outcomes; a summary → the files of `tables/`.

use std::collections::BTreeMap;
use std::path::Path;

use rayon::prelude::*;

use crate::config::{Experiment, ExperimentId};
use crate::error::{IoContext, Result};
use crate::evaluate::{NoRecord, RunRecord};
use crate::report::aggregate::LeftOut;
use crate::report::outcomes::Outcomes;
use crate::report::{EXPORTERS, Summary};
use crate::store::atomic;

/// What lies in a folder of runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// The finished runs of the grid, in its order.
    pub records: Vec<RunRecord>,
    /// Folders that are there but cannot count: unfinished, damaged, of another run, copies. Each is named in the log too.
    pub left_out: Vec<LeftOut>,
}

enum Looked {
    Finished(Box<RunRecord>),
    Bad(String),
    NotThere,
}

/// Reads the runs of `experiments`; `runs` holds a folder an id. Only the folder called like the id counts, so that a copy of a run is
/// never counted twice.
pub fn read_runs(experiments: &[Experiment], runs: &Path) -> Result<Found> {
    let looked: Result<Vec<Looked>> = experiments.par_iter().map(|experiment| look(&experiment.id, runs)).collect();
    let mut found = Found::default();
    for (experiment, looked) in experiments.iter().zip(looked?) {
        match looked {
            Looked::Finished(record) => found.records.push(*record),
            Looked::Bad(why) => found.left_out.push(LeftOut { folder: experiment.id.to_string(), why }),
            Looked::NotThere => {}
        }
    }
    found.left_out.extend(strangers(experiments, runs)?);
    found.left_out.sort();
    for LeftOut { folder, why } in &found.left_out {
        tracing::warn!("{}: {why}; left out", runs.join(folder).display());
    }
    Ok(found)
}

fn look(id: &ExperimentId, runs: &Path) -> Result<Looked> {
    let folder = runs.join(id.to_string());
    Ok(match RunRecord::read(&folder)? {
        Ok(record) => Looked::Finished(Box::new(record)),
        Err(NoRecord::Missing) if folder.is_dir() => Looked::Bad("begun and not finished: no test.json".into()),
        Err(NoRecord::Missing) => Looked::NotThere,
        Err(why) => Looked::Bad(why.to_string()),
    })
}

/// Folders with a result that are not called like a run of the grid: copies of one, and runs of another grid, which are only mentioned
/// in the log.
fn strangers(experiments: &[Experiment], runs: &Path) -> Result<Vec<LeftOut>> {
    let ours: BTreeMap<String, &ExperimentId> = experiments.iter().map(|run| (run.id.to_string(), &run.id)).collect();
    let mut found = Vec::new();
    if !runs.is_dir() {
        return Ok(found);
    }
    for entry in std::fs::read_dir(runs).at("list", runs)? {
        let folder = entry.at("list", runs)?.file_name().to_string_lossy().into_owned();
        let path = runs.join(&folder).join("test.json");
        if ours.contains_key(&folder) || !path.is_file() {
            continue;
        }
        let why = match RunRecord::read(&runs.join(&folder))? {
            Ok(_) => {
                tracing::info!("{folder} is a run of another grid");
                continue;
            }
            Err(NoRecord::Other(id)) if ours.contains_key(&id.to_string()) => format!("a copy of the run {id}"),
            Err(NoRecord::Other(id)) => format!("holds the run {id}"),
            Err(_) => "no run of this job, and its test.json is damaged".into(),
        };
        found.push(LeftOut { folder, why });
    }
    Ok(found)
}

/// What every run of each partition makes of its test images, by the partition's name.
pub fn read_outcomes(records: &[RunRecord], runs: &Path) -> BTreeMap<String, Outcomes> {
    let mut by_partition: BTreeMap<&str, Vec<&RunRecord>> = BTreeMap::new();
    for record in records {
        by_partition.entry(&record.id.partition).or_default().push(record);
    }
    let read = |(partition, records): (&str, Vec<&RunRecord>)| (partition.to_owned(), Outcomes::read(&records, runs));
    by_partition.into_par_iter().map(read).collect()
}

/// Writes every format into `folder`; a file that would stay the same is not touched. Returns the names of those written.
pub fn write_tables(summary: &Summary, folder: &Path) -> Result<Vec<&'static str>> {
    let mut written = Vec::new();
    for exporter in EXPORTERS {
        if write_if_other(&folder.join(exporter.file()), exporter.export(summary)?.as_bytes())? {
            written.push(exporter.file());
        }
    }
    Ok(written)
}

/// Writes `bytes` unless they are there already; whether it did.
pub fn write_if_other(path: &Path, bytes: &[u8]) -> Result<bool> {
    if std::fs::read(path).is_ok_and(|there| there == bytes) {
        return Ok(false);
    }
    atomic::write(path, bytes)?;
    Ok(true)
}
