//! Tab- or comma-separated text with a header line ↔ rows, quoted where needed.
//!
//! A row longer than [`LONGEST_ROW`] is refused while it is read: an unclosed quotation mark would otherwise swallow the rest of the file.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::comm;
use crate::dataset::record::{Columns, StringRecord};
use crate::dataset::table::{LONGEST_ROW, ReadRows, WriteRows};
use crate::error::{Error, IoContext, Result};

/// Bytes read from the file at a time.
const BUFFER: u64 = 1 << 20;

/// What a quotation mark at the beginning of a cell means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Quoting {
    /// The cell ends with the next single one; two stand for one. So pandas and the published files have it.
    #[default]
    Standard,
    /// Nothing: a separator always separates. So BOLD exports its tables.
    Off,
}

/// A table being read.
pub(in crate::dataset) struct Delimited {
    path: PathBuf,
    columns: Columns,
    reader: csv::Reader<Bounded>,
    delimiter: u8,
    quoting: Quoting,
    /// Where the row read last begins, at first the header.
    line: u64,
    byte: u64,
}

impl Delimited {
    /// Reads the header of `file`.
    pub(in crate::dataset) fn open(path: &Path, file: File, delimiter: u8, quoting: Quoting) -> Result<Self> {
        let bounded = Bounded { file, given: 0, allowed: LONGEST_ROW, last: b'\n' };
        let mut builder = csv::ReaderBuilder::new();
        builder.delimiter(delimiter).quoting(quoting == Quoting::Standard).buffer_capacity(BUFFER as usize);
        let mut reader = builder.from_reader(bounded);
        let header = reader.headers().map_err(|error| explain(path, 1, &[], false, error))?;
        if header.is_empty() {
            return Err(Error::input(path, "the table is empty").with_help("its first line must name the columns"));
        }
        // Excel begins its files with a byte-order mark, which would make the first column unfindable.
        let names: Vec<String> = header.iter().map(|name| name.trim_start_matches('\u{feff}').to_owned()).collect();
        if let Some(index) = names.iter().position(|name| name.contains(['\n', '\r'])) {
            let message = format!("line 1: the name of column {} goes over the line's end", index + 1);
            return Err(
                Error::input(path, message).with_help("a quotation mark may never be closed (--no-quotes reads them as text)")
            );
        }
        let columns = Columns::new(path, names)?;
        Ok(Self { path: path.to_owned(), columns, reader, delimiter, quoting, line: 1, byte: 0 })
    }
}

impl ReadRows for Delimited {
    fn columns(&self) -> &Columns {
        &self.columns
    }

    fn read(&mut self, row: &mut StringRecord) -> Result<bool> {
        let start = self.reader.position();
        let (line, byte) = (start.line(), start.byte());
        self.reader.get_mut().allowed = byte + BUFFER + LONGEST_ROW;
        let more = match self.reader.read_record(row) {
            Ok(more) => more,
            Err(error) => {
                // Whether there is another row is known only from looking for it.
                let is_last = matches!(self.reader.read_record(&mut StringRecord::new()), Ok(false));
                let torn = is_last && !self.ends_whole();
                return Err(explain(&self.path, line, self.columns.names(), torn, error));
            }
        };
        if !more {
            if self.is_open_quoted()? {
                return Err(never_closed(&self.path, self.line));
            }
            if !self.ends_whole() && comm::speaks_for_all() {
                let path = self.path.display();
                tracing::warn!("{path}: line {}, the last, has no newline: the file may have been cut short", self.line);
            }
            return Ok(false);
        }
        if let Some(start) = row.position() {
            (self.line, self.byte) = (start.line(), start.byte());
        }
        Ok(true)
    }

    fn place(&self) -> String {
        format!("line {}", self.line)
    }

    fn ends_whole(&self) -> bool {
        self.reader.get_ref().last == b'\n'
    }
}

impl Delimited {
    /// Whether the file ended within quotation marks. The parser takes the end of the file for the end of the cell, so its last
    /// row is read once more.
    fn is_open_quoted(&mut self) -> Result<bool> {
        if self.quoting == Quoting::Off {
            return Ok(false);
        }
        let file = &mut self.reader.get_mut().file;
        let mut row = Vec::new();
        file.seek(SeekFrom::Start(self.byte)).and_then(|_| file.read_to_end(&mut row)).at("read", &self.path)?;
        let row = if self.byte == 0 { row.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&row) } else { &row };
        Ok(ends_within_quotes(row, self.delimiter))
    }
}

