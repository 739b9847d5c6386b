//! `metadata`: checks, statistics, the experiment columns, cleaning, conversions.

mod clean;
mod convert;
mod document;
mod ledger;
mod split;
mod stats;
mod validate;

use crate::cli::Context;
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
    Validate(validate::Args),
    /// Count what is known of each rank, place and size, and how each experiment is divided
    Stats(stats::Args),
    /// Make the experiment columns: who trains, selects and tests
    Split(split::Args),
    /// Mend, mark and enrich a table, every change in a ledger
    Clean(clean::Args),
    /// Make the changes of a ledger to the table it is about again
    Replay(ledger::Args),
    /// Take the changes of a ledger back from its result
    Undo(ledger::Args),
    /// Write a dataset's Croissant document and its card
    Document(document::Args),
    /// Rewrite a table in another format, chosen by the extension
    Convert(convert::Args),
}

/// Runs `metadata`.
pub fn run(args: &Args, context: Context) -> Result<Exit> {
    match &args.command {
        Command::Validate(args) => validate::run(args, context),
        Command::Stats(args) => stats::run(args, context),
        Command::Split(args) => split::run(args, context),
        Command::Clean(args) => clean::run(args, context),
        Command::Replay(args) => ledger::replay(args, context),
        Command::Undo(args) => ledger::undo(args, context),
        Command::Document(args) => document::run(args, context),
        Command::Convert(args) => convert::run(args, context),
    }
}
