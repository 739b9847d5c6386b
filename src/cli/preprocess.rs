//! `preprocess`: a job's chunks → packs and containers of small images.

use std::path::PathBuf;

use serde_json::json;

use crate::cli::{Context, answer};
use crate::comm::World;
use crate::comm::signals::StopFlag;
use crate::config::Job;
use crate::error::{Exit, Result};
use crate::preprocess::{Outcome, Summary, run as preprocess};

/// Arguments of `preprocess`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bioscan-hpc preprocess jobs/bioscan-1m.toml
  mpirun -n 4 bioscan-hpc preprocess jobs/bioscan-1m.toml
  srun bioscan-hpc preprocess jobs/bioscan-1m.toml --json

Stopped, killed or out of space: run the same command again, on any number of ranks. Finished chunks are kept,
and the result is the same byte for byte. What cannot be read is listed in quarantine.csv (exit code 3).")]
pub struct Args {
    /// The job file
    #[arg(value_name = "JOB.toml")]
    job: PathBuf,
}

/// Runs `preprocess`.
pub fn run(args: &Args, context: Context) -> Result<Exit> {
    let job = Job::load(&args.job)?;
    let stop = StopFlag::listen()?;
    let world = World::connect()?;
    let speaks = world.is_root();
    let outcome = preprocess(&job, &world, &stop);
    let outcome = world.leave(outcome)?;
    if speaks {
        say(&outcome, &job, context)?;
    }
    Ok(match outcome {
        Outcome::Done { summaries, .. } if summaries.iter().any(|summary| summary.quarantined > 0) => Exit::Quarantined,
        Outcome::Done { .. } => Exit::Done,
        Outcome::Stopped { .. } => Exit::Stopped,
    })
}

fn say(outcome: &Outcome, job: &Job, context: Context) -> Result<Exit> {
    let value = match outcome {
        Outcome::Done { summaries, skipped_already_done } => json!({
            "packages": summaries,
            "skipped_already_done": skipped_already_done,
            "folder": job.paths.images(""),
        }),
        Outcome::Stopped { chunks_done, chunks_total } => {
            json!({"stopped": true, "chunks_done": chunks_done, "chunks_total": chunks_total})
        }
    };
    answer(context, &value, || words(outcome, job))
}

fn words(outcome: &Outcome, job: &Job) -> String {
    match outcome {
        Outcome::Done { summaries, skipped_already_done } => {
            let line = |summary: &Summary| {
                let Summary { package, chunks_total, chunks_done, images, located, quarantined, .. } = summary;
                let folder = job.paths.images(package);
                let left_out = match quarantined {
                    0 => String::new(),
                    left_out => format!("{left_out} inputs quarantined: {}\n", folder.join("quarantine.csv").display()),
                };
                let located = located.map_or_else(String::new, |located| format!(", the specimen found in {located}"));
                format!(
                    "{chunks_done}/{chunks_total} chunks ({skipped_already_done} were done already), {images} images{located} in {}\n{left_out}",
                    folder.display()
                )
            };
            summaries.iter().map(line).collect()
        }
        Outcome::Stopped { chunks_done, chunks_total } => {
            format!("stopped on a signal with {chunks_done}/{chunks_total} chunks done; run the same command again to go on\n")
        }
    }
}
