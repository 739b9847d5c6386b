//! a TSV or CSV of boxes, its columns found by name ↔ boxes; and the columns as BIOSCAN-5M publishes them, with the score behind them.

use std::path::Path;

use crate::dataset::boxes::{BoxRecord, Original};
use crate::dataset::record::{Column, Columns, StringRecord};
use crate::dataset::table;
use crate::error::{Error, Result};

/// The published columns, in their order, and our own behind them.
const COLUMNS: [&str; 10] =
    ["processid", "width_original", "height_original", "x0", "y0", "x1", "y1", "scale_factor", "area_fraction", "score"];

/// The column that names the picture.
enum Name {
    File(Column),
    /// The picture is `{processid}.jpg`, as BIOSCAN-5M names them.
    ProcessId(Column),
}

impl Name {
    fn find(columns: &Columns) -> Result<Self> {
        let file = ["image_file", "file", "file_name"].iter().find_map(|name| columns.find(name));
        file.map_or_else(|| columns.require("processid").map(Self::ProcessId), |column| Ok(Self::File(column)))
    }

    fn of(&self, row: &StringRecord) -> Result<String, String> {
        let (column, file) = match self {
            Self::File(column) => ("the name of the picture", column.of(row).to_owned()),
            Self::ProcessId(column) => ("`processid`", format!("{}.jpg", column.of(row))),
        };
        if file.is_empty() || file == ".jpg" { Err(format!("{column} is empty")) } else { Ok(file) }
    }
}

/// See [`super::for_each`].
pub(super) fn for_each(path: &Path, mut visit: impl FnMut(BoxRecord) -> Result<()>) -> Result<()> {
    let mut rows = table::open(path)?;
    let columns = rows.columns();
    let name = Name::find(columns)?;
    let edges = [columns.require("x0")?, columns.require("y0")?, columns.require("x1")?, columns.require("y1")?];
    let size = columns.find("width_original").zip(columns.find("height_original"));
    let score = columns.find("score");
    table::for_each(rows.as_mut(), |_, row, place| {
        let wrong = |what: String| Error::input(path, format!("{}: {what}", place()));
        let score = score.map(|column| column.of(row)).filter(|cell| !cell.is_empty());
        let score = score.map(score_of).transpose().map_err(wrong)?;
        visit(BoxRecord { score, ..record_of(row, &name, edges, size).map_err(wrong)? })
    })
}

fn record_of(
    row: &StringRecord,
    name: &Name,
    [x0, y0, x1, y1]: [Column; 4],
    size: Option<(Column, Column)>,
) -> Result<BoxRecord, String> {
    let file = name.of(row)?;
    let original = match size.filter(|(width, height)| !(width.of(row).is_empty() && height.of(row).is_empty())) {
        Some((width, height)) => {
            Some(Original { width: side("width_original", width.of(row))?, height: side("height_original", height.of(row))? })
        }
        None => None,
    };
    let (x0, y0) = (whole("x0", x0.of(row))?, whole("y0", y0.of(row))?);
    let (x1, y1) = (whole("x1", x1.of(row))?, whole("y1", y1.of(row))?);
    let record = BoxRecord { file, original, x0, y0, x1, y1, score: None };
    record.fault().map_or(Ok(record), Err)
}

/// A whole number, which a table may have as `339.0`: pandas writes columns with gaps so.
fn whole(column: &str, cell: &str) -> Result<i64, String> {
    let number =
        cell.parse().ok().or_else(|| cell.parse().ok().filter(|value: &f64| value.fract() == 0.0).map(|value| value as i64));
    number.ok_or_else(|| format!("`{column}` is `{cell}`, not a whole number of pixels"))
}

fn side(column: &str, cell: &str) -> Result<u32, String> {
    let side = whole(column, cell)?;
    u32::try_from(side).ok().filter(|side| *side > 0).ok_or_else(|| format!("`{column}` is {side}, no side of a picture"))
}

fn score_of(cell: &str) -> Result<f64, String> {
    cell.parse().ok().filter(|score: &f64| score.is_finite()).ok_or_else(|| format!("`score` is `{cell}`, not a number"))
}

/// Writes the published table and the scores to `path`, a `.tsv` or `.csv`, atomically; cells that are not known are empty.
pub fn write<'a>(path: &Path, records: impl IntoIterator<Item = &'a BoxRecord>) -> Result<()> {
    let columns = COLUMNS.map(str::to_owned);
    table::write(path, &columns, |out| records.into_iter().try_for_each(|record| out.write(&row_of(record))))
}

