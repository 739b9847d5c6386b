//! a command line → one call into the library → an exit code.

mod aggregate;
#[cfg(feature = "torch")]
mod classes;
mod completions;
mod doctor;
#[cfg(feature = "net")]
mod fetch;
mod import;
mod metadata;
#[cfg(feature = "torch")]
mod predict;
#[cfg(feature = "image")]
mod preprocess;
#[cfg(feature = "net")]
mod push;
mod report;
mod sweep;
mod synth;
#[cfg(feature = "torch")]
mod test;
#[cfg(feature = "torch")]
mod train;
#[cfg(feature = "image")]
mod verify;
#[cfg(feature = "torch")]
mod weights;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{ArgAction, Parser, Subcommand};
use serde::Serialize;

use crate::comm;
use crate::error::{Error, Exit, IoContext, Result};
use crate::telemetry;

/// BIOSCAN-1M from raw chunks to its results table.
#[derive(Debug, Parser)]
#[command(name = "bioscan-hpc", version, propagate_version = true, max_term_width = 110, after_help = EXIT_CODES)]
pub struct Cli {
    /// Say more (-v, -vv)
    #[arg(short, long, global = true, action = ArgAction::Count)]
    verbose: u8,
    /// Say less (-q, -qq)
    #[arg(short, long, global = true, action = ArgAction::Count)]
    quiet: u8,
    /// Answer on stdout in JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done; 1 a bug; 2 wrong usage or configuration; 3 done, but some inputs were quarantined;
4 incomplete (runs missing); 5 a check found faults; 6 the environment failed (disk, I/O, a lost rank, a
non-finite loss); 85 stopped on a signal with all work saved, run me again.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a synthetic dataset in the published layout
    Synth(synth::Args),
    /// Bring your own photographs and labels into the published layout
    Import(import::Args),
    /// Take the published files and weights from where they are published
    #[cfg(feature = "net")]
    Fetch(fetch::Args),
    /// Send a prepared folder to an S3 store or the Hugging Face Hub, and compare what is there
    #[cfg(feature = "net")]
    Push(push::Args),
    /// Check, count, split, clean, document and convert the metadata
    Metadata(metadata::Args),
    /// Turn the chunks of originals into small images for training; alone or under mpirun/srun
    #[cfg(feature = "image")]
    Preprocess(preprocess::Args),
    /// Train and test one experiment; alone or under mpirun/srun
    #[cfg(feature = "torch")]
    Train(train::Args),
    /// Measure weights on a split: a run's, anybody's, several, or several together
    #[cfg(feature = "torch")]
    Test(test::Args),
    /// Label images with a trained network; alone or under mpirun/srun
    #[cfg(feature = "torch")]
    Predict(predict::Args),
    /// Look at files of weights, take them in, give them out to timm
    #[cfg(feature = "torch")]
    Weights(weights::Args),
    /// The grid of experiments: plan, scripts, state; and the runs on this machine
    Sweep(sweep::Args),
    /// Finished runs → mean ± std tables
    Aggregate(aggregate::Args),
    /// Finished runs → one HTML page of tables, figures and example pictures
    Report(report::Args),
    /// Hash everything a job wrote again and list what is not what was written
    #[cfg(feature = "image")]
    Verify(verify::Args),
    /// What is wrong here, and which setting mends it
    Doctor(doctor::Args),
    /// Write shell completions or the man pages
    Completions(completions::Args),
}

/// What every subcommand may ask for.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    /// Whether the answer on stdout is for a program.
    pub json: bool,
}

impl Cli {
    /// Does what was asked and turns the outcome into an exit code.
    #[must_use]
    pub fn run(self) -> ExitCode {
        telemetry::start_logs(self.verbose as i8 - self.quiet as i8);
        match self.dispatch() {
            Ok(exit) => exit.into(),
            Err(error) => fail(error),
        }
    }

    fn dispatch(self) -> Result<Exit> {
        let context = Context { json: self.json };
        match self.command {
            Command::Synth(args) => synth::run(&args, context),
            Command::Import(args) => import::run(&args, context),
            #[cfg(feature = "net")]
            Command::Fetch(args) => fetch::run(&args, context),
            #[cfg(feature = "net")]
            Command::Push(args) => push::run(&args, context),
            Command::Metadata(args) => metadata::run(&args, context),
            #[cfg(feature = "image")]
            Command::Preprocess(args) => preprocess::run(&args, context),
            #[cfg(feature = "torch")]
            Command::Train(args) => train::run(&args, context),
            #[cfg(feature = "torch")]
            Command::Test(args) => test::run(&args, context),
            #[cfg(feature = "torch")]
            Command::Predict(args) => predict::run(&args, context),
            #[cfg(feature = "torch")]
            Command::Weights(args) => weights::run(&args, context),
            Command::Sweep(args) => sweep::run(&args, context),
            Command::Aggregate(args) => aggregate::run(&args, context),
            Command::Report(args) => report::run(&args, context),
            #[cfg(feature = "image")]
            Command::Verify(args) => verify::run(&args, context),
            Command::Doctor(args) => doctor::run(&args, context),
            Command::Completions(args) => completions::run(&args, context),
        }
    }
}

/// Puts the answer on stdout: `value` for a program, or the words for a person.
fn answer(context: Context, value: &impl Serialize, words: impl FnOnce() -> String) -> Result<Exit> {
    let text = if context.json {
        serde_json::to_string_pretty(value).map_err(|error| Error::library("serde_json", error))? + "\n"
    } else {
        words()
    };
    put(&text).map(|()| Exit::Done)
}

/// Puts `text` on stdout, for [`answer`] and where there is no JSON of it. `print!` would panic where nobody reads on.
fn put(text: &str) -> Result<()> {
    let mut stdout = io::stdout();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        // `… | head` closes the pipe early and wants no more.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error).at("write to", "standard output"),
        _ => Ok(()),
    }
}

/// Tells the person what went wrong, and the other ranks that it did.
fn fail(error: Error) -> ExitCode {
    let exit = error.exit();
    // What the ranks agreed on, and wrong usage before they met, is every rank's alike: one message is enough. Anything else may be this
    // rank's alone.
    let shared = matches!(error, Error::Agreed { .. }) || exit == Exit::Usage && !comm::is_up();
    if comm::speaks_for_all() || !shared {
        eprint!("{}", message(error));
    }
    match comm::launched_as() {
        Some((_, ranks)) if ranks > 1 && !shared => comm::abort(exit.code()),
        _ => exit.into(),
    }
}

fn message(error: Error) -> String {
    let rank = comm::launched_as().filter(|(_, size)| *size > 1).map(|(rank, _)| format!(" (rank {rank})")).unwrap_or_default();
    if let Error::Config(config) = error {
        return format!("{:?}", miette::Report::new(*config));
    }
    let help = error.help().map(|help| format!("  help: {help}\n")).unwrap_or_default();
    format!("error{rank}: {error}\n{help}")
}
