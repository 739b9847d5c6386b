//! `metadata stats`: a table → the counts of the published pages, as text, CSV or JSON, and as figures.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::cli::{Context, answer};
use crate::config::Job;
use crate::dataset::statistics::{Category, ClassCount, Experiment, PartitionCount, Query, Rank, Statistics, statistics_with};
use crate::error::{Exit, Result};
use crate::report::page::{Picture, pictures_of_data, write_figures};
use crate::store::rows;

/// Arguments of `metadata stats`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bioscan-hpc metadata stats data/BIOSCAN_Insect_Dataset_metadata.tsv
  bioscan-hpc metadata stats results/mine/metadata.tsv --job jobs/mine.toml --json
  bioscan-hpc metadata stats 5m.csv --level class=Insecta --attribute order --csv
  bioscan-hpc metadata stats metadata.tsv --csv --counts classes
  bioscan-hpc metadata stats 5m.csv --figures figures/

For each attribute: distinct values, records with and without one, the imbalance ratio (records of
the most over those of the least populated), and the distribution of records over values (std of
the population, as published).")]
pub struct Args {
    /// The table (.tsv, .csv, .jsonld)
    table: PathBuf,
    /// Count the partitions of this job, too
    #[arg(long, value_name = "JOB.toml")]
    job: Option<PathBuf>,
    /// Count only the records with this value
    #[arg(long, value_name = "COLUMN=VALUE", value_parser = level)]
    level: Option<(String, String)>,
    /// List all values of this column instead
    #[arg(long, value_name = "COLUMN")]
    attribute: Option<String>,
    /// Answer in CSV
    #[arg(long)]
    csv: bool,
    /// Which table to answer in CSV: the attributes, the partitions of BIOSCAN-5M, or the classes of every experiment
    #[arg(long, value_name = "TABLE", requires = "csv", conflicts_with = "attribute", default_value = "attributes")]
    counts: Counts,
    /// Draw the figures of the data into this folder, too
    #[arg(long, value_name = "DIR")]
    figures: Option<PathBuf>,
}

/// The answer in JSON.
#[derive(Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    found: &'a Statistics,
    /// The names of those that were drawn, where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    figures: Option<Vec<String>>,
}

/// The tables of the text, each a CSV of its own.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Counts {
    Attributes,
    Partitions,
    Classes,
}

fn level(text: &str) -> Result<(String, String), String> {
    let (column, value) = text.split_once('=').ok_or("not of the form COLUMN=VALUE")?;
    Ok((column.to_owned(), value.to_owned()))
}

/// Runs `metadata stats`.
pub fn run(args: &Args, context: Context) -> Result<Exit> {
    let own = args.job.as_deref().map(Job::load).transpose()?.map(|job| job.grid.partitions).unwrap_or_default();
    let tails = args.figures.is_some();
    let found =
        statistics_with(&args.table, &Query { own, level: args.level.clone(), attribute: args.attribute.clone(), tails })?;
    let figures = args.figures.as_deref().map(|folder| draw(&found, folder)).transpose()?;
    let words = match (args.csv, &args.attribute) {
        (true, Some(name)) => values_csv(name, &found)?,
        (true, None) => match args.counts {
            Counts::Attributes => attributes_csv(&found)?,
            Counts::Partitions => partitions_csv(&found)?,
            Counts::Classes => classes_csv(&found)?,
        },
        (false, Some(name)) => values_text(name, &found),
        (false, None) => text(&found),
    };
    answer(context, &Answer { found: &found, figures }, || words)
}

/// Draws every figure there is something for, and returns their names.
fn draw(found: &Statistics, folder: &Path) -> Result<Vec<String>> {
    let drawn = pictures_of_data(found, found.synthetic);
    write_figures(Some(found), &drawn, folder)?;
    for Picture { name, caption, .. } in &drawn {
        tracing::info!("{}: {caption}", folder.join(format!("{name}.svg")).display());
    }
    Ok(drawn.into_iter().map(|picture| picture.name).collect())
}