/// Whether a text that begins with a row ends within quotation marks, read as the parser reads it: a mark opens a cell at its
/// beginning alone, and two within it are one.
fn ends_within_quotes(text: &[u8], delimiter: u8) -> bool {
    #[derive(Clone, Copy, PartialEq)]
    enum At {
        Beginning,
        Plain,
        Quoted,
        /// Behind a mark that closes the cell, unless another follows.
        Closing,
    }
    let end = text.iter().fold(At::Beginning, |at, byte| match (at, *byte) {
        (At::Quoted, b'"') => At::Closing,
        (At::Quoted, _) | (At::Beginning | At::Closing, b'"') => At::Quoted,
        (_, b'\n' | b'\r') => At::Beginning,
        (_, byte) if byte == delimiter => At::Beginning,
        _ => At::Plain,
    });
    end == At::Quoted
}

/// A file that hands out no more than it is allowed to.
struct Bounded {
    file: File,
    /// Bytes handed out so far.
    given: u64,
    /// Bytes it may hand out, give or take a buffer.
    allowed: u64,
    /// The last byte handed out.
    last: u8,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.given > self.allowed {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let count = self.file.read(buffer)?;
        self.given += count as u64;
        self.last = buffer.get(..count).and_then(<[u8]>::last).copied().unwrap_or(self.last);
        Ok(count)
    }
}

fn never_closed(path: &Path, line: u64) -> Error {
    Error::input(path, format!("line {line}: a quotation mark is never closed")).with_help("--no-quotes reads them as text")
}

/// Names the line, where it can the column, and what is wrong with it, in the words of a table. `line` is where the row begins; `torn`
/// says that it is the last and has no newline.
fn explain(path: &Path, line: u64, names: &[String], torn: bool, error: csv::Error) -> Error {
    let line = error.position().map_or(line, csv::Position::line);
    let called = |index: usize| names.get(index).map(|name| format!(" (`{name}`)")).unwrap_or_default();
    match error.into_kind() {
        csv::ErrorKind::Io(source) if source.kind() == io::ErrorKind::FileTooLarge => {
            Error::input(path, format!("line {line}: the row is longer than {} MiB", LONGEST_ROW >> 20))
                .with_help("a quotation mark may never be closed (--no-quotes reads them as text), or this is no table")
        }
        csv::ErrorKind::Io(source) => Error::Io { action: "read", path: path.to_owned(), source },
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            let missing = if len < expected_len {
                format!("; column {}{} is the first missing", len + 1, called(len as usize))
            } else {
                String::new()
            };
            let help = if torn {
                "it is the last line and has no newline, so the file was cut short: copy it again"
            } else {
                "a cell may hold a stray separator or a quotation mark that is never closed (--no-quotes reads them as text)"
            };
            Error::input(path, format!("line {line}: {len} cells, but the header names {expected_len} columns{missing}"))
                .with_help(help)
        }
        csv::ErrorKind::Utf8 { err, .. } => {
            let index = err.field();
            Error::input(path, format!("line {line}: column {}{} is not UTF-8 text", index + 1, called(index)))
                .with_help("`iconv -f latin1 -t utf-8` converts a table of Western European text")
        }
        other => Error::input(path, format!("line {line}: {other:?}")),
    }
}

/// A table being written.
pub(in crate::dataset) struct DelimitedWriter<'a> {
    path: PathBuf,
    out: csv::Writer<&'a mut BufWriter<File>>,
}

