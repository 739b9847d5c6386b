//! what is wrong with single inputs → `quarantine.csv`, so that one bad image never stops a million others.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::container::zip::Refused;
use crate::error::{Error, Result};
use crate::image::Fault;
use crate::store::atomic;

/// An input that was left out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Quarantined {
    /// Its chunk.
    pub chunk: u32,
    /// Its file name; empty where the whole chunk cannot be read.
    pub file: String,
    /// A stable word: `not_jpeg`, `truncated`, `corrupt`, `bad_crc`, `duplicate_name`, `unreadable_zip`, ...
    pub reason: String,
    /// More, for the person who reads it.
    pub detail: String,
}

impl Quarantined {
    /// A whole chunk that is no ZIP archive any more.
    #[must_use]
    pub fn chunk(chunk: u32, detail: String) -> Self {
        Self { chunk, file: String::new(), reason: "unreadable_zip".into(), detail }
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
    let refused = |error: &dyn std::fmt::Display| Error::library("csv", error);
    let mut out = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
    out.write_record(["chunk", "file", "reason", "detail"]).map_err(|error| refused(&error))?;
    for entry in sorted {
        out.serialize(entry).map_err(|error| refused(&error))?;
    }
    let bytes = out.into_inner().map_err(|error| refused(&error))?;
    String::from_utf8(bytes).map_err(|error| refused(&error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Reason;

    #[test]
    fn the_table_is_sorted_by_number_and_quotes_what_needs_it() {
        let entries = [
            Quarantined::chunk(10, "no directory, no end".into()),
            Quarantined::image(9, "b.jpg", Fault::new(Reason::NotJpeg, "a PNG image")),
        ];
        assert_eq!(
            table(&entries).unwrap(),
            "chunk,file,reason,detail\n9,b.jpg,not_jpeg,a PNG image\n10,,unreadable_zip,\"no directory, no end\"\n"
        );
        assert_eq!(table(&[]).unwrap(), "chunk,file,reason,detail\n");
    }
}
