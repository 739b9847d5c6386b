//! A chunk's images ↔ one memory-mapped file, what training reads. The bytes on disk: [`crate::container::pack_format`].

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use memmap2::Mmap;

use crate::container::pack_format::{self, Entry, HEADER_BYTES, check_of};
use crate::container::{ImageKey, Reader, Writer, chunk_number};
use crate::error::{Error, IoContext, Result};
use crate::store::atomic::Staged;

/// The name of a chunk's pack.
#[must_use]
pub fn file_name(chunk: u32) -> String {
    format!("part{chunk}.pack")
}

/// One pack, open.
#[derive(Debug)]
pub struct Pack {
    path: PathBuf,
    chunk: u32,
    bytes: Mmap,
    entries: Vec<Entry>,
}

impl Pack {
    /// Maps the pack and checks its frame and index; each image is checked when it is read.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).at("open", path)?;
        // SAFETY: published packs are never opened for writing again (contract 3), so the mapped bytes do not change.
        let bytes = unsafe { Mmap::map(&file) }.at("map", path)?;
        let (chunk, entries) = pack_format::read_index(&bytes, path)?;
        Ok(Self { path: path.to_owned(), chunk, bytes, entries })
    }

    /// The chunk it holds.
    #[must_use]
    pub fn chunk(&self) -> u32 {
        self.chunk
    }

    /// How many images.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it holds none: every image of the chunk was quarantined.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Its file names, sorted.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.file.as_str())
    }

    /// The bytes of one image, without a copy; `None` where it is not held.
    pub fn get(&self, file: &str) -> Result<Option<&[u8]>> {
        self.entry(file).map(|entry| self.checked(entry)).transpose()
    }

    fn entry(&self, file: &str) -> Option<&Entry> {
        let index = self.entries.binary_search_by(|entry| entry.file.as_str().cmp(file)).ok()?;
        self.entries.get(index)
    }

    /// Every image in order: (file name, bytes).
    pub fn images(&self) -> impl Iterator<Item = Result<(&str, &[u8])>> {
        self.entries.iter().map(|entry| Ok((entry.file.as_str(), self.checked(entry)?)))
    }

    fn checked(&self, entry: &Entry) -> Result<&[u8]> {
        let start = entry.offset as usize;
        let jpeg = &self.bytes[start..start + entry.length as usize];
        if check_of(jpeg) != entry.check {
            return Err(Error::input(&self.path, format!("the bytes of {} are damaged", entry.file))
                .with_help("remove it and run `bioscan-hpc preprocess` again: only this chunk is made anew"));
        }
        Ok(jpeg)
    }
}

/// A folder of packs, one a chunk.
#[derive(Debug)]
pub struct Packs(BTreeMap<u32, Pack>);

impl Packs {
    /// Opens every pack in `folder`.
    pub fn open(folder: &Path) -> Result<Self> {
        let mut packs = BTreeMap::new();
        for path in pack_files(folder)? {
            let pack = Pack::open(&path)?;
            if path.file_name().is_none_or(|name| name.to_string_lossy() != file_name(pack.chunk)) {
                return Err(Error::input(&path, format!("the pack says that it holds chunk {}", pack.chunk)));
            }
            packs.insert(pack.chunk, pack);
        }
        Ok(Self(packs))
    }

    /// Whether there are packs in `folder`.
    pub fn lie_in(folder: &Path) -> Result<bool> {
        Ok(!pack_files(folder)?.is_empty())
    }

    /// The packs in the order of their chunks.
    pub fn iter(&self) -> impl Iterator<Item = &Pack> {
        self.0.values()
    }
}

impl Reader for Packs {
    fn keys(&self) -> Vec<ImageKey> {
        self.iter().flat_map(|pack| pack.files().map(|file| ImageKey::new(pack.chunk, file))).collect()
    }

    fn read(&self, key: &ImageKey) -> Result<Option<Cow<'_, [u8]>>> {
        self.0.get(&key.chunk).map_or(Ok(None), |pack| Ok(pack.get(&key.file)?.map(Cow::Borrowed)))
    }

    /// From the index: the images are not touched.
    fn check(&self, key: &ImageKey) -> Result<Option<[u8; 16]>> {
        Ok(self.0.get(&key.chunk).and_then(|pack| pack.entry(&key.file)).map(|entry| entry.check))
    }
}

/// The packs in `folder`, sorted by path.
fn pack_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).at("list", folder)? {
        let path = entry.at("list", folder)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.strip_suffix(".pack").is_some_and(|stem| chunk_number(stem).is_some()) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// What a finished pack is known by.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Sealed {
    /// Length of the file.
    pub bytes: u64,
    /// blake3 of the whole file.
    pub blake3: String,
}

/// Writes the pack of one chunk; images come sorted by file name.
#[derive(Debug)]
pub struct PackWriter {
    staged: Staged,
    path: PathBuf,
    out: BufWriter<File>,
    hasher: blake3::Hasher,
    written: u64,
    chunk: u32,
    entries: Vec<Entry>,
}