fn row_of(record: &BoxRecord) -> StringRecord {
    let stem = record.file.strip_suffix(".jpg").unwrap_or(&record.file).to_owned();
    let size = |side: fn(Original) -> u32| record.original.map(|original| side(original).to_string()).unwrap_or_default();
    // `{:?}` writes floats as Python does: 1.0 keeps its dot.
    let fraction = record.area_fraction().map(|fraction| format!("{fraction:?}")).unwrap_or_default();
    let edges = [record.x0, record.y0, record.x1, record.y1].map(|edge| edge.to_string());
    let score = record.score.map(|score| format!("{score:.4}")).unwrap_or_default();
    let before = [stem, size(|original| original.width), size(|original| original.height)];
    before.into_iter().chain(edges).chain([format!("{:?}", record.scale_factor()), fraction, score]).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::dataset::boxes::read;

    fn read_text(name: &str, text: &str) -> Result<Vec<BoxRecord>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        Ok(read(&path)?.into_values().collect())
    }

    #[test]
    fn what_is_published_is_written_as_published() {
        let record = BoxRecord {
            file: "CRCBB46471-23.jpg".into(),
            original: Some(Original { width: 1024, height: 768 }),
            x0: 339,
            y0: 208,
            x1: 533,
            y1: 493,
            score: Some(0.875),
        };
        let unsized_one = BoxRecord { file: "b.png".into(), original: None, x0: -3, y0: 0, x1: 253, y1: 300, score: None };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("boxes.tsv");
        write(&path, [&record, &unsized_one]).unwrap();
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            "processid\twidth_original\theight_original\tx0\ty0\tx1\ty1\tscale_factor\tarea_fraction\tscore\n\
             CRCBB46471-23\t1024\t768\t339\t208\t533\t493\t0.7578\t0.0703\t0.8750\n\
             b.png\t\t\t-3\t0\t253\t300\t1.0\t\t\n"
        );
        assert_eq!(read(&path).unwrap()["CRCBB46471-23.jpg"], record);
    }

    #[test]
    fn columns_are_found_by_name_and_a_row_is_named_by_line_and_column() {
        let found = read_text("b.csv", "y1,x1,y0,x0,image_file,score\n4,3,2.0,1,a.jpg,0.5\n9,9,1,1,a.jpg,0.4\n").unwrap();
        assert_eq!(found, [BoxRecord { file: "a.jpg".into(), original: None, x0: 1, y0: 2, x1: 3, y1: 4, score: Some(0.5) }]);
        let refused = |row: &str| {
            read_text("b.csv", &format!("file,x0,y0,x1,y1,width_original,height_original,score\n{row}\n"))
                .unwrap_err()
                .to_string()
        };
        assert!(refused("a.jpg,1,2,3,4.5,,,").ends_with("line 2: `y1` is `4.5`, not a whole number of pixels"));
        assert!(refused("a.jpg,5,2,3,4,,,").contains("`x1` is 3, not more than `x0`, which is 5"));
        assert!(refused("a.jpg,1,2,3,4,0,9,").contains("`width_original` is 0, no side of a picture"));
        assert!(refused("a.jpg,1,2,3,4,10,,").contains("`height_original` is ``"));
        assert!(refused("a.jpg,1,2,3,4,9,9,high").contains("`score` is `high`"));
        assert!(refused(",1,2,3,4,,,").contains("the name of the picture is empty"));
        assert!(read_text("b.csv", "file,x0,y0,x1\n").unwrap_err().to_string().contains("no column `y1`"));
    }

    /// The records are real, and so are both numbers; all originals of BIOSCAN-5M have 1024×768 pixels.
    #[test]
    fn the_published_numbers_of_real_records_follow_from_their_boxes() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/bioscan5m-sample.csv");
        if !path.exists() {
            eprintln!("SKIPPED: no {}", path.display());
            return;
        }
        let boxes = read(&path).unwrap();
        let mut rows = 0;
        let mut reader = csv::Reader::from_path(&path).unwrap();
        let columns = reader.headers().unwrap().clone();
        let at = |name| columns.iter().position(|column| column == name).unwrap();
        for row in reader.records().map(|row| row.unwrap()) {
            let record = &boxes[&format!("{}.jpg", &row[at("processid")])];
            let record = BoxRecord { original: Some(Original { width: 1024, height: 768 }), ..record.clone() };
            let written = row_of(&record);
            assert_eq!((&written[7], &written[8]), (&row[at("scale_factor")], &row[at("area_fraction")]), "{record:?}");
            rows += 1;
        }
        assert_eq!(rows, 13);
    }
}
