//! `preprocess`: a job's chunks → packs and containers of small images.

use std::path::PathBuf;

use serde_json::json;

use crate::cli::Context;
use crate::comm::World;
use crate::comm::signals::StopFlag;
use crate::config::Job;
use crate::error::{Error, Exit, Result};
use crate::preprocess::{Outcome, run as preprocess};

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
        Outcome::Done { summary, .. } if summary.quarantined > 0 => Exit::Quarantined,
        Outcome::Done { .. } => Exit::Done,
        Outcome::Stopped { .. } => Exit::Stopped,
    })
}

fn say(outcome: &Outcome, job: &Job, context: Context) -> Result<()> {
    let folder = job.paths.images(&job.preprocess.package());
    match outcome {
        Outcome::Done { summary, skipped_already_done } if context.json => {
            let mut answer = serde_json::to_value(summary).map_err(|error| Error::library("serde_json", error))?;
            answer["skipped_already_done"] = json!(skipped_already_done);
            answer["folder"] = json!(folder);
            println!("{answer}");
        }
        Outcome::Stopped { chunks_done, chunks_total } if context.json => {
            println!("{}", json!({"stopped": true, "chunks_done": chunks_done, "chunks_total": chunks_total, "folder": folder}));
        }
        Outcome::Done { summary, skipped_already_done } => {
            println!(
                "{}/{} chunks ({skipped_already_done} were done already), {} images in {}",
                summary.chunks_done,
                summary.chunks_total,
                summary.images,
                folder.display()
            );
            if summary.quarantined > 0 {
                println!("{} inputs quarantined: {}", summary.quarantined, folder.join("quarantine.csv").display());
            }
        }
        Outcome::Stopped { chunks_done, chunks_total } => {
            println!("stopped on a signal with {chunks_done}/{chunks_total} chunks done; run the same command again to go on");
        }
    }
    Ok(())
}
