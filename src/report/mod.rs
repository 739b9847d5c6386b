//! The records of finished runs → mean ± std tables, in every form a reader may want.
//!
//! | file | step |
//! |---|---|
//! | [`metric`] | the figures a table shows |
//! | [`statistics`] | mean, sample standard deviation, median |
//! | [`aggregate`] | records and grid → cells, footnotes, what is missing |
//! | [`published`] | the numbers in print, and when they may stand beside ours |
//! | [`files`] | run folders in, tables out |
//! | [`markdown`], [`latex`], [`csv`], [`json`] | one table format each |
//!
//! Another format is one more file with an [`Exporter`], and one more line in [`EXPORTERS`].

pub mod aggregate;
pub mod csv;
pub mod files;
pub mod json;
pub mod latex;
mod lines;
pub mod markdown;
pub mod metric;
pub mod published;
pub mod statistics;

pub use aggregate::{Cell, Row, Summary, Table, aggregate};
pub use metric::Metric;

use crate::error::Result;

/// A format of tables.
pub trait Exporter {
    /// The name of the file it makes.
    fn file(&self) -> &'static str;
    /// All tables of a summary in this format.
    fn export(&self, summary: &Summary) -> Result<String>;
}

/// Every format there is.
pub const EXPORTERS: [&dyn Exporter; 4] = [&markdown::Markdown, &latex::Latex, &csv::Csv, &json::Json];

#[cfg(test)]
mod exporter_tests;
