//! What a dataset's documents say that no table holds: its name, licence, creators and citation.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::config::{from_file, from_text};
use crate::error::Result;

/// A TOML file beside the data; the two published datasets' are built in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// Its name.
    pub name: String,
    /// What it is, in a sentence or two.
    pub description: String,
    /// Its home page.
    pub url: String,
    /// The licence's SPDX name.
    pub license: String,
    /// Where its text is.
    pub license_url: String,
    /// Who must be named where it is used.
    pub attribution: String,
    /// Who made it.
    pub creators: Vec<String>,
    /// How to cite it.
    pub citation: String,
    /// Its version, as three numbers.
    pub version: String,
    /// The day it was published, as `2023-07-19`.
    pub published: String,
}

impl About {
    /// Reads `path`.
    pub fn load(path: &Path) -> Result<Self> {
        from_file(path)
    }

    /// BIOSCAN-1M's.
    pub fn bioscan_1m() -> Result<Self> {
        from_text(include_str!("about/bioscan-1m.toml"), "about/bioscan-1m.toml")
    }

    /// BIOSCAN-5M's.
    pub fn bioscan_5m() -> Result<Self> {
        from_text(include_str!("about/bioscan-5m.toml"), "about/bioscan-5m.toml")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_papers_job_carries_licence_and_attribution_into_hdf5() {
        let job: toml::Table = toml::from_str(include_str!("../../jobs/bioscan-1m.toml")).unwrap();
        let about = About::bioscan_1m().unwrap();
        let carried = ["License", "Attribution"].map(|name| job["preprocess"]["hdf5_attributes"][name].as_str());
        assert_eq!(carried, [Some(about.license.as_str()), Some(about.attribution.as_str())]);
    }
}
