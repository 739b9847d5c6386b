//! bytes → blake3, and files sealed by it.
//!
//! A sealed file `x` is vouched for by `x.blake3`, written before it: the file counts only while the two agree, so neither a crash
//! between the two writes nor a later flip of a bit can pass for a finished result.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{IoContext, Result};
use crate::store::atomic;

/// The blake3 of `bytes`, 64 hexadecimal digits.
#[must_use]
pub fn of_bytes(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

/// The blake3 of a file's bytes, 64 hexadecimal digits; in memory that does not grow with the file.
pub fn of_file(path: &Path) -> Result<String> {
    let mut hasher = blake3::Hasher::new();
    let file = fs::File::open(path).at("open", path)?;
    hasher.update_reader(file).at("read", path)?;
    Ok(hasher.finalize().to_hex().to_string())
}

/// Writes `bytes` to `path` with its seal beside it, the seal first.
pub fn write_sealed(path: &Path, bytes: &[u8]) -> Result<()> {
    seal(path, &of_bytes(bytes))?;
    atomic::write(path, bytes)
}

/// Writes the seal of a file that will have this blake3.
pub fn seal(path: &Path, blake3: &str) -> Result<()> {
    atomic::write(&seal_of(path), format!("{blake3}\n").as_bytes())
}

/// The bytes of a sealed file; `None` where the file or its seal is missing or the two disagree.
pub fn read_sealed(path: &Path) -> Result<Option<Vec<u8>>> {
    let (Some(bytes), Some(seal)) = (read_if_there(path)?, read_if_there(&seal_of(path))?) else {
        return Ok(None);
    };
    Ok((String::from_utf8_lossy(&seal).trim() == of_bytes(&bytes)).then_some(bytes))
}

/// Where the seal of `path` lies: the same name with `.blake3` behind it.
#[must_use]
pub fn seal_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".blake3");
    PathBuf::from(name)
}

fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).at("read", path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_file_counts_only_while_its_seal_agrees() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.json");
        assert_eq!(read_sealed(&path).unwrap(), None);
        write_sealed(&path, b"{}").unwrap();
        assert_eq!(read_sealed(&path).unwrap().as_deref(), Some(&b"{}"[..]));
        fs::write(&path, b"{ }").unwrap();
        assert_eq!(read_sealed(&path).unwrap(), None);
        fs::remove_file(seal_of(&path)).unwrap();
        assert_eq!(read_sealed(&path).unwrap(), None);
    }

    #[test]
    fn a_file_hashes_as_its_bytes_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        fs::write(&path, b"abc").unwrap();
        assert_eq!(of_file(&path).unwrap(), of_bytes(b"abc"));
        assert_eq!(of_bytes(b"abc"), "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85");
    }
}
