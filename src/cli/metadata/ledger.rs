//! `metadata replay` and `metadata undo`: a ledger, forwards and backwards.

use std::path::{Path, PathBuf};

use crate::cli::{Context, answer};
use crate::dataset::clean;
use crate::error::{Exit, Result};

/// Arguments of both.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bioscan-hpc metadata replay metadata.tsv clean.tsv.ledger.jsonl --out again.tsv
  bioscan-hpc metadata undo clean.tsv clean.tsv.ledger.jsonl --out metadata.tsv

The ledger knows by a hash which table it is about, in whatever format that is, and which one it
leads to.")]
pub struct Args {
    /// The table (.tsv, .csv, .jsonld)
    table: PathBuf,
    /// The ledger of a cleaning
    ledger: PathBuf,
    /// The table to write
    #[arg(long, value_name = "TABLE")]
    out: PathBuf,
}

/// Runs `metadata replay`.
pub fn replay(args: &Args, context: Context) -> Result<Exit> {
    follow(args, context, clean::replay)
}

/// Runs `metadata undo`.
pub fn undo(args: &Args, context: Context) -> Result<Exit> {
    follow(args, context, clean::reverse)
}

fn follow(args: &Args, context: Context, way: impl FnOnce(&Path, &Path, &Path) -> Result<u64>) -> Result<Exit> {
    let rows = way(&args.table, &args.ledger, &args.out)?;
    answer(context, &serde_json::json!({ "rows": rows }), || format!("{}: {rows} rows\n", args.out.display()))
}
