//! images → a ZIP archive with the published entry names, `bioscan/images/{package}/part{N}/{file}`.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use zip::result::ZipError;
use zip::write::{PreparedZipFile, SimpleFileOptions};
use zip::{CompressionMethod, DateTime};

use crate::container::{ImageKey, Writer};
use crate::error::{Error, IoContext, Result};
use crate::store::atomic::Staged;

/// Writes an archive: entries stored as they are, every time 1980-01-01, ZIP64 records where the sizes need them.
pub struct ZipWriter {
    staged: Staged,
    archive: zip::ZipWriter<BufWriter<File>>,
    package: String,
    destination: PathBuf,
}

impl ZipWriter {
    /// Begins the archive of `package` at `destination`.
    pub fn create(destination: &Path, package: &str) -> Result<Self> {
        let staged = Staged::beside(destination)?;
        let file = File::create(staged.path()).at("create", staged.path())?;
        let archive = zip::ZipWriter::new(BufWriter::with_capacity(1 << 20, file));
        Ok(Self { staged, archive, package: package.to_owned(), destination: destination.to_owned() })
    }

    fn refused(destination: &Path, error: ZipError) -> Error {
        match error {
            ZipError::Io(source) => Error::Io { action: "write", path: destination.to_owned(), source },
            other => Error::library("zip", other),
        }
    }
}

impl Writer for ZipWriter {
    fn add(&mut self, key: &ImageKey, jpeg: &[u8]) -> Result<()> {
        let name = format!("bioscan/images/{}/part{}/{}", self.package, key.chunk, key.file);
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(DateTime::default())
            .unix_permissions(0o644);
        PreparedZipFile::from_data(name, options, jpeg)
            .and_then(|entry| self.archive.add_prepared_file(entry))
            .map_err(|error| Self::refused(&self.destination, error))
    }

    fn finish(self: Box<Self>) -> Result<()> {
        let out = self.archive.finish().map_err(|error| Self::refused(&self.destination, error))?;
        out.into_inner().map_err(io::IntoInnerError::into_error).at("write", &self.destination)?;
        self.staged.publish()
    }
}
