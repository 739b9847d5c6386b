//! images ↔ WebDataset tars, one a chunk: `cropped_256-000007.tar` holds chunk 7, entries `{stem}.jpg` in order.
//!
//! WebDataset groups entries into samples by the name up to its *first* dot, which becomes `__key__`. So the dots of a stem are written
//! as `%2E`, and `%` as `%25`: `a.b.jpg` is the entry `a%2Eb.jpg` of key `a%2Eb`, which `urllib.parse.unquote` turns back into
//! `a.b`. Names of the dataset have neither. A sample holds its image alone; labels are looked up in the metadata by
//! `__key__ + ".jpg"`, so that one set of tars serves every experiment.
//!
//! In WebDataset's brace notation all 113 are `cropped_256-{000001..000113}.tar`.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{BufWriter, Read};
use std::path::{Path, PathBuf};

use tar::{Archive, EntryType, Header};

use crate::container::entry_names::Listing;
use crate::container::shared_file::SharedFile;
use crate::container::{ImageKey, Reader, Refused, Writer};
use crate::error::{Error, IoContext, Result};
use crate::store::atomic::Staged;

/// An entry that says it is larger is not read: no photograph is.
const LARGEST_ENTRY: u64 = 256 << 20;

/// The name of a chunk's tar: `{package}-{chunk}.tar`, the chunk in six digits.
#[must_use]
pub fn file_name(package: &str, chunk: u32) -> String {
    format!("{package}-{chunk:06}.tar")
}

/// The chunk in the name of a tar; `None` where it ends in no six digits.
fn chunk_of(path: &Path) -> Option<u32> {
    let name = path.file_name()?.to_str()?.strip_suffix(".tar")?;
    let (_, digits) = name.rsplit_once('-')?;
    (digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| digits.parse().ok())?
}

/// The entry of a file, and the key WebDataset gives its sample; `None` where a name has no ending or nothing before it, which
/// WebDataset would leave out without a word.
fn entry_name(file: &str) -> Option<(String, String)> {
    let (stem, ending) = file.rsplit_once('.').filter(|(stem, ending)| !stem.is_empty() && !ending.is_empty())?;
    let key = stem.replace('%', "%25").replace('.', "%2E");
    Some((format!("{key}.{ending}"), key))
}

/// The file of an entry: [`entry_name`] undone.
fn file_of(entry: &str) -> String {
    entry.replace("%2E", ".").replace("%25", "%")
}

/// Writes the tar of one chunk: ustar headers without times, owners or anything else that differs between machines.
pub struct TarWriter {
    staged: Staged,
    archive: tar::Builder<BufWriter<File>>,
    destination: PathBuf,
    chunk: u32,
    /// File names by WebDataset's key.
    keys: HashMap<String, String>,
}

impl TarWriter {
    /// Begins [`file_name`]`(package, chunk)` in `folder`.
    pub fn create(folder: &Path, package: &str, chunk: u32) -> Result<Self> {
        let destination = folder.join(file_name(package, chunk));
        let staged = Staged::beside(&destination)?;
        let file = File::create(staged.path()).at("create", staged.path())?;
        let archive = tar::Builder::new(BufWriter::with_capacity(1 << 20, file));
        Ok(Self { staged, archive, destination, chunk, keys: HashMap::new() })
    }
}

impl Writer for TarWriter {
    fn add(&mut self, key: &ImageKey, jpeg: &[u8]) -> Result<()> {
        let refused = |message: String| {
            Error::input(&self.destination, message).with_help("leave `tar` out of `preprocess.formats`, or rename the image")
        };
        if key.chunk != self.chunk {
            return Err(Error::usage(format!("{key} does not belong into the tar of chunk {}", self.chunk)));
        }
        let (name, sample) = entry_name(&key.file)
            .ok_or_else(|| refused(format!("{} has no ending, and WebDataset takes it for no sample", key.file)))?;
        if let Some(other) = self.keys.get(&sample) {
            return Err(refused(format!("{other} and {} would be one WebDataset sample, {sample}", key.file)));
        }
        self.keys.insert(sample, key.file.clone());
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::Regular);
        header.set_size(jpeg.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        self.archive.append_data(&mut header, name, jpeg).at("write", &self.destination)
    }

