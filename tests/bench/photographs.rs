//! the sizes of BIOSCAN's originals → photographs of those sizes, real where there are any, and chunks of them.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use bioscan_hpc::container::{Reader, ZipImages};
use bioscan_hpc::dataset::synth::{self, Settings};
use bioscan_hpc::image::{RgbImage, encode};
use zip::CompressionMethod;
use zip::write::SimpleFileOptions;

use crate::Result;

/// Real originals, by size: where they lie beside the checkout, and how many of them a round takes.
const LARGE: (u32, u32, &str, usize) = (2880, 2160, "order-originals", 12);
const SMALL: (u32, u32, &str, usize) = (1024, 768, "bioscan-originals/images", 36);

/// Photographs of one size.
#[derive(Clone, Debug)]
pub struct Photographs {
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// The JPEG files.
    pub files: Vec<PathBuf>,
    /// What they are, for the table.
    pub origin: String,
}

impl Photographs {
    /// BIOSCAN-1M's size, 2880×2160.
    pub fn large(folder: &Path) -> Result<Self> {
        Self::of(LARGE, folder)
    }

    /// The size in which BIOSCAN-5M publishes its originals, 1024×768.
    pub fn small(folder: &Path) -> Result<Self> {
        Self::of(SMALL, folder)
    }

    /// The real ones in `../shared/data`, spread evenly over the folder; where there are none, drawn ones, written to `folder`.
    fn of((width, height, name, most): (u32, u32, &str, usize), folder: &Path) -> Result<Self> {
        let real = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(name);
        let found = if real.is_dir() { jpegs(&real)? } else { Vec::new() };
        if found.is_empty() {
            let files = draw(width, height, most, folder)?;
            let origin = format!("{most} SYNTHETIC pictures: no originals in ../shared/data/{name}");
            return Ok(Self { width, height, files, origin });
        }
        let step = found.len().div_ceil(most);
        let files: Vec<PathBuf> = found.into_iter().step_by(step).collect();
        let origin = format!("{} BIOSCAN originals", files.len());
        Ok(Self { width, height, files, origin })
    }

    /// `2880×2160`.
    pub fn size(&self) -> String {
        format!("{}×{}", self.width, self.height)
    }

    /// The bytes of every file.
    pub fn read(&self) -> Result<Vec<Vec<u8>>> {
        Ok(self.files.iter().map(fs::read).collect::<std::io::Result<_>>()?)
    }

    /// Writes chunk `chunk` of a dataset as published, of `images` photographs: these over and over, under names of their own.
    pub fn write_chunk(&self, dataset: &Path, chunk: u32, images: usize) -> Result<()> {
        let photographs = self.read()?;
        let path = dataset.join(format!("bioscan_images_original_full_part{chunk}.zip"));
        let mut archive = zip::ZipWriter::new(File::create(path)?);
        let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        for index in 0..images {
            archive.start_file(format!("bioscan/images/original_full/part{chunk}/{chunk:03}-{index:05}.jpg"), stored)?;
            archive.write_all(&photographs[index % photographs.len()])?;
        }
        archive.finish()?;
        Ok(())
    }
}

fn jpegs(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?.collect::<std::io::Result<Vec<_>>>()?;
    let mut files: Vec<PathBuf> = entries.iter().map(fs::DirEntry::path).collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "jpg"));
    files.sort();
    Ok(files)
}

/// `synth`'s pictures, unpacked from its chunk.
fn draw(width: u32, height: u32, count: usize, folder: &Path) -> Result<Vec<PathBuf>> {
    let (dataset, pictures) = (folder.join(format!("synth-{width}")), folder.join(format!("pictures-{width}")));
    let settings =
        Settings { version: 1, specimens: count as u64, images_per_chunk: count as u64, width, height, quality: 75, seed: 1 };
    let encode = |rgb: &[u8], width, height, quality| encode(&RgbImage { width, height, pixels: rgb.to_vec() }, quality);
    synth::write(&settings, &dataset, Some(&encode))?;
    fs::create_dir_all(&pictures)?;
    let archive = ZipImages::open_chunk(&dataset.join("bioscan_images_original_full_part1.zip"), 1)?;
    for key in archive.keys() {
        if let Some(jpeg) = archive.read(&key)? {
            fs::write(pictures.join(&key.file), jpeg)?;
        }
    }
    jpegs(&pictures)
}
