//! `aggregate`: the finished runs of a job → its tables, on stdout and in `tables/`.

use std::path::PathBuf;

use crate::cli::Context;
use crate::config::Job;
use crate::error::{Error, Exit, Result};
use crate::report::published::Published;
use crate::report::{Exporter, aggregate, files, json, markdown};

/// Arguments of `aggregate`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bioscan-hpc aggregate jobs/bioscan-1m.toml
  bioscan-hpc aggregate jobs/demo.toml --at-least-times-chance 3
  bioscan-hpc aggregate jobs/bioscan-1m.toml --json | jq .missing

Exit code 4: runs are missing; the tables stand, and say so.")]
pub struct Args {
    /// The job file
    job: PathBuf,
    /// Check that the median over the runs of macro-F1 is at least this many times chance (1 / classes); exit code 5 if not
    #[arg(long, value_name = "X")]
    at_least_times_chance: Option<f64>,
}

/// Runs `aggregate`.
pub fn run(args: &Args, context: Context) -> Result<Exit> {
    if args.at_least_times_chance.is_some_and(|factor| !(factor.is_finite() && factor > 0.0)) {
        return Err(Error::usage("--at-least-times-chance takes a positive number"));
    }
    let job = Job::load(&args.job)?;
    let records = files::read_records(&job.grid.experiments(), &job.paths.runs())?;
    let summary = aggregate(&job, &records, &Published::load()?)?;
    let folder = job.paths.tables();
    match files::write_tables(&summary, &folder)?.as_slice() {
        [] => tracing::info!("the tables in {} are up to date", folder.display()),
        written => tracing::info!("wrote {} in {}", written.join(", "), folder.display()),
    }
    let exporter: &dyn Exporter = if context.json { &json::Json } else { &markdown::Markdown };
    print!("{}", exporter.export(&summary)?);
    if let Some(factor) = args.at_least_times_chance {
        let Some(median) = summary.median_times_chance else {
            tracing::warn!("no run is done, so there is no macro-F1 to compare with chance");
            return Ok(Exit::Incomplete);
        };
        let reached = median >= factor;
        let verdict = if reached { "reached" } else { "NOT reached" };
        tracing::info!(
            "{verdict}: the median macro-F1 of {} runs is {median:.2} times chance; asked for: {factor}",
            summary.done
        );
        if !context.json {
            println!("\nmedian macro-F1: {median:.2} times chance over {} runs; at least {factor} {verdict}", summary.done);
        }
        if !reached {
            return Ok(Exit::Faults);
        }
    }
    Ok(if summary.missing.is_empty() { Exit::Done } else { Exit::Incomplete })
}
