//! `metadata document`: a dataset's folder → its Croissant document and its card.

use std::path::PathBuf;

use crate::cli::{Context, answer};
use crate::curate::{About, Request, document};
use crate::error::{Error, Exit, Result};

/// Arguments of `metadata document`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bioscan-hpc metadata document data/5m --dataset bioscan-5m metadata.csv images.zip
  bioscan-hpc metadata document data/mine --about about.toml metadata.tsv images.hdf5

Writes croissant.json (Croissant 1.1, with the SHA-256 of every file named) and README.md (a dataset
card in the form of Hugging Face, its statistics filled in) into the folder; a README.md that it did
not write itself stays, unless --force says otherwise. `about.toml` holds
name, description, url, license (its SPDX name), license_url, attribution, creators, citation,
version and published.")]
pub struct Args {
    /// The dataset's folder
    folder: PathBuf,
    /// The metadata table, by its path from the folder
    metadata: PathBuf,
    /// Further files, by their paths from the folder
    files: Vec<PathBuf>,
    /// What it is
    #[arg(long, value_name = "DATASET", required_unless_present = "about")]
    dataset: Option<Dataset>,
    /// What it is, where it is your own
    #[arg(long, value_name = "ABOUT.toml", conflicts_with = "dataset")]
    about: Option<PathBuf>,
    /// Write over a README.md that somebody else wrote
    #[arg(long)]
    force: bool,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Dataset {
    #[value(name = "bioscan-1m")]
    Bioscan1M,
    #[value(name = "bioscan-5m")]
    Bioscan5M,
}

/// Runs `metadata document`.
pub fn run(args: &Args, context: Context) -> Result<Exit> {
    let about = match (&args.about, args.dataset) {
        (Some(path), _) => About::load(path)?,
        (None, Some(Dataset::Bioscan1M)) => About::bioscan_1m()?,
        (None, Some(Dataset::Bioscan5M)) => About::bioscan_5m()?,
        (None, None) => return Err(Error::usage("neither --dataset nor --about is given")),
    };
    let files: Vec<PathBuf> = args.files.iter().map(|file| args.folder.join(file)).collect();
    let metadata = args.folder.join(&args.metadata);
    let folder = &args.folder;
    let done = document(Request { about: &about, folder, metadata: &metadata, files: &files, force: args.force })?;
    answer(context, &done, || {
        format!("{}\n{}\n{} files, {} bytes\n", done.croissant.display(), done.card.display(), done.files, done.bytes)
    })
}