fn text(found: &Statistics) -> String {
    let mut text = format!(
        "{:<24} {:>10} {:>10} {:>8} {:>10} {:>12} {:>10} {:>8} {:>10}  most populated; least populated\n",
        "attribute", "categories", "labelled", "share", "unlabelled", "imbalance", "mean", "median", "std"
    );
    for rank in found.ranks.iter().chain(&found.attributes) {
        let share = 100.0 * rank.share;
        let named = |category: &Option<Category>| category.as_ref().map(|it| format!("{} {}", it.name, it.records));
        let extremes: Vec<String> = [named(&rank.most_populated), named(&rank.least_populated)].into_iter().flatten().collect();
        let _ = writeln!(
            text,
            "{:<24} {:>10} {:>10} {share:>6.1} % {:>10} {:>12.1} {:>10.1} {:>8.1} {:>10.1}  {}",
            rank.rank,
            rank.categories,
            rank.labelled,
            rank.unlabelled,
            rank.imbalance_ratio,
            rank.mean,
            rank.median,
            rank.std,
            extremes.join("; ")
        );
    }
    if !found.partitions.is_empty() {
        let _ = writeln!(text, "\n{:<24} {:>10} {:>10} {:>10}", "partition", "samples", "barcodes", "species");
        for count in &found.partitions {
            let _ = writeln!(text, "{:<24} {:>10} {:>10} {:>10}", count.partition, count.samples, count.barcodes, count.species);
        }
    }
    for experiment in &found.experiments {
        let _ = writeln!(text, "\n{:<24} {:>10} {:>10} {:>10}", experiment.experiment, "train", "validation", "test");
        for count in &experiment.classes {
            let _ = writeln!(text, "{:<24} {:>10} {:>10} {:>10}", count.class, count.train, count.validation, count.test);
        }
    }
    text
}

/// Of all records with a value, in per cent.
fn percent(category: &Category, found: &Statistics) -> f64 {
    100.0 * category.records as f64 / found.values.iter().map(|value| value.records).sum::<u64>().max(1) as f64
}

fn values_text(name: &str, found: &Statistics) -> String {
    let mut text = format!("{name:<32} {:>10} {:>10}\n", "records", "%");
    for value in &found.values {
        let _ = writeln!(text, "{:<32} {:>10} {:>10.4}", value.name, value.records, percent(value, found));
    }
    text
}

fn values_csv(name: &str, found: &Statistics) -> Result<String> {
    let row = |value: &Category| vec![value.name.clone(), value.records.to_string(), format!("{:.4}", percent(value, found))];
    rows::csv(&[name, "records", "percent"], found.values.iter().map(row))
}

fn partitions_csv(found: &Statistics) -> Result<String> {
    let row = |count: &PartitionCount| {
        [count.partition.clone(), count.samples.to_string(), count.barcodes.to_string(), count.species.to_string()]
    };
    rows::csv(&["partition", "samples", "barcodes", "species"], found.partitions.iter().map(row))
}

fn classes_csv(found: &Statistics) -> Result<String> {
    let row = |name: &str, count: &ClassCount| {
        let counts = [count.train, count.validation, count.test].map(|count| count.to_string());
        [name.to_owned(), count.class.clone()].into_iter().chain(counts).collect::<Vec<_>>()
    };
    let of =
        |experiment: &Experiment| experiment.classes.iter().map(|count| row(&experiment.experiment, count)).collect::<Vec<_>>();
    rows::csv(&["experiment", "class", "train", "validation", "test"], found.experiments.iter().flat_map(of))
}

fn attributes_csv(found: &Statistics) -> Result<String> {
    let header = [
        "attribute",
        "categories",
        "labelled",
        "labelled_percent",
        "unlabelled",
        "unlabelled_percent",
        "imbalance_ratio",
        "most_populated",
        "most_populated_records",
        "least_populated",
        "least_populated_records",
        "mean",
        "median",
        "std",
    ];
    let row = |rank: &Rank| {
        let named = |category: &Option<Category>| {
            category.as_ref().map_or_else(|| [String::new(), String::new()], |it| [it.name.clone(), it.records.to_string()])
        };
        let percents = [100.0 * rank.share, 100.0 * (1.0 - rank.share)].map(|percent| format!("{percent:.4}"));
        let [labelled, unlabelled] = percents;
        let mut row = vec![rank.rank.clone(), rank.categories.to_string(), rank.labelled.to_string(), labelled];
        row.extend([rank.unlabelled.to_string(), unlabelled, rank.imbalance_ratio.to_string()]);
        row.extend(named(&rank.most_populated).into_iter().chain(named(&rank.least_populated)));
        row.extend([rank.mean, rank.median, rank.std].map(|number| number.to_string()));
        row
    };
    rows::csv(&header, found.ranks.iter().chain(&found.attributes).map(row))
}
