//! rows → a Parquet file, for pandas, polars, DuckDB and the like.
//!
//! The published numbers are numbers there and everything else is text as it stands in the table. An empty cell is null;
//! `not_classified` stays what it is.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, Type as Stored};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{Type, TypePtr};

use crate::dataset::record::StringRecord;
use crate::dataset::schema::Kind;
use crate::dataset::table::WriteRows;
use crate::error::{Error, Result};

/// Rows of a row group: about 50 MB of the published metadata, and all that is held in memory.
const ROWS: usize = 1 << 15;
/// Bytes of text after which a row group ends earlier: a row may have 16 MiB.
const BYTES: usize = 64 << 20;

/// The cells of one column that are not written yet; `None` is null.
enum Cells {
    Text(Vec<Option<ByteArray>>),
    Whole(Vec<Option<i64>>),
    Fraction(Vec<Option<f64>>),
}

impl Cells {
    fn of(column: &str) -> Self {
        match Kind::of(column) {
            Kind::Whole => Self::Whole(Vec::new()),
            Kind::Fraction => Self::Fraction(Vec::new()),
            Kind::Text => Self::Text(Vec::new()),
        }
    }

    fn kind(&self, column: &str) -> Result<TypePtr, ParquetError> {
        let (stored, logical) = match self {
            Self::Text(_) => (Stored::BYTE_ARRAY, Some(LogicalType::String)),
            Self::Whole(_) => (Stored::INT64, None),
            Self::Fraction(_) => (Stored::DOUBLE, None),
        };
        let kind = Type::primitive_type_builder(column, stored);
        Ok(Arc::new(kind.with_repetition(Repetition::OPTIONAL).with_logical_type(logical).build()?))
    }

    /// Adds a cell; `Err` says what it should have been.
    fn push(&mut self, cell: &str) -> Result<(), &'static str> {
        match self {
            Self::Text(cells) => cells.push((!cell.is_empty()).then(|| cell.into())),
            Self::Whole(cells) => cells.push(number(cell, whole).ok_or("a whole number")?),
            Self::Fraction(cells) => cells.push(number(cell, |cell| cell.parse().ok()).ok_or("a number")?),
        }
        Ok(())
    }

    fn write(&mut self, group: &mut SerializedRowGroupWriter<'_, &mut BufWriter<File>>) -> Result<(), ParquetError> {
        match self {
            Self::Text(cells) => write_column::<ByteArrayType>(group, std::mem::take(cells)),
            Self::Whole(cells) => write_column::<Int64Type>(group, std::mem::take(cells)),
            Self::Fraction(cells) => write_column::<DoubleType>(group, std::mem::take(cells)),
        }
    }
}

/// `Some(None)` for an empty cell, `None` for one that is no number.
fn number<T>(cell: &str, parse: impl Fn(&str) -> Option<T>) -> Option<Option<T>> {
    if cell.is_empty() { Some(None) } else { parse(cell).map(Some) }
}

/// A whole number, also where pandas wrote it as `150502.0` because others of its column are missing.
fn whole(cell: &str) -> Option<i64> {
    let plain = cell.strip_suffix(".0").unwrap_or(cell);
    plain.parse().ok()
}

fn write_column<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, &mut BufWriter<File>>,
    cells: Vec<Option<T::T>>,
) -> Result<(), ParquetError> {
    let levels: Vec<i16> = cells.iter().map(|cell| i16::from(cell.is_some())).collect();
    let values: Vec<T::T> = cells.into_iter().flatten().collect();
    if let Some(mut column) = group.next_column()? {
        column.typed::<T>().write_batch(&values, Some(&levels), None)?;
        column.close()?;
    }
    Ok(())
}

/// Writes rows in groups.
pub struct Writer<'a> {
    path: PathBuf,
    names: Vec<String>,
    cells: Vec<Cells>,
    /// `None` once the file is finished.
    file: Option<SerializedFileWriter<&'a mut BufWriter<File>>>,
    rows: usize,
    /// Rows and bytes that are not written yet.
    held: (usize, usize),
}

impl<'a> Writer<'a> {
    /// Begins the file.
    pub fn new(path: &Path, out: &'a mut BufWriter<File>, columns: &[String]) -> Result<Self> {
        let cells: Vec<Cells> = columns.iter().map(|name| Cells::of(name)).collect();
        let begin = || {
            let fields = std::iter::zip(&cells, columns).map(|(cells, name)| cells.kind(name));
            let schema = Type::group_type_builder("record").with_fields(fields.collect::<Result<_, _>>()?).build()?;
            let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
            SerializedFileWriter::new(out, Arc::new(schema), Arc::new(properties))
        };
        let file = begin().map_err(|error| failure(path, &error))?;
        Ok(Self { path: path.to_owned(), names: columns.to_vec(), cells, file: Some(file), rows: 0, held: (0, 0) })
    }

