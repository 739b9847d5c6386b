//! paths as people name them → their images, each under one name, in one order.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::container::{self, ImageKey, Originals, Reader, Refused, is_chunked, open_originals};
use crate::error::{Error, IoContext, Result};

/// A file that is larger is not read: no photograph is.
const LARGEST_FILE: u64 = 256 << 20;

/// An image that cannot be classified: a line of `quarantine.csv`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Refusal {
    /// Its name, as the labels have it.
    pub image: String,
    /// A stable word.
    pub reason: String,
    /// More, for the person who reads it.
    pub detail: String,
}

/// Every image of some paths: in the order of the paths, and in each by name.
pub struct Inputs {
    sources: Vec<Source>,
    items: Vec<Item>,
}

struct Source {
    /// What its images' names begin with, where there is more than one source.
    prefix: String,
    content: Content,
}

enum Content {
    /// A container that knows chunks.
    Chunks(Box<dyn Reader>),
    /// A folder of image files.
    Files(Box<dyn Originals>),
    /// One image file.
    One(PathBuf),
}

struct Item {
    source: usize,
    key: ImageKey,
}

impl Inputs {
    /// Lists what lies at `paths`: a `.zip`, `.tar`, `.hdf5` or `.h5`; a folder of packs, of tars, of `part{N}` folders or of image files;
    /// any other file is an image.
    ///
    /// # Errors
    /// An input error for a path that is not there or a container that cannot be opened.
    pub fn open(paths: &[PathBuf]) -> Result<Self> {
        let mut inputs = Self { sources: Vec::new(), items: Vec::new() };
        for path in paths {
            let prefix = if paths.len() > 1 { format!("{}/", path.display()) } else { String::new() };
            inputs.add(path, prefix)?;
        }
        Ok(inputs)
    }

    fn add(&mut self, path: &Path, prefix: String) -> Result<()> {
        if !path.exists() {
            return Err(Error::input(path, "there is no such file or folder"));
        }
        let content = match path.extension().and_then(|ending| ending.to_str()) {
            _ if path.is_dir() && !is_chunked(path)? => Content::Files(open_originals(path, 0)?),
            _ if path.is_dir() => Content::Chunks(container::open(path)?),
            Some("zip" | "tar" | "hdf5" | "h5") => Content::Chunks(container::open(path)?),
            _ => Content::One(path.to_owned()),
        };
        let (prefix, keys) = match &content {
            Content::Chunks(reader) => (prefix, reader.keys()),
            Content::Files(files) => (prefix, files.files().into_iter().map(|(file, _)| ImageKey::new(0, file)).collect()),
            // The path is the name.
            Content::One(path) => (String::new(), vec![ImageKey::new(0, path.to_string_lossy())]),
        };
        let source = self.sources.len();
        self.items.extend(keys.into_iter().map(|key| Item { source, key }));
        self.sources.push(Source { prefix, content });
        Ok(())
    }

    /// How many images there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The name of image `index`: its file, behind its chunk where it has one, behind its path where several were named. Empty beyond the
    /// last.
    #[must_use]
    pub fn name(&self, index: usize) -> String {
        self.at(index).map_or_else(String::new, |(item, source)| name_of(&source.prefix, &item.key))
    }

    /// The file name of image `index`, by which a box or a truth may know it.
    #[must_use]
    pub fn file(&self, index: usize) -> &str {
        self.at(index).map_or("", |(item, _)| item.key.file.rsplit('/').next().unwrap_or_default())
    }

    /// The bytes of image `index`. The inner error is about this image alone; the outer one ends the command.
    ///
    /// # Errors
    /// What the disk refuses.
    pub fn read(&self, index: usize) -> Result<Result<Vec<u8>, Refused>> {
        let Some((Item { key, .. }, source)) = self.at(index) else {
            return Err(Error::usage(format!("there is no image {index}")));
        };
        match &source.content {
            Content::Files(files) => files.read_checked(&key.file),
            Content::One(path) => read_file(path),
            Content::Chunks(reader) => match reader.read(key) {
                Ok(Some(bytes)) => Ok(Ok(bytes.into_owned())),
                Ok(None) => Ok(refuse(&key.file, "unreadable_entry", "it is gone from its container".into())),
                Err(Error::Input { message, .. }) => Ok(refuse(&key.file, "unreadable_entry", message)),
                Err(error) => Err(error),
            },
        }
    }

