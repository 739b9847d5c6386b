//! images ↔ a folder of files `part{N}/{file}`.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::container::{ImageKey, Reader, Writer, chunk_number};
use crate::error::{Error, IoContext, Result};
use crate::store::atomic::StagedFolder;

/// A folder of `part{N}` folders, its names read once.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    chunks: BTreeMap<u32, BTreeSet<String>>,
}

impl Folder {
    /// Lists the folder; names that begin with a dot are not images.
    pub fn open(root: &Path) -> Result<Self> {
        let mut chunks = BTreeMap::new();
        for name in names(root)? {
            let path = root.join(&name);
            if let Some(chunk) = chunk_number(&name).filter(|_| path.is_dir()) {
                chunks.insert(chunk, names(&path)?);
            }
        }
        if chunks.is_empty() {
            return Err(Error::input(root, "the folder holds neither packs nor tars nor part{N} folders"));
        }
        Ok(Self { root: root.to_owned(), chunks })
    }
}

impl Reader for Folder {
    fn keys(&self) -> Vec<ImageKey> {
        self.chunks.iter().flat_map(|(chunk, files)| files.iter().map(|file| ImageKey::new(*chunk, file))).collect()
    }

    fn read(&self, key: &ImageKey) -> Result<Option<Cow<'_, [u8]>>> {
        if !self.chunks.get(&key.chunk).is_some_and(|files| files.contains(&key.file)) {
            return Ok(None);
        }
        let path = self.root.join(format!("part{}", key.chunk)).join(&key.file);
        Ok(Some(Cow::Owned(fs::read(&path).at("read", &path)?)))
    }
}

/// Whether there is a `part{N}` folder in `root`.
pub(super) fn has_chunks(root: &Path) -> Result<bool> {
    Ok(names(root)?.iter().any(|name| chunk_number(name).is_some() && root.join(name).is_dir()))
}

fn names(folder: &Path) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(folder).at("list", folder)? {
        let name = entry.at("list", folder)?.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') {
            names.insert(name);
        }
    }
    Ok(names)
}

/// Writes `part{N}/{file}` under a folder that becomes visible as a whole.
#[derive(Debug)]
pub struct FolderWriter {
    staged: StagedFolder,
    chunks: BTreeSet<u32>,
}

impl FolderWriter {
    /// Begins the folder `destination`; what lies there stays until [`Writer::finish`].
    pub fn create(destination: &Path) -> Result<Self> {
        Ok(Self { staged: StagedFolder::beside(destination)?, chunks: BTreeSet::new() })
    }

    fn chunk(&self, chunk: u32) -> PathBuf {
        self.staged.path().join(format!("part{chunk}"))
    }
}

impl Writer for FolderWriter {
    fn add(&mut self, key: &ImageKey, jpeg: &[u8]) -> Result<()> {
        let chunk = self.chunk(key.chunk);
        if self.chunks.insert(key.chunk) {
            fs::create_dir(&chunk).at("create the folder", &chunk)?;
        }
        let path = chunk.join(&key.file);
        let mut file = File::create_new(&path).at("create", &path)?;
        file.write_all(jpeg).and_then(|()| file.sync_all()).at("write", &path)
    }

    fn finish(self: Box<Self>) -> Result<()> {
        let chunks: Vec<PathBuf> = self.chunks.iter().map(|chunk| self.chunk(*chunk)).collect();
        self.staged.publish(chunks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_appears_whole_replaces_the_old_one_and_reads_back() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("folder");
        for bytes in [b"old", b"new"] {
            let mut writer = Box::new(FolderWriter::create(&path).unwrap());
            writer.add(&ImageKey::new(3, "a.jpg"), bytes).unwrap();
            writer.finish().unwrap();
        }
        let folder = Folder::open(&path).unwrap();
        assert_eq!(folder.keys(), [ImageKey::new(3, "a.jpg")]);
        assert_eq!(folder.read(&ImageKey::new(3, "a.jpg")).unwrap().as_deref(), Some(&b"new"[..]));
        assert_eq!(folder.read(&ImageKey::new(3, "../part3/a.jpg")).unwrap(), None);
        assert_eq!(names(root.path()).unwrap().len(), 1);
    }
}
