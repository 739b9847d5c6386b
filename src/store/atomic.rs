//! bytes → a file, or a folder of files, that appears whole or not at all.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, IoContext, Result};

/// Ending of files that are still being written; a leftover one is garbage by definition.
const UNFINISHED: &str = "part";

/// A file being written beside its final place. Dropping it without [`Staged::publish`] removes it.
#[derive(Debug)]
pub struct Staged {
    unfinished: PathBuf,
    destination: PathBuf,
    published: bool,
}

impl Staged {
    /// Reserves a place beside `destination`, making its folder where needed.
    pub fn beside(destination: &Path) -> Result<Self> {
        let folder = folder_of(destination);
        fs::create_dir_all(folder).at("create the folder", folder)?;
        let unfinished = hidden(destination, &format!("{}.{UNFINISHED}", std::process::id()))?;
        Ok(Self { unfinished, destination: destination.to_owned(), published: false })
    }

    /// Where to write: for libraries that want a path (HDF5).
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.unfinished
    }

    /// Makes what was written durable and visible under its final name.
    pub fn publish(mut self) -> Result<()> {
        publish(&self.unfinished, &self.destination)?;
        self.published = true;
        Ok(())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.published {
            // Nothing to do about a failure here: the leftover is garbage by its name and removed by the next owner.
            let _ = fs::remove_file(&self.unfinished);
        }
    }
}

/// A folder being filled beside its final place. Dropping it without [`StagedFolder::publish`] removes it.
#[derive(Debug)]
pub struct StagedFolder {
    unfinished: PathBuf,
    destination: PathBuf,
    published: bool,
}

impl StagedFolder {
    /// Begins an empty folder beside `destination`; what lies there stays until [`StagedFolder::publish`].
    pub fn beside(destination: &Path) -> Result<Self> {
        let unfinished = hidden(destination, UNFINISHED)?;
        remove_folder(&unfinished)?;
        fs::create_dir_all(&unfinished).at("create the folder", &unfinished)?;
        Ok(Self { unfinished, destination: destination.to_owned(), published: false })
    }

    /// Where to write.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.unfinished
    }

    /// Makes the folder visible under its final name, in place of what lies there; the files in it are durable already, and the
    /// folders `inner`, and it, become so.
    pub fn publish(mut self, inner: impl IntoIterator<Item = PathBuf>) -> Result<()> {
        inner.into_iter().try_for_each(|folder| sync_folder(&folder))?;
        sync_folder(&self.unfinished)?;
        // A folder cannot be renamed over a full one. A kill between the two leaves none, and never a part of the old one.
        let old = hidden(&self.destination, &format!("old.{UNFINISHED}"))?;
        remove_folder(&old)?;
        match fs::rename(&self.destination, &old) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error).at("move", &self.destination),
            _ => fs::rename(&self.unfinished, &self.destination).at("publish", &self.destination)?,
        }
        self.published = true;
        sync_folder(folder_of(&self.destination))?;
        remove_folder(&old)
    }
}

impl Drop for StagedFolder {
    fn drop(&mut self) {
        if !self.published {
            // As with a file.
            let _ = fs::remove_dir_all(&self.unfinished);
        }
    }
}

fn remove_folder(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).at("remove", folder),
        _ => Ok(()),
    }
}

/// The hidden name of `path` with `ending`.
fn hidden(path: &Path, ending: &str) -> Result<PathBuf> {
    let name = path.file_name().ok_or_else(|| Error::usage(format!("{} names no file", path.display())))?;
    Ok(path.with_file_name(format!(".{}.{ending}", name.to_string_lossy())))
}

/// Makes the file `unfinished` durable and visible as `destination`, on the same file system.
pub fn publish(unfinished: &Path, destination: &Path) -> Result<()> {
    File::open(unfinished).and_then(|file| file.sync_all()).at("flush", unfinished)?;
    fs::rename(unfinished, destination).at("publish", destination)?;
    sync_folder(folder_of(destination))
}

/// Writes `bytes` to `path`, atomically and durably.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    write_with(path, |out| out.write_all(bytes).at("write", path))
}

/// Lets `fill` write to `path` through a buffer, atomically and durably.
pub fn write_with(path: &Path, fill: impl FnOnce(&mut BufWriter<File>) -> Result<()>) -> Result<()> {
    let staged = Staged::beside(path)?;
    let mut out = BufWriter::with_capacity(1 << 20, File::create(staged.path()).at("create", staged.path())?);
    fill(&mut out)?;
    out.flush().at("write", path)?;
    staged.publish()
}

/// Removes the file `path`, durably; it may be gone already.
pub fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Ok(()) => sync_folder(folder_of(path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).at("remove", path),
    }
}

/// Removes what killed writers left in `folder` (not below it), files and folders. Call it only as the folder's owner.
pub fn remove_unfinished(folder: &Path) -> Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(folder).at("list", folder)? {
        let path = entry.at("list", folder)?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if name.starts_with('.') && name.ends_with(&format!(".{UNFINISHED}")) {
            if path.symlink_metadata().is_ok_and(|found| found.is_dir()) {
                remove_folder(&path)?
            } else {
                remove(&path)?
            }
            tracing::debug!(path = %path.display(), "removed what was not finished");
        }
    }
    Ok(())
}

/// The folder a path lies in; `.` for a bare name.
fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A rename is durable only once the folder that holds the name is.
fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder).and_then(|handle| handle.sync_all()).at("flush the folder", folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table.csv");
        write(&path, b"old").unwrap();
        let failed = write_with(&path, |out| {
            out.write_all(b"half").unwrap();
            Err(Error::usage("stop"))
        });
        assert!(failed.is_err());
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["table.csv"]);
    }

    #[test]
    fn the_next_owner_removes_what_a_killed_writer_left_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        for name in [".table.csv.17.part", "kept.part", ".kept"] {
            fs::write(folder.path().join(name), b"x").unwrap();
        }
        for name in [".folder.part", ".folder.old.part"] {
            fs::create_dir_all(folder.path().join(name).join("part1")).unwrap();
        }
        remove_unfinished(folder.path()).unwrap();
        assert_eq!(names(folder.path()), [".kept", "kept.part"]);
    }

    #[test]
    fn a_folder_is_what_it_was_until_its_successor_is_whole() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("webdataset");
        let begin = |text: &str| {
            let staged = StagedFolder::beside(&path).unwrap();
            fs::write(staged.path().join("a.tar"), text).unwrap();
            staged
        };
        begin("old").publish([]).unwrap();
        let new = begin("new");
        assert_eq!(fs::read(path.join("a.tar")).unwrap(), b"old");
        new.publish([]).unwrap();
        assert_eq!(fs::read(path.join("a.tar")).unwrap(), b"new");
        drop(begin("never"));
        assert_eq!(names(root.path()), ["webdataset"]);
    }
}
