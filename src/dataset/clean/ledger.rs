//! The ledger: JSON lines, in the order of the rows, written whole.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::dataset::record::StringRecord;
use crate::error::{Error, IoContext, Result};

/// Changed where the meaning of a ledger changes.
pub(super) const VERSION: u32 = 1;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub(super) enum Entry {
    /// The first.
    Begin {
        version: u32,
        /// [`Content`] of the table that was cleaned.
        source: String,
        /// Its columns.
        columns: Vec<String>,
        /// Columns the result has behind them, empty until a change fills them.
        added: Vec<String>,
    },
    /// A cell of the row `row` (from 1, of the table that was cleaned) got another text.
    Changed { row: u64, column: String, from: String, to: String, why: String },
    /// The row `row` is not in the result.
    Removed { row: u64, cells: Vec<String>, why: String },
    /// The last: without it the ledger is no ledger.
    End {
        /// [`Content`] of the result.
        result: String,
        rows: u64,
    },
}

impl Entry {
    /// The row it is about; none for the first and the last.
    pub fn row(&self) -> Option<u64> {
        match self {
            Self::Changed { row, .. } | Self::Removed { row, .. } => Some(*row),
            Self::Begin { .. } | Self::End { .. } => None,
        }
    }
}

/// What a table says, whatever its format: blake3 over its header and rows, each cell with its length before it.
#[derive(Clone, Debug, Default)]
pub struct Content(blake3::Hasher);

impl Content {
    /// Adds a row, or the header.
    pub fn add<'a>(&mut self, cells: impl IntoIterator<Item = &'a str>) {
        for cell in cells {
            self.0.update(&(cell.len() as u32).to_le_bytes()).update(cell.as_bytes());
        }
        // No cell is that long, so no two tables run into each other.
        self.0.update(&u32::MAX.to_le_bytes());
    }

    /// 64 hexadecimal digits.
    #[must_use]
    pub fn finish(&self) -> String {
        self.0.finalize().to_hex().to_string()
    }
}

/// Cells as [`Content`] takes them.
pub(super) fn texts(row: &StringRecord) -> impl Iterator<Item = &str> {
    row.iter()
}

/// Writes entries.
pub(super) struct Ledger<'a> {
    pub path: &'a Path,
    pub out: &'a mut BufWriter<File>,
}

impl Ledger<'_> {
    pub fn write(&mut self, entry: &Entry) -> Result<()> {
        let mut line = serde_json::to_vec(entry).map_err(|error| Error::library("serde_json", error))?;
        line.push(b'\n');
        self.out.write_all(&line).at("write", self.path)
    }
}

/// Reads entries, one ahead.
pub(super) struct Entries {
    path: PathBuf,
    lines: BufReader<File>,
    number: u64,
    next: Option<Entry>,
}

impl Entries {
    /// Opens the ledger and takes its first entry.
    pub fn open(path: &Path) -> Result<(Self, Header)> {
        let lines = BufReader::with_capacity(1 << 20, File::open(path).at("open", path)?);
        let mut entries = Self { path: path.to_owned(), lines, number: 0, next: None };
        entries.advance()?;
        let first = entries.next.take();
        entries.advance()?;
        match first {
            Some(Entry::Begin { version: VERSION, source, columns, added }) => Ok((entries, Header { source, columns, added })),
            Some(Entry::Begin { version, .. }) => {
                Err(Error::input(path, format!("a ledger of version {version}; this program reads version {VERSION}")))
            }
            _ => Err(Error::input(path, "no ledger of a cleaning: its first line is another")),
        }
    }

    fn advance(&mut self) -> Result<()> {
        let mut line = String::new();
        self.number += 1;
        if self.lines.read_line(&mut line).at("read", &self.path)? == 0 {
            self.next = None;
            return Ok(());
        }
        let entry = serde_json::from_str(&line).map_err(|error| {
            Error::input(&self.path, format!("line {}: {error}", self.number)).with_help("the ledger was torn or edited")
        })?;
        self.next = Some(entry);
        Ok(())
    }

    /// The entries about `row`, in the order in which they were made.
    pub fn of_row(&mut self, row: u64) -> Result<Vec<Entry>> {
        let mut found = Vec::new();
        while self.next.as_ref().is_some_and(|next| next.row() == Some(row)) {
            found.extend(self.next.take());
            self.advance()?;
        }
        Ok(found)
    }

    /// Whether the next entry takes `row` out.
    pub fn removes(&self, row: u64) -> bool {
        matches!(&self.next, Some(Entry::Removed { row: removed, .. }) if *removed == row)
    }

    /// The last entry's hash; anything else there means that the ledger is of another table.
    pub fn end(self) -> Result<String> {
        match self.next {
            Some(Entry::End { result, .. }) => Ok(result),
            Some(_) => Err(Error::input(&self.path, format!("line {}: about a row that the table does not have", self.number))),
            None => Err(Error::input(&self.path, "the ledger has no end: it was cut short")),
        }
    }
}

/// The content of the result that the ledger at `path` promises: its last entry's.
pub(super) fn promised(path: &Path) -> Result<String> {
    let (mut entries, _) = Entries::open(path)?;
    while entries.next.as_ref().is_some_and(|next| next.row().is_some()) {
        entries.advance()?;
    }
    entries.end()
}

/// What the first entry says.
pub(super) struct Header {
    pub source: String,
    pub columns: Vec<String>,
    pub added: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_tells_tables_apart_by_their_cells_alone() {
        let of = |rows: &[&[&str]]| {
            let mut content = Content::default();
            rows.iter().for_each(|row| content.add(row.iter().copied()));
            content.finish()
        };
        assert_eq!(of(&[&["a", "b"], &["1", "2"]]), of(&[&["a", "b"], &["1", "2"]]));
        let others: [&[&[&str]]; 4] =
            [&[&["ab"], &["1", "2"]], &[&["a", "b"], &["12"]], &[&["a", "b", "1", "2"]], &[&["a"], &["b", "1", "2"]]];
        assert!(others.iter().all(|rows| of(rows) != of(&[&["a", "b"], &["1", "2"]])));
    }
}
