//! a path and a chunk → its originals, from whatever people keep them in.

use std::path::{Path, PathBuf};

#[cfg(feature = "hdf5")]
use crate::container::Hdf5;
use crate::container::folder_chunk::{self, FolderChunk};
use crate::container::{ImageKey, Reader, Refused, TarImages, ZipImages, zip};
use crate::error::{Error, Result};

/// The original photographs of one chunk, readable from any thread.
pub trait Originals: Send + Sync {
    /// File names, sorted, each with the bytes it takes where it lies: the measure of its work.
    fn files(&self) -> Vec<(String, u64)>;

    /// Reads one image and checks it as far as the container can. The inner error is about this image alone; the outer one ends the
    /// command.
    fn read_checked(&self, file: &str) -> Result<Result<Vec<u8>, Refused>>;

    /// Entries that are no images to be read, and what is wrong with the container as a whole; sorted.
    fn refused(&self) -> &[Refused];

    /// What tells these originals from others: [`fingerprint`] of where they lie.
    fn fingerprint(&self) -> Result<String>;
}

/// Opens the originals of `chunk` at `path`: a `.zip`, a `.tar`, a `.hdf5` or `.h5` in either layout, or a folder of files.
///
/// Every image found counts as one of `chunk`, whatever folders the container has inside. A ZIP without a directory is read as far as it
/// goes ([`ZipImages::open_chunk`]); what cannot be read at all is [`Error::Input`].
pub fn open_originals(path: &Path, chunk: u32) -> Result<Box<dyn Originals>> {
    let path = path.to_owned();
    if path.is_dir() {
        return Ok(Box::new(FolderChunk::open(path)?));
    }
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("zip") => Ok(Box::new(Of { images: ZipImages::open_chunk(&path, chunk)?, chunk, path })),
        Some("tar") => Ok(Box::new(Of { images: TarImages::open_chunk(&path, chunk)?, chunk, path })),
        #[cfg(feature = "hdf5")]
        Some("hdf5" | "h5") => Ok(Box::new(Of { images: Hdf5::open(&path)?, chunk, path })),
        #[cfg(not(feature = "hdf5"))]
        Some("hdf5" | "h5") => Err(Error::Feature { feature: "hdf5" }),
        _ if !path.exists() => Err(Error::input(path, "there is no such file or folder")),
        _ => Err(Error::input(path, "no container of originals")
            .with_help("valid are a .zip, a .tar, a .hdf5 and a folder of image files")),
    }
}

/// What tells the originals at `path` from others, at next to no cost beside reading them; it works for a broken container too.
///
/// blake3: of a file, over its length and its last 4 MiB, where a ZIP's directory lies with every entry's CRC; of a file without such a
/// directory (HDF5, tar), over its time of change as well; of a folder, over the names, lengths and times of its files.
pub fn fingerprint(path: &Path) -> Result<String> {
    if path.is_dir() {
        return folder_chunk::fingerprint(path);
    }
    let of_bytes = zip::fingerprint(path)?;
    if path.extension().is_some_and(|ending| ending == "zip") {
        return Ok(of_bytes);
    }
    let changed = folder_chunk::changed(path)?;
    Ok(crate::store::hash::of_bytes(format!("{of_bytes} {changed}").as_bytes()))
}

/// A reader whose images all count as those of one chunk.
struct Of<R> {
    images: R,
    chunk: u32,
    path: PathBuf,
}

impl Originals for Of<ZipImages> {
    fn files(&self) -> Vec<(String, u64)> {
        self.images.keys().into_iter().map(|key| (key.file.clone(), self.images.stored(&key))).collect()
    }

    fn read_checked(&self, file: &str) -> Result<Result<Vec<u8>, Refused>> {
        self.images.read_checked(&ImageKey::new(self.chunk, file))?.ok_or_else(|| not_held(file, &self.path))
    }

    fn refused(&self) -> &[Refused] {
        self.images.refused()
    }

    fn fingerprint(&self) -> Result<String> {
        fingerprint(&self.path)
    }
}

impl Originals for Of<TarImages> {
    fn files(&self) -> Vec<(String, u64)> {
        self.images.keys().into_iter().map(|key| (key.file.clone(), self.images.stored(&key))).collect()
    }

    fn read_checked(&self, file: &str) -> Result<Result<Vec<u8>, Refused>> {
        read_whole(&self.images, &ImageKey::new(self.chunk, file), &self.path)
    }

    fn refused(&self) -> &[Refused] {
        self.images.refused()
    }

    fn fingerprint(&self) -> Result<String> {
        fingerprint(&self.path)
    }
}

#[cfg(feature = "hdf5")]
impl Originals for Of<Hdf5> {
    /// Each with the mean: to ask a million datasets for their lengths takes as long as to read them.
    fn files(&self) -> Vec<(String, u64)> {
        let keys = self.images.keys();
        let bytes = std::fs::metadata(&self.path).map_or(0, |found| found.len());
        let mean = bytes / keys.len().max(1) as u64;
        keys.into_iter().map(|key| (key.file, mean)).collect()
    }

    fn read_checked(&self, file: &str) -> Result<Result<Vec<u8>, Refused>> {
        read_whole(&self.images, &ImageKey::new(0, file), &self.path)
    }

    fn refused(&self) -> &[Refused] {
        self.images.refused()
    }

    fn fingerprint(&self) -> Result<String> {
        fingerprint(&self.path)
    }
}

/// Reads from a container without checks of its own: what it says is wrong with one entry is about that entry alone.
fn read_whole(images: &impl Reader, key: &ImageKey, path: &Path) -> Result<Result<Vec<u8>, Refused>> {
    match images.read(key) {
        Ok(Some(bytes)) => Ok(Ok(bytes.into_owned())),
        Ok(None) => Err(not_held(&key.file, path)),
        Err(Error::Input { message, .. }) => {
            Ok(Err(Refused { file: key.file.clone(), reason: "unreadable_entry", detail: message }))
        }
        Err(error) => Err(error),
    }
}

fn not_held(file: &str, path: &Path) -> Error {
    Error::input(path, format!("{file} is not in it"))
}
