//! a path → its images by place, whatever they lie in.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::container::{self, ImageKey, Originals, Reader, open_originals};
use crate::dataset::layout::chunk_path;
use crate::error::{Error, IoContext, Result};

/// Chunks looked for in a folder of published ZIPs, beyond which there are none.
const MOST_CHUNKS: u32 = 100_000;

/// Images that can be read from any thread, each at a place as [`crate::dataset::place`] names it.
pub struct Shelf(Kind);

enum Kind {
    /// One container of prepared images, or a folder of them.
    Container { reader: Box<dyn Reader>, places: BTreeMap<String, ImageKey> },
    /// A folder with the published chunks of originals.
    Chunks { chunks: BTreeMap<u32, Box<dyn Originals>>, places: BTreeMap<String, (u32, String)> },
    /// A folder of folders, as BIOSCAN-5M is published.
    Tree { root: PathBuf, places: Vec<String> },
}

impl Shelf {
    /// Opens what lies at `path`: a ZIP, an HDF5, a tar; a folder of packs, tars, `part{N}` folders or published chunks; and any other folder,
    /// whose files are found however deep they lie.
    pub fn open(path: &Path) -> Result<Self> {
        if path.is_dir() && chunk_path(path, 1).is_file() {
            return Self::chunks(path);
        }
        match container::open(path) {
            Ok(reader) => {
                let name = |key: &ImageKey| if key.chunk == 0 { key.file.clone() } else { key.to_string() };
                let places = reader.keys().into_iter().map(|key| (name(&key), key)).collect();
                Ok(Self(Kind::Container { reader, places }))
            }
            Err(Error::Input { .. }) if path.is_dir() => {
                let mut places = Vec::new();
                list(path, "", &mut places)?;
                if places.is_empty() {
                    return Err(Error::input(path, "the folder holds no images"));
                }
                places.sort();
                Ok(Self(Kind::Tree { root: path.to_owned(), places }))
            }
            Err(error) => Err(error),
        }
    }

    fn chunks(folder: &Path) -> Result<Self> {
        let (mut chunks, mut places) = (BTreeMap::new(), BTreeMap::new());
        for number in (1..MOST_CHUNKS).take_while(|number| chunk_path(folder, *number).is_file()) {
            let originals = open_originals(&chunk_path(folder, number), number)?;
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
                Ok(Ok(fs::read(&path).at("read", &path)?))
            }
        }
    }
}

/// Adds the files below `folder`, each with its place; names that begin with a dot are not images.
fn list(folder: &Path, place: &str, places: &mut Vec<String>) -> Result<()> {
    for entry in fs::read_dir(folder).at("list", folder)? {
        let entry = entry.at("list", folder)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        let place = if place.is_empty() { name } else { format!("{place}/{name}") };
        if entry.file_type().at("look at", entry.path())?.is_dir() {
            list(&entry.path(), &place, places)?;
        } else {
            places.push(place);
        }
    }
    Ok(())
}
