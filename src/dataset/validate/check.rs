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
