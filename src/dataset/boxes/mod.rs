//! where the specimen lies in each picture: COCO JSON or a table → boxes by file, and the table as BIOSCAN-5M publishes it.
//!
//! ```text
//! boxes.json            COCO: images[].{id, file_name, width, height}, annotations[].{image_id, bbox, score}
//! boxes.tsv, boxes.csv  processid | image_file | file, x0, y0, x1, y1, width_original, height_original, score
//! ```
//!
//! Of several boxes of one picture the one with the highest score counts, else the largest: the tools keep one specimen a picture.

mod coco;
mod record;
mod tsv;

use std::collections::BTreeMap;
use std::path::Path;

pub use record::{BoxRecord, Original};
pub use tsv::write;

use crate::error::{Error, Result};

/// Reads the boxes at `path`, by file name.
///
/// # Errors
/// A file of another kind, and a row that is wrong, by its line and column: boxes are not guessed.
pub fn read(path: &Path) -> Result<BTreeMap<String, BoxRecord>> {
    let mut best: BTreeMap<String, BoxRecord> = BTreeMap::new();
    for_each(path, |record| {
        if best.get(&record.file).is_none_or(|other| outranks(&record, other)) {
            best.insert(record.file.clone(), record);
        }
        Ok(())
    })?;
    Ok(best)
}

/// Hands every box in the file to `visit`. A table is read row by row, so its length costs no memory.
pub fn for_each(path: &Path, visit: impl FnMut(BoxRecord) -> Result<()>) -> Result<()> {
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("json") => coco::for_each(path, visit),
        Some("tsv" | "csv") => tsv::for_each(path, visit),
        _ => Err(Error::input(path, "boxes of unknown format").with_help("valid are a COCO .json, a .tsv and a .csv")),
    }
}

/// Whether box `a` counts rather than `b`, which came first.
fn outranks(a: &BoxRecord, b: &BoxRecord) -> bool {
    match (a.score, b.score) {
        (Some(a_score), Some(b_score)) if a_score != b_score => a_score > b_score,
        (Some(_), None) => true,
        (None, Some(_)) => false,
        _ => a.area() > b.area(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(side: i64, score: Option<f64>) -> BoxRecord {
        BoxRecord { file: "a.jpg".into(), original: None, x0: 0, y0: 0, x1: side, y1: side, score }
    }

    #[test]
    fn the_highest_score_counts_then_the_largest_area_then_the_first() {
        assert!(outranks(&record(1, Some(0.9)), &record(5, Some(0.8))));
        assert!(outranks(&record(1, Some(0.1)), &record(5, None)));
        assert!(outranks(&record(6, Some(0.8)), &record(5, Some(0.8))));
        assert!(outranks(&record(6, None), &record(5, None)));
        assert!(!outranks(&record(5, None), &record(5, None)));
    }

    #[test]
    fn a_file_of_another_kind_is_refused_with_the_kinds_there_are() {
        assert!(read(Path::new("boxes.xml")).unwrap_err().help().unwrap().contains("COCO"));
    }
}
