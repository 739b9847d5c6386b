//! The detector without weights on real photographs: 517 with a box drawn by hand, 203 without.
#![cfg(feature = "image")]

use std::fs;
use std::path::{Path, PathBuf};

use bioscan_hpc::evaluate::{DetectionReport, Sighting};
use bioscan_hpc::image::{contrast, decode_reduced};
use rayon::prelude::*;

/// File, whether it counts to the first half, and the box.
struct Photograph {
    path: PathBuf,
    first_half: bool,
    truth: Option<[f64; 4]>,
}

fn photographs() -> Option<Vec<Photograph>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/bioscan-originals");
    let Ok(mut labels) = csv::Reader::from_path(folder.join("labels.csv")) else {
        eprintln!("SKIPPED: no real photographs in {}", folder.display());
        return None;
    };
    let rows = labels.records().map(|row| {
        let row = row.unwrap();
        let [x, y, width, height] = [2, 3, 4, 5].map(|column| row[column].parse::<f64>().unwrap());
        Photograph {
            path: folder.join("images").join(&row[0]),
            first_half: blake3::hash(row[0].as_bytes()).as_bytes()[0].is_multiple_of(2),
            truth: (width > 0.0).then_some([x, y, x + width, y + height]),
        }
    });
    Some(rows.collect())
}

/// What this thread has computed since it began, in milliseconds; 0 where the system does not say.
fn cpu_milliseconds() -> f64 {
    let schedule = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    schedule.split(' ').next().and_then(|spent| spent.parse::<f64>().ok()).unwrap_or(0.0) / 1e6
}

fn look_at(photograph: &Photograph) -> (Sighting, f64) {
    let (picture, original) = decode_reduced(&fs::read(&photograph.path).unwrap(), contrast::SIDE).unwrap();
    let before = cpu_milliseconds();
    let found = contrast::locate(&picture, original).unwrap();
    let spent = cpu_milliseconds() - before;
    let found = found.map(|found| {
        let edges = found.bounding_box;
        ([edges.x0, edges.y0, edges.x1, edges.y1].map(f64::from), f64::from(found.score))
    });
    (Sighting { truth: photograph.truth, found }, spent)
}

#[test]
fn specimens_are_boxed_and_empty_dishes_recognised_on_real_photographs() {
    let Some(photographs) = photographs() else { return };
    let looked_at: Vec<(Sighting, f64)> = photographs.par_iter().map(look_at).collect();
    let half = |first: bool| {
        let chosen = photographs.iter().zip(&looked_at).filter(|(photograph, _)| photograph.first_half == first);
        DetectionReport::of(&chosen.map(|(_, (sighting, _))| *sighting).collect::<Vec<_>>())
    };
    let all = DetectionReport::of(&looked_at.iter().map(|(sighting, _)| *sighting).collect::<Vec<_>>());
    let spent = looked_at.iter().map(|(_, spent)| spent).sum::<f64>() / looked_at.len() as f64;

    eprintln!("photographs  objects empties  mean IoU  IoU≥0.5   AP50   AP75  empties: precision recall   lost");
    for (name, report) in [("all", all), ("one half", half(true)), ("other half", half(false))] {
        eprintln!(
            "{name:<12} {:>7} {:>7}  {:>8.3}  {:>7.3}  {:.3}  {:.3}  {:>18.3} {:>6.3}  {:.4}",
            report.objects,
            report.empties,
            report.mean_iou,
            report.share_half,
            report.ap50,
            report.ap75,
            report.empty_precision,
            report.empty_recall,
            report.lost
        );
    }
    eprintln!("{spent:.1} ms of CPU time an image of 1024×768, decoding not counted");

    assert_eq!((all.objects, all.empties), (517, 203));
    assert!(all.mean_iou >= 0.74, "{all:?}");
    assert!(all.share_half >= 0.82, "{all:?}");
    assert!(all.ap50 >= 0.75 && all.ap75 >= 0.49, "{all:?}");
    assert!(all.empty_precision >= 0.97 && all.empty_recall >= 0.68 && all.lost <= 0.005, "{all:?}");
    for report in [half(true), half(false)] {
        assert!(report.mean_iou >= 0.72 && report.share_half >= 0.79, "one half carries the other: {report:?}");
    }
}
