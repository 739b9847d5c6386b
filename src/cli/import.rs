//! `import`: a folder of photographs and a table of labels → a dataset in the published layout.

use std::path::PathBuf;

use crate::cli::{Context, answer};
use crate::dataset::import::{Request, import};
use crate::error::{Exit, Result};

/// Arguments of `import`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bioscan-hpc import photographs labels.csv --out data/mine
  bioscan-hpc import photographs labels.csv --out data/mine --label quality --images-per-chunk 1000

The table has a column `file` and a column of labels; columns with published names (order, family, sampleid, …) go where
they belong, all others are kept. A blank label keeps a photograph out of every split. To train on it, give the job file
a partition: { name = \"mine\", label = \"quality\", split = \"mine_split\" }. What is left out is in quarantine.csv (exit code 3).")]
pub struct Args {
    /// The folder of photographs (JPEG; not searched below)
    #[arg(value_name = "IMAGES_DIR")]
    images: PathBuf,
    /// The table of labels (.csv, .tsv, .jsonld)
    #[arg(value_name = "LABELS")]
    labels: PathBuf,
    /// The folder to write to
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The column of labels
    #[arg(long, value_name = "COLUMN", default_value = "label")]
    label: String,
    /// Photographs in each chunk
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    images_per_chunk: u32,
    /// Leave out listed photographs that are not there, instead of stopping
    #[arg(long)]
    skip_missing: bool,
}

/// Runs `import`.
pub fn run(args: &Args, context: Context) -> Result<Exit> {
    let imported = import(Request {
        images: &args.images,
        labels: &args.labels,
        label: &args.label,
        out: &args.out,
        images_per_chunk: args.images_per_chunk as usize,
        skip_missing: args.skip_missing,
    })?;
    answer(context, &imported, || {
        let (out, skipped) = (args.out.display(), imported.skipped.len());
        let (images, chunks, blank) = (imported.images, imported.chunks, imported.blank);
        format!("{out}: {images} images in {chunks} chunks, {blank} of them without a label; {skipped} left out\n")
    })?;
    Ok(if imported.skipped.is_empty() { Exit::Done } else { Exit::Quarantined })
}
