//! a table and what is known of its images → which are missing, unreadable, of another size, or where they should not be.

use std::collections::HashSet;
use std::path::Path;

use crate::dataset::clean::ImageTable;
use crate::dataset::place::Places;
use crate::dataset::table::{self, Quoting};
use crate::dataset::validate::{Report, Severity};
use crate::error::{Error, Result};

/// The size that images should have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Pixels in a row, and rows.
    Exactly(u32, u32),
    /// Pixels of the shorter side.
    Shorter(u32),
}

impl std::str::FromStr for Expected {
    type Err = String;

    /// `1024x768`, or `256` for the shorter side.
    fn from_str(text: &str) -> Result<Self, String> {
        let side = |text: &str| text.parse().ok().filter(|side| *side > 0).ok_or("not a size: valid are 1024x768 and 256");
        Ok(match text.split_once('x') {
            Some((width, height)) => Self::Exactly(side(width)?, side(height)?),
            None => Self::Shorter(side(text)?),
        })
    }
}

impl Expected {
    fn is(self, width: u32, height: u32) -> bool {
        match self {
            Self::Exactly(wanted_width, wanted_height) => (width, height) == (wanted_width, wanted_height),
            Self::Shorter(side) => width.min(height) == side,
        }
    }
}

/// Compares the table at `metadata` with what a survey found. Images that no record names are found as well.
pub fn inspect(metadata: &Path, quoting: Quoting, images: &ImageTable, expected: Option<Expected>) -> Result<Report> {
    let mut table = table::open_with(metadata, quoting)?;
    let places =
        Places::find(table.columns()).ok_or_else(|| Error::input(metadata, "has no columns that say where its images lie"))?;
    let by_file: std::collections::HashMap<&str, &str> =
        images.places().map(|place| (place.rsplit('/').next().unwrap_or(place), place)).collect();
    let mut report = Report::default();
    let mut named: HashSet<String> = HashSet::new();
    table::for_each(table.as_mut(), |_, row, at| {
        let place = places.of(row);
        let Some(facts) = images.get(&place) else {
            match by_file.get(place.file.as_str()) {
                Some(elsewhere) => {
                    let example = || format!("{}: {} lies at {elsewhere}", at(), place.path);
                    report.add(Severity::Fault, "an image lies in another chunk than its record says", example);
                    named.insert((*elsewhere).to_owned());
                }
                None => report.add(Severity::Fault, "an image is missing", || format!("{}: {}", at(), place.path)),
            }
            return Ok(());
        };
        if let Some(fault) = &facts.fault {
            report.add(Severity::Fault, "an image cannot be read", || format!("{}: {}: {fault}", at(), place.path));
        } else if expected.is_some_and(|expected| !expected.is(facts.width, facts.height)) {
            let example = || format!("{}: {} has {}×{} pixels", at(), place.path, facts.width, facts.height);
            report.add(Severity::Fault, "an image is not of the expected size", example);
        }
        if let Some(original) = &facts.duplicate_of {
            report.add(Severity::Warning, "an image is that of another record", || {
                format!("{}: {} is {original}", at(), place.path)
            });
        }
        named.insert(place.path);
        named.insert(place.file);
        Ok(())
    })?;
    let mut unnamed: Vec<&str> = images.places().filter(|place| !named.contains(*place)).collect();
    unnamed.sort_unstable();
    unnamed.into_iter().for_each(|place| report.add(Severity::Warning, "an image belongs to no record", || place.to_owned()));
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::clean::ImageFacts;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        assert_eq!("1024x768".parse(), Ok(Expected::Exactly(1024, 768)));
        assert_eq!("256".parse(), Ok(Expected::Shorter(256)));
        assert!("256x".parse::<Expected>().is_err() && "0".parse::<Expected>().is_err() && "big".parse::<Expected>().is_err());
        assert!(
            Expected::Shorter(256).is(341, 256) && Expected::Shorter(256).is(256, 341) && !Expected::Shorter(256).is(341, 300)
        );
    }

    #[test]
    fn every_way_an_image_can_be_wrong_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.csv");
        std::fs::write(&path, "image_file,chunk_number\na.jpg,1\nb.jpg,1\nc.jpg,1\nd.jpg,2\ne.jpg,2\n").unwrap();
        let good = ImageFacts { width: 341, height: 256, ..ImageFacts::default() };
        let images: ImageTable = [
            ("part1/a.jpg", good.clone()),
            ("part1/b.jpg", ImageFacts { fault: Some("truncated".into()), ..ImageFacts::default() }),
            ("part2/c.jpg", good.clone()),
            ("part2/d.jpg", ImageFacts { width: 300, duplicate_of: Some("part1/a.jpg".into()), ..good.clone() }),
            ("part3/z.jpg", good),
        ]
        .into_iter()
        .map(|(place, facts)| (place.to_owned(), facts))
        .collect();
        let report = inspect(&path, Quoting::Standard, &images, Some(Expected::Exactly(341, 256))).unwrap();
        let found: Vec<_> =
            report.faults.iter().map(|fault| (fault.kind.as_str(), fault.count, fault.examples[0].as_str())).collect();
        assert_eq!(
            found,
            [
                ("an image cannot be read", 1, "line 3: part1/b.jpg: truncated"),
                ("an image lies in another chunk than its record says", 1, "line 4: part1/c.jpg lies at part2/c.jpg"),
                ("an image is not of the expected size", 1, "line 5: part2/d.jpg has 300×256 pixels"),
                ("an image is that of another record", 1, "line 5: part2/d.jpg is part1/a.jpg"),
                ("an image is missing", 1, "line 6: part2/e.jpg"),
                ("an image belongs to no record", 1, "part3/z.jpg"),
            ]
        );
    }

    #[test]
    fn a_quotation_mark_is_what_it_is_for_the_other_checks() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.csv");
        std::fs::write(&path, "image_file,chunk_number,remark\na.jpg,1,\"odd\nb.jpg,1,\n").unwrap();
        let images = ["a", "b"].map(|name| (format!("part1/{name}.jpg"), ImageFacts::default())).into_iter().collect();
        assert!(inspect(&path, Quoting::Standard, &images, None).is_err());
        assert_eq!(inspect(&path, Quoting::Off, &images, None).unwrap(), Report::default());
    }
}
