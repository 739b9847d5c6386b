//! a dataset folder → its chunks of originals.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::container::zip::{self, Refused};
use crate::container::{ImageKey, ZipImages};
use crate::error::{Error, IoContext, Result};
use crate::preprocess::{Quarantined, Unit};

/// What a chunk is called before and after its number.
const CHUNK_NAME: (&str, &str) = ("bioscan_images_original_full_part", ".zip");

/// One chunk of originals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Its number, from 1.
    pub chunk: u32,
    /// The archive.
    pub path: PathBuf,
    /// Length of the archive.
    pub bytes: u64,
}

/// The chunks in the dataset folder, by number.
pub fn discover(dataset: &Path) -> Result<Vec<Source>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dataset).at("list", dataset)? {
        let path = entry.at("list", dataset)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if let Some(chunk) = chunk_of(&name) {
            let bytes = fs::metadata(&path).at("look at", &path)?.len();
            found.push(Source { chunk, path, bytes });
        }
    }
    if found.is_empty() {
        let (before, after) = CHUNK_NAME;
        return Err(Error::input(dataset, format!("the folder holds no chunk named {before}{{N}}{after}"))
            .with_help("look at `paths.dataset`; `bioscan-hpc synth` and `import` make such a folder"));
    }
    found.sort_by_key(|source| source.chunk);
    Ok(found)
}

fn chunk_of(name: &str) -> Option<u32> {
    let digits = name.strip_prefix(CHUNK_NAME.0)?.strip_suffix(CHUNK_NAME.1)?;
    let number = digits.parse().ok()?;
    (u32::to_string(&number) == digits).then_some(number)
}

/// One chunk's originals, open.
pub struct Archive {
    chunk: u32,
    content: Content,
    files: Vec<(String, u64)>,
    fingerprint: String,
}

enum Content {
    Whole(ZipImages),
    /// Why nothing in it can be read.
    Unreadable(String),
}

impl Archive {
    /// Opens `chunk`, one of `sources`. An archive that cannot be read as a whole has no files and one entry for the quarantine.
    pub fn open(sources: &[Source], chunk: u32) -> Result<Self> {
        let source = sources.iter().find(|source| source.chunk == chunk);
        let source = source.ok_or_else(|| Error::usage(format!("the dataset has no chunk {chunk}")))?;
        let (content, files) = match ZipImages::open_chunk(&source.path, chunk) {
            Ok(images) => {
                let files = images.files();
                (Content::Whole(images), files)
            }
            Err(Error::Input { message, .. }) => (Content::Unreadable(message), Vec::new()),
            Err(error) => return Err(error),
        };
        Ok(Self { chunk, content, files, fingerprint: zip::fingerprint(&source.path)? })
    }

    /// Its number.
    #[must_use]
    pub fn chunk(&self) -> u32 {
        self.chunk
    }

    /// blake3 that tells this archive from another.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Its files in sorted order, with their stored lengths.
    #[must_use]
    pub fn files(&self) -> &[(String, u64)] {
        &self.files
    }

    /// Those of `unit`.
    pub fn files_of(&self, unit: &Unit) -> Result<&[(String, u64)]> {
        let files = self.files.get(unit.first..unit.first + unit.count).filter(|_| self.files.len() == unit.of);
        files.ok_or_else(|| {
            Error::input(format!("chunk {}", self.chunk), "the archive changed while it was read")
                .with_help("run the same command again")
        })
    }

    /// What in it cannot be used, known from its directory.
    #[must_use]
    pub fn refused(&self) -> Vec<Quarantined> {
        match &self.content {
            Content::Whole(images) => {
                images.refused().iter().cloned().map(|refused| Quarantined::entry(self.chunk, refused)).collect()
            }
            Content::Unreadable(why) => vec![Quarantined::chunk(self.chunk, why.clone())],
        }
    }

    /// The bytes of one of its files. The inner error is about this image alone; the outer one ends the command.
    pub fn read(&self, file: &str) -> Result<Result<Vec<u8>, Refused>> {
        let key = ImageKey::new(self.chunk, file);
        match &self.content {
            Content::Whole(images) => images.read_checked(&key)?,
            Content::Unreadable(_) => None,
        }
        .ok_or_else(|| Error::input(key.to_string(), "listed in the archive, but not in it"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_chunks_are_found_and_by_number() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["part10.zip", "part2.zip", "part02.zip", "part3.zip.tmp", "partx.zip"] {
            fs::write(folder.path().join(format!("bioscan_images_original_full_{name}")), b"x").unwrap();
        }
        let chunks: Vec<u32> = discover(folder.path()).unwrap().iter().map(|source| source.chunk).collect();
        assert_eq!(chunks, [2, 10]);
        let empty = tempfile::tempdir().unwrap();
        assert!(discover(empty.path()).unwrap_err().help().unwrap().contains("paths.dataset"));
    }
}
