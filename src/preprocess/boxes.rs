//! where the specimens are → the box table of a pack, in the columns that BIOSCAN-5M publishes.

use std::fs;
use std::path::{Path, PathBuf};

use crate::container::pack::Sealed;
use crate::error::{IoContext, Result};
use crate::image::{BoundingBox, Size};
use crate::store::{atomic, hash};

const HEADER: &str = "image_file\twidth_original\theight_original\tx0\ty0\tx1\ty1\tscale_factor\tarea_fraction\n";

/// Rows of the table, one an image. Where nothing was found the box and what follows from it stay blank.
#[derive(Debug, Default)]
pub struct BoxTable(String);

impl BoxTable {
    /// Adds an image of `size` pixels with its box.
    pub fn add(&mut self, file: &str, size: Size, bounding_box: Option<BoundingBox>) {
        use std::fmt::Write;
        let Size { width, height } = size;
        // Writing to a String cannot fail.
        let _ = match bounding_box {
            None => writeln!(self.0, "{file}\t{width}\t{height}\t\t\t\t\t\t"),
            Some(BoundingBox { x0, y0, x1, y1 }) => {
                let (w, h) = (f64::from(x1 - x0), f64::from(y1 - y0));
                let (scale, area) = (w.min(h) / 256.0, w * h / size.area() as f64);
                writeln!(self.0, "{file}\t{width}\t{height}\t{x0}\t{y0}\t{x1}\t{y1}\t{scale:.4}\t{area:.4}")
            }
        };
    }

    /// Writes the table.
    pub fn write(&self, path: &Path) -> Result<Sealed> {
        seal(path, &format!("{HEADER}{}", self.0))
    }
}

/// Writes the rows of `tables`, in their order, to one table.
pub fn join(tables: &[PathBuf], path: &Path) -> Result<Sealed> {
    seal(path, &joined(tables)?)
}

/// The rows of `tables`, in their order, as one table.
pub fn joined(tables: &[PathBuf]) -> Result<String> {
    let mut text = HEADER.to_owned();
    for table in tables {
        let part = fs::read_to_string(table).at("read", table)?;
        text.push_str(part.split_once('\n').map_or("", |(_, rows)| rows));
    }
    Ok(text)
}

fn seal(path: &Path, text: &str) -> Result<Sealed> {
    atomic::write(path, text.as_bytes())?;
    Ok(Sealed { bytes: text.len() as u64, blake3: hash::of_bytes(text.as_bytes()) })
}