    fn write_group(&mut self) -> Result<()> {
        let Some(file) = self.file.as_mut() else { return Ok(()) };
        let cells = &mut self.cells;
        self.held = (0, 0);
        let mut write = || {
            let mut group = file.next_row_group()?;
            cells.iter_mut().try_for_each(|cells| cells.write(&mut group))?;
            group.close().map(drop)
        };
        write().map_err(|error| failure(&self.path, &error))
    }
}

impl WriteRows for Writer<'_> {
    fn write(&mut self, row: &StringRecord) -> Result<()> {
        self.rows += 1;
        for ((cells, name), cell) in self.cells.iter_mut().zip(&self.names).zip(row) {
            cells.push(cell).map_err(|what| {
                Error::input(&self.path, format!("row {}: `{name}` is `{cell}`, not {what}", self.rows))
                    .with_help("`bioscan-hpc metadata validate` lists every such row")
            })?;
        }
        self.held = (self.held.0 + 1, self.held.1 + row.as_slice().len());
        if self.held.0 >= ROWS || self.held.1 >= BYTES { self.write_group() } else { Ok(()) }
    }

    fn finish(&mut self) -> Result<()> {
        if self.held.0 > 0 {
            self.write_group()?;
        }
        self.file.take().map_or(Ok(()), |file| file.close().map(drop).map_err(|error| failure(&self.path, &error)))
    }
}

fn failure(path: &Path, error: &ParquetError) -> Error {
    Error::library("parquet", format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::RowAccessor;

    use super::*;
    use crate::dataset::table;

    fn write(text: &str) -> Result<SerializedFileReader<File>> {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("m.csv"), folder.path().join("m.parquet"));
        std::fs::write(&from, text).unwrap();
        table::convert(&from, &to)?;
        Ok(SerializedFileReader::new(File::open(&to).unwrap()).unwrap())
    }

    #[test]
    fn numbers_are_numbers_text_is_text_and_an_empty_cell_is_null() {
        let file = write("genus,chunk,coord-lat,index_bioscan_1M_insect\nNA,05,-3.5,150502.0\nnot_classified,,,\n").unwrap();
        let rows: Vec<_> = file.get_row_iter(None).unwrap().map(|row| row.unwrap()).collect();
        assert_eq!((rows[0].get_string(0).unwrap().as_str(), rows[0].get_string(1).unwrap().as_str()), ("NA", "05"));
        assert_eq!((rows[0].get_double(2).unwrap(), rows[0].get_long(3).unwrap()), (-3.5, 150_502));
        assert_eq!(rows[1].get_string(0).unwrap(), "not_classified");
        assert!(rows[1].get_string(1).is_err() && rows[1].get_double(2).is_err() && rows[1].get_long(3).is_err());
    }

    #[test]
    fn a_long_table_has_several_row_groups() {
        let rows: String = (0..ROWS + 3).map(|row| format!("{row},x\n")).collect();
        let file = write(&format!("chunk_number,name\n{rows}")).unwrap();
        assert_eq!((file.metadata().num_row_groups(), file.metadata().file_metadata().num_rows()), (2, ROWS as i64 + 3));
        let last = file.get_row_iter(None).unwrap().last().unwrap().unwrap();
        assert_eq!(last.get_long(0).unwrap(), ROWS as i64 + 2);
    }

    #[test]
    fn a_row_group_of_long_rows_ends_early() {
        let cell = "x".repeat(8 << 20);
        let rows: String = (0..9).map(|row| format!("{row},{cell}\n")).collect();
        let file = write(&format!("chunk_number,name\n{rows}")).unwrap();
        let of = |group| file.metadata().row_group(group).num_rows();
        assert_eq!((file.metadata().num_row_groups(), of(0), of(1)), (2, 8, 1));
    }

    #[test]
    fn what_is_no_number_is_named_by_its_row_and_column() {
        let error = write("chunk_number\n1\nfirst\n").err().unwrap();
        assert!(error.to_string().ends_with("row 2: `chunk_number` is `first`, not a whole number"), "{error}");
    }
}
