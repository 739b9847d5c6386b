//! A summary → JSON: everything the other formats show, for programs.

use crate::error::{Error, Result};
use crate::report::Exporter;
use crate::report::aggregate::Summary;

/// The summary itself.
#[derive(Clone, Copy, Debug)]
pub struct Json;

impl Exporter for Json {
    fn file(&self) -> &'static str {
        "tables.json"
    }

    fn export(&self, summary: &Summary) -> Result<String> {
        let text = serde_json::to_string_pretty(summary).map_err(|error| Error::library("serde_json", error))?;
        Ok(text + "\n")
    }
}
