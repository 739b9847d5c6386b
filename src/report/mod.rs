//! The records of finished runs → mean ± std tables, figures and a page, in every form a reader may want.
//!
//! | file | step |
//! |---|---|
//! | [`metric`] | the figures a table shows |
//! | [`statistics`], [`student`], [`multinomial`] | mean, sample standard deviation, median; quantiles; draws |
//! | [`aggregate`] | records and grid → cells, footnotes, what is missing |
//! | [`effects`] | what each axis does: paired differences with confidence intervals |
//! | [`outcomes`] | predictions → groups of test images that every run treats alike |
//! | [`bootstrap`], [`leads`] | those → which lead exceeds the noise |
//! | [`published`] | the numbers in print, and when they may stand beside ours |
//! | [`files`] | run folders in, tables out |
//! | [`markdown`], [`latex`], [`csv`], [`effects_csv`], [`json`], [`terminal`] | one table format each |
//!
//! | [`figures`] | pictures: values → SVG |
//! | [`page`] | one HTML page of all of it |
//!
//! Another format is one more file with an [`Exporter`], and one more line in [`EXPORTERS`].

pub mod aggregate;
pub mod bootstrap;
pub mod csv;
pub mod effects;
pub mod effects_csv;
pub mod figures;
pub mod files;
mod footnotes;
pub mod json;
pub mod latex;
mod latex_text;
pub mod leads;
mod lines;
pub mod markdown;
pub mod metric;
pub mod multinomial;
pub mod outcomes;
pub mod page;
pub mod published;
pub mod statistics;
pub mod student;
pub mod terminal;

pub use aggregate::{Cell, Row, Summary, Table, aggregate};
pub use metric::{Arithmetic, Metric};

use crate::error::Result;

/// A format of tables.
pub trait Exporter {
    /// The name of the file it makes.
    fn file(&self) -> &'static str;
    /// All tables of a summary in this format.
    fn export(&self, summary: &Summary) -> Result<String>;
}

/// Every format there is.
pub const EXPORTERS: [&dyn Exporter; 5] = [&markdown::Markdown, &latex::Latex, &csv::Csv, &effects_csv::EffectsCsv, &json::Json];

#[cfg(test)]
mod exporter_tests;

#[cfg(test)]
mod property_tests;