    fn finish(self: Box<Self>) -> Result<()> {
        let out = self.archive.into_inner().at("write", &self.destination)?;
        out.into_inner().map_err(std::io::IntoInnerError::into_error).at("write", &self.destination)?;
        self.staged.publish()
    }
}

/// Where an image lies.
#[derive(Clone, Copy, Debug)]
struct Place {
    archive: usize,
    offset: u64,
    length: u64,
}

/// The images of one tar, or of every tar in a folder.
///
/// An image's chunk is the number in the tar's name, else the `part{N}` folder of the entry, else 0. A tar has no checksums: a flipped
/// byte in an image shows only when the image is decoded.
#[derive(Debug)]
pub struct TarImages {
    archives: Vec<(PathBuf, SharedFile)>,
    images: BTreeMap<ImageKey, Place>,
    refused: Vec<Refused>,
}

impl TarImages {
    /// Opens a `.tar` or a folder of them.
    pub fn open(path: &Path) -> Result<Self> {
        let paths = if path.is_dir() { tars_in(path)? } else { vec![path.to_owned()] };
        let mut all = Self { archives: Vec::new(), images: BTreeMap::new(), refused: Vec::new() };
        for path in paths {
            let chunk = chunk_of(&path);
            all.take(path, chunk)?;
        }
        Ok(all)
    }

    /// Opens the tar of one chunk, whatever it and its folders are called.
    pub fn open_chunk(path: &Path, chunk: u32) -> Result<Self> {
        let mut one = Self { archives: Vec::new(), images: BTreeMap::new(), refused: Vec::new() };
        one.take(path.to_owned(), Some(chunk))?;
        Ok(one)
    }

    /// Whether there are tars in `folder`.
    pub fn lie_in(folder: &Path) -> Result<bool> {
        Ok(!tars_in(folder)?.is_empty())
    }

    /// Lists the entries of `path` and adds them.
    fn take(&mut self, path: PathBuf, chunk: Option<u32>) -> Result<()> {
        let file = SharedFile::open(&path)?;
        let mut listing = Listing::new(chunk);
        let mut archive = Archive::new(file.clone());
        let mut any = false;
        for entry in archive.entries_with_seek().at("read", &path)? {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) if error.raw_os_error().is_some() => return Err(error).at("read", &path),
                Err(error) if !any => return Err(Error::input(&path, format!("not a tar archive: {error}"))),
                Err(error) => {
                    listing.refuse(String::new(), "truncated_tar", format!("what follows cannot be read: {error}"));
                    break;
                }
            };
            any = true;
            let name = file_of(&String::from_utf8_lossy(&entry.path_bytes()));
            let (offset, length) = (entry.raw_file_position(), entry.size());
            match entry.header().entry_type() {
                EntryType::Regular | EntryType::Continuous if offset.saturating_add(length) > file.length() => {
                    listing.refuse(name, "truncated", "the archive ends before the entry does");
                }
                EntryType::Regular | EntryType::Continuous if length > LARGEST_ENTRY => {
                    listing.refuse(name, "too_large", format!("{length} bytes; at most {LARGEST_ENTRY} are read"));
                }
                EntryType::Regular | EntryType::Continuous => {
                    listing.add(name, 1, Place { archive: self.archives.len(), offset, length });
                }
                EntryType::Directory | EntryType::XGlobalHeader => {}
                _ => listing.refuse(name, "bad_name", "a link or a device, not a file"),
            }
        }
        let (images, refused) = listing.finish();
        self.images.extend(images);
        self.refused.extend(refused);
        self.archives.push((path, file));
        Ok(())
    }

    /// Entries that are no images to be read: unsafe or repeated names, entries that the end of the archive cuts. Sorted in each tar.
    #[must_use]
    pub fn refused(&self) -> &[Refused] {
        &self.refused
    }

    /// Bytes of the image `key`, 0 where it is not held.
    pub(super) fn stored(&self, key: &ImageKey) -> u64 {
        self.images.get(key).map_or(0, |place| place.length)
    }
}

impl Reader for TarImages {
    fn keys(&self) -> Vec<ImageKey> {
        self.images.keys().cloned().collect()
    }

