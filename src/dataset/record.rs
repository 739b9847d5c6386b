//! The 28 published columns by name, and cells of a row by column.
//!
//! A row is a [`csv::StringRecord`]: one buffer that is used again for every row, so that a pass over 1.13 million of them allocates
//! nothing. Columns are found by name once and then by position; the physical order is never assumed.

use std::path::{Path, PathBuf};

pub use csv::StringRecord;

use crate::config::nearest;
use crate::error::{Error, Result};

/// The published columns, in the order in which this program writes them.
pub const COLUMNS: [&str; 28] = [
    "sampleid",
    "processid",
    "uri",
    "name",
    "phylum",
    "class",
    "order",
    "family",
    "subfamily",
    "tribe",
    "genus",
    "species",
    "subspecies",
    "nucraw",
    IMAGE_FILE,
    "large_diptera_family",
    "medium_diptera_family",
    "small_diptera_family",
    "large_insect_order",
    "medium_insect_order",
    "small_insect_order",
    CHUNK_NUMBER,
    "copyright_license",
    "copyright_holder",
    "copyright_institution",
    "copyright_contact",
    PHOTOGRAPHER,
    "author",
];

/// The column with the name of the photograph, `.jpg` included.
pub const IMAGE_FILE: &str = "image_file";
/// The column with the chunk that holds it, from 1.
pub const CHUNK_NUMBER: &str = "chunk_number";
/// The column that tells synthetic records from real ones.
pub const PHOTOGRAPHER: &str = "photographer";
/// Who "photographs" a synthetic specimen; nobody else's photographs bear this name.
pub const SYNTHETIC_PHOTOGRAPHER: &str = "bioscan-hpc synth";
/// What a taxonomic column says where the rank is not known.
pub const NOT_CLASSIFIED: &str = "not_classified";

/// Whether a label says nothing: such records take no part in an experiment.
#[must_use]
pub fn is_blank(label: &str) -> bool {
    matches!(label, "" | NOT_CLASSIFIED | "no_data")
}

/// The first half of the blake3 of a text: what is remembered of ids and barcodes, 16 bytes whatever their length.
#[must_use]
pub fn digest(text: &str) -> u128 {
    let mut half = [0; 16];
    blake3::Hasher::new().update(text.as_bytes()).finalize_xof().fill(&mut half);
    u128::from_le_bytes(half)
}

/// The position of a column in the rows of one table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column(pub usize);

impl Column {
    /// The cell of `row`; empty where the row is shorter, which no row that came from a reader is.
    #[must_use]
    pub fn of(self, row: &StringRecord) -> &str {
        row.get(self.0).unwrap_or_default()
    }
}

/// The header of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns {
    path: PathBuf,
    names: Vec<String>,
}

impl Columns {
    /// The header `names` of the table at `path`; a name that occurs twice is an error.
    pub fn new(path: &Path, names: Vec<String>) -> Result<Self> {
        for (second, name) in names.iter().enumerate() {
            if let Some(first) = names.iter().take(second).position(|earlier| earlier == name) {
                let message = format!("columns {} and {} are both called `{name}`", first + 1, second + 1);
                return Err(Error::input(path, message).with_help("rename one of them: columns are found by their names"));
            }
        }
        Ok(Self { path: path.to_owned(), names })
    }

    /// Names in the order of the cells.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The column called `name`, if there is one.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<Column> {
        self.names.iter().position(|column| column == name).map(Column)
    }

    /// The column called `name`; the error lists the columns there are and names the nearest.
    pub fn require(&self, name: &str) -> Result<Column> {
        self.find(name).ok_or_else(|| {
            let near = nearest(name, self.names.iter().map(String::as_str));
            let near = near.map(|near| format!("; the nearest is `{near}`")).unwrap_or_default();
            Error::input(&self.path, format!("no column `{name}`"))
                .with_help(format!("the columns are: {}{near}", self.names.join(", ")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_column_is_answered_with_those_there_are_and_the_nearest() {
        let columns = Columns::new(Path::new("m.tsv"), vec!["ordre".into(), "image_file".into()]).unwrap();
        assert_eq!(columns.require("image_file").unwrap(), Column(1));
        let error = columns.require("order").unwrap_err();
        assert_eq!(error.to_string(), "m.tsv: no column `order`");
        assert_eq!(error.help().unwrap(), "the columns are: ordre, image_file; the nearest is `ordre`");
    }

    #[test]
    fn two_columns_of_one_name_are_refused() {
        let error = Columns::new(Path::new("m.tsv"), vec!["a".into(), "b".into(), "a".into()]).unwrap_err();
        assert!(error.to_string().contains("columns 1 and 3 are both called `a`"));
    }
}
