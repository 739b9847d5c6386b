//! A job → everything its page shows, and a note of everything that could not be read.

use std::collections::BTreeMap;
use std::path::Path;

use rayon::prelude::*;

use crate::config::Job;
use crate::dataset::statistics::{Query, Statistics, statistics_with};
use crate::error::Result;
use crate::evaluate::{Calibration, RunRecord};
use crate::report::page::examples::{self, Examples};
use crate::report::page::folder::{self, Epoch, Time};
use crate::report::published::Published;
use crate::report::{Arithmetic, Metric, Row, Summary, aggregate, files, leads};
use crate::telemetry::Provenance;

/// Everything the page shows.
#[derive(Clone, Debug)]
pub struct Material {
    /// The job, as resolved.
    pub job: Job,
    /// Its tables.
    pub summary: Summary,
    /// Its finished runs, in the order of the grid.
    pub runs: Vec<Run>,
    /// Counts of the metadata; `None` where they are not there.
    pub statistics: Option<Statistics>,
    /// Pictures, one set a partition.
    pub examples: Vec<Examples>,
    /// What could not be read.
    pub faults: Vec<String>,
}

/// One finished run.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its result.
    pub record: RunRecord,
    /// Its epochs; empty where they could not be read.
    pub epochs: Vec<Epoch>,
    /// Its times, likewise.
    pub times: Vec<Time>,
    /// Where it was made.
    pub provenance: Option<Provenance>,
    /// How its probabilities agree with how often it was right.
    pub calibration: Option<Calibration>,
}

impl Material {
    /// Reads everything; what is not there is noted and left out.
    pub fn gather(job: Job, replicates: u64) -> Result<Self> {
        let folder = job.paths.runs();
        let found = files::read_runs(&job.grid.experiments(), &folder)?;
        let outcomes = files::read_outcomes(&found.records, &folder);
        let mut summary = aggregate(&job, &found.records, &Published::load()?, Arithmetic::Ours)?.leaving_out(found.left_out);
        leads::mark_all(&mut summary, &outcomes, replicates);
        let mut calibration: BTreeMap<String, Calibration> = BTreeMap::new();
        for outcomes in outcomes.into_values() {
            calibration.extend(outcomes.runs.iter().map(ToString::to_string).zip(outcomes.calibration));
        }
        let read: Vec<(Run, Vec<String>)> = found.records.into_par_iter().map(|record| read(record, &folder)).collect();
        let (mut runs, faults): (Vec<Run>, Vec<Vec<String>>) = read.into_iter().unzip();
        runs.iter_mut().for_each(|run| run.calibration = calibration.remove(&run.record.id.to_string()));
        let mut this = Self { job, summary, runs, statistics: None, examples: vec![], faults: faults.concat() };
        this.count();
        this.choose_examples();
        Ok(this)
    }

    /// Whether any of the data are synthetic: the runs', or where there are none yet the metadata's.
    #[must_use]
    pub fn is_synthetic(&self) -> bool {
        self.summary.synthetic || self.statistics.as_ref().is_some_and(|found| found.synthetic)
    }

    /// The runs of one row of a table.
    pub fn of_row<'a>(&'a self, row: &'a Row) -> impl Iterator<Item = &'a Run> {
        self.runs.iter().filter(|run| {
            let id = &run.record.id;
            id.partition == row.partition && id.backbone == row.backbone && id.loss == row.loss
        })
    }

    /// The row with the highest macro-F1 of each partition, in the order of the tables.
    pub fn best_rows(&self) -> Vec<&Row> {
        let mut best: Vec<&Row> = Vec::new();
        let f1 = |row: &Row| row.cell(Metric::F1Macro).map_or(f64::NEG_INFINITY, |cell| cell.mean);
        for row in self.summary.tables.iter().flat_map(|table| &table.rows).filter(|row| row.cell(Metric::F1Macro).is_some()) {
            match best.iter_mut().find(|other| other.partition == row.partition) {
                Some(other) if f1(row) > f1(other) => *other = row,
                Some(_) => {}
                None => best.push(row),
            }
        }
        best
    }

    fn count(&mut self) {
        let (split, original) = (self.job.paths.split_metadata(), self.job.paths.metadata());
        let path = if split.is_file() { split } else { original };
        let query = Query { own: self.job.grid.partitions.clone(), tails: true, ..Query::default() };
        match statistics_with(&path, &query) {
            Ok(found) => self.statistics = Some(found),
            Err(error) => self.faults.push(format!("the dataset is not counted: {error}")),
        }
    }

    fn choose_examples(&mut self) {
        let ids: Vec<_> =
            self.best_rows().into_iter().filter_map(|row| Some(self.of_row(row).next()?.record.id.clone())).collect();
        let images = examples::images(&self.job);
        if let Err(error) = &images {
            self.faults.push(format!("no example pictures: {error}"));
        }
        for id in ids {
            match examples::choose(&id, &self.job.paths.runs().join(id.to_string()).join("predictions.csv")) {
                Ok(mut chosen) => {
                    if let Ok(images) = &images {
                        self.faults.extend(examples::fetch(&mut chosen, images.as_ref()));
                    }
                    self.examples.push(chosen);
                }
                Err(error) => self.faults.push(error.to_string()),
            }
        }
    }
}

fn read(record: RunRecord, runs: &Path) -> (Run, Vec<String>) {
    let folder = runs.join(record.id.to_string());
    let mut faults = Vec::new();
    let epochs = folder::epochs(&folder).unwrap_or_else(|error| noted(&mut faults, &error));
    let times = folder::times(&folder).unwrap_or_else(|error| noted(&mut faults, &error));
    let provenance = match folder::provenance(&folder) {
        Ok(provenance) => Some(provenance),
        Err(error) => noted(&mut faults, &error),
    };
    (Run { record, epochs, times, provenance, calibration: None }, faults)
}

fn noted<T: Default>(faults: &mut Vec<String>, error: &crate::error::Error) -> T {
    faults.push(error.to_string());
    T::default()
}
