//! The records of finished runs and the grid → tables of means over seeds, with everything a reader must know about them.
//!
//! A cell says what it averages (contract 7): n of how many seeds, and nothing at all where its runs were not made alike.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::config::{Experiment, ExperimentId, Grid, Job, Loss, Partition, RunConfig};
use crate::error::Result;
use crate::evaluate::{RunRecord, chance_f1_macro};
use crate::report::effects::{Effect, Placed, effects};
use crate::report::metric::Arithmetic;
use crate::report::published::Published;
use crate::report::statistics::{mean, median, sample_std};
use crate::report::{Metric, footnotes};

/// All tables of a job.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// The job's name.
    pub job: String,
    /// Whether any of the data are synthetic.
    pub synthetic: bool,
    /// Runs that are in the tables.
    pub done: usize,
    /// Runs of the grid.
    pub of: usize,
    /// The rest.
    pub missing: Vec<ExperimentId>,
    /// Folders that are there but do not count.
    pub left_out: Vec<LeftOut>,
    /// One a task, or one a label for partitions of the job's own.
    pub tables: Vec<Table>,
    /// The median over runs of macro-F1 in multiples of chance, which is 1 / classes.
    pub median_times_chance: Option<f64>,
    /// What holds for all tables.
    pub footnotes: Vec<String>,
}

/// A folder that is there but does not count, and why.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct LeftOut {
    /// Its name.
    pub folder: String,
    /// What is wrong with it.
    pub why: String,
}

/// One table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Table {
    /// The task, or the label.
    pub title: String,
    /// Grouped by partition, in the order of the grid.
    pub rows: Vec<Row>,
    /// One a partition with finished runs.
    pub baselines: Vec<Baseline>,
    /// What each axis does.
    pub effects: Vec<Effect>,
    /// The leads that were tested against the noise.
    pub leads: Vec<Lead>,
    /// What holds for this table.
    pub footnotes: Vec<String>,
}

/// The runs of one partition, backbone and loss.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The partition's name, as in the ids.
    pub partition: String,
    /// What the table's first column shows: the size, or the partition's name.
    pub size: String,
    /// The timm name.
    pub backbone: String,
    /// The loss.
    pub loss: Loss,
    /// Seeds that are done.
    pub n: usize,
    /// Seeds of the grid, without those that are excluded.
    pub of: usize,
    /// Whether the runs were not made alike, so that no mean is shown.
    pub mixed: bool,
    /// In the order of [`Metric::ALL`]; `None` where there is nothing to show.
    pub cells: Vec<Option<Cell>>,
}

/// A mean over seeds, in per cent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Cell {
    /// Which figure.
    pub metric: Metric,
    /// The mean.
    pub mean: f64,
    /// The sample standard deviation; `None` of one run.
    pub std: Option<f64>,
    /// Runs averaged.
    pub n: usize,
    /// Seeds of the grid.
    pub of: usize,
    /// The number in print, where it may stand beside ours.
    pub published: Option<f64>,
    /// Ours less the published one.
    pub difference: Option<f64>,
    /// Whether it is the highest of its partition by more than the noise.
    pub best: bool,
}

/// The best row of a partition against one of the others, on one figure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Lead {
    /// The partition's name.
    pub partition: String,
    /// Which figure.
    pub metric: Metric,
    /// The row with the highest mean, as `backbone loss`.
    pub best: String,
    /// The row it is compared with.
    pub other: String,
    /// The difference of the means, in per cent.
    pub difference: f64,
    /// The 2.5 % quantile of the difference over the replicates; `None` where the rows share fewer than two seeds.
    pub low: Option<f64>,
    /// The 97.5 % quantile.
    pub high: Option<f64>,
}

/// What guesses reach on a partition, in per cent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Baseline {
    /// The partition's name.
    pub partition: String,
    /// See [`Row::size`].
    pub size: String,
    /// The class a classifier without eyes would always say.
    pub majority_class: String,
    /// Its top-1 and micro-F1.
    pub accuracy: f64,
    /// Its macro-F1.
    pub f1_macro: f64,
    /// The macro-F1 of chance: 100 / classes.
    pub chance_f1_macro: f64,
}

/// What is the same for every cell.
struct Setting<'a> {
    job: &'a Job,
    experiments: BTreeMap<&'a ExperimentId, &'a Experiment>,
    records: BTreeMap<&'a ExperimentId, &'a RunRecord>,
    published: &'a Published,
    arithmetic: Arithmetic,
}

