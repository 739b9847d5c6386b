//! `aggregate`: the finished runs of a job → its tables, on stdout and in `tables/`.

use std::io::{self, IsTerminal};
use std::path::PathBuf;

use crate::cli::{Context, put};
use crate::config::Job;
use crate::error::{Error, Exit, Result};
use crate::report::published::Published;
use crate::report::{Arithmetic, Exporter, Summary, aggregate, files, json, leads, markdown, terminal};

/// Arguments of `aggregate`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bioscan-hpc aggregate jobs/bioscan-1m.toml
  bioscan-hpc aggregate jobs/demo.toml --at-least-times-chance 3
  bioscan-hpc aggregate jobs/bioscan-1m.toml --json | jq .missing
  bioscan-hpc aggregate jobs/bioscan-1m.toml --as-original

Exit code 4: runs are missing; the tables stand, and say so.")]
pub struct Args {
    /// The job file
    job: PathBuf,
    /// Check that the median over the runs of macro-F1 is at least this many times chance (1 / classes); exit code 5 if not
    #[arg(long, value_name = "X")]
    at_least_times_chance: Option<f64>,
    /// Replicates of the bootstrap that decides what is bold; 0 compares nothing and reads no predictions
    #[arg(long, value_name = "N", default_value_t = leads::REPLICATES, value_parser = replicates)]
    bootstrap: u64,
    /// Divide macro top-k and the loss as the original program does, to compare with numbers it printed; writes no files
    #[arg(long)]
    as_original: bool,
}

/// `--bootstrap`: none, or enough for the quantiles of an interval.
pub(super) fn replicates(text: &str) -> std::result::Result<u64, String> {
    match text.parse() {
        Ok(count) if count == 0 || count >= leads::FEWEST => Ok(count),
        _ => Err(format!("valid: 0, or at least {}: fewer say nothing of a 2.5 % quantile", leads::FEWEST)),
    }
}

/// Everything the tables show.
fn summarise(job: &Job, args: &Args) -> Result<Summary> {
    let runs = job.paths.runs();
    let found = files::read_runs(&job.grid.experiments(), &runs)?;
    let arithmetic = if args.as_original { Arithmetic::Original } else { Arithmetic::Ours };
    let mut summary = aggregate(job, &found.records, &Published::load()?, arithmetic)?.leaving_out(found.left_out);
    // The bootstrap divides as we do, so under the original's arithmetic there is nothing it could say.
    if args.bootstrap > 0 && !args.as_original {
        leads::mark_all(&mut summary, &files::read_outcomes(&found.records, &runs), args.bootstrap);
    }
    Ok(summary)
}

/// Runs `aggregate`.
pub fn run(args: &Args, context: Context) -> Result<Exit> {
    if args.at_least_times_chance.is_some_and(|factor| !(factor.is_finite() && factor > 0.0)) {
        return Err(Error::usage("--at-least-times-chance takes a positive number"));
    }
    let job = Job::load(&args.job)?;
    let summary = summarise(&job, args)?;
    if !args.as_original {
        let folder = job.paths.tables();
        match files::write_tables(&summary, &folder)?.as_slice() {
            [] => tracing::info!("the tables in {} are up to date", folder.display()),
            written => tracing::info!("wrote {} in {}", written.join(", "), folder.display()),
        }
    }
    let text = match io::stdout().is_terminal() {
        _ if context.json => json::Json.export(&summary)?,
        true => terminal::text(&summary, std::env::var_os("NO_COLOR").is_none()),
        false => markdown::Markdown.export(&summary)?,
    };
    put(&text)?;
    let whole = if summary.missing.is_empty() { Exit::Done } else { Exit::Incomplete };
    args.at_least_times_chance.map_or(Ok(whole), |factor| compare_with_chance(&summary, factor, whole, context))
}

/// Says whether the runs are `factor` times as good as chance; `whole` is the exit where they are.
fn compare_with_chance(summary: &Summary, factor: f64, whole: Exit, context: Context) -> Result<Exit> {
    let Some(median) = summary.median_times_chance else {
        tracing::warn!("no run is done, so there is no macro-F1 to compare with chance");
        return Ok(Exit::Incomplete);
    };
    let (reached, runs) = (median >= factor, summary.done);
    let verdict = if reached { "reached" } else { "NOT reached" };
    tracing::info!("{verdict}: the median macro-F1 of {runs} runs is {median:.2} times chance; asked for: {factor}");
    if !context.json {
        put(&format!("\nmedian macro-F1: {median:.2} times chance over {runs} runs; at least {factor} {verdict}\n"))?;
    }
    Ok(if reached { whole } else { Exit::Faults })
}
