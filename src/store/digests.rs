//! a file → the hashes that others publish of theirs: MD5 and SHA-256. For what this program vouches for itself there is [`super::hash`].

use std::fs::File;
use std::io::Read;
use std::path::Path;

use md5::{Digest, Md5};
use sha2::Sha256;

use crate::error::{IoContext, Result};

/// What a file was found to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digests {
    /// Its length.
    pub bytes: u64,
    /// 32 hexadecimal digits.
    pub md5: String,
    /// 64 hexadecimal digits.
    pub sha256: String,
}

/// Reads the whole file at `path`, in memory that does not grow with it.
pub fn of_file(path: &Path) -> Result<Digests> {
    let mut file = File::open(path).at("open", path)?;
    let (mut md5, mut sha256, mut buffer, mut bytes) = (Md5::new(), Sha256::new(), vec![0; 1 << 20], 0);
    loop {
        let count = file.read(&mut buffer).at("read", path)?;
        let piece = buffer.get(..count).unwrap_or_default();
        if piece.is_empty() {
            let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            return Ok(Digests { bytes, md5: hex(&md5.finalize()), sha256: hex(&sha256.finalize()) });
        }
        md5.update(piece);
        sha256.update(piece);
        bytes += count as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn abc_has_the_digests_of_the_standards() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("abc");
        std::fs::write(&path, b"abc").unwrap();
        let found = of_file(&path).unwrap();
        // The examples of RFC 1321 and FIPS 180-2.
        assert_eq!((found.bytes, found.md5.as_str()), (3, "900150983cd24fb0d6963f7d28e17f72"));
        assert_eq!(found.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
