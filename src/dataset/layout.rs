//! The published layout of a dataset: names of chunks and their entries, and chunks written whole.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use crate::config::Paths;
use crate::error::{Error, IoContext, Result};
use crate::store::{atomic, hash};

/// The image package of photographs as the camera took them.
const PACKAGE: &str = "original_full";

/// Where chunk `number` (from 1) of the dataset in `folder` lies.
#[must_use]
pub fn chunk_path(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("bioscan_images_{PACKAGE}_part{number}.zip"))
}

/// The numbers of the chunks in `folder`, sorted: some may be missing.
pub fn chunks_in(folder: &Path) -> Result<Vec<u32>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder).at("list", folder)? {
        let name = entry.at("list", folder)?.file_name().to_string_lossy().into_owned();
        let digits = name.strip_prefix(&format!("bioscan_images_{PACKAGE}_part")).and_then(|rest| rest.strip_suffix(".zip"));
        let number = digits.and_then(|digits| digits.parse::<u32>().ok());
        numbers.extend(number.filter(|number| chunk_path(folder, *number).is_file()));
    }
    numbers.sort_unstable();
    // `part01` and `part1` are two names of one number; the path above is the second's.
    numbers.dedup();
    Ok(numbers)
}

/// What the photograph `file` is called inside chunk `number`: `bioscan/images/original_full/part{N}/{file}`.
///
/// After the published packages `original_256` and `cropped_256`; what the full-size chunks use is not documented, so that a reader
/// should go by the last part of the name.
#[must_use]
pub fn entry_name(number: u32, file: &str) -> String {
    format!("bioscan/images/{PACKAGE}/part{number}/{file}")
}

/// A chunk being written. The same entries give the same bytes: stored, with a fixed time and fixed permissions.
pub struct ChunkWriter<'a> {
    path: PathBuf,
    number: u32,
    zip: ZipWriter<&'a mut BufWriter<File>>,
}

impl ChunkWriter<'_> {
    /// Adds the photograph `file` with the JPEG bytes `jpeg`.
    pub fn add(&mut self, file: &str, jpeg: &[u8]) -> Result<()> {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(DateTime::default())
            .unix_permissions(0o644);
        self.zip.start_file(entry_name(self.number, file), options).map_err(|error| explain(&self.path, error))?;
        self.zip.write_all(jpeg).at("write", &self.path)
    }
}

/// Writes chunk `number` of the dataset in `folder`, atomically; `fill` adds its photographs.
pub fn write_chunk(folder: &Path, number: u32, fill: impl FnOnce(&mut ChunkWriter) -> Result<()>) -> Result<()> {
    let path = chunk_path(folder, number);
    atomic::write_with(&path, |out| {
        let mut writer = ChunkWriter { path: path.clone(), number, zip: ZipWriter::new(out) };
        fill(&mut writer)?;
        writer.zip.finish().map(drop).map_err(|error| explain(&path, error))
    })
}

fn explain(path: &Path, error: zip::result::ZipError) -> Error {
    match error {
        zip::result::ZipError::Io(source) => Error::Io { action: "write", path: path.to_owned(), source },
        other => Error::library("zip", format!("{}: {other}", path.display())),
    }
}

/// Says what the dataset in `folder` is made of, before anything else is written there: what is found beside an equal note is kept
/// by the next run, and a different note is an error, because chunks of two datasets must not mix.
pub fn claim<T: Serialize + DeserializeOwned + PartialEq>(folder: &Path, name: &str, settings: &T) -> Result<()> {
    let path = folder.join(name);
    let there = hash::read_sealed(&path)?.and_then(|bytes| serde_json::from_slice::<T>(&bytes).ok());
    match there {
        Some(there) if there == *settings => Ok(()),
        None if ![path.clone(), folder.join(Paths::METADATA), chunk_path(folder, 1)].iter().any(|path| path.exists()) => {
            let text = serde_json::to_string_pretty(settings).map_err(|error| Error::library("serde_json", error))?;
            hash::write_sealed(&path, text.as_bytes())
        }
        _ => Err(Error::usage(format!("{} holds another dataset, or one made with other settings", folder.display()))
            .with_help("choose another folder, or remove this one")),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn a_chunk_has_the_published_names_and_the_same_bytes_every_time() {
        let folder = tempfile::tempdir().unwrap();
        let write = || {
            write_chunk(folder.path(), 7, |chunk| chunk.add("BIOUG10000-A01.jpg", b"jpeg")).unwrap();
            std::fs::read(folder.path().join("bioscan_images_original_full_part7.zip")).unwrap()
        };
        let bytes = write();
        assert_eq!(bytes, write());
        let mut zip = zip::ZipArchive::new(std::io::Cursor::new(bytes)).unwrap();
        let mut entry = zip.by_name("bioscan/images/original_full/part7/BIOUG10000-A01.jpg").unwrap();
        let mut read = Vec::new();
        entry.read_to_end(&mut read).unwrap();
        assert_eq!((read.as_slice(), entry.compression()), (&b"jpeg"[..], CompressionMethod::Stored));
    }

    #[test]
    fn a_folder_takes_the_same_settings_again_and_no_others() {
        let folder = tempfile::tempdir().unwrap();
        claim(folder.path(), "synth.json", &1).unwrap();
        claim(folder.path(), "synth.json", &1).unwrap();
        assert!(claim(folder.path(), "synth.json", &2).unwrap_err().to_string().contains("other settings"));
        assert!(claim(folder.path(), "import.json", &1).is_ok(), "no chunk is there yet");
        std::fs::write(chunk_path(folder.path(), 1), b"").unwrap();
        assert!(claim(folder.path(), "another.json", &1).is_err());
        let real = tempfile::tempdir().unwrap();
        std::fs::write(real.path().join(Paths::METADATA), b"somebody's").unwrap();
        assert!(claim(real.path(), "synth.json", &1).is_err(), "nothing is added to a dataset that came from elsewhere");
    }
}
