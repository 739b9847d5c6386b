//! a path → its images by place, whatever they lie in.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::comm;
use crate::container::{
    self, ImageKey, Originals, Packs, Reader, TarImages, chunk_number, is_about_the_file, open_originals, read_photograph,
};
use crate::dataset::layout::{chunk_path, chunks_in};
use crate::error::{Error, IoContext, Result};

/// Images that can be read from any thread, each at a place as [`crate::dataset::place`] names it.
pub struct Shelf(Kind);

enum Kind {
    /// One container of prepared images, or a folder of packs or tars.
    Container { reader: Box<dyn Reader>, places: BTreeMap<String, ImageKey> },
    /// A folder with the published chunks of originals.
    Chunks { chunks: BTreeMap<u32, Box<dyn Originals>>, places: BTreeMap<String, (u32, String)> },
    /// A folder of folders: of `part{N}`, or as BIOSCAN-5M is published.
    Tree { root: PathBuf, places: Vec<String> },
}

impl Shelf {
    /// Opens what lies at `path`: a ZIP, an HDF5, a tar; a folder of packs, tars, `part{N}` folders or published chunks; and any other folder,
    /// whose files are found however deep they lie.
    pub fn open(path: &Path) -> Result<Self> {
        if path.is_dir() {
            let numbers = chunks_in(path)?;
            if !numbers.is_empty() {
                return Self::chunks(path, &numbers);
            }
            if !Packs::lie_in(path)? && !TarImages::lie_in(path)? {
                return Self::tree(path);
            }
        }
        let reader = container::open(path)?;
        let name = |key: &ImageKey| if key.chunk == 0 { key.file.clone() } else { key.to_string() };
        let places = reader.keys().into_iter().map(|key| (name(&key), key)).collect();
        Ok(Self(Kind::Container { reader, places }))
    }

    fn tree(root: &Path) -> Result<Self> {
        let mut tree = Tree::default();
        tree.list(root, "")?;
        // Beside `part{N}` folders nothing is an image of theirs.
        let of_a_part = |place: &String| place.split_once('/').is_some_and(|(part, _)| chunk_number(part).is_some());
        if tree.places.iter().any(of_a_part) {
            tree.places.retain(of_a_part);
        }
        if tree.places.is_empty() {
            return Err(Error::input(root, "the folder holds no images"));
        }
        tree.places.sort();
        Ok(Self(Kind::Tree { root: root.to_owned(), places: tree.places }))
    }

    fn chunks(folder: &Path, numbers: &[u32]) -> Result<Self> {
        let (mut chunks, mut places) = (BTreeMap::new(), BTreeMap::new());
        for &number in numbers {
            let originals = match open_originals(&chunk_path(folder, number), number) {
                Ok(originals) => originals,
                // One chunk beyond reading hides no fault of the others; its own images count as missing.
                Err(Error::Input { path, message, .. }) => {
                    warn(&path, &message);
                    continue;
                }
                Err(error) => return Err(error),
            };
            let named = |(file, _): (String, u64)| (ImageKey::new(number, &*file).to_string(), (number, file));
            places.extend(originals.files().into_iter().map(named));
            chunks.insert(number, originals);
        }
        Ok(Self(Kind::Chunks { chunks, places }))
    }

    /// Every place, sorted.
    #[must_use]
    pub fn places(&self) -> Vec<&str> {
        match &self.0 {
            Kind::Container { places, .. } => places.keys().map(String::as_str).collect(),
            Kind::Chunks { places, .. } => places.keys().map(String::as_str).collect(),
            Kind::Tree { places, .. } => places.iter().map(String::as_str).collect(),
        }
    }

    /// The bytes at `place`; `Err` within says why they cannot be had.
    pub fn read(&self, place: &str) -> Result<Result<Vec<u8>, String>> {
        let absent = || Ok(Err("missing".to_owned()));
        match &self.0 {
            Kind::Container { reader, places } => match places.get(place).map(|key| reader.read(key)) {
                None | Some(Ok(None)) => absent(),
                Some(Ok(Some(bytes))) => Ok(Ok(bytes.into_owned())),
                Some(Err(Error::Input { message, .. })) => Ok(Err(message)),
                Some(Err(error)) => Err(error),
            },
            Kind::Chunks { chunks, places } => {
                let found = places.get(place).and_then(|(chunk, file)| Some((chunks.get(chunk)?, file)));
                let Some((originals, file)) = found else { return absent() };
                Ok(originals.read_checked(file)?.map_err(|refused| refused.detail))
            }
            Kind::Tree { root, .. } => {
                let path = root.join(place);
                // To open a pipe would be to wait for ever.
                match fs::metadata(&path) {
                    Ok(found) if !found.is_file() => Ok(Err("not a file".to_owned())),
                    _ => Ok(read_photograph(&path)?.map_err(|(_, detail)| detail)),
                }
            }
        }
    }
}

