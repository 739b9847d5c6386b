//! settings → the files of a synthetic dataset.

use std::path::Path;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::config::Paths;
use crate::dataset::layout;
use crate::dataset::picture::{Look, draw};
use crate::dataset::record::{COLUMNS, StringRecord};
use crate::dataset::synth::specimen::Specimens;
use crate::dataset::table;
use crate::error::Result;
use crate::store::atomic;
use crate::store::lock::Lock;
use crate::telemetry::Progress;

/// What a synthetic dataset is a function of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Raised when the same settings come to mean other records or pictures.
    pub version: u32,
    /// Records.
    pub specimens: u64,
    /// Photographs in each chunk but the last.
    pub images_per_chunk: u64,
    /// Width of a photograph in pixels.
    pub width: u32,
    /// Its height.
    pub height: u32,
    /// JPEG quality, 1..100.
    pub quality: u8,
    /// Seed of everything random.
    pub seed: u64,
}

/// RGB pixels (`3 × width × height` bytes), width, height and quality → JPEG.
pub type Encode<'a> = &'a (dyn Fn(&[u8], u32, u32, u8) -> Result<Vec<u8>> + Sync);

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Written {
    /// Records in the metadata.
    pub specimens: u64,
    /// Chunks the dataset has.
    pub chunks: u64,
    /// Chunks that were there already.
    pub kept: u64,
}

/// Writes the dataset into `folder`, chunks in parallel; what is there already is kept. Without `encode` only the metadata are written.
pub fn write(settings: &Settings, folder: &Path, encode: Option<Encode>) -> Result<Written> {
    let _owned = Lock::acquire(folder)?;
    atomic::remove_unfinished(folder)?;
    layout::claim(folder, "synth.json", settings)?;
    let specimens = Specimens::new(settings.specimens, settings.images_per_chunk, settings.seed);
    let metadata = folder.join(Paths::METADATA);
    if !metadata.is_file() {
        write_metadata(&specimens, &metadata)?;
    }
    let Some(encode) = encode else {
        return Ok(Written { specimens: specimens.len(), chunks: 0, kept: 0 });
    };
    let chunks = settings.specimens.div_ceil(settings.images_per_chunk.max(1));
    let missing: Vec<u32> = (1..=chunks as u32).filter(|number| !layout::chunk_path(folder, *number).is_file()).collect();
    let progress = Progress::start(missing.len() as u64, "chunks");
    missing.par_iter().try_for_each(|number| -> Result<()> {
        write_chunk(&specimens, settings, folder, *number, encode)?;
        progress.advance(1);
        Ok(())
    })?;
    Ok(Written { specimens: specimens.len(), chunks, kept: chunks - missing.len() as u64 })
}

fn write_metadata(specimens: &Specimens, path: &Path) -> Result<()> {
    // Rows are made in blocks by all threads and written in order: one block is some 50 MB.
    const BLOCK: u64 = 1 << 16;
    table::write(path, &COLUMNS.map(str::to_owned), |out| {
        for start in (0..specimens.len()).step_by(BLOCK as usize) {
            let block: Vec<_> = specimens.range(start..start + BLOCK).collect();
            let rows: Vec<StringRecord> = block
                .par_iter()
                .map(|specimen| {
                    let mut row = StringRecord::with_capacity(1024, COLUMNS.len());
                    specimens.fill(specimen, &mut row);
                    row
                })
                .collect();
            rows.iter().try_for_each(|row| out.write(row))?;
        }
        Ok(())
    })
}

fn write_chunk(specimens: &Specimens, settings: &Settings, folder: &Path, number: u32, encode: Encode) -> Result<()> {
    let first = u64::from(number - 1) * settings.images_per_chunk;
    layout::write_chunk(folder, number, |chunk| {
        for specimen in specimens.range(first..first + settings.images_per_chunk) {
            let look = Look::of(specimen.kind.order, specimen.kind.family);
            let pixels = draw(&look, settings.width, settings.height, &mut specimen.rng());
            chunk.add(&specimen.file(), &encode(&pixels, settings.width, settings.height, settings.quality)?)?;
        }
        Ok(())
    })
}
