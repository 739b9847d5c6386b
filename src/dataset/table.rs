//! TSV, CSV or JSON-LD by extension → rows as a stream, and back.
//!
//! A format is one [`ReadRows`] and one [`WriteRows`]; [`open`] and [`write`] choose by the extension.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use crate::dataset::jsonld;
use crate::dataset::record::{Columns, StringRecord};
use crate::error::{Error, IoContext, Result};
use crate::store::atomic;

/// A table being read.
pub trait ReadRows {
    /// Its header.
    fn columns(&self) -> &Columns;

    /// Reads the next row into `row`, whose memory is used again; `false` at the end. Every row has one cell a column.
    fn read(&mut self, row: &mut StringRecord) -> Result<bool>;

    /// Where the row read last begins: `line 17`, `object 16`.
    fn place(&self) -> String;
}

/// A table being written.
pub trait WriteRows {
    /// Writes the next row.
    fn write(&mut self, row: &StringRecord) -> Result<()>;

    /// Writes what comes behind the last row.
    fn finish(&mut self) -> Result<()>;
}

#[derive(Clone, Copy, PartialEq)]
enum Format {
    Delimited(u8),
    JsonLd,
}

impl Format {
    fn of(path: &Path) -> Result<Self> {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("tsv") => Ok(Self::Delimited(b'\t')),
            Some("csv") => Ok(Self::Delimited(b',')),
            Some("jsonld" | "json") => Ok(Self::JsonLd),
            _ => {
                Err(Error::input(path, "a table of unknown format")
                    .with_help("its name must end in .tsv, .csv, .jsonld or .json"))
            }
        }
    }
}

/// Opens the table at `path`.
pub fn open(path: &Path) -> Result<Box<dyn ReadRows>> {
    let format = Format::of(path)?;
    let file = File::open(path).at("open", path)?;
    Ok(match format {
        Format::Delimited(delimiter) => Box::new(Delimited::open(path, file, delimiter)?),
        Format::JsonLd => Box::new(jsonld::Reader::open(path, file)?),
    })
}

/// Hands every row of `table` to `visit`, with its 0-based number and the row's place for messages.
pub fn for_each(
    table: &mut dyn ReadRows,
    mut visit: impl FnMut(u32, &StringRecord, &dyn Fn() -> String) -> Result<()>,
) -> Result<()> {
    let mut row = StringRecord::new();
    let mut number = 0;
    while table.read(&mut row)? {
        visit(number, &row, &|| table.place())?;
        number += 1;
    }
    Ok(())
}

/// Writes a table with the given header to `path`, atomically; `fill` gets the writer.
pub fn write(path: &Path, columns: &[String], fill: impl FnOnce(&mut dyn WriteRows) -> Result<()>) -> Result<()> {
    let format = Format::of(path)?;
    atomic::write_with(path, |out| {
        let mut writer: Box<dyn WriteRows + '_> = match format {
            Format::Delimited(delimiter) => Box::new(DelimitedWriter::new(path, out, delimiter, columns)?),
            Format::JsonLd => Box::new(jsonld::Writer::new(path, out, columns)),
        };
        fill(writer.as_mut())?;
        writer.finish()
    })
}

/// Rewrites the table `from` in the format that the extension of `to` names; returns the number of rows.
pub fn convert(from: &Path, to: &Path) -> Result<u64> {
    let mut table = open(from)?;
    let columns = table.columns().names().to_vec();
    let mut rows = 0;
    write(to, &columns, |out| {
        for_each(table.as_mut(), |_, row, _| {
            rows += 1;
            out.write(row)
        })
    })?;
    Ok(rows)
}

/// Tab- or comma-separated text with a header line, quoted where needed.
struct Delimited {
    path: std::path::PathBuf,
    columns: Columns,
    reader: csv::Reader<File>,
    line: u64,
}

impl Delimited {
    fn open(path: &Path, file: File, delimiter: u8) -> Result<Self> {
        let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).buffer_capacity(1 << 20).from_reader(file);
        let header = reader.headers().map_err(|error| explain(path, error))?;
        if header.is_empty() {
            return Err(Error::input(path, "the table is empty").with_help("its first line must name the columns"));
        }
        // Excel begins its files with a byte-order mark, which would make the first column unfindable.
        let names = header.iter().map(|name| name.trim_start_matches('\u{feff}').to_owned()).collect();
        Ok(Self { path: path.to_owned(), columns: Columns::new(path, names)?, reader, line: 1 })
    }
}

