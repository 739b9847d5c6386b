//! A ledger followed forwards and backwards.

use std::path::Path;

use crate::dataset::clean::ledger::{Content, Entries, Entry, promised};
use crate::dataset::clean::run::{are_distinct, content_of};
use crate::dataset::record::{Columns, StringRecord};
use crate::dataset::table::{self, WriteRows};
use crate::error::{Error, Result};

/// Makes the changes of `ledger` to the table `from` it is about, and writes `to`. Returns the rows written.
pub fn replay(from: &Path, ledger: &Path, to: &Path) -> Result<u64> {
    are_distinct(&[from, ledger, to])?;
    let (mut entries, header) = Entries::open(ledger)?;
    if content_of(from)? != header.source {
        return Err(Error::input(from, "is not the table that the ledger is about"));
    }
    let mut table = table::open(from)?;
    let names: Vec<String> = header.columns.iter().chain(&header.added).cloned().collect();
    let columns = Columns::new(ledger, names.clone())?;
    table::write(to, &names, |out| {
        let mut written = Written::new(out, &names);
        table::for_each(table.as_mut(), |number, row, _| {
            let mut cells: Vec<String> = row.iter().map(str::to_owned).collect();
            cells.resize(names.len(), String::new());
            for entry in entries.of_row(u64::from(number) + 1)? {
                match entry {
                    Entry::Changed { column, to, .. } => set(&columns, &mut cells, &column, to)?,
                    _ => return Ok(()),
                }
            }
            written.row(cells)
        })?;
        written.is(&entries.end()?, ledger)
    })
}

/// Takes the changes of `ledger` back from its result `from`, and writes the table it was made of to `to`. Returns the rows written.
pub fn reverse(from: &Path, ledger: &Path, to: &Path) -> Result<u64> {
    are_distinct(&[from, ledger, to])?;
    if content_of(from)? != promised(ledger)? {
        return Err(Error::input(from, "is not the result that the ledger is about"));
    }
    let (mut entries, header) = Entries::open(ledger)?;
    let mut table = table::open(from)?;
    let columns = table.columns().clone();
    let names = header.columns;
    table::write(to, &names, |out| {
        let mut written = Written::new(out, &names);
        let mut number = 1;
        table::for_each(table.as_mut(), |_, row, _| {
            number = put_back(&mut entries, number, &mut written)?;
            let mut cells: Vec<String> = row.iter().map(str::to_owned).collect();
            for entry in entries.of_row(number)?.into_iter().rev() {
                if let Entry::Changed { column, from, .. } = entry {
                    set(&columns, &mut cells, &column, from)?;
                }
            }
            cells.truncate(names.len());
            number += 1;
            written.row(cells)
        })?;
        put_back(&mut entries, number, &mut written)?;
        entries.end()?;
        written.is(&header.source, ledger)
    })
}

/// Writes the rows that were removed from `number` on, and returns the number of the next that was not.
fn put_back(entries: &mut Entries, mut number: u64, written: &mut Written) -> Result<u64> {
    while entries.removes(number) {
        for entry in entries.of_row(number)? {
            if let Entry::Removed { cells, .. } = entry {
                written.row(cells)?;
            }
        }
        number += 1;
    }
    Ok(number)
}

fn set(columns: &Columns, cells: &mut [String], column: &str, text: String) -> Result<()> {
    let index = columns.require(column)?.0;
    cells.get_mut(index).into_iter().for_each(|cell| *cell = text.clone());
    Ok(())
}

/// A table being written, with the content that it has so far.
struct Written<'a> {
    out: &'a mut dyn WriteRows,
    content: Content,
    rows: u64,
}

impl<'a> Written<'a> {
    fn new(out: &'a mut dyn WriteRows, names: &[String]) -> Self {
        let mut content = Content::default();
        content.add(names.iter().map(String::as_str));
        Self { out, content, rows: 0 }
    }

    fn row(&mut self, cells: Vec<String>) -> Result<()> {
        self.content.add(cells.iter().map(String::as_str));
        self.rows += 1;
        self.out.write(&StringRecord::from(cells))
    }

    /// Checks that what was written is what should have been.
    fn is(&self, expected: &str, ledger: &Path) -> Result<u64> {
        if self.content.finish() != expected {
            return Err(Error::input(ledger, "does not lead to the table it promises: it was edited"));
        }
        Ok(self.rows)
    }
}
