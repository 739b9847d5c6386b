//! images ↔ a ZIP archive with the published entry names, `bioscan/images/{package}/part{N}/{file}`.
//!
//! The reader takes what people really have: any folders inside, stored or deflated, ZIP64. It never trusts a name or a checksum.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zip::result::ZipError;
use zip::write::{PreparedZipFile, SimpleFileOptions};
use zip::{CompressionMethod, DateTime, ZipArchive};

use crate::container::{ImageKey, Reader, Writer, chunk_number};
use crate::error::{Error, IoContext, Result};
use crate::store::atomic::Staged;

/// An entry that says it is larger is not read: no photograph is, and the memory is needed.
const LARGEST_ENTRY: u64 = 256 << 20;

/// An entry that cannot be used, for the quarantine.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refused {
    /// File name, or the whole entry name where that is at fault.
    pub file: String,
    /// A stable word.
    pub reason: &'static str,
    /// More, for the person who reads it.
    pub detail: String,
}

/// An archive of images, open.
#[derive(Debug)]
pub struct ZipImages {
    path: PathBuf,
    archive: ZipArchive<Shared>,
    entries: BTreeMap<ImageKey, usize>,
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
    pub fn open_chunk(path: &Path, chunk: u32) -> Result<Self> {
        Self::open_as(path, Some(chunk))
    }

    fn open_as(path: &Path, chunk: Option<u32>) -> Result<Self> {
        let shared = Shared::open(path)?;
        let archive = ZipArchive::new(shared.clone()).map_err(|error| match error {
            ZipError::Io(error) if !says_damaged(&error) => Error::Io { action: "read", path: path.to_owned(), source: error },
            other => Error::input(path, format!("not a whole ZIP archive: {other}"))
                .with_help("fetch it again: a download that broke off leaves no directory at its end"),
        })?;
        let counts = if archive.has_duplicate_names() { name_counts(&archive, &shared, path)? } else { BTreeMap::new() };
        let mut images = Self { path: path.to_owned(), archive, entries: BTreeMap::new(), refused: Vec::new() };
        images.list(chunk, &counts);
        images.refused.sort();
        Ok(images)
    }

    /// Sorts the entries into images and refused ones. `counts` holds how often the directory has a name, where it repeats any.
    fn list(&mut self, chunk: Option<u32>, counts: &BTreeMap<String, usize>) {
        let mut places: BTreeMap<ImageKey, (usize, Vec<String>)> = BTreeMap::new();
        for index in 0..self.archive.len() {
            let Ok(entry) = self.archive.by_index_data(index) else { continue };
            let raw = String::from_utf8_lossy(entry.name_raw()).into_owned();
            if entry.is_dir() || is_clutter(&raw) {
                continue;
            }
            let name = if entry.is_symlink() { Err("a symbolic link") } else { plain_name(&raw) };
            match name {
                Ok(name) => {
                    let key = ImageKey::new(chunk.or(name.chunk).unwrap_or(0), name.file);
                    let times = counts.get(&raw).copied().unwrap_or(1);
                    let (_, names) = places.entry(key).or_insert((index, Vec::new()));
                    names.extend(std::iter::repeat_n(raw, times));
                }
                Err(detail) => self.refused.push(Refused { file: raw, reason: "bad_name", detail: detail.into() }),
            }
        }
        for (key, (index, names)) in places {
            if names.len() == 1 {
                self.entries.insert(key, index);
            } else {
                let detail =
                    format!("{} entries by this name ({}): which is meant cannot be known", names.len(), names.join(", "));
                self.refused.push(Refused { file: key.file, reason: "duplicate_name", detail });
            }
        }
    }

    /// Entries that are no images to be read: unsafe or repeated names. Sorted.
    #[must_use]
    pub fn refused(&self) -> &[Refused] {
        &self.refused
    }

    /// The file names of the images in sorted order, with the lengths of their entries. For the archive of one chunk.
    #[must_use]
    pub fn files(&self) -> Vec<(String, u64)> {
        let length = |index: &usize| self.archive.by_index_data(*index).map_or(0, |entry| entry.compressed_size());
        self.entries.iter().map(|(key, index)| (key.file.clone(), length(index))).collect()
    }

    /// Reads one image and checks its CRC. The inner error is about this image alone; the outer one ends the command.
    pub fn read_checked(&self, key: &ImageKey) -> Result<Option<Result<Vec<u8>, Refused>>> {
        let Some(&index) = self.entries.get(key) else { return Ok(None) };
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
}

/// What tells this archive from another: blake3 over its length and its last 4 MiB, where the directory lies with every entry's CRC.
///
/// It works for a broken archive too, and costs next to nothing beside the images.
pub fn fingerprint(path: &Path) -> Result<String> {
    let shared = Shared::open(path)?;
    let mut hasher = blake3::Hasher::new();
    hasher.update(&shared.length.to_le_bytes());
    let mut tail = Shared { position: shared.length.saturating_sub(4 << 20), ..shared };
    hasher.update_reader(&mut tail).at("read", path)?;
    Ok(hasher.finalize().to_hex().to_string())
}

/// Whether an error is about the bytes, not about the disk.
fn says_damaged(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, InvalidInput, Other, UnexpectedEof, Unsupported};
    matches!(error.kind(), InvalidData | InvalidInput | Other | UnexpectedEof | Unsupported) && error.raw_os_error().is_none()
}