    /// What is known to be no image before anything is read, sorted.
    #[must_use]
    pub fn refused(&self) -> Vec<Refusal> {
        let of = |source: &Source| {
            let refused = match &source.content {
                Content::Chunks(reader) => reader.refused(),
                Content::Files(files) => files.refused(),
                Content::One(_) => &[],
            };
            let named = |refused: &Refused| refused_as(format!("{}{}", source.prefix, refused.file), refused.clone());
            refused.iter().map(named).collect::<Vec<_>>()
        };
        let mut refused: Vec<Refusal> = self.sources.iter().flat_map(of).collect();
        refused.sort();
        refused
    }

    fn at(&self, index: usize) -> Option<(&Item, &Source)> {
        let item = self.items.get(index)?;
        Some((item, self.sources.get(item.source)?))
    }
}

/// The refusal of the image called `image`.
pub(super) fn refused_as(image: String, refused: Refused) -> Refusal {
    Refusal { image, reason: refused.reason.into(), detail: refused.detail }
}

fn name_of(prefix: &str, key: &ImageKey) -> String {
    if key.chunk == 0 { format!("{prefix}{}", key.file) } else { format!("{prefix}{key}") }
}

fn read_file(path: &Path) -> Result<Result<Vec<u8>, Refused>> {
    let name = path.to_string_lossy();
    let mut bytes = Vec::new();
    match File::open(path).and_then(|file| file.take(LARGEST_FILE + 1).read_to_end(&mut bytes)) {
        Ok(_) if bytes.len() as u64 > LARGEST_FILE => {
            Ok(refuse(&name, "too_large", format!("more than the {LARGEST_FILE} bytes that are read at most")))
        }
        Ok(_) => Ok(Ok(bytes)),
        Err(error) if matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::NotFound) => {
            Ok(refuse(&name, "unreadable_file", error.to_string()))
        }
        Err(error) => Err(error).at("read", path),
    }
}

fn refuse(file: &str, reason: &'static str, detail: String) -> Result<Vec<u8>, Refused> {
    Err(Refused { file: file.to_owned(), reason, detail })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn names(inputs: &Inputs) -> Vec<String> {
        (0..inputs.len()).map(|index| inputs.name(index)).collect()
    }

    #[test]
    fn folders_of_files_and_of_parts_and_single_files_have_their_own_names() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for file in ["plain/b.jpg", "plain/a.jpg", "parts/part2/a.jpg", "parts/part10/c.jpg", "one.jpg"] {
            fs::create_dir_all(at(file).parent().unwrap()).unwrap();
            fs::write(at(file), file).unwrap();
        }
        assert_eq!(names(&Inputs::open(&[at("plain")]).unwrap()), ["a.jpg", "b.jpg"]);
        let parts = Inputs::open(&[at("parts")]).unwrap();
        assert_eq!(names(&parts), ["part2/a.jpg", "part10/c.jpg"]);
        assert_eq!((parts.file(1), parts.read(1).unwrap().unwrap()), ("c.jpg", b"parts/part10/c.jpg".to_vec()));
        let several = Inputs::open(&[at("one.jpg"), at("plain")]).unwrap();
        let (one, plain) = (at("one.jpg").display().to_string(), at("plain").display().to_string());
        assert_eq!(names(&several), [one, format!("{plain}/a.jpg"), format!("{plain}/b.jpg")]);
        assert_eq!(several.file(0), "one.jpg");
        assert!(Inputs::open(&[at("none.jpg")]).is_err());
    }

    #[test]
    fn what_vanishes_or_is_no_file_is_refused_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("inner")).unwrap();
        fs::write(folder.path().join("a.jpg"), b"x").unwrap();
        let inputs = Inputs::open(&[folder.path().to_owned()]).unwrap();
        assert_eq!(inputs.refused()[0].reason, "not_a_file");
        fs::remove_file(folder.path().join("a.jpg")).unwrap();
        assert_eq!(inputs.read(0).unwrap().unwrap_err().reason, "unreadable_file");
    }
}
