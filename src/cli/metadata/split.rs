//! `metadata split`: a job → the metadata with its experiment columns.

use std::fmt::Write;
use std::path::PathBuf;

use crate::cli::{Context, answer};
use crate::config::Job;
use crate::dataset::split::{Outcome, Request, split_metadata};
use crate::error::{Exit, Result};

/// Arguments of `metadata split`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  bioscan-hpc metadata split jobs/bioscan-1m.toml

Reads the metadata in `paths.dataset` and writes them with their experiment columns into `paths.output`. Columns that are
there already are kept, because the published ones cannot be made again; `--force` makes them anew. The same request
again does nothing.")]
pub struct Args {
    /// The job file
    #[arg(value_name = "JOB.toml")]
    job: PathBuf,
    /// Make columns anew that the table already has
    #[arg(long)]
    force: bool,
}

/// Runs `metadata split`.
pub fn run(args: &Args, context: Context) -> Result<Exit> {
    let job = Job::load(&args.job)?;
    let (input, output) = (job.paths.metadata(), job.paths.split_metadata());
    let partitions = job.grid.all_partitions();
    let request = Request { input: &input, output: &output, settings: &job.split, partitions: &partitions, force: args.force };
    let outcome = split_metadata(request)?;
    let unchanged = if outcome.unchanged { " (unchanged)" } else { "" };
    tracing::info!("{}{unchanged}", output.display());
    answer(context, &outcome.columns, || text(&outcome))
}

fn text(outcome: &Outcome) -> String {
    let mut text = format!("{:<24} {:>7} {:>8} {:>10} {:>8}\n", "experiment", "classes", "train", "validation", "test");
    for column in &outcome.columns {
        let kept = if column.kept { "  kept as published" } else { "" };
        let (name, classes) = (&column.experiment, column.classes);
        let (train, validation, test) = (column.train, column.validation, column.test);
        let _ = writeln!(text, "{name:<24} {classes:>7} {train:>8} {validation:>10} {test:>8}{kept}");
    }
    text
}