/// What Finder and Windows put beside images; nobody meant them as images.
fn is_clutter(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or(name);
    name.starts_with("__MACOSX/") || file.starts_with("._") || matches!(file, ".DS_Store" | "Thumbs.db" | "desktop.ini")
}

struct PlainName {
    chunk: Option<u32>,
    file: String,
}

/// Takes an entry name apart, or says why it cannot be trusted.
fn plain_name(name: &str) -> Result<PlainName, &'static str> {
    if name.starts_with('/') || name.as_bytes().get(1) == Some(&b':') {
        return Err("an absolute path");
    }
    if name.contains('\\') || name.chars().any(char::is_control) || name.contains(char::REPLACEMENT_CHARACTER) {
        return Err("characters that no file name of the dataset has");
    }
    let mut parts = name.rsplit('/');
    let file = parts.next().unwrap_or_default();
    if file.is_empty() || file == "." || parts.clone().chain([file]).any(|part| part == "..") {
        return Err("a path that leads outside");
    }
    if file.len() > 255 {
        return Err("longer than a file name can be");
    }
    Ok(PlainName { chunk: parts.next().and_then(chunk_number), file: file.to_owned() })
}

/// How often the directory has each name: the `zip` crate keeps only the last entry of a repeated one.
fn name_counts(archive: &ZipArchive<Shared>, shared: &Shared, path: &Path) -> Result<BTreeMap<String, usize>> {
    let mut directory = Vec::new();
    let mut from = Shared { position: archive.central_directory_start(), ..shared.clone() };
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

/// One open file read from any thread, each reader at a position of its own. A failing disk is an error here; under a memory map it
/// would be a signal.
#[derive(Clone, Debug)]
struct Shared {
    file: Arc<File>,
    length: u64,
    position: u64,
}

impl Shared {
    fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).at("open", path)?;
        let length = file.metadata().at("look at", path)?.len();
        Ok(Self { file: Arc::new(file), length, position: 0 })
    }
}

impl Read for Shared {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.position)?;
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for Shared {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let place = match to {
            SeekFrom::Start(place) => Some(place),
            SeekFrom::End(by) => self.length.checked_add_signed(by),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
        };
        self.position = place.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.position)
    }
}

/// Writes an archive: entries stored as they are, every time 1980-01-01, ZIP64 records where the sizes need them.
pub struct ZipWriter {
    staged: Staged,
    archive: zip::ZipWriter<BufWriter<File>>,
    package: String,
    destination: PathBuf,
}

impl ZipWriter {
    /// Begins the archive of `package` at `destination`.
    pub fn create(destination: &Path, package: &str) -> Result<Self> {
        let staged = Staged::beside(destination)?;
        let file = File::create(staged.path()).at("create", staged.path())?;
        let archive = zip::ZipWriter::new(BufWriter::with_capacity(1 << 20, file));
        Ok(Self { staged, archive, package: package.to_owned(), destination: destination.to_owned() })
    }

    fn refused(destination: &Path, error: ZipError) -> Error {
        match error {
            ZipError::Io(source) => Error::Io { action: "write", path: destination.to_owned(), source },
            other => Error::library("zip", other),
        }
    }
}

impl Writer for ZipWriter {
    fn add(&mut self, key: &ImageKey, jpeg: &[u8]) -> Result<()> {
        let name = format!("bioscan/images/{}/part{}/{}", self.package, key.chunk, key.file);
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(DateTime::default())
            .unix_permissions(0o644);
        PreparedZipFile::from_data(name, options, jpeg)
            .and_then(|entry| self.archive.add_prepared_file(entry))
            .map_err(|error| Self::refused(&self.destination, error))
    }

    fn finish(self: Box<Self>) -> Result<()> {
        let out = self.archive.finish().map_err(|error| Self::refused(&self.destination, error))?;
        out.into_inner().map_err(io::IntoInnerError::into_error).at("write", &self.destination)?;
        self.staged.publish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_leads_outside_is_never_followed() {
        for name in ["/etc/passwd", "C:/x.jpg", "../x.jpg", "a/../../x.jpg", "a/..", "a\\b.jpg", "a/.", "a\nb.jpg"] {
            assert!(plain_name(name).is_err(), "{name}");
        }
        let name = plain_name("bioscan/images/original_256/part7/x.jpg").ok().unwrap();
        assert_eq!((name.chunk, name.file.as_str()), (Some(7), "x.jpg"));
        assert_eq!(plain_name("x.jpg").ok().unwrap().chunk, None);
    }

    #[test]
    fn what_finder_adds_is_no_image() {
        assert!(is_clutter("__MACOSX/part1/._x.jpg") && is_clutter("part1/.DS_Store"));
        assert!(!is_clutter("part1/x.jpg"));
    }
}