impl ReadRows for Delimited {
    fn columns(&self) -> &Columns {
        &self.columns
    }

    fn read(&mut self, row: &mut StringRecord) -> Result<bool> {
        let more = self.reader.read_record(row).map_err(|error| explain(&self.path, error))?;
        self.line = row.position().map_or(self.line, csv::Position::line);
        Ok(more)
    }

    fn place(&self) -> String {
        format!("line {}", self.line)
    }
}

/// Names the line and what is wrong with it, in the words of a table.
fn explain(path: &Path, error: csv::Error) -> Error {
    let line = error.position().map(|position| format!("line {}: ", position.line())).unwrap_or_default();
    match error.into_kind() {
        csv::ErrorKind::Io(source) => Error::Io { action: "read", path: path.to_owned(), source },
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            Error::input(path, format!("{line}{len} cells, but the header names {expected_len} columns"))
                .with_help("a cell may hold a stray separator or a quotation mark that is never closed")
        }
        csv::ErrorKind::Utf8 { err, .. } => Error::input(path, format!("{line}column {} is not UTF-8 text", err.field() + 1)),
        other => Error::input(path, format!("{line}{other:?}")),
    }
}

struct DelimitedWriter<'a> {
    path: std::path::PathBuf,
    out: csv::Writer<&'a mut BufWriter<File>>,
}

impl<'a> DelimitedWriter<'a> {
    fn new(path: &Path, out: &'a mut BufWriter<File>, delimiter: u8, columns: &[String]) -> Result<Self> {
        let out = csv::WriterBuilder::new().delimiter(delimiter).buffer_capacity(1 << 16).from_writer(out);
        let mut writer = Self { path: path.to_owned(), out };
        writer.write(&columns.iter().collect())?;
        Ok(writer)
    }
}

impl WriteRows for DelimitedWriter<'_> {
    fn write(&mut self, row: &StringRecord) -> Result<()> {
        self.out.write_record(row).map_err(|error| match error.into_kind() {
            csv::ErrorKind::Io(source) => Error::Io { action: "write", path: self.path.clone(), source },
            other => Error::input(&self.path, format!("cannot be written: {other:?}")),
        })
    }

    fn finish(&mut self) -> Result<()> {
        self.out.flush().and_then(|()| self.out.get_ref().get_ref().flush()).at("write", &self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(path: &Path) -> Result<Vec<StringRecord>> {
        let mut rows = Vec::new();
        for_each(open(path)?.as_mut(), |_, row, _| {
            rows.push(row.clone());
            Ok(())
        })?;
        Ok(rows)
    }

    fn file(name: &str, text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        (folder, path)
    }

    #[test]
    fn the_extension_chooses_the_separator_and_unknown_columns_are_kept() {
        let (_folder, tabs) = file("m.tsv", "image_file\tweight, mg\na.jpg\t1,5\n");
        assert_eq!(open(&tabs).unwrap().columns().names(), ["image_file", "weight, mg"]);
        assert_eq!(rows(&tabs).unwrap(), [vec!["a.jpg", "1,5"]]);
        let (_folder, commas) = file("m.csv", "\u{feff}file,label\n\"a,b.jpg\",\"say \"\"x\"\"\"\n");
        assert!(open(&commas).unwrap().columns().find("file").is_some());
        assert_eq!(rows(&commas).unwrap(), [vec!["a,b.jpg", "say \"x\""]]);
    }

    #[test]
    fn a_ragged_row_is_named_by_its_line() {
        let (_folder, path) = file("m.tsv", "a\tb\n1\t2\n3\n");
        let error = rows(&path).unwrap_err().to_string();
        assert!(error.ends_with("m.tsv: line 3: 1 cells, but the header names 2 columns"), "{error}");
    }

    #[test]
    fn what_is_no_text_and_what_has_no_format_is_said_so() {
        let (_folder, path) = file("m.xls", "");
        assert!(open(&path).err().unwrap().help().unwrap().contains(".jsonld"));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.tsv");
        std::fs::write(&path, b"a\tb\n1\t\xff\n").unwrap();
        assert!(rows(&path).unwrap_err().to_string().contains("line 2: column 2 is not UTF-8 text"));
        std::fs::write(&path, b"").unwrap();
        assert!(open(&path).err().unwrap().to_string().contains("the table is empty"));
    }
}