/// Averages `records` over the seeds of the job's grid. The order of the records does not matter.
pub fn aggregate(job: &Job, records: &[RunRecord], published: &Published, arithmetic: Arithmetic) -> Result<Summary> {
    let by_id: BTreeMap<&ExperimentId, &RunRecord> = records.iter().map(|record| (&record.id, record)).collect();
    let experiments = job.grid.experiments();
    let missing: Vec<_> = experiments.iter().map(|run| &run.id).filter(|id| !by_id.contains_key(id)).cloned().collect();
    let by_name = experiments.iter().map(|run| (&run.id, run)).collect();
    let setting = Setting { job, experiments: by_name, records: by_id, published, arithmetic };
    let mut tables: Vec<Table> = Vec::new();
    for partition in job.grid.all_partitions() {
        let (title, size) = place_of(&job.grid, &partition);
        let position = tables.iter().position(|table| table.title == title).unwrap_or_else(|| {
            tables.push(Table { title, rows: vec![], baselines: vec![], effects: vec![], leads: vec![], footnotes: vec![] });
            tables.len() - 1
        });
        fill(&mut tables[position], &partition, &size, &setting)?;
    }
    tables.retain(|table| !table.rows.is_empty());
    tables.iter_mut().for_each(|table| table.effects = effects(&placed(table, &setting), arithmetic));
    let used: Vec<&RunRecord> = experiments.iter().filter_map(|run| setting.records.get(&run.id).copied()).collect();
    let mut summary = Summary {
        job: job.name.clone(),
        synthetic: used.iter().any(|record| record.config.synthetic),
        done: used.len(),
        of: experiments.len(),
        missing,
        left_out: vec![],
        tables,
        median_times_chance: median(&used.iter().filter_map(|record| times_chance(record)).collect::<Vec<_>>()),
        footnotes: vec![],
    };
    summary.footnotes = footnotes::of_summary(&summary, &used, published, arithmetic);
    Ok(summary)
}

impl Summary {
    /// Names the folders that do not count.
    #[must_use]
    pub fn leaving_out(mut self, left_out: Vec<LeftOut>) -> Self {
        self.footnotes.extend(left_out.iter().map(|LeftOut { folder, why }| format!("left out: {folder}: {why}")));
        self.left_out = left_out;
        self
    }
}

/// The runs behind a table's means, in the order of its rows.
fn placed<'a>(table: &'a Table, setting: &Setting<'a>) -> Vec<Placed<'a>> {
    let of_row = |row: &'a Row| {
        let seeds = setting.job.grid.seeds.iter().copied();
        seeds.filter_map(move |seed| {
            let record = setting.records.get(&row.id(seed)).copied()?;
            Some(Placed { size: &row.size, backbone: &row.backbone, loss: row.loss, seed, record })
        })
    };
    table.rows.iter().filter(|row| !row.mixed).flat_map(of_row).collect()
}

impl Row {
    /// The run of one seed.
    #[must_use]
    pub fn id(&self, seed: u64) -> ExperimentId {
        ExperimentId { partition: self.partition.clone(), backbone: self.backbone.clone(), loss: self.loss, seed }
    }

    /// The mean of one figure; `None` where there is nothing to show.
    #[must_use]
    pub fn cell(&self, metric: Metric) -> Option<&Cell> {
        self.cells.iter().flatten().find(|cell| cell.metric == metric)
    }

    /// `backbone loss`: what tells the rows of a partition apart.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{} {}", self.backbone, self.loss)
    }
}

/// (table, first column): (task, size) for the paper's partitions, (label, name) for the job's own.
fn place_of(grid: &Grid, partition: &Partition) -> (String, String) {
    let pairs = grid.sizes.iter().flat_map(|size| grid.tasks.iter().map(move |task| (task.clone(), size.clone())));
    let of_the_paper = pairs.into_iter().find(|(task, size)| format!("{size}_{task}") == partition.name);
    of_the_paper.unwrap_or_else(|| (partition.label.clone(), partition.name.clone()))
}