/// The files below a folder, being listed.
#[derive(Default)]
struct Tree {
    places: Vec<String>,
    /// Device and inode of the folders above: a link that leads back to one would be followed for ever.
    above: Vec<(u64, u64)>,
}

impl Tree {
    /// Adds the files below `folder`, each with its place; names that begin with a dot are not images, and a link counts as what
    /// it leads to.
    fn list(&mut self, folder: &Path, place: &str) -> Result<()> {
        for entry in fs::read_dir(folder).at("list", folder)? {
            let entry = entry.at("list", folder)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') {
                continue;
            }
            let place = if place.is_empty() { name } else { format!("{place}/{name}") };
            match fs::metadata(entry.path()) {
                Ok(found) if found.is_dir() => self.descend(&entry.path(), place, (found.dev(), found.ino()))?,
                // A link that leads nowhere is found again when it is read.
                _ => self.places.push(place),
            }
        }
        Ok(())
    }

    fn descend(&mut self, folder: &Path, place: String, itself: (u64, u64)) -> Result<()> {
        if self.above.contains(&itself) {
            return Ok(());
        }
        self.above.push(itself);
        let listed = self.list(folder, &place);
        self.above.pop();
        match listed {
            Err(Error::Io { source, .. }) if is_about_the_file(&source) => {
                warn(folder, &source.to_string());
                Ok(())
            }
            listed => listed,
        }
    }
}

/// Says what is left out, once for all ranks.
fn warn(path: &Path, message: &str) {
    if comm::speaks_for_all() {
        tracing::warn!("{}: {message}; its images count as missing", path.display());
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::dataset::layout::write_chunk;

    #[test]
    fn a_missing_or_broken_chunk_hides_no_other() {
        let folder = tempfile::tempdir().unwrap();
        for number in [2, 4, 11] {
            write_chunk(folder.path(), number, |chunk| chunk.add("a.jpg", b"jpeg")).unwrap();
        }
        fs::write(chunk_path(folder.path(), 3), b"no ZIP").unwrap();
        let shelf = Shelf::open(folder.path()).unwrap();
        assert_eq!(shelf.places(), ["part11/a.jpg", "part2/a.jpg", "part4/a.jpg"]);
        assert_eq!(shelf.read("part4/a.jpg").unwrap().unwrap(), b"jpeg");
    }

    #[test]
    fn an_odd_file_is_a_fault_of_its_own() {
        for parts in [["part1", "part2"], ["train", "val"]] {
            let folder = tempfile::tempdir().unwrap();
            let [first, second] = parts.map(|part| folder.path().join(part));
            fs::create_dir(&first).unwrap();
            fs::write(first.join("a.jpg"), b"jpeg").unwrap();
            symlink("nowhere", first.join("b.jpg")).unwrap();
            fs::File::create(first.join("c.jpg")).unwrap().set_len(1 << 40).unwrap();
            let kind = rustix::fs::FileType::Fifo;
            rustix::fs::mknodat(rustix::fs::CWD, first.join("d.jpg"), kind, 0o644.into(), 0).unwrap();
            // Another folder, linked; and a link that leads back up.
            symlink(&first, &second).unwrap();
            symlink(folder.path(), first.join("up")).unwrap();
            let shelf = Shelf::open(folder.path()).unwrap();
            let places = ["a", "b", "c", "d"].map(|name| format!("{}/{name}.jpg", parts[1]));
            assert!(places.iter().all(|place| shelf.places().contains(&place.as_str())), "{:?}", shelf.places());
            assert!(shelf.places().iter().all(|place| place.split('/').count() <= 4), "{:?}", shelf.places());
            let read = places.map(|place| shelf.read(&place).unwrap());
            assert_eq!(read[0].as_deref(), Ok(&b"jpeg"[..]));
            assert!(read[1].as_ref().unwrap_err().contains("No such file"), "{read:?}");
            assert!(read[2].as_ref().unwrap_err().contains("bytes that are read at most"), "{read:?}");
            assert_eq!(read[3].as_ref().unwrap_err(), "not a file");
        }
    }
}
