//! where the specimens are → the box table of a pack, as BIOSCAN-5M publishes it, with the score behind. An image without a specimen has no row.

use std::fs;
use std::path::{Path, PathBuf};

use crate::container::pack::Sealed;
use crate::dataset::boxes::{self, BoxRecord, Original};
use crate::error::{IoContext, Result};
use crate::image::Size;
use crate::preprocess::detector::Sighting;
use crate::store::{atomic, hash};

/// The boxes of one pack, in the order of its images.
#[derive(Debug, Default)]
pub struct BoxTable(Vec<BoxRecord>);

impl BoxTable {
    /// Adds the box found in an image of `size` pixels.
    pub fn add(&mut self, file: &str, size: Size, Sighting { bounding_box: found, score }: Sighting) {
        let [x0, y0, x1, y1] = [found.x0, found.y0, found.x1, found.y1].map(i64::from);
        let original = Some(Original { width: size.width, height: size.height });
        self.0.push(BoxRecord { file: file.to_owned(), original, x0, y0, x1, y1, score });
    }

    /// How many rows.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.0.len() as u64
    }

    /// Writes the table.
    pub fn write(&self, path: &Path) -> Result<Sealed> {
        boxes::write(path, &self.0)?;
        Ok(Sealed { bytes: fs::metadata(path).at("look at", path)?.len(), blake3: hash::of_file(path)? })
    }
}

/// Writes the rows of `tables`, in their order, to one table.
pub fn join(tables: &[PathBuf], path: &Path) -> Result<Sealed> {
    let text = joined(tables)?;
    atomic::write(path, &text)?;
    Ok(Sealed { bytes: text.len() as u64, blake3: hash::of_bytes(&text) })
}

/// The rows of `tables`, in their order, as one table. Bytes, because one that is damaged may be no text.
pub fn joined(tables: &[PathBuf]) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    for table in tables {
        let part = fs::read(table).at("read", table)?;
        let header = part.iter().position(|byte| *byte == b'\n').map_or(part.len(), |end| end + 1);
        text.extend_from_slice(if text.is_empty() { &part } else { &part[header..] });
    }
    Ok(text)
}
