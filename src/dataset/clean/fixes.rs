//! A reviewed list of fixes, as a person writes it down.
//!
//! ```toml
//! [[fix]]
//! when = { genus = "Philaenus" }      # all of these cells; "" stands for any sign of "unknown"
//! set = { tribe = "Philaenini" }
//! why = "the tribe was given to a part of the records only"
//! ```

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::config::from_file;
use crate::dataset::record::{Column, Columns, is_blank};
use crate::error::Result;

/// The file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fixes {
    /// In the order in which they are made.
    #[serde(default)]
    pub fix: Vec<Fix>,
}

/// One fix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fix {
    /// Columns and the cells they must have.
    pub when: BTreeMap<String, String>,
    /// Columns and the cells they get.
    pub set: BTreeMap<String, String>,
    /// The reason, for the ledger.
    pub why: String,
}

/// The label errors of the published BIOSCAN-1M that its own loader mends.
const KNOWN: &str = include_str!("known_fixes.toml");

impl Fixes {
    /// Reads a list.
    pub fn load(path: &Path) -> Result<Self> {
        from_file(path)
    }

    /// The known label errors of BIOSCAN-1M.
    #[must_use]
    pub fn known() -> Self {
        // A test reads it, so that no build has another.
        toml::from_str(KNOWN).unwrap_or_default()
    }
}

/// A fix with its columns found.
pub(super) struct Found {
    when: Vec<(Column, String)>,
    pub set: Vec<(Column, String)>,
    pub why: String,
}

impl Found {
    pub fn find(fix: &Fix, columns: &Columns) -> Result<Self> {
        let find = |cells: &BTreeMap<String, String>| {
            cells.iter().map(|(name, cell)| Ok((columns.require(name)?, cell.clone()))).collect::<Result<Vec<_>>>()
        };
        Ok(Self { when: find(&fix.when)?, set: find(&fix.set)?, why: fix.why.clone() })
    }

    pub fn applies(&self, cells: &[String]) -> bool {
        self.when.iter().all(|(column, expected)| {
            let cell = cells.get(column.0).map_or("", String::as_str);
            cell == expected || expected.is_empty() && is_blank(cell)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_known_fixes_are_a_list_of_three_tribes() {
        let known: Fixes = toml::from_str(KNOWN).unwrap();
        let genera: Vec<&str> = known.fix.iter().map(|fix| fix.when["genus"].as_str()).collect();
        assert_eq!(genera, ["Asteia", "Nemorilla", "Philaenus"]);
        assert!(known.fix.iter().all(|fix| fix.set.keys().eq(["tribe"]) && !fix.why.is_empty()));
        assert_eq!(known, Fixes::known());
    }
}
