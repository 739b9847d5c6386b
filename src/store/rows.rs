//! rows of cells → the text of a CSV table, quoted where a cell needs it.
//!
//! For tables that fit in memory; those of metadata stream (`dataset::delimited`).

use crate::error::{Error, Result};

/// The text of a table: the header and then `rows`, each line ended by `\n`.
///
/// # Errors
/// Of a row with another number of cells than the header: a fault of this program.
pub fn csv<Row, Cell>(header: &[&str], rows: impl IntoIterator<Item = Row>) -> Result<String>
where
    Row: IntoIterator<Item = Cell>,
    Cell: AsRef<[u8]>,
{
    let mut out = csv::Writer::from_writer(Vec::new());
    out.write_record(header).map_err(refused)?;
    rows.into_iter().try_for_each(|row| out.write_record(row)).map_err(refused)?;
    text(out)
}

/// One row alone, for tables that are written line by line.
pub fn csv_line<Cell: AsRef<[u8]>>(cells: impl IntoIterator<Item = Cell>) -> Result<String> {
    let mut out = csv::Writer::from_writer(Vec::new());
    out.write_record(cells).map_err(refused)?;
    text(out)
}

fn text(out: csv::Writer<Vec<u8>>) -> Result<String> {
    let bytes = out.into_inner().map_err(|error| Error::library("csv", error))?;
    String::from_utf8(bytes).map_err(|error| Error::library("csv", error))
}

fn refused(error: csv::Error) -> Error {
    Error::library("csv", error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_where_they_need_it_and_nowhere_else() {
        let rows = [["not, sure", "1"], ["a \"b\"", ""], ["two\nlines", "é"]];
        let expected = "class,train\n\"not, sure\",1\n\"a \"\"b\"\"\",\n\"two\nlines\",é\n";
        assert_eq!(csv(&["class", "train"], rows).unwrap(), expected);
        assert_eq!(csv_line(["not, sure", "1"]).unwrap(), "\"not, sure\",1\n");
    }

    #[test]
    fn a_table_of_no_rows_is_its_header() {
        assert_eq!(csv(&["chunk", "file"], [[""; 2]; 0]).unwrap(), "chunk,file\n");
    }

    #[test]
    fn a_row_of_another_length_is_refused() {
        let error = csv(&["class", "train"], [vec!["Diptera"]]).unwrap_err();
        assert!(error.to_string().contains("found record with 1 fields, but the previous record has 2 fields"), "{error}");
    }
}
