//! a path → a file that any thread reads at a place of its own, and behind its end what a reader put there.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use crate::error::{IoContext, Result};

/// One open file; a clone shares it and reads at its own position. A failing disk is an error here; under a memory map it would be a
/// signal.
#[derive(Clone, Debug)]
pub(super) struct SharedFile {
    file: Arc<File>,
    /// Bytes of the file.
    length: u64,
    /// What follows them: nothing, or the directory that a salvaged archive lacks.
    tail: Arc<[u8]>,
    position: u64,
}

impl SharedFile {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).at("open", path)?;
        let length = file.metadata().at("look at", path)?.len();
        Ok(Self { file: Arc::new(file), length, tail: Arc::from([]), position: 0 })
    }

    /// The same file with `tail` behind its end.
    pub(super) fn with_tail(&self, tail: Vec<u8>) -> Self {
        Self { tail: tail.into(), position: 0, ..self.clone() }
    }

    /// Bytes of the file alone.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// A reader of its own that stands at `position`.
    pub(super) fn from(&self, position: u64) -> Self {
        Self { position, ..self.clone() }
    }

    /// The `length` bytes at `position`; `None` where the file ends before.
    pub(super) fn bytes_at(&self, position: u64, length: usize) -> io::Result<Option<Vec<u8>>> {
        if position.checked_add(length as u64).is_none_or(|end| end > self.length) {
            return Ok(None);
        }
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, position).map(|()| Some(bytes))
    }
}

impl Read for SharedFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match self.position.checked_sub(self.length) {
            // The file may end early: somebody cut it after it was opened.
            None => {
                let most = usize::try_from(self.length - self.position).map_or(buffer.len(), |left| left.min(buffer.len()));
                self.file.read_at(&mut buffer[..most], self.position)?
            }
            Some(behind) => {
                let rest = usize::try_from(behind).ok().and_then(|behind| self.tail.get(behind..)).unwrap_or_default();
                let most = rest.len().min(buffer.len());
                buffer[..most].copy_from_slice(&rest[..most]);
                most
            }
        };
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for SharedFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let end = self.length + self.tail.len() as u64;
        let place = match to {
            SeekFrom::Start(place) => Some(place),
            SeekFrom::End(by) => end.checked_add_signed(by),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
        };
        self.position = place.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_is_read_as_if_the_file_went_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, b"abc").unwrap();
        let file = SharedFile::open(&path).unwrap();
        let mut longer = file.with_tail(b"de".to_vec());
        let mut text = String::new();
        longer.read_to_string(&mut text).unwrap();
        assert_eq!((text.as_str(), longer.seek(SeekFrom::End(-1)).unwrap()), ("abcde", 4));
        assert_eq!(
            (longer.length(), longer.bytes_at(1, 2).unwrap(), longer.bytes_at(1, 3).unwrap()),
            (3, Some(b"bc".to_vec()), None)
        );
        let mut beyond = longer.from(u64::MAX);
        assert_eq!(beyond.read(&mut [0; 4]).unwrap(), 0);
    }
}
