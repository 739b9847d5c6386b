//! photographs → CPU time of one crop at 256 rows by the detector without weights, under that of the original's crop tool.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;

use bioscan_hpc::config::{CropTool, Fit};
use bioscan_hpc::image::{Filter, Target as Resized, contrast, crop_jpeg, decode_reduced, encode, extended_box, resize};

use crate::Result;
use crate::contest::{Contender, Cost, contest};
use crate::peers::{Peer, Request};
use crate::photographs::Photographs;
use crate::statistics::Spread;
use crate::table::{Group, Row, Target, Unit};

/// What ours makes; the peer stops at the crop, at its full size.
const BECOMES: Resized = Resized { fit: Fit::Shorter, length: 256 };
const QUALITY: u8 = 75;

/// The peer takes seconds an image, so it sees few of them, and ours the same.
const IMAGES: usize = 3;
/// And few rounds; ours takes milliseconds and repeats.
const MOST_ROUNDS: usize = 3;
const REPETITIONS: usize = 10;

const AGAINST_DETR: Target = Target::AtLeast(100.0);
/// Milliseconds of the detector alone, an image.
const DETECTOR: Target = Target::AtMost(20.0);

/// Both sizes of originals.
pub fn measure(rounds: usize, folder: &Path, versions: &mut BTreeMap<String, String>) -> Result<Group> {
    let mut rows = Vec::new();
    let mut origins = Vec::new();
    for photographs in [Photographs::large(folder)?, Photographs::small(folder)?] {
        rows.extend(of(&photographs, rounds.min(MOST_ROUNDS), versions)?);
        origins.push(format!("{}: {IMAGES} of {}", photographs.size(), photographs.origin));
    }
    let notes = vec![
        format!("{}. CPU time (user + system) an image, one thread each.", origins.join("; ")),
        "Ours: decode at 1/4 or 1/2, `contrast`, decode the crop by 1.4, resize to 256, JPEG. The original's: Pillow, Hugging Face's DETR-ResNet-50 as its crop \
         tool calls it (one image, gradients kept), crop by 1.4, JPEG; its resize comes later and is not counted. DETR's weights are \
         random: the time does not depend on them."
            .into(),
    ];
    Ok(Group { title: "Crop".into(), rows, notes })
}

fn of(photographs: &Photographs, rounds: usize, versions: &mut BTreeMap<String, String>) -> Result<Vec<Row>> {
    eprintln!("crop, {}", photographs.size());
    let step = (photographs.files.len() / IMAGES).max(1);
    let files: Vec<_> = photographs.files.iter().step_by(step).take(IMAGES).cloned().collect();
    let jpegs: Vec<Vec<u8>> = files.iter().map(std::fs::read).collect::<std::io::Result<_>>()?;
    let pictures = jpegs.iter().map(|jpeg| decode_reduced(jpeg, contrast::SIDE)).collect::<std::result::Result<Vec<_>, _>>()?;
    let (images, each) = (jpegs.len(), REPETITIONS * jpegs.len());

    let mut contenders = vec![
        Contender::new("ours", || {
            let once = || jpegs.iter().try_for_each(|jpeg| ours(jpeg).map(drop));
            Ok(Cost::of(|| (0..REPETITIONS).try_for_each(|_| once()))?.per(each))
        }),
        Contender::new("the detector alone", || {
            let once = || pictures.iter().for_each(|(picture, original)| _ = black_box(contrast::locate(picture, *original)));
            Ok(Cost::of(|| {
                (0..REPETITIONS).for_each(|_| once());
                Ok(())
            })?
            .per(each))
        }),
    ];
    let figure = format!("{}, detect + crop + resize, against the original's DETR crop", photographs.size());
    let absent = match Peer::start("detr") {
        Ok(mut peer) => {
            versions.extend(peer.versions.clone());
            let request = Request { files: files.clone(), repetitions: 1, ..Request::default() };
            contenders.push(Contender::new("detr", move || Ok(peer.ask(&request)?.per(images))));
            None
        }
        Err(why) => Some(Row::not_measured(figure.clone(), Unit::Times, AGAINST_DETR, why)),
    };
    let costs = contest(&mut contenders, rounds)?;
    let (ours, detector) = (&costs[0], &costs[1]);
    let against = costs.get(2).map(|detr| Row {
        figure,
        ours: ours.cpu_ms(),
        peer: detr.cpu_ms(),
        value: Some(Spread::of_ratios(&detr.cpu, &ours.cpu)),
        unit: Unit::Times,
        target: AGAINST_DETR,
    });
    let alone = Row {
        figure: format!("{}, the detector `contrast` alone", photographs.size()),
        ours: detector.cpu_ms(),
        peer: "–".into(),
        value: Some(Spread::median(detector.cpu.iter().map(|seconds| 1e3 * seconds))),
        unit: Unit::Milliseconds,
        target: DETECTOR,
    };
    Ok(against.or(absent).into_iter().chain([alone]).collect())
}

/// What `preprocess` does for the package `cropped_256`; an empty dish is its own crop.
fn ours(jpeg: &[u8]) -> Result<Vec<u8>> {
    let tool = CropTool::default();
    let (picture, original) = decode_reduced(jpeg, contrast::SIDE)?;
    let small = match contrast::locate(&picture, original)? {
        Some(found) => {
            let cropped = crop_jpeg(jpeg, extended_box(found.bounding_box, &tool), tool.fill.rgb())?;
            resize(&cropped, BECOMES.size_for(cropped.size())?, Filter::Lanczos3)?
        }
        None => resize(&picture, BECOMES.size_for(original)?, Filter::Lanczos3)?,
    };
    Ok(encode(&small, QUALITY)?)
}