    fn read(&self, key: &ImageKey) -> Result<Option<Cow<'_, [u8]>>> {
        let Some(place) = self.images.get(key) else { return Ok(None) };
        let (path, file) = &self.archives[place.archive];
        let mut jpeg = Vec::with_capacity(place.length as usize);
        file.from(place.offset).take(place.length).read_to_end(&mut jpeg).at("read", path)?;
        if jpeg.len() as u64 != place.length {
            return Err(Error::input(path, format!("{key}: the archive was cut after it was opened")));
        }
        Ok(Some(Cow::Owned(jpeg)))
    }

    fn refused(&self) -> &[Refused] {
        &self.refused
    }
}

/// The tars in `folder`, sorted by path.
fn tars_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).at("list", folder)? {
        let path = entry.at("list", folder)?.path();
        if chunk_of(&path).is_some() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, chunk: u32, images: &[(&str, &[u8])]) -> PathBuf {
        let mut writer = Box::new(TarWriter::create(folder, "cropped_256", chunk).unwrap());
        for (file, jpeg) in images {
            writer.add(&ImageKey::new(chunk, *file), jpeg).unwrap();
        }
        writer.finish().unwrap();
        folder.join(file_name("cropped_256", chunk))
    }

    #[test]
    fn every_name_has_one_dot_in_the_tar_and_its_own_when_read_back() {
        assert_eq!(entry_name("a.b.jpg").unwrap(), ("a%2Eb.jpg".into(), "a%2Eb".into()));
        assert_eq!(entry_name("50%.x.jpg").unwrap().0, "50%25%2Ex.jpg");
        for file in ["5351601.jpg", "BIOUG73231-D12.jpg", "a.b.jpg", "50%.jpg", "%2E.jpg"] {
            assert_eq!(file_of(&entry_name(file).unwrap().0), file);
        }
        assert_eq!((entry_name("photo"), entry_name(".jpg"), entry_name("x.")), (None, None, None));
    }

    #[test]
    fn the_header_is_ustar_without_time_or_owner() {
        let folder = tempfile::tempdir().unwrap();
        let path = write(folder.path(), 7, &[("a.jpg", b"abc")]);
        let bytes = fs::read(&path).unwrap();
        assert_eq!(path.file_name().unwrap(), "cropped_256-000007.tar");
        // A header, a block of data, two blocks of zeros.
        assert_eq!(bytes.len(), 4 * 512);
        assert_eq!((&bytes[..6], &bytes[100..107], &bytes[512..516]), (&b"a.jpg\0"[..], &b"0000644"[..], &b"abc\0"[..]));
        assert_eq!(
            (&bytes[108..115], &bytes[116..123], &bytes[136..147]),
            (&b"0000000"[..], &b"0000000"[..], &b"00000000000"[..])
        );
        assert_eq!(&bytes[257..265], b"ustar\x0000");
    }

    #[test]
    fn two_files_of_one_sample_and_files_of_none_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = TarWriter::create(folder.path(), "cropped_256", 1).unwrap();
        writer.add(&ImageKey::new(1, "a.JPG"), b"x").unwrap();
        let error = writer.add(&ImageKey::new(1, "a.jpg"), b"x").unwrap_err();
        assert!(error.to_string().contains("a.JPG and a.jpg would be one WebDataset sample, a"), "{error}");
        assert!(writer.add(&ImageKey::new(1, "photo"), b"x").unwrap_err().to_string().contains("photo has no ending"));
        assert!(writer.add(&ImageKey::new(2, "b.jpg"), b"x").is_err());
        drop(writer);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn names_longer_than_a_header_holds_are_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let file = format!("{}.jpg", "x".repeat(200));
        let path = write(folder.path(), 1, &[(&file, b"abc")]);
        assert_eq!(TarImages::open(&path).unwrap().keys(), [ImageKey::new(1, file)]);
    }

    #[test]
    fn a_cut_tar_gives_what_is_whole_and_names_what_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = write(folder.path(), 1, &[("a.jpg", &[1; 600]), ("b.jpg", &[2; 600])]);
        let good = fs::read(&path).unwrap();
        // Header, 600 bytes in two blocks, header, and 100 of the second image's bytes.
        fs::write(&path, &good[..4 * 512 + 100]).unwrap();
        let tar = TarImages::open(&path).unwrap();
        assert_eq!(tar.keys(), [ImageKey::new(1, "a.jpg")]);
        assert_eq!(tar.refused().iter().map(|refused| refused.reason).collect::<Vec<_>>(), ["truncated"]);
        fs::write(&path, b"this is no tar").unwrap();
        assert!(TarImages::open(&path).is_err());
    }
}
