//! The pass over all rows.

use std::collections::BTreeMap;
use std::path::Path;

use crate::dataset::boxes::BoxRecord;
use crate::dataset::record::Columns;
use crate::dataset::schema::Schema;
use crate::dataset::table::{self, Quoting};
use crate::dataset::validate::check::{Check, Row};
use crate::dataset::validate::report::{Report, Severity};
use crate::dataset::validate::{barcode, geography, identity, measures, splits, taxonomy};
use crate::error::Result;

/// How to check.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What a quotation mark means.
    pub quoting: Quoting,
    /// Boxes by file name, where the table has none itself.
    pub boxes: BTreeMap<String, BoxRecord>,
}

/// Checks every row of the table at `path`. A table that cannot be read to its end is an error, not a report.
pub fn validate(path: &Path) -> Result<Report> {
    validate_with(path, Options::default())
}

/// [`validate`], as `options` say.
pub fn validate_with(path: &Path, options: Options) -> Result<Report> {
    let mut table = table::open_with(path, options.quoting)?;
    let columns = table.columns().clone();
    let schema = Schema::of(&columns);
    let absent = schema.columns().iter().filter(|name| columns.find(name).is_none()).map(|name| (*name).to_owned());
    let mut report = Report { absent_columns: absent.collect(), ..Report::default() };
    let mut checks = checks(&columns, schema, options.boxes)?;
    table::for_each(table.as_mut(), |_, cells, place| {
        report.rows += 1;
        checks.iter_mut().for_each(|check| check.row(&Row { cells, place }, &mut report));
        Ok(())
    })?;
    checks.iter_mut().for_each(|check| check.finish(&mut report));
    if !table.ends_whole() {
        report.add(Severity::Warning, "the last line has no newline: the file may have been cut short", || table.place());
    }
    Ok(report)
}

/// The checks whose columns the table has; those of a published form are required of it.
fn checks(columns: &Columns, schema: Schema, boxes: BTreeMap<String, BoxRecord>) -> Result<Vec<Box<dyn Check>>> {
    let mut checks = identity::checks(columns, schema)?;
    checks.extend(splits::checks(columns, schema)?);
    checks.extend(taxonomy::checks(columns));
    checks.extend(barcode::checks(columns));
    checks.extend(geography::checks(columns));
    checks.extend(measures::checks(columns, boxes));
    Ok(checks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::record::COLUMNS;
    use crate::dataset::validate::found_tests::found;

    #[test]
    fn faults_are_counted_by_kind_with_their_first_places() {
        let rows = "image_file,chunk_number,order,small_insect_order
a.jpg,1,Diptera,train
a.jpg,2,Diptera,test
a.jpg,1,Diptera,no_split
b.jpg,0,Diptera,tran
../c.jpg,x,not_classified,train
";
        let found = found(rows);
        let found: Vec<_> =
            found.iter().map(|(severity, kind, count, first)| (*severity, kind.as_str(), *count, first.as_str())).collect();
        assert_eq!(
            found,
            [
                ("warning", "an image has the name of another in another chunk", 1, "line 3: a.jpg"),
                ("fault", "an image is listed twice in its chunk", 1, "line 4: part1/a.jpg"),
                ("fault", "the chunk number is no whole number from 1", 2, "line 5: `0`"),
                ("fault", "`small_insect_order` is none of train, validation, test, no_split", 1, "line 5: `tran`"),
                ("fault", "the image has no usable file name", 1, "line 6: `../c.jpg`"),
                ("fault", "`small_insect_order` gives a role to a record without a label", 1, "line 6"),
            ]
        );
    }

    #[test]
    fn a_file_that_stops_in_its_last_line_is_suspect() {
        let found = found("image_file,chunk_number\na.jpg,1\nb.j,1");
        assert_eq!((found[0].0, found[0].3.as_str()), ("warning", "line 3"));
        assert!(found[0].1.contains("cut short"));
    }

    #[test]
    fn columns_that_are_missing_are_named_and_no_fault() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.csv");
        std::fs::write(&path, "image_file,chunk_number\na.jpg,1\n").unwrap();
        let report = validate(&path).unwrap();
        assert!(report.is_below(Severity::Remark));
        assert_eq!(report.absent_columns.len(), COLUMNS.len() - 2);
    }
}
