//! a dataset folder → its chunks of originals.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::container::{self, Originals, Refused, chunk_number, open_originals};
use crate::error::{Error, IoContext, Result};
use crate::preprocess::{Quarantined, Unit};

/// What the published chunks are called before `part{N}`.
const PUBLISHED: &str = "bioscan_images_original_full_";

/// What a chunk's file may end in; a folder has no ending.
const ENDINGS: [&str; 5] = ["", ".zip", ".tar", ".hdf5", ".h5"];

/// One chunk of originals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Its number, from 1.
    pub chunk: u32,
    /// Where its images lie.
    pub path: PathBuf,
}

/// The chunks in the dataset folder, by number: `bioscan_images_original_full_part{N}` or plain `part{N}`, each a ZIP as published, a
/// tar, an HDF5 file or a folder.
pub fn discover(dataset: &Path) -> Result<Vec<Source>> {
    let mut found: Vec<Source> = Vec::new();
    for entry in fs::read_dir(dataset).at("list", dataset)? {
        let path = entry.at("list", dataset)?.path();
        if let Some(chunk) = chunk_of(&path) {
            found.push(Source { chunk, path });
        }
    }
    found.sort_by(|a, b| (a.chunk, &a.path).cmp(&(b.chunk, &b.path)));
    if found.is_empty() {
        return Err(Error::input(dataset, format!("the folder holds no chunk named {PUBLISHED}part{{N}}.zip"))
            .with_help("look at `paths.dataset`; `bioscan-hpc synth` and `import` make such a folder"));
    }
    if let Some([one, other]) = found.windows(2).find(|pair| pair[0].chunk == pair[1].chunk) {
        let message = format!("chunk {} is there twice: {} and {}", one.chunk, one.path.display(), other.path.display());
        return Err(Error::usage(message).with_help("move one of the two away: which is meant cannot be known"));
    }
    Ok(found)
}

fn chunk_of(path: &Path) -> Option<u32> {
    let name = path.file_name()?.to_str()?;
    let plain = name.strip_prefix(PUBLISHED).unwrap_or(name);
    let folder = path.is_dir();
    ENDINGS.into_iter().filter(|ending| ending.is_empty() == folder).find_map(|ending| chunk_number(plain.strip_suffix(ending)?))
}

/// One chunk's originals, open.
pub struct Archive {
    chunk: u32,
    content: Content,
    files: Vec<(String, u64)>,
    fingerprint: String,
}

enum Content {
    Readable(Box<dyn Originals>),
    /// Nothing in it can be read: the word for the quarantine, and why.
    Unreadable(&'static str, String),
}

impl Archive {
    /// Opens `chunk`, one of `sources`. An archive that cannot be read at all has no files and one entry for the quarantine.
    pub fn open(sources: &[Source], chunk: u32) -> Result<Self> {
        let source = sources.iter().find(|source| source.chunk == chunk);
        let source = source.ok_or_else(|| Error::usage(format!("the dataset has no chunk {chunk}")))?;
        let (content, files) = match open_originals(&source.path, chunk) {
            Ok(originals) => {
                let files = originals.files();
                (Content::Readable(originals), files)
            }
            Err(Error::Input { message, .. }) => (Content::Unreadable(unreadable(&source.path), message), Vec::new()),
            Err(error) => return Err(error),
        };
        Ok(Self { chunk, content, files, fingerprint: container::fingerprint(&source.path)? })
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
            Content::Readable(originals) => {
                originals.refused().iter().cloned().map(|refused| Quarantined::entry(self.chunk, refused)).collect()
            }
            Content::Unreadable(reason, why) => vec![Quarantined::chunk(self.chunk, reason, why.clone())],
        }
    }

    /// The bytes of one of its files. The inner error is about this image alone; the outer one ends the command.
    pub fn read(&self, file: &str) -> Result<Result<Vec<u8>, Refused>> {
        match &self.content {
            Content::Readable(originals) => originals.read_checked(file),
            Content::Unreadable(_, why) => Err(Error::input(format!("part{}/{file}", self.chunk), why.clone())),
        }
    }
}

/// The quarantine's word for an archive of this kind that cannot be read.
fn unreadable(path: &Path) -> &'static str {
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("tar") => "unreadable_tar",
        Some("hdf5" | "h5") => "unreadable_hdf5",
        _ => "unreadable_zip",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(feature = "hdf5")]
    fn an_archive_that_cannot_be_read_is_called_what_it_is() {
        let folder = tempfile::tempdir().unwrap();
        for (chunk, name) in [(1, "part1.tar"), (2, "part2.hdf5"), (3, "part3.zip")] {
            fs::write(folder.path().join(name), b"this is no archive").unwrap();
            let refused = Archive::open(&discover(folder.path()).unwrap(), chunk).unwrap().refused();
            let kind = name.rsplit('.').next().unwrap();
            assert_eq!((refused.len(), &refused[0].reason), (1, &format!("unreadable_{kind}")), "{}", refused[0].detail);
        }
    }

    #[test]
    fn chunks_are_zips_tars_hdf5_files_or_folders_and_none_is_there_twice() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["part1.tar", "bioscan_images_original_full_part2.hdf5", "part4.rar"] {
            fs::write(folder.path().join(name), b"x").unwrap();
        }
        fs::create_dir(folder.path().join("part3")).unwrap();
        let chunks: Vec<u32> = discover(folder.path()).unwrap().iter().map(|source| source.chunk).collect();
        assert_eq!(chunks, [1, 2, 3]);
        fs::write(folder.path().join("part3.zip"), b"x").unwrap();
        assert!(discover(folder.path()).unwrap_err().to_string().contains("chunk 3 is there twice"));
    }

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
