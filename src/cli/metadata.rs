//! `metadata`: checks, statistics, the experiment columns, conversions.

use std::fmt::Write;
use std::path::PathBuf;

use crate::cli::{Context, answer};
use crate::config::Job;
use crate::dataset::split::{Outcome, Request, split_metadata};
use crate::dataset::statistics::{Statistics, statistics};
use crate::dataset::table::convert;
use crate::dataset::validate::{Report, validate};
use crate::error::{Exit, Result};

/// Arguments of `metadata`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Check a table; exit code 5 where it has faults
    #[command(after_help = "Example:\n  bioscan-hpc metadata validate data/BIOSCAN_Insect_Dataset_metadata.tsv")]
    Validate {
        /// The table (.tsv, .csv, .jsonld)
        table: PathBuf,
    },
    /// Count what is known at each rank and how each experiment is divided
    #[command(after_help = "Examples:
  bioscan-hpc metadata stats data/BIOSCAN_Insect_Dataset_metadata.tsv
  bioscan-hpc metadata stats results/mine/BIOSCAN_Insect_Dataset_metadata.tsv --job jobs/mine.toml --json")]
    Stats {
        /// The table (.tsv, .csv, .jsonld)
        table: PathBuf,
        /// Count the partitions of this job, too
        #[arg(long, value_name = "JOB.toml")]
        job: Option<PathBuf>,
    },
    /// Make the experiment columns: who trains, selects and tests
    #[command(after_help = "Example:
  bioscan-hpc metadata split jobs/bioscan-1m.toml

Reads the metadata in `paths.dataset` and writes them with their experiment columns into `paths.output`. Columns that are
there already are kept, because the published ones cannot be made again; `--force` makes them anew. The same request
again does nothing.")]
    Split {
        /// The job file
        #[arg(value_name = "JOB.toml")]
        job: PathBuf,
        /// Make columns anew that the table already has
        #[arg(long)]
        force: bool,
    },
    /// Rewrite a table in another format, chosen by the extension
    #[command(after_help = "Example:\n  bioscan-hpc metadata convert metadata.tsv metadata.jsonld")]
    Convert {
        /// The table to read (.tsv, .csv, .jsonld)
        from: PathBuf,
        /// The table to write (.tsv, .csv, .jsonld)
        to: PathBuf,
    },
}

/// Runs `metadata`.
pub fn run(args: &Args, context: Context) -> Result<Exit> {
    match &args.command {
        Command::Validate { table } => {
            let report = validate(table)?;
            answer(context, &report, || validation_text(&report))?;
            Ok(if report.is_sound() { Exit::Done } else { Exit::Faults })
        }
        Command::Stats { table, job } => {
            let own = job.as_deref().map(Job::load).transpose()?.map(|job| job.grid.partitions).unwrap_or_default();
            let found = statistics(table, &own)?;
            answer(context, &found, || statistics_text(&found))
        }
        Command::Split { job, force } => {
            let job = Job::load(job)?;
            let (input, output) = (job.paths.metadata(), job.paths.split_metadata());
            let partitions = job.grid.all_partitions();
            let request =
                Request { input: &input, output: &output, settings: &job.split, partitions: &partitions, force: *force };
            let outcome = split_metadata(request)?;
            let unchanged = if outcome.unchanged { " (unchanged)" } else { "" };
            tracing::info!("{}{unchanged}", output.display());
            answer(context, &outcome.columns, || split_text(&outcome))
        }
        Command::Convert { from, to } => {
            let rows = convert(from, to)?;
            answer(context, &serde_json::json!({ "rows": rows }), || format!("{}: {rows} rows\n", to.display()))
        }
    }
}

fn validation_text(report: &Report) -> String {
    let mut text = format!("{} rows\n", report.rows);
    if !report.absent_columns.is_empty() {
        let _ = writeln!(text, "without the published columns {}", report.absent_columns.join(", "));
    }
    for fault in &report.faults {
        let _ = writeln!(text, "{}: {} rows\n  {}", fault.kind, fault.count, fault.examples.join("\n  "));
    }
    text.push_str(if report.is_sound() { "no faults\n" } else { "" });
    text
}

fn statistics_text(found: &Statistics) -> String {
    let mut text = format!("{:<12} {:>10} {:>10} {:>8}\n", "rank", "categories", "labelled", "share");
    for rank in &found.ranks {
        let _ = writeln!(text, "{:<12} {:>10} {:>10} {:>6.1} %", rank.rank, rank.categories, rank.labelled, 100.0 * rank.share);
    }
    for experiment in &found.experiments {
        let _ = writeln!(text, "\n{:<24} {:>10} {:>10} {:>10}", experiment.experiment, "train", "validation", "test");
        for count in &experiment.classes {
            let _ = writeln!(text, "{:<24} {:>10} {:>10} {:>10}", count.class, count.train, count.validation, count.test);
        }
    }
    text
}

fn split_text(outcome: &Outcome) -> String {
    let mut text = format!("{:<24} {:>7} {:>8} {:>10} {:>8}\n", "experiment", "classes", "train", "validation", "test");
    for column in &outcome.columns {
        let kept = if column.kept { "  kept as published" } else { "" };
        let (name, classes) = (&column.experiment, column.classes);
        let (train, validation, test) = (column.train, column.validation, column.test);
        let _ = writeln!(text, "{name:<24} {classes:>7} {train:>8} {validation:>10} {test:>8}{kept}");
    }
    text
}
