//! a ZIP archive of images, as people really have them → images by key.
//!
//! Any folders inside, stored or deflated, ZIP64. Neither a name nor a checksum is ever trusted.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use zip::ZipArchive;
use zip::result::ZipError;

use crate::container::entry_names::{Listing, is_clutter};
use crate::container::shared_file::SharedFile;
use crate::container::{ImageKey, Reader, zip_salvage};
use crate::error::{Error, IoContext, Result};

pub use crate::container::Refused;

/// An entry that says it is larger is not read: no photograph is, and the memory is needed.
const LARGEST_ENTRY: u64 = 256 << 20;

/// Beyond so many bytes, an entry that inflates to more than so many times what is stored is a bomb: JPEG hardly deflates at all.
const MOST_INFLATED: (u64, u64) = (16 << 20, 100);

/// An archive of images, open.
#[derive(Debug)]
pub struct ZipImages {
    path: PathBuf,
    archive: ZipArchive<SharedFile>,
    /// Index in the directory and bytes in the archive.
    entries: BTreeMap<ImageKey, (usize, u64)>,
    refused: Vec<Refused>,
}

impl ZipImages {
    /// Opens a published archive: an image's chunk is the `part{N}` folder it lies in, 0 where it lies in none.
    ///
    /// An archive without a whole directory (truncated, or no ZIP at all) is [`Error::Input`].
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_as(path, None)
    }

    /// Opens the archive of one chunk, whatever its inner folders are called.
    ///
    /// Of an archive without a whole directory every entry is saved that is whole itself; what that came to is a refused entry
    /// `truncated_zip` without a file name, and the cut entries follow it.
    pub fn open_chunk(path: &Path, chunk: u32) -> Result<Self> {
        Self::open_as(path, Some(chunk))
    }

    fn open_as(path: &Path, chunk: Option<u32>) -> Result<Self> {
        let file = SharedFile::open(path)?;
        match ZipArchive::new(file.clone()) {
            Ok(archive) => Self::listed(path, archive, chunk, Vec::new()),
            Err(ZipError::Io(error)) if !says_damaged(&error) => Err(error).at("read", path),
            Err(error) => {
                let whole = Error::input(path, format!("not a whole ZIP archive: {error}"))
                    .with_help("fetch it again: a download that broke off leaves no directory at its end");
                if chunk.is_some() { Self::saved(path, &file, chunk)?.ok_or(whole) } else { Err(whole) }
            }
        }
    }

    /// What can be saved of an archive without a directory; `None` where that is nothing.
    fn saved(path: &Path, file: &SharedFile, chunk: Option<u32>) -> Result<Option<Self>> {
        let salvage = zip_salvage::salvage(file).at("read", path)?;
        if salvage.whole == 0 {
            return Ok(None);
        }
        let detail = format!(
            "no whole directory at its end: {} entries were saved from what is there, {} are cut, {} bytes belong to none; fetch it again",
            salvage.whole,
            salvage.cut.len(),
            salvage.lost
        );
        tracing::warn!(archive = %path.display(), "{detail}");
        let note = Refused { file: String::new(), reason: "truncated_zip", detail };
        let archive = ZipArchive::new(file.with_tail(salvage.directory))
            .map_err(|error| Error::input(path, format!("its local headers give no directory: {error}")))?;
        Self::listed(path, archive, chunk, [vec![note], salvage.cut].concat()).map(Some)
    }

    fn listed(path: &Path, archive: ZipArchive<SharedFile>, chunk: Option<u32>, mut refused: Vec<Refused>) -> Result<Self> {
        let counts = if archive.has_duplicate_names() { name_counts(&archive, path)? } else { BTreeMap::new() };
        let mut images = Self { path: path.to_owned(), archive, entries: BTreeMap::new(), refused: Vec::new() };
        images.list(chunk, &counts);
        images.refused.append(&mut refused);
        images.refused.sort();
        Ok(images)
    }

    /// Sorts the entries into images and refused ones. `counts` holds how often the directory has a name, where it repeats any.
    fn list(&mut self, chunk: Option<u32>, counts: &BTreeMap<String, usize>) {
        let mut listing = Listing::new(chunk);
        let overlapping = self.overlapping();
        for index in 0..self.archive.len() {
            let Ok(entry) = self.archive.by_index_data(index) else { continue };
            let name = String::from_utf8_lossy(entry.name_raw()).into_owned();
            if entry.is_dir() || is_clutter(&name) {
                continue;
            }
            if entry.is_symlink() {
                listing.refuse(name, "bad_name", "a symbolic link");
            } else if overlapping.contains(&index) {
                listing.refuse(
                    name,
                    "overlapping_entry",
                    "the next entry begins within its data, as archives made to exhaust disks do",
                );
            } else {
                let times = counts.get(&name).copied().unwrap_or(1);
                listing.add(name, times, (index, entry.compressed_size()));
            }
        }
        (self.entries, self.refused) = listing.finish();
    }

    /// Entries whose data reach into the next entry's: one megabyte of them can stand for a million others.
    fn overlapping(&self) -> BTreeSet<usize> {
        let data = |index| Some((self.archive.by_index_data(index).ok()?, index));
        // Thirty bytes of header at least stand before the data.
        let mut spans: Vec<(u64, u64, usize)> = (0..self.archive.len())
            .filter_map(data)
            .map(|(entry, index)| {
                (entry.header_start(), entry.header_start().saturating_add(30).saturating_add(entry.compressed_size()), index)
            })
            .collect();
        spans.sort_unstable();
        spans.windows(2).filter(|pair| pair[0].1 > pair[1].0).map(|pair| pair[0].2).collect()
    }

    /// The bytes that the image `key` takes in the archive, 0 where it is not held.
    pub(super) fn stored(&self, key: &ImageKey) -> u64 {
        self.entries.get(key).map_or(0, |(_, stored)| *stored)
    }

    /// Entries that are no images to be read: unsafe or repeated names. Sorted.
    #[must_use]
    pub fn refused(&self) -> &[Refused] {
        &self.refused
    }

    /// Reads one image and checks its CRC. The inner error is about this image alone; the outer one ends the command.
    pub fn read_checked(&self, key: &ImageKey) -> Result<Option<Result<Vec<u8>, Refused>>> {
        let Some(&(index, stored)) = self.entries.get(key) else { return Ok(None) };
        let refuse = |reason, detail: String| Ok(Some(Err(Refused { file: key.file.clone(), reason, detail })));
        // A clone shares the directory and the file; only the position is its own.
        let mut archive = self.archive.clone();
        let mut entry = match archive.by_index(index) {
            Ok(entry) => entry,
            Err(ZipError::Io(error)) if !says_damaged(&error) => return Err(error).at("read", &self.path),
            Err(error) => return refuse("unreadable_entry", error.to_string()),
        };
        if entry.size() > LARGEST_ENTRY {
            return refuse("too_large", format!("{} bytes; at most {LARGEST_ENTRY} are read", entry.size()));
        }
        let declared = entry.size();
        if declared > MOST_INFLATED.0 && declared / MOST_INFLATED.1 > stored {
            return refuse("too_large", format!("{stored} bytes that inflate to {declared}: no photograph does"));
        }
        let mut jpeg = Vec::with_capacity(declared as usize);
        // One byte past what is declared: a deflated bomb stops there.
        match entry.by_ref().take(declared + 1).read_to_end(&mut jpeg) {
            Ok(_) if jpeg.len() as u64 == declared => Ok(Some(Ok(jpeg))),
            Ok(_) => refuse("unreadable_entry", format!("{} bytes where its directory says {declared}", jpeg.len())),
            Err(error) if error.to_string().contains("checksum") => {
                refuse("bad_crc", "its CRC differs from the directory's".into())
            }
            Err(error) if says_damaged(&error) => refuse("unreadable_entry", error.to_string()),
            Err(error) => Err(error).at("read", &self.path),
        }
    }
}

