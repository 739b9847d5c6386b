//! `report`: a job and its runs → one HTML page, and its figures as files.

use std::path::PathBuf;

use serde_json::json;

use crate::cli::aggregate::replicates;
use crate::cli::{Context, answer};
use crate::config::Job;
use crate::error::{Exit, Result};
use crate::report::files::write_if_other;
use crate::report::leads;
use crate::report::page::{Material, page, pictures, write_figures};

/// Arguments of `report`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bioscan-hpc report jobs/bioscan-1m.toml
  bioscan-hpc report jobs/demo.toml --out /tmp/demo.html
  bioscan-hpc report jobs/demo.toml --json | jq '.figures[]'

The page holds all it needs and opens from any file browser; the figures are also in the job's `figures/`, as SVG
and, at 288 pixels to the inch, as PNG; the counts behind those of the data as CSV.
Exit code 4: runs are missing; the page stands, and says so.")]
pub struct Args {
    /// The job file
    #[arg(value_name = "JOB.toml")]
    job: PathBuf,
    /// The page [default: report.html in the job's output folder]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Replicates of the bootstrap that decides what is bold; 0 compares nothing
    #[arg(long, value_name = "N", default_value_t = leads::REPLICATES, value_parser = replicates)]
    bootstrap: u64,
}

/// Runs `report`.
pub fn run(args: &Args, context: Context) -> Result<Exit> {
    let job = Job::load(&args.job)?;
    let (figures, out) = (job.paths.output.join("figures"), args.out.clone().unwrap_or(job.paths.output.join("report.html")));
    let material = Material::gather(job, args.bootstrap)?;
    material.faults.iter().for_each(|fault| tracing::warn!("{fault}"));
    let drawn = pictures(&material);
    write_figures(material.statistics.as_ref(), &drawn, &figures)?;
    let text = page(&material, &drawn);
    write_if_other(&out, text.as_bytes())?;
    let missing = &material.summary.missing;
    let names: Vec<&str> = drawn.iter().map(|picture| picture.name.as_str()).collect();
    let said = json!({"page": out, "bytes": text.len(), "folder": figures, "figures": names, "missing": missing, "faults": material.faults});
    answer(context, &said, || {
        format!(
            "{}: {} of {} runs, {} figures, {} KiB\n",
            out.display(),
            material.summary.done,
            material.summary.of,
            drawn.len(),
            text.len() / 1024
        )
    })?;
    Ok(if missing.is_empty() { Exit::Done } else { Exit::Incomplete })
}
