//! images ↔ a folder of files `part{N}/{file}`.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::container::{ImageKey, Reader, Writer, chunk_number};
use crate::error::{Error, IoContext, Result};

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
    unfinished: PathBuf,
    destination: PathBuf,
    chunks: BTreeSet<u32>,
    published: bool,
}

impl FolderWriter {
    /// Begins the folder `destination`; what lies there stays until [`Writer::finish`].
    pub fn create(destination: &Path) -> Result<Self> {
        let unfinished = unfinished(destination);
        remove(&unfinished)?;
        fs::create_dir_all(&unfinished).at("create the folder", &unfinished)?;
        Ok(Self { unfinished, destination: destination.to_owned(), chunks: BTreeSet::new(), published: false })
    }

    /// Removes what a killed writer of `destination` left. Call it only as the owner.
    pub fn remove_unfinished(destination: &Path) -> Result<()> {
        remove(&unfinished(destination))
    }
}

impl Writer for FolderWriter {
    fn add(&mut self, key: &ImageKey, jpeg: &[u8]) -> Result<()> {
        let chunk = self.unfinished.join(format!("part{}", key.chunk));
        if self.chunks.insert(key.chunk) {
            fs::create_dir(&chunk).at("create the folder", &chunk)?;
        }
        let path = chunk.join(&key.file);
        let mut file = File::create_new(&path).at("create", &path)?;
        file.write_all(jpeg).and_then(|()| file.sync_all()).at("write", &path)
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        let sync = |folder: &Path| File::open(folder).and_then(|handle| handle.sync_all()).at("flush the folder", folder);
        for chunk in &self.chunks {
            sync(&self.unfinished.join(format!("part{chunk}")))?;
        }
        sync(&self.unfinished)?;
        // A folder cannot be renamed over a full one; a kill between the two leaves none, and the next run writes it again.
        remove(&self.destination)?;
        fs::rename(&self.unfinished, &self.destination).at("publish", &self.destination)?;
        self.published = true;
        self.destination.parent().map_or(Ok(()), sync)
    }
}

impl Drop for FolderWriter {
    fn drop(&mut self) {
        if !self.published {
            // Nothing to do about a failure here: the leftover is garbage by its name and removed by the next owner.
            let _ = fs::remove_dir_all(&self.unfinished);
        }
    }
}

fn unfinished(destination: &Path) -> PathBuf {
    destination.with_file_name(format!(".{}.part", destination.file_name().unwrap_or_default().to_string_lossy()))
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).at("remove", folder),
        _ => Ok(()),
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