impl Reader for ZipImages {
    fn keys(&self) -> Vec<ImageKey> {
        self.entries.keys().cloned().collect()
    }

    fn read(&self, key: &ImageKey) -> Result<Option<Cow<'_, [u8]>>> {
        match self.read_checked(key)? {
            None => Ok(None),
            Some(Ok(jpeg)) => Ok(Some(Cow::Owned(jpeg))),
            Some(Err(refused)) => Err(Error::input(&self.path, format!("{key}: {}", refused.detail))),
        }
    }

    fn refused(&self) -> &[Refused] {
        &self.refused
    }
}

/// What tells this archive from another: blake3 over its length and its last 4 MiB, where the directory lies with every entry's CRC.
///
/// It works for a broken archive too, and costs next to nothing beside the images.
pub fn fingerprint(path: &Path) -> Result<String> {
    let shared = SharedFile::open(path)?;
    let mut hasher = blake3::Hasher::new();
    hasher.update(&shared.length().to_le_bytes());
    let mut tail = shared.from(shared.length().saturating_sub(4 << 20));
    hasher.update_reader(&mut tail).at("read", path)?;
    Ok(hasher.finalize().to_hex().to_string())
}

/// Whether an error is about the bytes, not about the disk.
fn says_damaged(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, InvalidInput, Other, UnexpectedEof, Unsupported};
    matches!(error.kind(), InvalidData | InvalidInput | Other | UnexpectedEof | Unsupported) && error.raw_os_error().is_none()
}

/// How often the directory has each name: the `zip` crate keeps only the last entry of a repeated one.
fn name_counts(archive: &ZipArchive<SharedFile>, path: &Path) -> Result<BTreeMap<String, usize>> {
    let mut directory = Vec::new();
    let start = archive.central_directory_start();
    let mut from = archive.clone().into_inner();
    from.seek(SeekFrom::Start(start)).at("read", path)?;
    from.read_to_end(&mut directory).at("read", path)?;
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut rest = directory.as_slice();
    // A central header: signature, 24 bytes, lengths of name, extra field and comment at 28, 30 and 32, the name at 46.
    while let Some(header) = rest.first_chunk::<46>().filter(|header| header.starts_with(b"PK\x01\x02")) {
        let length = |at: usize| usize::from(u16::from_le_bytes([header[at], header[at + 1]]));
        let (name, behind) = (46 + length(28), 46 + length(28) + length(30) + length(32));
        let Some(bytes) = rest.get(46..name) else { break };
        *counts.entry(String::from_utf8_lossy(bytes).into_owned()).or_default() += 1;
        rest = rest.get(behind..).unwrap_or_default();
    }
    Ok(counts)
}
