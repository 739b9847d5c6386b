//! a dataset's description, files and statistics → its card, in the form of Hugging Face.

use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, context};

use crate::curate::about::About;
use crate::curate::files::DatasetFile;
use crate::dataset::statistics::Statistics;
use crate::error::{Error, Result};

/// The words Hugging Face has for a number of records, each with the number it ends at.
const SIZES: [(&str, u64); 6] = [
    ("n<1K", 1_000),
    ("1K<n<10K", 10_000),
    ("10K<n<100K", 100_000),
    ("100K<n<1M", 1_000_000),
    ("1M<n<10M", 10_000_000),
    ("10M<n<100M", 100_000_000),
];

/// Stands in every card: a `README.md` without it is somebody's own.
pub const MARK: &str = "<!-- Written by `bioscan-hpc metadata document`, which writes over it. -->";

/// The card as Markdown with its YAML head. `synthetic` says so in it.
pub fn card(about: &About, files: &[DatasetFile], found: &Statistics, synthetic: bool) -> Result<String> {
    let size = SIZES.into_iter().find(|(_, end)| found.rows < *end).map_or("n>1T", |(words, _)| words);
    let mut templates = Environment::new();
    templates.set_undefined_behavior(UndefinedBehavior::Strict);
    let refused = |error| Error::library("minijinja", error);
    templates.add_template("card", include_str!("card.md.j2")).map_err(refused)?;
    // A string of JSON is one of YAML, whatever is in it.
    let yaml = |text: &str| serde_json::to_string(text).map_err(|error| Error::library("serde_json", error));
    let (pretty_name, licence) = (yaml(&about.name)?, yaml(&about.license.to_lowercase())?);
    let template = templates.get_template("card").map_err(refused)?;
    let (about, files, found) = (Serde(about.clone()), Serde(files.to_vec()), Serde(found.clone()));
    let text = template
        .render(context! { about, pretty_name, licence, mark => MARK, size, files, found, synthetic })
        .map_err(refused)?;
    Ok(text + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::statistics::statistics;

    #[test]
    fn a_card_says_what_the_table_holds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.csv");
        let rows =
            "order,uri,small_insect_order\nDiptera,BOLD:AAA0001,train\nDiptera,BOLD:AAA0001,test\nnot_classified,,no_split\n";
        std::fs::write(&path, rows).unwrap();
        let file = DatasetFile { name: "m.csv".into(), bytes: 9, sha256: "ab".repeat(32) };
        let card = card(&About::bioscan_1m().unwrap(), &[file], &statistics(&path, &[]).unwrap(), true).unwrap();
        insta::assert_snapshot!(card);
    }

    #[test]
    fn a_name_with_a_colon_is_a_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.csv");
        std::fs::write(&path, "order\nDiptera\n").unwrap();
        let about = About { name: "Insects: \"mine\" # all".into(), ..About::bioscan_1m().unwrap() };
        let card = card(&about, &[], &statistics(&path, &[]).unwrap(), false).unwrap();
        assert!(card.starts_with("---\npretty_name: \"Insects: \\\"mine\\\" # all\"\nlicense: \"cc-by-3.0\"\n"), "{card}");
    }
}