impl PackWriter {
    /// Begins the pack of `chunk` at `path`; see [`file_name`] for what it is called among others.
    pub fn create(path: &Path, chunk: u32) -> Result<Self> {
        let path = path.to_owned();
        let staged = Staged::beside(&path)?;
        let file = File::create(staged.path()).at("create", &path)?;
        let out = BufWriter::with_capacity(1 << 20, file);
        let mut writer = Self { staged, path, out, hasher: blake3::Hasher::new(), written: 0, chunk, entries: Vec::new() };
        writer.write(&pack_format::header(chunk))?;
        debug_assert_eq!(writer.written, HEADER_BYTES as u64);
        Ok(writer)
    }

    /// How many images were added.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none was added yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Ends the pack and publishes it.
    pub fn seal(mut self) -> Result<Sealed> {
        let tail = pack_format::tail(&self.entries, self.written)?;
        self.write(&tail)?;
        self.out.flush().at("write", &self.path)?;
        self.staged.publish()?;
        Ok(Sealed { bytes: self.written, blake3: self.hasher.finalize().to_hex().to_string() })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes).at("write", &self.path)?;
        self.hasher.update(bytes);
        self.written += bytes.len() as u64;
        Ok(())
    }
}

impl Writer for PackWriter {
    fn add(&mut self, key: &ImageKey, jpeg: &[u8]) -> Result<()> {
        let in_order = self.entries.last().is_none_or(|last| last.file < key.file);
        if key.chunk != self.chunk || !in_order {
            return Err(Error::usage(format!("{key} does not come next in the pack of chunk {}", self.chunk)));
        }
        let length = u32::try_from(jpeg.len()).map_err(|_| Error::usage(format!("{key} is larger than 4 GiB")))?;
        let entry = Entry { file: key.file.clone(), offset: self.written, length, check: check_of(jpeg) };
        self.write(jpeg)?;
        self.entries.push(entry);
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.seal().map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::hash;

    fn write(folder: &Path, chunk: u32, images: &[(&str, &[u8])]) -> Sealed {
        let mut writer = PackWriter::create(&folder.join(file_name(chunk)), chunk).unwrap();
        for (file, jpeg) in images {
            writer.add(&ImageKey::new(chunk, *file), jpeg).unwrap();
        }
        writer.seal().unwrap()
    }

    #[test]
    fn a_folder_of_packs_gives_back_each_image_and_knows_what_it_does_not_hold() {
        let folder = tempfile::tempdir().unwrap();
        let sealed = write(folder.path(), 10, &[("a.jpg", b"abc"), ("b.jpg", b"de")]);
        write(folder.path(), 9, &[("a.jpg", b"another")]);
        assert_eq!(sealed.blake3, hash::of_file(&folder.path().join("part10.pack")).unwrap());
        let packs = Packs::open(folder.path()).unwrap();
        assert_eq!(
            packs.keys().iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["part9/a.jpg", "part10/a.jpg", "part10/b.jpg"]
        );
        assert_eq!(packs.read(&ImageKey::new(10, "b.jpg")).unwrap().as_deref(), Some(&b"de"[..]));
        assert_eq!(packs.read(&ImageKey::new(9, "a.jpg")).unwrap().as_deref(), Some(&b"another"[..]));
        assert_eq!(packs.read(&ImageKey::new(9, "b.jpg")).unwrap(), None);
        assert_eq!(packs.read(&ImageKey::new(1, "a.jpg")).unwrap(), None);
    }

    #[test]
    fn a_flipped_image_is_named_and_its_neighbour_still_read() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), 1, &[("a.jpg", b"abc"), ("b.jpg", b"de")]);
        let path = folder.path().join("part1.pack");
        let mut bytes = fs::read(&path).unwrap();
        bytes[HEADER_BYTES] ^= 1;
        fs::write(&path, bytes).unwrap();
        let pack = Pack::open(&path).unwrap();
        assert!(pack.get("a.jpg").unwrap_err().to_string().contains("a.jpg are damaged"));
        assert_eq!(pack.get("b.jpg").unwrap(), Some(&b"de"[..]));
    }

    #[test]
    fn images_out_of_order_are_refused_and_an_unfinished_pack_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = PackWriter::create(&folder.path().join(file_name(1)), 1).unwrap();
        writer.add(&ImageKey::new(1, "b.jpg"), b"x").unwrap();
        assert!(writer.add(&ImageKey::new(1, "a.jpg"), b"x").is_err());
        assert!(writer.add(&ImageKey::new(2, "c.jpg"), b"x").is_err());
        drop(writer);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_pack_under_another_chunks_name_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), 1, &[("a.jpg", b"abc")]);
        fs::rename(folder.path().join("part1.pack"), folder.path().join("part2.pack")).unwrap();
        assert!(Packs::open(folder.path()).unwrap_err().to_string().contains("chunk 1"));
    }
}