fn fill(table: &mut Table, partition: &Partition, size: &str, setting: &Setting<'_>) -> Result<()> {
    let job = setting.job;
    let mut of_partition: Vec<&RunRecord> = Vec::new();
    for backbone in &job.grid.backbones {
        for &loss in &job.grid.losses {
            let id = |seed| ExperimentId { partition: partition.name.clone(), backbone: backbone.clone(), loss, seed };
            let of_grid: Vec<ExperimentId> =
                job.grid.seeds.iter().map(|&seed| id(seed)).filter(|id| setting.experiments.contains_key(id)).collect();
            if of_grid.is_empty() {
                // Excluded: no run of it is missing.
                continue;
            }
            let runs: Vec<&RunRecord> = of_grid.iter().filter_map(|id| setting.records.get(id).copied()).collect();
            let differences = differences(&runs)?;
            if !differences.is_empty() {
                let name = format!("{}-{backbone}-{loss}", partition.name);
                table.footnotes.push(format!("{name} is not averaged, its runs differ in {}", differences.join("; ")));
            }
            table.footnotes.extend(other_recipes(setting, &runs)?);
            let (n, of, mixed) = (runs.len(), of_grid.len(), !differences.is_empty());
            let cells = if mixed { vec![None; Metric::ALL.len()] } else { cells(&runs, of, setting) };
            let (partition, size, backbone) = (partition.name.clone(), size.to_owned(), backbone.clone());
            table.rows.push(Row { partition, size, backbone, loss, n, of, mixed, cells });
            of_partition.extend(runs);
        }
    }
    table.baselines.extend(of_partition.first().and_then(|record| baseline(record, size)));
    table.footnotes.extend(footnotes::of_partition(&partition.name, &of_partition));
    Ok(())
}

fn cells(runs: &[&RunRecord], of: usize, setting: &Setting<'_>) -> Vec<Option<Cell>> {
    let figures = setting.published.beside(runs);
    let cell = |metric: Metric| {
        let values: Vec<f64> = runs.iter().filter_map(|run| metric.of(&run.evaluation, setting.arithmetic)).collect();
        let mean = mean(&values)?;
        let published = figures.and_then(|figures| figures.of(metric));
        let difference = published.map(|published| mean - published);
        Some(Cell { metric, mean, std: sample_std(&values), n: values.len(), of, published, difference, best: false })
    };
    Metric::ALL.into_iter().map(cell).collect()
}

/// What besides the seed is not the same in all runs of a cell; such runs must not be averaged.
fn differences(runs: &[&RunRecord]) -> Result<Vec<String>> {
    let Some((first, rest)) = runs.split_first() else { return Ok(vec![]) };
    let mut all = BTreeSet::new();
    for run in rest {
        let same_seed = RunConfig { id: first.id.clone(), ..run.config.clone() };
        let same_first = RunConfig { id: first.id.clone(), ..first.config.clone() };
        all.extend(same_first.differences(&same_seed)?);
    }
    Ok(all.into_iter().collect())
}

/// Runs made with another recipe than the job file holds now, one note a difference.
fn other_recipes(setting: &Setting<'_>, runs: &[&RunRecord]) -> Result<Vec<String>> {
    let mut ids: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for run in runs {
        let Some(experiment) = setting.experiments.get(&run.id) else { continue };
        let now = RunConfig { recipe: setting.job.recipe_for(experiment), ..run.config.clone() };
        let differences = run.config.differences(&now)?;
        if !differences.is_empty() {
            ids.entry(differences.join("; ")).or_default().push(run.id.to_string());
        }
    }
    let note = |(differences, ids): (String, Vec<String>)| {
        format!("made with another recipe than the job file has now ({differences}): {}", ids.join(", "))
    };
    Ok(ids.into_iter().map(note).collect())
}

fn baseline(record: &RunRecord, size: &str) -> Option<Baseline> {
    let classes = &record.evaluation.per_class;
    let majority = classes.get(record.majority.class)?;
    Some(Baseline {
        partition: record.id.partition.clone(),
        size: size.to_owned(),
        majority_class: majority.label.clone(),
        accuracy: 100.0 * record.majority.accuracy,
        f1_macro: 100.0 * record.majority.f1_macro,
        chance_f1_macro: 100.0 * chance_f1_macro(classes.len()),
    })
}

fn times_chance(record: &RunRecord) -> Option<f64> {
    let classes = record.evaluation.per_class.len();
    (classes > 0).then(|| record.evaluation.f1_macro / chance_f1_macro(classes))
}

#[cfg(test)]
#[path = "fixtures_tests.rs"]
pub(super) mod fixtures_tests;

#[cfg(test)]
#[path = "aggregate_tests.rs"]
mod tests;
