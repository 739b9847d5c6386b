//! The pack on disk, in one page.
//!
//! ```text
//! header   16 bytes   magic "BHPCPACK", version u32, chunk u32
//! images              JPEG bytes as they are, back to back, sorted by file name
//! index               a table of (file name, offset u64, length u32, check 16 bytes), as `store::codec` writes it
//! footer   56 bytes   offset of the index u64, its length u64, blake3 of the index 32 bytes, magic "KCAPCPHB"
//! ```
//!
//! Integers are little endian. `check` is the first half of the image's blake3. The footer's place follows from the file's length,
//! so a file cut anywhere has no footer, and the index's hash covers every offset: after [`read_index`] no offset leads outside.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::store::codec::Format;

/// Raised with every change of this page.
const VERSION: u32 = 1;
const MAGIC: &[u8; 8] = b"BHPCPACK";
const END: &[u8; 8] = b"KCAPCPHB";
const INDEX: Format = Format { magic: *b"BHPCPIDX", version: VERSION };

/// Bytes before the first image.
pub const HEADER_BYTES: usize = 16;
const FOOTER_BYTES: usize = 56;

/// Where one image lies in its pack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its file name.
    pub file: String,
    /// Its first byte, from the start of the file.
    pub offset: u64,
    /// How many bytes.
    pub length: u32,
    /// See [`check_of`].
    pub check: [u8; 16],
}

/// What a damaged image is found by.
#[must_use]
pub fn check_of(jpeg: &[u8]) -> [u8; 16] {
    let mut check = [0; 16];
    check.copy_from_slice(&blake3::hash(jpeg).as_bytes()[..16]);
    check
}

/// The header of chunk `chunk`'s pack.
#[must_use]
pub fn header(chunk: u32) -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    bytes[12..].copy_from_slice(&chunk.to_le_bytes());
    bytes
}

/// Index and footer, to be written at `offset`.
pub fn tail(entries: &[Entry], offset: u64) -> Result<Vec<u8>> {
    let mut bytes = INDEX.encode(&entries)?;
    let (length, hash) = (bytes.len() as u64, blake3::hash(&bytes));
    bytes.extend(offset.to_le_bytes());
    bytes.extend(length.to_le_bytes());
    bytes.extend(hash.as_bytes());
    bytes.extend(END);
    Ok(bytes)
}

/// The chunk and the index of the pack in `bytes`, every offset checked; `path` is for messages alone.
pub fn read_index(bytes: &[u8], path: &Path) -> Result<(u32, Vec<Entry>)> {
    let damaged = |what: &str| Error::input(path, format!("damaged pack: {what}")).with_help(HELP);
    let header = bytes.first_chunk::<HEADER_BYTES>().filter(|header| header.starts_with(MAGIC));
    let header = header.ok_or_else(|| Error::input(path, "not a pack of images").with_help(HELP))?;
    let version = u32_at(header, 8);
    if version != VERSION {
        let message = format!("pack version {version}, but this program reads version {VERSION}");
        return Err(Error::input(path, message).with_help(HELP));
    }
    let footer_at = bytes.len().checked_sub(FOOTER_BYTES).filter(|at| *at >= HEADER_BYTES).ok_or_else(|| damaged("no footer"))?;
    let (body, footer) = bytes.split_at(footer_at);
    if !footer.ends_with(END) {
        return Err(damaged("it does not end where it should"));
    }
    let (offset, length) = (u64_at(footer, 0), u64_at(footer, 8));
    let start = usize::try_from(offset).ok().filter(|start| *start >= HEADER_BYTES && *start <= body.len());
    let start = start.ok_or_else(|| damaged("its index lies outside"))?;
    let index = &body[start..];
    if index.len() as u64 != length || blake3::hash(index).as_bytes() != &footer[16..48] {
        return Err(damaged("the hash of its index differs"));
    }
    let entries: Vec<Entry> = INDEX.decode(index, path)?;
    let inside = |entry: &Entry| entry.offset.checked_add(entry.length.into()).is_some_and(|end| end <= offset);
    if !entries.iter().all(inside) || !entries.is_sorted_by(|a, b| a.file < b.file) {
        return Err(damaged("its index contradicts itself"));
    }
    Ok((u32_at(header, 12), entries))
}

const HELP: &str = "remove it and run `bioscan-hpc preprocess` again: only this chunk is made anew";

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes[at..].first_chunk().map_or(0, |word| u32::from_le_bytes(*word))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes[at..].first_chunk().map_or(0, |word| u64::from_le_bytes(*word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pack() -> Vec<u8> {
        let entry = |file: &str, offset, jpeg: &[u8]| {
            let length = jpeg.len() as u32;
            Entry { file: file.into(), offset, length, check: check_of(jpeg) }
        };
        let entries = [entry("a.jpg", 16, b"abc"), entry("b.jpg", 19, b"de")];
        [&header(7)[..], b"abcde", &tail(&entries, 21).unwrap()].concat()
    }

    #[test]
    fn what_is_written_is_read() {
        let (chunk, entries) = read_index(&pack(), Path::new("x")).unwrap();
        assert_eq!((chunk, entries.len()), (7, 2));
        assert_eq!((entries[1].file.as_str(), entries[1].offset, entries[1].length), ("b.jpg", 19, 2));
    }

    #[test]
    fn a_pack_cut_or_flipped_anywhere_outside_its_images_is_refused() {
        let good = pack();
        for length in 0..good.len() {
            assert!(read_index(&good[..length], Path::new("x")).is_err(), "cut to {length}");
        }
        // Bytes 12..16 are the chunk, 16..21 the images: both are checked elsewhere (the manifest, each image's own check).
        for at in (0..12).chain(21..good.len()) {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert!(read_index(&bad, Path::new("x")).is_err(), "flipped at {at}");
        }
    }
}
