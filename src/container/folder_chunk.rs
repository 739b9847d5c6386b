//! a folder of image files → the originals of one chunk.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::container::entry_names::Listing;
use crate::container::{Originals, Refused};
use crate::error::{IoContext, Result};
use crate::store::hash;

/// A file that is larger is not read: no photograph is.
const LARGEST_FILE: u64 = 256 << 20;

/// The files of one folder, listed once.
#[derive(Debug)]
pub(super) struct FolderChunk {
    folder: PathBuf,
    files: BTreeMap<String, u64>,
    refused: Vec<Refused>,
}

impl FolderChunk {
    /// Lists the folder. Names that begin with a dot are not images; a folder inside is refused by name, since its files are not read.
    pub(super) fn open(folder: PathBuf) -> Result<Self> {
        let mut listing = Listing::new(Some(0));
        for (name, found) in list(&folder)? {
            match found {
                Ok(found) if found.is_file() => listing.add(name, 1, found.len()),
                Ok(_) => listing.refuse(name, "not_a_file", "a folder or a device among the images; what is in it is not read"),
                Err(error) => listing.refuse(name, "unreadable_file", error.to_string()),
            }
        }
        let (images, refused) = listing.finish();
        Ok(Self { folder, files: images.into_iter().map(|(key, bytes)| (key.file, bytes)).collect(), refused })
    }
}

impl Originals for FolderChunk {
    fn files(&self) -> Vec<(String, u64)> {
        self.files.iter().map(|(file, bytes)| (file.clone(), *bytes)).collect()
    }

    fn read_checked(&self, file: &str) -> Result<Result<Vec<u8>, Refused>> {
        let read = read_photograph(&self.folder.join(file))?;
        Ok(read.map_err(|(reason, detail)| Refused { file: file.to_owned(), reason, detail }))
    }

    fn refused(&self) -> &[Refused] {
        &self.refused
    }

    fn fingerprint(&self) -> Result<String> {
        fingerprint(&self.folder)
    }
}

/// The bytes of a file that should be a photograph. The inner error is about this file alone: its reason and what is said of it.
pub(crate) fn read_photograph(path: &Path) -> Result<Result<Vec<u8>, (&'static str, String)>> {
    let mut bytes = Vec::new();
    match fs::File::open(path).and_then(|file| file.take(LARGEST_FILE + 1).read_to_end(&mut bytes)) {
        Ok(_) if bytes.len() as u64 > LARGEST_FILE => {
            Ok(Err(("too_large", format!("more than the {LARGEST_FILE} bytes that are read at most"))))
        }
        Ok(_) => Ok(Ok(bytes)),
        Err(error) if is_about_the_file(&error) => Ok(Err(("unreadable_file", error.to_string()))),
        Err(error) => Err(error).at("read", path),
    }
}

/// Whether an error concerns one file, not the disk.
pub(crate) fn is_about_the_file(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::NotFound | io::ErrorKind::IsADirectory)
}

/// Every name that begins with no dot, with what lies there; a link counts as what it leads to.
fn list(folder: &Path) -> Result<Vec<(String, io::Result<Metadata>)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).at("list", folder)? {
        let entry = entry.at("list", folder)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') {
            found.push((name, fs::metadata(entry.path())));
        }
    }
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(found)
}

/// blake3 over the names, lengths and times of change of the folder's files.
pub(super) fn fingerprint(folder: &Path) -> Result<String> {
    let line = |(name, found): &(String, io::Result<Metadata>)| match found {
        Ok(found) => format!("{} {} {name}\n", found.len(), time_of(found)),
        Err(_) => format!("unreadable {name}\n"),
    };
    Ok(hash::of_bytes(list(folder)?.iter().map(line).collect::<String>().as_bytes()))
}

/// When the file at `path` was last written, in nanoseconds.
pub(super) fn changed(path: &Path) -> Result<i128> {
    Ok(time_of(&fs::metadata(path).at("look at", path)?))
}

fn time_of(found: &Metadata) -> i128 {
    i128::from(found.mtime()) * 1_000_000_000 + i128::from(found.mtime_nsec())
}
