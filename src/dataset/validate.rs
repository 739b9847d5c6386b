//! a metadata table → its faults, counted, with the first examples of each kind.

use std::collections::HashSet;
use std::path::Path;

use serde::Serialize;

use crate::dataset::record::{CHUNK_NUMBER, COLUMNS, IMAGE_FILE, is_blank};
use crate::dataset::role::Role;
use crate::dataset::split::EXPERIMENTS;
use crate::dataset::table;
use crate::error::Result;

/// How many examples of each kind of fault are kept.
const EXAMPLES: usize = 5;

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Rows looked at.
    pub rows: u64,
    /// Kinds of faults; empty where the table is sound.
    pub faults: Vec<Fault>,
    /// Published columns that the table does not have: no fault in data of one's own.
    pub absent_columns: Vec<String>,
}

/// One kind of fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// What is wrong, as a sentence about rows.
    pub kind: String,
    /// How many rows have it.
    pub count: u64,
    /// The first of them.
    pub examples: Vec<String>,
}

impl Report {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.faults.is_empty()
    }

    fn add(&mut self, kind: &str, example: impl FnOnce() -> String) {
        let position = self.faults.iter().position(|fault| fault.kind == kind).unwrap_or_else(|| {
            self.faults.push(Fault { kind: kind.to_owned(), count: 0, examples: Vec::new() });
            self.faults.len() - 1
        });
        if let Some(fault) = self.faults.get_mut(position) {
            fault.count += 1;
            if fault.examples.len() < EXAMPLES {
                fault.examples.push(example());
            }
        }
    }
}

/// Checks every row of the table at `path`. A table that cannot be read to its end is an error, not a report.
pub fn validate(path: &Path) -> Result<Report> {
    let mut table = table::open(path)?;
    let columns = table.columns().clone();
    let (file, chunk) = (columns.require(IMAGE_FILE)?, columns.require(CHUNK_NUMBER)?);
    let experiments = EXPERIMENTS.into_iter().filter_map(|name| {
        let label = columns.find(if name.ends_with("family") { "family" } else { "order" });
        Some((name, columns.find(name)?, label))
    });
    let experiments: Vec<_> = experiments.collect();
    let absent = COLUMNS.into_iter().filter(|name| columns.find(name).is_none()).map(str::to_owned);
    let mut report = Report { absent_columns: absent.collect(), ..Report::default() };
    let mut seen: HashSet<(u32, Box<str>)> = HashSet::new();
    table::for_each(table.as_mut(), |_, row, place| {
        report.rows += 1;
        let (name, number) = (file.of(row), chunk.of(row));
        if name.is_empty() || name.contains(['/', '\\']) || name == ".." {
            report.add("the image has no usable file name", || format!("{}: `{name}`", place()));
        }
        match number.parse::<u32>() {
            Ok(number) if number > 0 => {
                if !seen.insert((number, name.into())) {
                    report.add("an image is listed twice in its chunk", || format!("{}: part{number}/{name}", place()));
                }
            }
            _ => report.add("the chunk number is no whole number from 1", || format!("{}: `{number}`", place())),
        }
        for (name, column, label) in &experiments {
            let cell = column.of(row);
            match Role::parse(cell) {
                None => {
                    let kind = format!("`{name}` is none of train, validation, test, no_split");
                    report.add(&kind, || format!("{}: `{cell}`", place()));
                }
                Some(role) if role != Role::NoSplit && label.is_some_and(|label| is_blank(label.of(row))) => {
                    report.add(&format!("`{name}` gives a role to a record without a label"), place);
                }
                Some(_) => {}
            }
        }
        Ok(())
    })?;
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_counted_by_kind_with_their_first_places() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.csv");
        let rows = "image_file,chunk_number,order,small_insect_order
a.jpg,1,Diptera,train
a.jpg,2,Diptera,test
a.jpg,1,Diptera,no_split
b.jpg,0,Diptera,tran
../c.jpg,x,not_classified,train
";
        std::fs::write(&path, rows).unwrap();
        let report = validate(&path).unwrap();
        let found: Vec<(&str, u64, &str)> =
            report.faults.iter().map(|fault| (fault.kind.as_str(), fault.count, fault.examples[0].as_str())).collect();
        assert_eq!(report.rows, 5);
        assert_eq!(
            found,
            [
                ("an image is listed twice in its chunk", 1, "line 4: part1/a.jpg"),
                ("the chunk number is no whole number from 1", 2, "line 5: `0`"),
                ("`small_insect_order` is none of train, validation, test, no_split", 1, "line 5: `tran`"),
                ("the image has no usable file name", 1, "line 6: `../c.jpg`"),
                ("`small_insect_order` gives a role to a record without a label", 1, "line 6"),
            ]
        );
    }
}
