//! `verify`: everything a job wrote, hashed again → a list of faults.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::cli::{Context, answer};
use crate::config::Job;
use crate::error::{Exit, IoContext, Result};
use crate::preprocess::{Finding, verify};
use crate::store::hash;

/// Arguments of `verify`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bioscan-hpc verify jobs/bioscan-1m.toml
  bioscan-hpc verify jobs/bioscan-1m.toml --json | jq '.faults[].path'

Reads every byte again: as long as it takes to read the images. Exit code 5 where something is not what was written.")]
pub struct Args {
    /// The job file
    #[arg(value_name = "JOB.toml")]
    job: PathBuf,
}

/// Runs `verify`.
pub fn run(args: &Args, context: Context) -> Result<Exit> {
    let job = Job::load(&args.job)?;
    let (mut checked, mut faults) = verify(&job)?;
    let (runs, run_faults) = seals_of_runs(&job.paths.runs())?;
    checked += runs;
    faults.extend(run_faults);
    answer(context, &json!({"checked": checked, "faults": faults}), || {
        let lines: String = faults.iter().map(|fault| format!("{}: {}\n", fault.path.display(), fault.what)).collect();
        format!("{lines}{checked} results checked, {} faults\n", faults.len())
    })?;
    Ok(if faults.is_empty() { Exit::Done } else { Exit::Faults })
}

/// Looks at each run's `test.json` and its seal. A run without one is not finished, which is no fault.
///
/// Checkpoints carry hashes of their own; training looks at them before it resumes.
fn seals_of_runs(runs: &Path) -> Result<(usize, Vec<Finding>)> {
    let (mut checked, mut faults) = (0, Vec::new());
    if !runs.is_dir() {
        return Ok((checked, faults));
    }
    let mut folders = Vec::new();
    for entry in fs::read_dir(runs).at("list", runs)? {
        folders.push(entry.at("list", runs)?.path());
    }
    folders.sort();
    for path in folders.iter().map(|folder| folder.join("test.json")).filter(|path| path.exists()) {
        checked += 1;
        if hash::read_sealed(&path)?.is_none() {
            faults.push(Finding::new(path, "differs from its seal, or the seal is missing"));
        }
    }
    Ok((checked, faults))
}
