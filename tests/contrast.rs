//! The detector without weights on 720 real photographs: the hard ones, on which the first version of the crop tool failed.
#![cfg(feature = "image")]

use std::fs;
use std::path::Path;

use bioscan_hpc::evaluate::detection::{Detection, Scene, measure};
use bioscan_hpc::image::{contrast, decode};
use rayon::prelude::*;

/// Each photograph with the box drawn by hand, `None` where the dish is empty.
type Drawn = Vec<(String, Option<[f64; 4]>)>;

fn drawn(labels: &Path) -> Drawn {
    let mut reader = csv::Reader::from_path(labels).unwrap();
    let row = |row: csv::StringRecord| {
        let [x, y, w, h] = [2, 3, 4, 5].map(|column| row[column].parse::<f64>().unwrap());
        (row[0].to_owned(), (w > 0.0).then_some([x, y, x + w, y + h]))
    };
    reader.records().map(|record| row(record.unwrap())).collect()
}

fn show(name: &str, measured: &Detection) {
    let Detection { specimens, empty, mean_iou, half, ap50, ap75, empty_precision, empty_recall, lost } = measured;
    println!(
        "{name}: {specimens} specimens, {empty} empty; mean IoU {mean_iou:.3}, IoU >= 0.5 {half:.3}, AP50 {ap50:.3}, AP75 {ap75:.3}; \
         empty precision {empty_precision:.3}, recall {empty_recall:.3}, specimens lost {lost:.4}"
    );
}

#[test]
fn specimens_are_found_and_empty_dishes_known() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/bioscan-originals");
    if !folder.is_dir() {
        eprintln!("SKIPPED: {} is not there", folder.display());
        return;
    }
    let drawn = drawn(&folder.join("labels.csv"));
    let look = |(file, truth): &(String, Option<[f64; 4]>)| {
        let picture = decode(&fs::read(folder.join("images").join(file)).unwrap()).unwrap();
        let found = contrast::locate(&picture).map(|found| {
            let edges = found.bounding_box;
            ([edges.x0, edges.y0, edges.x1, edges.y1].map(f64::from), f64::from(found.score))
        });
        Scene { truth: *truth, found }
    };
    let scenes: Vec<Scene> = drawn.par_iter().map(look).collect();
    let measured = measure(&scenes);
    show("all", &measured);
    assert!(measured.mean_iou >= 0.72, "{measured:?}");
    assert!(measured.half >= 0.79, "{measured:?}");
    assert!(measured.empty_precision >= 0.97 && measured.empty_recall >= 0.64, "{measured:?}");
    assert!(measured.lost <= 0.005, "{measured:?}");
}
