//! A ZIP as any reader sees it.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Its entries in their order: the name in the archive, and the bytes.
pub fn entries(path: &Path) -> Vec<(String, Vec<u8>)> {
    let mut zip = zip::ZipArchive::new(File::open(path).unwrap()).unwrap();
    let entries = zip.len();
    let read = |index| {
        let mut entry = zip.by_index(index).unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        (entry.name().unwrap().into_owned(), bytes)
    };
    (0..entries).map(read).collect()
}
