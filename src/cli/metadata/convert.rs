//! `metadata convert`: a table → the same table in another format, or in the form of the other dataset.

use std::path::PathBuf;

use crate::cli::{Context, answer};
use crate::dataset::schema::{Schema, convert_as};
use crate::dataset::table::{Quoting, convert_table, open_with};
use crate::error::{Exit, Result};

/// Arguments of `metadata convert`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bioscan-hpc metadata convert metadata.tsv metadata.jsonld
  bioscan-hpc metadata convert BIOSCAN_5M_Insect_Dataset_metadata.csv 5m.parquet
  bioscan-hpc metadata convert BIOSCAN_Insect_Dataset_metadata.tsv 1m.csv --as bioscan-5m

Every column is kept, whatever it is called. `--as` gives columns the names that the other dataset
has for them, and an unknown taxon its sign (`not_classified` or an empty cell); what cannot be
known, as a chunk number, stays empty. In Parquet the published numbers are numbers and an empty
cell is null. Rows are streamed: the length of a table costs no memory.")]
pub struct Args {
    /// The table to read (.tsv, .csv, .jsonld)
    from: PathBuf,
    /// The table to write (.tsv, .csv, .jsonld, .parquet)
    to: PathBuf,
    /// Write it in the form of this dataset
    #[arg(long = "as", value_name = "DATASET")]
    form: Option<Form>,
    /// Quotation marks are text, as in the exports of BOLD
    #[arg(long)]
    no_quotes: bool,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Form {
    #[value(name = "bioscan-1m")]
    Bioscan1M,
    #[value(name = "bioscan-5m")]
    Bioscan5M,
}

/// What `--no-quotes` asks for.
pub(super) fn quoting(no_quotes: bool) -> Quoting {
    if no_quotes { Quoting::Off } else { Quoting::Standard }
}

/// Runs `metadata convert`.
pub fn run(args: &Args, context: Context) -> Result<Exit> {
    let mut table = open_with(&args.from, quoting(args.no_quotes))?;
    let rows = match args.form {
        None => convert_table(table.as_mut(), &args.to)?,
        Some(Form::Bioscan1M) => convert_as(table.as_mut(), &args.to, Schema::Bioscan1M)?,
        Some(Form::Bioscan5M) => convert_as(table.as_mut(), &args.to, Schema::Bioscan5M)?,
    };
    answer(context, &serde_json::json!({ "rows": rows }), || format!("{}: {rows} rows\n", args.to.display()))
}
