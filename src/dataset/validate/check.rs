//! What every group of checks is.

use crate::dataset::record::StringRecord;
use crate::dataset::validate::report::Report;

/// A row with its place.
pub(super) struct Row<'a> {
    /// Its cells.
    pub cells: &'a StringRecord,
    /// Where it stands, for an example.
    pub place: &'a dyn Fn() -> String,
}

impl Row<'_> {
    /// An example: the place and what is there.
    pub fn says(&self, what: impl std::fmt::Display) -> String {
        format!("{}: {what}", (self.place)())
    }
}

/// A group of checks over one table.
pub(super) trait Check {
    /// Looks at the next row.
    fn row(&mut self, row: &Row, report: &mut Report);

    /// Says what only all rows together show.
    fn finish(&mut self, _report: &mut Report) {}
}

/// Checks a text of rows and lists (severity, kind, count, first example).
#[cfg(test)]
pub(super) fn found(text: &str) -> Vec<(&'static str, String, u64, String)> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.csv");
    std::fs::write(&path, text).unwrap();
    let report = super::validate(&path).unwrap();
    let severity = |fault: &super::Fault| ["remark", "warning", "fault"][fault.severity as usize];
    report.faults.iter().map(|fault| (severity(fault), fault.kind.clone(), fault.count, fault.examples[0].clone())).collect()
}
