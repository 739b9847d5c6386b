//! what is wrong with single inputs → `quarantine.csv`, so that one bad image never stops a million others.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::container::zip::Refused;
use crate::error::Result;
use crate::image::Fault;
use crate::store::{atomic, rows};

/// An input that was left out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Quarantined {
    /// Its chunk.
    pub chunk: u32,
    /// Its file name; empty where the whole chunk cannot be read.
    pub file: String,
    /// A stable word: `not_jpeg`, `truncated`, `corrupt`, `bad_crc`, `duplicate_name`, `unreadable_zip`, `unreadable_tar`,
    /// `unreadable_hdf5`, ...
    pub reason: String,
    /// More, for the person who reads it.
    pub detail: String,
}

impl Quarantined {
    /// A whole chunk whose archive cannot be read.
    #[must_use]
    pub fn chunk(chunk: u32, reason: &str, detail: String) -> Self {
        Self { chunk, file: String::new(), reason: reason.into(), detail }
    }

    /// An entry that the archive's reader refused.
    #[must_use]
    pub fn entry(chunk: u32, refused: Refused) -> Self {
        Self { chunk, file: refused.file, reason: refused.reason.into(), detail: refused.detail }
    }

    /// An image that cannot be decoded.
    #[must_use]
    pub fn image(chunk: u32, file: &str, fault: Fault) -> Self {
        Self { chunk, file: file.to_owned(), reason: fault.reason.word().into(), detail: fault.detail }
    }
}

/// Writes the table, sorted by chunk and file; a header alone where nothing is wrong.
pub fn write(path: &Path, entries: &[Quarantined]) -> Result<()> {
    atomic::write(path, table(entries)?.as_bytes())
}

/// The table as text.
pub fn table(entries: &[Quarantined]) -> Result<String> {
    let mut sorted: Vec<&Quarantined> = entries.iter().collect();
    sorted.sort();
    let row = |entry: &Quarantined| {
        let Quarantined { chunk, file, reason, detail } = entry.clone();
        [chunk.to_string(), file, reason, detail]
    };
    rows::csv(&["chunk", "file", "reason", "detail"], sorted.into_iter().map(row))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Reason;

    #[test]
    fn the_table_is_sorted_by_number_and_quotes_what_needs_it() {
        let entries = [
            Quarantined::chunk(10, "unreadable_zip", "no directory, no end".into()),
            Quarantined::image(9, "b.jpg", Fault::new(Reason::NotJpeg, "a PNG image")),
        ];
        assert_eq!(
            table(&entries).unwrap(),
            "chunk,file,reason,detail\n9,b.jpg,not_jpeg,a PNG image\n10,,unreadable_zip,\"no directory, no end\"\n"
        );
        assert_eq!(table(&[]).unwrap(), "chunk,file,reason,detail\n");
    }
}