impl<'a> DelimitedWriter<'a> {
    /// Writes the header.
    pub(in crate::dataset) fn new(path: &Path, out: &'a mut BufWriter<File>, delimiter: u8, columns: &[String]) -> Result<Self> {
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
    use std::path::PathBuf;

    use super::*;
    use crate::dataset::table::{for_each, open, open_with};

    fn rows(path: &Path) -> Result<Vec<StringRecord>> {
        rows_with(path, Quoting::Standard)
    }

    fn rows_with(path: &Path, quoting: Quoting) -> Result<Vec<StringRecord>> {
        let mut rows = Vec::new();
        for_each(open_with(path, quoting)?.as_mut(), |_, row, _| {
            rows.push(row.clone());
            Ok(())
        })?;
        Ok(rows)
    }

    fn file(name: &str, text: &str) -> (tempfile::TempDir, PathBuf) {
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
        let error = rows(&path).unwrap_err();
        let expected = "m.tsv: line 3: 1 cells, but the header names 2 columns; column 2 (`b`) is the first missing";
        assert!(error.to_string().ends_with(expected), "{error}");
        assert!(error.help().unwrap().contains("stray separator"));
        let (_folder, path) = file("m.tsv", "a\tb\n1\t2\n3");
        assert!(rows(&path).unwrap_err().help().unwrap().contains("the file was cut short"));
        let (_folder, path) = file("m.tsv", "a\tb\n1\t2\t3\n");
        assert!(rows(&path).unwrap_err().to_string().ends_with("line 2: 3 cells, but the header names 2 columns"));
    }

    #[test]
    fn what_is_no_text_and_what_has_no_format_is_said_so() {
        let (_folder, path) = file("m.xls", "");
        assert!(open(&path).err().unwrap().help().unwrap().contains(".jsonld"));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.tsv");
        std::fs::write(&path, b"a\tb\n1\t\xff\n").unwrap();
        assert!(rows(&path).unwrap_err().to_string().contains("line 2: column 2 (`b`) is not UTF-8 text"));
        std::fs::write(&path, b"").unwrap();
        assert!(open(&path).err().unwrap().to_string().contains("the table is empty"));
    }

    #[test]
    fn a_row_that_fills_the_memory_is_refused_where_it_begins() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.tsv");
        // Sparse: 4 GiB that take no room. No line of them ever ends.
        std::fs::write(&path, "a\tb\n1\t2\n3\t").unwrap();
        std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(4 << 30).unwrap();
        let error = rows(&path).unwrap_err();
        assert!(error.to_string().ends_with("line 3: the row is longer than 16 MiB"), "{error}");
        // A quotation mark that is never closed swallows line after line.
        let (_folder, path) =
            file("m.tsv", &format!("a\tb\n1\t2\n\"3\t4\n{}", format!("5\t{}\n", "6".repeat(4_000)).repeat(5_000)));
        assert!(rows(&path).unwrap_err().to_string().ends_with("line 3: the row is longer than 16 MiB"));
        assert_eq!(rows_with(&path, Quoting::Off).unwrap()[1], vec!["\"3", "4"]);
    }

    #[test]
    fn line_ends_of_windows_and_a_last_line_without_one_are_read() {
        let (_folder, path) = file("m.csv", "\u{feff}a,b\r\n1,2\r\n3,4");
        assert_eq!(rows(&path).unwrap(), [vec!["1", "2"], vec!["3", "4"]]);
        let mut table = open(&path).unwrap();
        for_each(table.as_mut(), |_, _, _| Ok(())).unwrap();
        assert!(!table.ends_whole());
    }

    #[test]
    fn a_quotation_mark_that_is_never_closed_loses_no_row_in_silence() {
        let open = ["2\n3\t4\n", "2\n3\t4", "2\"\"\n", "2", "\"\"\n", ""].map(|rest| format!("a\tb\n1\t\"{rest}"));
        for text in &open {
            let (_folder, path) = file("m.tsv", text);
            assert!(rows(&path).unwrap_err().to_string().ends_with("line 2: a quotation mark is never closed"), "{text:?}");
        }
        for rest in ["\n", "\r\n", "", "\n3\t4\n", "\n\n", "\r\n\r\n", "\n3\t4\"\n"] {
            let (_folder, path) = file("m.tsv", &format!("a\tb\n1\t\"2\n\"{rest}"));
            assert_eq!(rows(&path).unwrap()[0], vec!["1", "2\n"], "{rest:?}");
        }
    }

    #[test]
    fn a_quotation_mark_in_the_header_swallows_no_table() {
        for text in ["a\t\"b\n1\t2\n3\t4\n", "a\t\"b\n1\t\"2\n", "\u{feff}\"a\n"] {
            let (_folder, path) = file("m.tsv", text);
            let error = rows(&path).unwrap_err();
            assert!(error.to_string().contains("line 1: the name of column"), "{text:?}: {error}");
        }
        let (_folder, path) = file("m.tsv", "a\t\"b");
        assert!(rows(&path).unwrap_err().to_string().ends_with("line 1: a quotation mark is never closed"));
        let (_folder, path) = file("m.tsv", "a\t\"b\"\n");
        assert!(rows(&path).unwrap().is_empty());
    }

    #[test]
    fn names_that_look_missing_are_names() {
        // `Na` and `NA` are genera; readers that take them for "not available" lose them.
        let (_folder, path) = file("m.csv", "genus,species\nNA,\nNone,nan\n");
        assert_eq!(rows(&path).unwrap(), [vec!["NA", ""], vec!["None", "nan"]]);
    }
}
