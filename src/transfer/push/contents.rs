//! a file → the hashes by which either kind of store knows it; and the reader that hashes again what really goes out.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use md5::{Digest, Md5};
use sha1::Sha1;
use sha2::Sha256;

use crate::transfer::push::files::LocalFile;
use crate::transfer::push::tries::Fault;

/// What a file holds, and how it goes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Contents {
    /// 64 hexadecimal digits.
    pub sha256: String,
    /// The name git gives the same bytes: 40 hexadecimal digits.
    pub git: String,
    /// The MD5 of each part; one part for a small or an empty file.
    pub parts: Vec<[u8; 16]>,
    /// Bytes of a part; the last may be shorter.
    pub part: u64,
    /// The first bytes, at most 512.
    pub beginning: Vec<u8>,
}

impl Contents {
    /// Reads all of `file`, to be sent in parts of `part` bytes if it is longer than one; in memory that does not grow with it.
    pub fn of(file: &LocalFile, part: u64) -> Result<Self, Fault> {
        let failed = |error: io::Error| Fault::Failed(format!("cannot read it here: {error}"));
        let mut source = File::open(&file.path).map_err(failed)?;
        let (mut sha256, mut git) = (Sha256::new(), Sha1::default());
        // Git hashes a header with the bytes.
        sha1::Digest::update(&mut git, format!("blob {}\0", file.bytes));
        let (mut parts, mut beginning, mut buffer) = (Vec::new(), Vec::new(), vec![0; 1 << 20]);
        let mut left = file.bytes;
        loop {
            let (mut md5, mut in_part) = (Md5::new(), part.min(left));
            left -= in_part;
            while in_part > 0 {
                let most = usize::try_from(in_part).unwrap_or(usize::MAX).min(buffer.len());
                let count = source.read(buffer.get_mut(..most).unwrap_or_default()).map_err(failed)?;
                let piece = buffer.get(..count).unwrap_or_default();
                if piece.is_empty() {
                    return Err(shorter());
                }
                if beginning.len() < 512 {
                    beginning.extend(piece.iter().take(512 - beginning.len()));
                }
                md5.update(piece);
                sha256.update(piece);
                sha1::Digest::update(&mut git, piece);
                in_part -= count as u64;
            }
            parts.push(md5.finalize().into());
            if left == 0 {
                break;
            }
        }
        if !file.unchanged() {
            return Err(in_between());
        }
        let git = hex(&sha1::Digest::finalize(git));
        Ok(Self { sha256: hex(&sha256.finalize()), git, parts, part, beginning })
    }

    /// The `ETag` that S3 gives such an object: the MD5 of its bytes, or that of its parts' MD5s with their number.
    pub fn etag(&self) -> String {
        match &self.parts[..] {
            [whole] => hex(whole),
            parts => {
                let mut all = Md5::new();
                parts.iter().for_each(|part| all.update(part));
                format!("{}-{}", hex(&all.finalize()), parts.len())
            }
        }
    }
}

/// Hexadecimal digits, as everybody writes hashes.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Why a file that was written to meanwhile is not sent.
pub(super) fn in_between() -> Fault {
    Fault::Failed("it changed while it was being sent; nothing vouches for what arrived".into())
}

fn shorter() -> Fault {
    Fault::Failed("it became shorter while it was read".into())
}

/// Some bytes of a file on their way out; hashes what passes.
pub(super) struct Slice {
    source: io::Take<File>,
    left: u64,
    md5: Md5,
}

impl Slice {
    /// `bytes` of `file`, from the byte `from` on.
    pub fn open(file: &LocalFile, from: u64, bytes: u64) -> Result<Self, Fault> {
        let open = || {
            let mut source = File::open(&file.path)?;
            source.seek(SeekFrom::Start(from))?;
            Ok(source.take(bytes))
        };
        let source = open().map_err(|error: io::Error| Fault::Failed(format!("cannot read it here: {error}")))?;
        Ok(Self { source, left: bytes, md5: Md5::new() })
    }

    /// The MD5 of what went out; a fault where that was not all.
    pub fn finish(self) -> Result<[u8; 16], Fault> {
        if self.left > 0 { Err(shorter()) } else { Ok(self.md5.finalize().into()) }
    }
}

impl Read for Slice {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        if count == 0 && self.left > 0 && !buffer.is_empty() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter"));
        }
        self.md5.update(buffer.get(..count).unwrap_or_default());
        self.left -= count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer::push::files::files;

    fn of(bytes: &[u8], part: u64) -> Contents {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("x"), bytes).unwrap();
        let (found, _) = files(folder.path()).unwrap();
        let mut slice = Slice::open(&found[0], 1, 2).unwrap();
        if bytes.len() > 2 {
            assert_eq!(io::read_to_string(&mut slice).unwrap().as_bytes(), &bytes[1..3]);
            assert_eq!(hex(&slice.finish().unwrap()), "5360af35bde9ebd8f01f492dc059593c", "the MD5 of bc");
        } else {
            assert!(slice.finish().is_err());
        }
        Contents::of(&found[0], part).unwrap()
    }

    #[test]
    fn abc_has_the_names_that_others_give_it() {
        let whole = of(b"abc", 5);
        assert_eq!(whole.etag(), "900150983cd24fb0d6963f7d28e17f72");
        // `printf abc | git hash-object --stdin`
        assert_eq!(whole.git, "f2ba8f84ab5c1bce84a7b441cb1959cfc7093b7f");
        assert!(whole.sha256.starts_with("ba7816bf"));
        assert_eq!(whole.beginning, b"abc");
        // Two parts, `ab` and `c`: `(printf ab | md5sum; printf c | md5sum)`, their bytes hashed again.
        let two = of(b"abc", 2);
        assert_eq!(
            two.parts.iter().map(|part| hex(part)).collect::<Vec<_>>(),
            ["187ef4436122d1cc2f40dc2b92f0eba0", "4a8a08f09d37b73795649038408b5f33"]
        );
        assert_eq!(two.etag(), "d833159094d1d7ad96ffcc78414e3682-2");
    }

    #[test]
    fn an_empty_file_is_one_empty_part() {
        let empty = of(b"", 5);
        assert_eq!((empty.parts.len(), empty.etag().as_str()), (1, "d41d8cd98f00b204e9800998ecf8427e"));
        // `git hash-object /dev/null`
        assert_eq!(empty.git, "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
    }
}
