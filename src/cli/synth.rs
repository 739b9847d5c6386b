//! `synth`: a few numbers → a synthetic dataset in the published layout.

use std::path::PathBuf;

use crate::cli::{Context, answer};
use crate::dataset::synth::{self, Encode, Settings};
use crate::dataset::taxonomy::{SPECIMENS, SPECIMENS_PER_CHUNK};
use crate::error::{Error, Exit, Result};

/// Arguments of `synth`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bioscan-hpc synth --out data/synthetic --images-per-chunk 10
  bioscan-hpc synth --out data/one --chunks 1 --images-per-chunk 60 --width 2880 --height 2160
  bioscan-hpc synth --out data/full --full --metadata-only

Every class of both tasks gets 5 specimens first, where there are enough (275); the rest is divided as in BIOSCAN-1M.
Killed and run again with the same settings, it goes on where it was and ends with the same bytes.")]
pub struct Args {
    /// The folder to write to
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Photographs in each chunk
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=SPECIMENS))]
    images_per_chunk: u64,
    /// Chunks; BIOSCAN-1M has 113
    #[arg(long, value_name = "N", default_value_t = 113, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    chunks: u64,
    /// Width of a photograph in pixels; BIOSCAN-1M's are 2880 × 2160
    #[arg(long, value_name = "PIXELS", default_value_t = 288, value_parser = clap::value_parser!(u32).range(8..=16_384))]
    width: u32,
    /// Its height
    #[arg(long, value_name = "PIXELS", default_value_t = 216, value_parser = clap::value_parser!(u32).range(8..=16_384))]
    height: u32,
    /// JPEG quality
    #[arg(long, value_name = "1..100", default_value_t = 75, value_parser = clap::value_parser!(u8).range(1..=100))]
    quality: u8,
    /// Seed of everything random
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// As many records as BIOSCAN-1M, 1,128,313, with its class totals
    #[arg(long, conflicts_with_all = ["images_per_chunk", "chunks"])]
    full: bool,
    /// Write the metadata alone, no photographs
    #[arg(long)]
    metadata_only: bool,
}

/// Runs `synth`.
pub fn run(args: &Args, context: Context) -> Result<Exit> {
    let settings = Settings {
        version: 1,
        specimens: if args.full { SPECIMENS } else { args.images_per_chunk * args.chunks },
        images_per_chunk: if args.full { SPECIMENS_PER_CHUNK } else { args.images_per_chunk },
        width: args.width,
        height: args.height,
        quality: args.quality,
        seed: args.seed,
    };
    if !args.metadata_only && cfg!(not(feature = "image")) {
        return Err(Error::Feature { feature: "image" });
    }
    let encode: Option<Encode> = if args.metadata_only { None } else { Some(&encode_jpeg) };
    let written = synth::write(&settings, &args.out, encode)?;
    answer(context, &written, || {
        let kept = if written.kept > 0 { format!(" ({} were there already)", written.kept) } else { String::new() };
        format!("{}: {} SYNTHETIC records, {} chunks{kept}\n", args.out.display(), written.specimens, written.chunks)
    })
}

/// RGB pixels → JPEG.
#[cfg(feature = "image")]
fn encode_jpeg(rgb: &[u8], width: u32, height: u32, quality: u8) -> Result<Vec<u8>> {
    crate::image::encode(&crate::image::RgbImage { width, height, pixels: rgb.to_vec() }, quality)
}

#[cfg(not(feature = "image"))]
fn encode_jpeg(_: &[u8], _: u32, _: u32, _: u8) -> Result<Vec<u8>> {
    Err(Error::Feature { feature: "image" })
}
