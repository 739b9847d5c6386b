//! TSV, CSV or JSON-LD by extension → rows as a stream, and back; to Parquet as well.
//!
//! A format is one [`ReadRows`] and one [`WriteRows`]; [`open`] and [`write`] choose by the extension.

use std::fs::File;
use std::path::Path;

use crate::dataset::delimited::{Delimited, DelimitedWriter};
use crate::dataset::jsonld;
#[cfg(feature = "parquet")]
use crate::dataset::parquet;
use crate::dataset::record::{Columns, StringRecord};
use crate::error::{Error, IoContext, Result};
use crate::store::atomic;

pub use crate::dataset::delimited::Quoting;

/// Bytes that one row may have. Published ones have less than 2 KB; what is longer is no row, and is refused before it fills the memory.
pub(in crate::dataset) const LONGEST_ROW: u64 = 16 << 20;

/// A table being read.
pub trait ReadRows {
    /// Its header.
    fn columns(&self) -> &Columns;

    /// Reads the next row into `row`, whose memory is used again; `false` at the end. Every row has one cell a column.
    fn read(&mut self, row: &mut StringRecord) -> Result<bool>;

    /// Where the row read last begins: `line 17`, `object 16`.
    fn place(&self) -> String;

    /// Whether what was read so far ends as a whole file does: a last line without its newline may be half of one.
    fn ends_whole(&self) -> bool {
        true
    }
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
    Parquet,
}

impl Format {
    fn of(path: &Path) -> Result<Self> {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("tsv") => Ok(Self::Delimited(b'\t')),
            Some("csv") => Ok(Self::Delimited(b',')),
            Some("jsonld" | "json") => Ok(Self::JsonLd),
            Some("parquet") => Ok(Self::Parquet),
            _ => Err(Error::input(path, "a table of unknown format")
                .with_help("its name must end in .tsv, .csv, .jsonld or .json; one to be written may end in .parquet")),
        }
    }
}

/// Opens the table at `path`, whose cells are quoted where they need it, as the published ones are.
pub fn open(path: &Path) -> Result<Box<dyn ReadRows>> {
    open_with(path, Quoting::Standard)
}

/// Opens the table at `path`; `quoting` matters to TSV and CSV alone.
pub fn open_with(path: &Path, quoting: Quoting) -> Result<Box<dyn ReadRows>> {
    let format = Format::of(path)?;
    if format == Format::Parquet {
        return Err(Error::input(path, "Parquet is written, but not read").with_help("read the table it was made from"));
    }
    let file = File::open(path).at("open", path)?;
    Ok(match format {
        Format::Delimited(delimiter) => Box::new(Delimited::open(path, file, delimiter, quoting)?),
        Format::JsonLd | Format::Parquet => Box::new(jsonld::Reader::open(path, file)?),
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
pub fn write<T>(path: &Path, columns: &[String], fill: impl FnOnce(&mut dyn WriteRows) -> Result<T>) -> Result<T> {
    let format = Format::of(path)?;
    let mut filled = None;
    atomic::write_with(path, |out| {
        let mut writer: Box<dyn WriteRows + '_> = match format {
            Format::Delimited(delimiter) => Box::new(DelimitedWriter::new(path, out, delimiter, columns)?),
            Format::JsonLd => Box::new(jsonld::Writer::new(path, out, columns)),
            #[cfg(feature = "parquet")]
            Format::Parquet => Box::new(parquet::Writer::new(path, out, columns)?),
            #[cfg(not(feature = "parquet"))]
            Format::Parquet => return Err(Error::Feature { feature: "parquet" }),
        };
        filled = Some(fill(writer.as_mut())?);
        writer.finish()
    })?;
    filled.ok_or_else(|| Error::usage(format!("{} was not filled", path.display())))
}

/// Rewrites the table `from` in the format that the extension of `to` names; returns the number of rows.
pub fn convert(from: &Path, to: &Path) -> Result<u64> {
    convert_table(open(from)?.as_mut(), to)
}

/// Writes what is left of `table` to `to`, in the format that its extension names; returns the number of rows.
pub fn convert_table(table: &mut dyn ReadRows, to: &Path) -> Result<u64> {
    let columns = table.columns().names().to_vec();
    let mut rows = 0;
    write(to, &columns, |out| {
        for_each(table, |_, row, _| {
            rows += 1;
            out.write(row)
        })
    })?;
    Ok(rows)
}
