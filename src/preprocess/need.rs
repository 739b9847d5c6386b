//! what is left to prepare → about how many files and bytes that will take.

use crate::config::{Format, Package, Preprocess};
use crate::preprocess::queue::Remainder;
use crate::store::room::Need;

/// Bytes of a BIOSCAN photograph at 256 rows and quality 75; measured: 7.6 kB.
const RESIZED: f64 = 8000.0;

/// What the results of `left` need, all packages and formats together. About: a warning's worth, not a promise.
#[must_use]
pub fn need(settings: &Preprocess, left: &[Remainder]) -> Need {
    let (mut files, mut bytes) = (0, 0.0);
    // While a chunk is joined its units are there beside its pack: once more the largest.
    let (mut unit_files, mut unit_bytes) = (0, 0.0f64);
    // Each format holds every image once, and the packs are always there.
    let copies = 1 + settings.formats.iter().filter(|format| **format != Format::Pack).count();
    for remainder in left {
        let images = remainder.units.first().map_or(0, |unit| unit.of);
        let stored: u64 = remainder.units.iter().map(|unit| unit.cost).sum();
        let joined = if remainder.units.len() > 1 { remainder.units.len() * remainder.packages.len() } else { 0 };
        let mut once = 0.0;
        for package in &remainder.packages {
            let one = match package {
                // A crop at its own size is seldom more than half of its picture.
                Package::Cropped => stored as f64 / images.max(1) as f64 / 2.0,
                _ => RESIZED * (f64::from(settings.size) / 256.0).powi(2),
            };
            once += one * images as f64;
            // A pack, its manifest, and with tars a tar.
            files += 3;
            if settings.formats.contains(&Format::Folder) {
                files += images as u64 + 1;
            }
        }
        bytes += once * copies as f64;
        if joined > 0 {
            // A pack and its manifest.
            unit_files = unit_files.max(2 * joined as u64);
            unit_bytes = unit_bytes.max(once);
        }
    }
    Need { files: files + unit_files, bytes: (bytes + unit_bytes) as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preprocess::units::cut;

    fn chunk() -> Remainder {
        let units = cut(1, &[640 << 10; 10_000]);
        Remainder { wanted: vec![Vec::new(); units.len()], units, packages: vec![Package::OriginalResized] }
    }

    #[test]
    fn a_folder_needs_a_file_an_image_and_a_zip_its_bytes_again() {
        let settings = |formats| Preprocess { formats, ..Preprocess::default() };
        let packs = need(&settings(vec![]), &vec![chunk(); 113]);
        // 124 units of 81 or so, each a pack and a manifest, of the chunk that is joined.
        assert_eq!((packs.files, packs.bytes), (339 + 248, 114 * 10_000 * 8000));
        let folder = need(&settings(vec![Format::Folder, Format::Zip]), &vec![chunk(); 113]);
        assert_eq!((folder.files, folder.bytes), (339 + 248 + 113 * 10_001, (3 * 113 + 1) * 10_000 * 8000));
    }
}
