//! Sizes: numbers where numbers belong, and the two that follow from a box by their formulas.

use std::collections::BTreeMap;

use crate::dataset::boxes::{BoxRecord, Original};
use crate::dataset::record::{Column, Columns, IMAGE_FILE};
use crate::dataset::validate::check::{Check, Row};
use crate::dataset::validate::report::{Report, Severity};

/// All originals of BIOSCAN-5M have this size.
const ORIGINAL: Original = Original { width: 1024, height: 768 };

pub(super) fn checks(columns: &Columns, boxes: BTreeMap<String, BoxRecord>) -> Vec<Box<dyn Check>> {
    let [area_fraction, scale_factor, organism] =
        ["area_fraction", "scale_factor", "image_measurement_value"].map(|name| columns.find(name));
    if [area_fraction, scale_factor, organism].iter().all(Option::is_none) {
        return Vec::new();
    }
    let edges = ["x0", "y0", "x1", "y1"].map(|name| columns.find(name));
    let [Some(x0), Some(y0), Some(x1), Some(y1)] = edges else {
        let source = Boxes::Given { boxes, file: columns.find(IMAGE_FILE), id: columns.find("processid") };
        return vec![Box::new(Measures { area_fraction, scale_factor, organism, source })];
    };
    let size = columns.find("width_original").zip(columns.find("height_original"));
    vec![Box::new(Measures { area_fraction, scale_factor, organism, source: Boxes::Within { edges: [x0, y0, x1, y1], size } })]
}

/// Where the boxes are.
enum Boxes {
    /// In the table's own columns.
    Within { edges: [Column; 4], size: Option<(Column, Column)> },
    /// In another file, by the name of the image.
    Given { boxes: BTreeMap<String, BoxRecord>, file: Option<Column>, id: Option<Column> },
}

impl Boxes {
    fn of(&self, row: &Row) -> Option<BoxRecord> {
        let number = |column: &Column| column.of(row.cells).parse::<f64>().ok().map(|edge| edge as i64);
        match self {
            Self::Within { edges, size } => {
                let [x0, y0, x1, y1] = edges.each_ref().map(number);
                let side = |column| number(column).and_then(|side| u32::try_from(side).ok());
                let given =
                    size.as_ref().and_then(|(width, height)| Some(Original { width: side(width)?, height: side(height)? }));
                let original = Some(given.unwrap_or(ORIGINAL));
                Some(BoxRecord { file: String::new(), original, x0: x0?, y0: y0?, x1: x1?, y1: y1?, score: None })
            }
            Self::Given { boxes, file, id } => {
                let found = file.and_then(|file| boxes.get(file.of(row.cells)));
                let mut record = found.or_else(|| boxes.get(&format!("{}.jpg", id.as_ref()?.of(row.cells))))?.clone();
                record.original = record.original.or(Some(ORIGINAL));
                Some(record)
            }
        }
    }
}

struct Measures {
    area_fraction: Option<Column>,
    scale_factor: Option<Column>,
    /// Pixels covered by the organism. They may exceed the box's, and in the published data some do.
    organism: Option<Column>,
    source: Boxes,
}

impl Check for Measures {
    fn row(&mut self, row: &Row, report: &mut Report) {
        let record = self.source.of(row);
        let fraction = |given: f64| given > 0.0 && given <= 1.0;
        let follows = record.as_ref().and_then(BoxRecord::area_fraction);
        compare(row, report, "area_fraction", self.area_fraction, fraction, follows);
        let follows = record.as_ref().map(BoxRecord::scale_factor);
        compare(row, report, "scale_factor", self.scale_factor, |given| given > 0.0 && given.is_finite(), follows);
        let whole = |given: f64| given >= 0.0 && given.fract() == 0.0;
        compare(row, report, "image_measurement_value", self.organism, whole, None);
    }
}

/// Checks one cell: a number that `is_possible`, and the one that `follows` from the box. An empty cell is unknown, which is no fault.
fn compare(
    row: &Row,
    report: &mut Report,
    name: &str,
    column: Option<Column>,
    is_possible: impl Fn(f64) -> bool,
    follows: Option<f64>,
) {
    let Some(cell) = column.map(|column| column.of(row.cells)).filter(|cell| !cell.is_empty()) else { return };
    match cell.parse::<f64>() {
        Ok(given) if is_possible(given) => {
            if let Some(follows) = follows.filter(|follows| (follows - given).abs() > 0.5e-4) {
                let example = || row.says(format_args!("{cell}, but {follows} follows"));
                report.add(Severity::Fault, &format!("the {name} does not follow from the box"), example);
            }
        }
        _ => report.add(Severity::Fault, &format!("the {name} is no such number"), || row.says(format_args!("`{cell}`"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::validate::found_tests::found;
    use crate::dataset::validate::{Options, validate, validate_with};

    const HEADER: &str = "processid,split,chunk,area_fraction,scale_factor,image_measurement_value";

    #[test]
    fn numbers_follow_from_the_box_beside_them() {
        // 194×285 pixels of 1024×768: 55290/786432 = 0.0703; 194/256 = 0.7578.
        let found = found(&format!(
            "{HEADER},x0,y0,x1,y1\na,val,,0.0703,0.7578,8605,339,208,533,493\nb,val,,0.0704,0.7578,,339,208,533,493\nc,val,,0,x,1.5,339,208,533,493\n"
        ));
        let expected = [
            ("the area_fraction does not follow from the box", "line 3: 0.0704, but 0.0703 follows"),
            ("the area_fraction is no such number", "line 4: `0`"),
            ("the scale_factor is no such number", "line 4: `x`"),
            ("the image_measurement_value is no such number", "line 4: `1.5`"),
        ];
        assert_eq!(found.iter().map(|(_, kind, _, first)| (kind.as_str(), first.as_str())).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn or_from_the_box_in_another_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.csv");
        std::fs::write(&path, format!("{HEADER}\na,val,,0.0703,0.7579,\n")).unwrap();
        let record = BoxRecord { file: "a.jpg".into(), original: None, x0: 339, y0: 208, x1: 533, y1: 493, score: None };
        let options = Options { boxes: [("a.jpg".to_owned(), record)].into(), ..Options::default() };
        let report = validate_with(&path, options).unwrap();
        assert_eq!(report.faults[0].examples, ["line 2: 0.7579, but 0.7578 follows"]);
        assert!(validate(&path).unwrap().faults.is_empty());
    }

    #[test]
    fn real_records_of_bioscan_5m_are_sound() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/bioscan5m-sample.csv");
        if !path.exists() {
            eprintln!("SKIPPED: no {}", path.display());
            return;
        }
        let report = validate(&path).unwrap();
        assert_eq!((report.rows, &report.faults[..]), (13, &[][..]));
    }
}
