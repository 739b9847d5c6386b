//! many images ↔ one place that holds them: a folder, a ZIP, an HDF5 file, tars, packs.
//!
//! One file a container; each is a [`Reader`], a [`Writer`] or both. The bytes of an image are the same in all of them.
//! [`open_originals`] reads what preprocessing begins with, a chunk at a time, and trusts nothing in it.

mod entry_names;
mod folder;
mod folder_chunk;
#[cfg(feature = "hdf5")]
mod hdf5;
#[cfg(feature = "hdf5")]
mod hdf5_writer;
mod originals;
pub mod pack;
mod pack_format;
mod refused;
mod shared_file;
pub mod tar;
pub mod zip;
mod zip_salvage;
mod zip_writer;

use std::borrow::Cow;
use std::fmt;
use std::path::Path;

pub use folder::{Folder, FolderWriter};
#[cfg(feature = "image")]
pub(crate) use folder_chunk::{is_about_the_file, read_photograph};
#[cfg(feature = "hdf5")]
pub use hdf5::Hdf5;
#[cfg(feature = "hdf5")]
pub use hdf5_writer::Hdf5Writer;
pub use originals::{Originals, fingerprint, open_originals};
pub use pack::{Pack, PackWriter, Packs};
pub use refused::Refused;
pub use tar::{TarImages, TarWriter};
pub use zip::ZipImages;
pub use zip_writer::ZipWriter;

use crate::error::{Error, Result};

/// Which image: its chunk and its file name, as the metadata's `chunk_number` and `image_file` say.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageKey {
    /// Number of the chunk, from 1; 0 where the container does not keep it.
    pub chunk: u32,
    /// File name with its ending, without a folder.
    pub file: String,
}

impl ImageKey {
    /// The key of `file` in chunk `chunk`.
    pub fn new(chunk: u32, file: impl Into<String>) -> Self {
        Self { chunk, file: file.into() }
    }
}

impl fmt::Display for ImageKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "part{}/{}", self.chunk, self.file)
    }
}

/// Images by key, from any thread.
pub trait Reader: Send + Sync {
    /// Every image held, sorted.
    fn keys(&self) -> Vec<ImageKey>;

    /// The JPEG bytes of one image; `None` where it is not held. Damaged bytes are an error, never returned.
    fn read(&self, key: &ImageKey) -> Result<Option<Cow<'_, [u8]>>>;

    /// The first half of the blake3 of one image's bytes; `None` where it is not held.
    fn check(&self, key: &ImageKey) -> Result<Option<[u8; 16]>> {
        Ok(self.read(key)?.map(|jpeg| pack_format::check_of(&jpeg)))
    }

    /// Entries that are no images to be read, and what is wrong with the container as a whole, where it can tell.
    fn refused(&self) -> &[Refused] {
        &[]
    }
}

/// Takes images in the order of their keys; nothing is visible before [`Writer::finish`].
pub trait Writer {
    /// Adds one image.
    fn add(&mut self, key: &ImageKey, jpeg: &[u8]) -> Result<()>;

    /// Makes the container durable and visible. Dropping it instead leaves nothing behind.
    fn finish(self: Box<Self>) -> Result<()>;
}

/// Opens whatever lies at `path`: a `.zip`, a `.hdf5` or `.h5`, a `.tar`, or a folder of packs, of tars or of `part{N}` folders.
pub fn open(path: &Path) -> Result<Box<dyn Reader>> {
    if path.is_dir() {
        return Ok(match () {
            () if Packs::lie_in(path)? => Box::new(Packs::open(path)?),
            () if TarImages::lie_in(path)? => Box::new(TarImages::open(path)?),
            () => Box::new(Folder::open(path)?),
        });
    }
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("zip") => Ok(Box::new(ZipImages::open(path)?)),
        Some("tar") => Ok(Box::new(TarImages::open(path)?)),
        #[cfg(feature = "hdf5")]
        Some("hdf5" | "h5") => Ok(Box::new(Hdf5::open(path)?)),
        #[cfg(not(feature = "hdf5"))]
        Some("hdf5" | "h5") => Err(Error::Feature { feature: "hdf5" }),
        _ if !path.exists() => Err(Error::input(path, "there is no such file or folder")),
        _ => Err(Error::input(path, "not a container of images")
            .with_help("valid are a .zip, a .hdf5, a .tar and a folder of .pack files, of tars or of part{N} folders")),
    }
}

/// Whether the folder at `path` holds images by chunk, in packs, tars or `part{N}` folders, rather than images themselves.
pub fn is_chunked(path: &Path) -> Result<bool> {
    Ok(Packs::lie_in(path)? || TarImages::lie_in(path)? || folder::has_chunks(path)?)
}

/// The N of a folder or file named `part{N}`; `None` for any other name and for numbers not written plainly.
#[must_use]
pub fn chunk_number(name: &str) -> Option<u32> {
    let digits = name.strip_prefix("part")?;
    let number = digits.parse().ok()?;
    (u32::to_string(&number) == digits).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_is_known_by_its_plain_number_alone() {
        assert_eq!(chunk_number("part113"), Some(113));
        for name in ["part", "part007", "part+1", "part1.pack", "parts1", "part99999999999"] {
            assert_eq!(chunk_number(name), None, "{name}");
        }
    }

    #[test]
    fn what_is_no_container_is_named_with_what_would_be() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("images.rar");
        std::fs::write(&path, b"x").unwrap();
        let error = open(&path).err().unwrap();
        assert!(error.help().unwrap().contains(".zip"));
        assert!(open(&folder.path().join("nowhere.zip")).is_err());
    }
}
