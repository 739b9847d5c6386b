//! entries ↔ an append-only file of JSON lines.
//!
//! A line counts once its newline is there. One that was torn by a crash is ignored, and so does not stop those behind it.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, IoContext, Result};

/// Adds `entry` to the journal at `path`, making it and its folder where needed; durable when this returns.
///
/// Call it only as the owner of the folder: two writers could tear each other's lines.
pub fn append<T: Serialize>(path: &Path, entry: &T) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).at("create the folder", folder)?;
    }
    let mut line = serde_json::to_vec(entry).map_err(|error| Error::library("serde_json", error))?;
    line.push(b'\n');
    let mut file = OpenOptions::new().read(true).append(true).create(true).open(path).at("open", path)?;
    if ends_torn(&mut file).at("read", path)? {
        line.insert(0, b'\n');
    }
    file.write_all(&line).and_then(|()| file.sync_all()).at("write", path)
}

/// All whole entries of the journal at `path`, in their order; none where there is no such file.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).at("read", path),
    };
    let parse = |(number, line): (usize, &[u8])| match serde_json::from_slice(line) {
        Ok(entry) => Some(entry),
        Err(error) if !line.is_empty() => {
            tracing::warn!(
                "{}, line {}: passed over, because it is torn or of another version ({error})",
                path.display(),
                number + 1
            );
            None
        }
        Err(_) => None,
    };
    Ok(bytes.split(|byte| *byte == b'\n').enumerate().filter_map(parse).collect())
}

fn ends_torn(file: &mut fs::File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != [b'\n'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_line_is_ignored_and_what_is_written_behind_it_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/journal.jsonl");
        assert!(read::<u32>(&path).unwrap().is_empty());
        append(&path, &[1, 2]).unwrap();
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"[3,").unwrap();
        assert_eq!(read::<[u32; 2]>(&path).unwrap(), [[1, 2]]);
        append(&path, &[4, 5]).unwrap();
        assert_eq!(read::<[u32; 2]>(&path).unwrap(), [[1, 2], [4, 5]]);
    }
}
