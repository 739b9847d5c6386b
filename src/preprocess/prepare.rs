//! originals → what is asked of each, the decoded pixels shared.

use std::borrow::Cow;

use crate::config::{Package, Preprocess};
use crate::error::{Error, Result};
use crate::image::{Fault, Filter, RgbImage, Size, encode, extended_box, resize};
use crate::preprocess::Quarantined;
use crate::preprocess::decoded::{Decoded, target};
use crate::preprocess::detector::{Detector, Found, Scene, Sighting};
use crate::telemetry::doing;

/// An image as it came from its container.
#[derive(Debug)]
pub struct Original {
    /// Its file name.
    pub file: String,
    /// Its bytes, or why they cannot be had.
    pub jpeg: Result<Vec<u8>, Quarantined>,
}

/// What became of one original.
#[derive(Debug)]
pub struct Prepared {
    /// Its file name.
    pub file: String,
    /// The results, or why there are none for any package.
    pub outcome: Result<Made, Quarantined>,
}

/// The results of one original.
#[derive(Debug)]
pub struct Made {
    /// JPEG bytes for each package asked for, in their order, or why this one cannot be made: a box outside the picture spoils
    /// the crops alone.
    pub jpegs: Vec<Result<Vec<u8>, Quarantined>>,
    /// The specimen, in pixels of the original, which has this size; `None` where nobody looked for it.
    pub seen: Option<(Size, Option<Sighting>)>,
}

/// Prepares `originals` of `chunk` together: `packages` of each, by `settings`.
///
/// No pixel is decoded that neither the detector nor a result asks for. The outer error ends the command; what is wrong with one image
/// is its own.
pub fn prepare(
    chunk: u32,
    originals: Vec<Original>,
    packages: &[Package],
    settings: &Preprocess,
    detector: Option<&dyn Detector>,
) -> Result<Vec<Prepared>> {
    let detail = detector.map(Detector::detail);
    let decoded: Vec<(String, Result<Decoded<'_>, Quarantined>)> = originals
        .into_iter()
        .map(|Original { file, jpeg }| {
            doing::image(chunk, &file);
            let picture = jpeg.and_then(|jpeg| {
                let picture = Decoded::read(Cow::Owned(jpeg), settings, detail);
                picture.map_err(|fault| Quarantined::image(chunk, &file, fault))
            });
            (file, picture)
        })
        .collect();

    let scenes: Vec<Scene> = (decoded.iter()).filter_map(|(file, picture)| Some(picture.as_ref().ok()?.scene(file))).collect();
    let mut sightings = match detector {
        Some(detector) if !scenes.is_empty() => detector.locate(&scenes)?.into_iter(),
        _ => vec![Ok(None); scenes.len()].into_iter(),
    };

    let finish = |(file, picture): (String, Result<Decoded<'_>, Quarantined>)| {
        let picture = match picture {
            Ok(picture) => picture,
            Err(entry) => return Ok(Prepared { file, outcome: Err(entry) }),
        };
        let found =
            sightings.next().ok_or_else(|| Error::library("the detector", "it answered for fewer pictures than it saw"))?;
        let made = make(&picture, &found, packages, settings)?;
        let jpegs = made.into_iter().map(|jpeg| jpeg.map_err(|fault| Quarantined::image(chunk, &file, fault))).collect();
        let made = Made { jpegs, seen: detector.map(|_| (picture.original(), found.unwrap_or_default())) };
        Ok(Prepared { file, outcome: Ok(made) })
    };
    decoded.into_iter().map(finish).collect()
}

/// One JPEG for each of `packages`. A picture without a specimen is its own crop: nothing is lost by a detector that saw nothing.
fn make(
    decoded: &Decoded<'_>,
    found: &Found,
    packages: &[Package],
    settings: &Preprocess,
) -> Result<Vec<Result<Vec<u8>, Fault>>> {
    let crop = |sighting: Sighting| decoded.crop(extended_box(sighting.bounding_box, &settings.crop), settings.crop.fill.rgb());
    let cropped = match found {
        _ if !packages.iter().any(|package| package.is_cropped()) => None,
        Ok(sighting) => sighting.map(crop),
        Err(fault) => Some(Err(fault.clone())),
    };
    let one = |package: &Package| {
        let picture = match (package, cropped.as_ref().filter(|_| package.is_cropped())) {
            (_, Some(Err(fault))) => Err(fault.clone()),
            (Package::Cropped, Some(Ok(cropped))) => Ok(Cow::Borrowed(cropped)),
            (Package::Cropped, None) => decoded.whole(),
            (_, Some(Ok(cropped))) => resized(cropped, settings)?.map(Cow::Owned),
            (_, None) => decoded.resized(settings)?.map(Cow::Owned),
        };
        match picture {
            Ok(picture) => encode(&picture, settings.quality).map(Ok),
            Err(fault) => Ok(Err(fault)),
        }
    };
    packages.iter().map(one).collect()
}

/// A crop at the size that the settings ask for.
fn resized(cropped: &RgbImage, settings: &Preprocess) -> Result<Result<RgbImage, Fault>> {
    match target(settings).size_for(cropped.size()) {
        Ok(size) => resize(cropped, size, Filter::Lanczos3).map(Ok),
        Err(fault) => Ok(Err(fault)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{CropTool, Detector as Kind};
    use crate::image::{BoundingBox, decode};

    /// Finds the same box in every picture whose name does not begin with "empty".
    struct Everywhere(BoundingBox);

    impl Detector for Everywhere {
        fn locate(&self, scenes: &[Scene<'_>]) -> Result<Vec<Found>> {
            Ok(scenes.iter().map(|scene| Ok((!scene.file.starts_with("empty")).then_some(seen(self.0)))).collect())
        }
    }

    fn seen(bounding_box: BoundingBox) -> Sighting {
        Sighting { bounding_box, score: Some(0.5) }
    }

    const SEEN: BoundingBox = BoundingBox { x0: 40, y0: 30, x1: 80, y1: 50 };

    fn original(file: &str) -> Original {
        let image = RgbImage { pixels: [200, 180, 160].repeat(120 * 90), ..RgbImage::black(Size { width: 120, height: 90 }) };
        Original { file: file.into(), jpeg: Ok(encode(&image, 90).unwrap()) }
    }

    fn sizes(made: &Made) -> Vec<(u32, u32)> {
        let size = |jpeg: &Vec<u8>| decode(jpeg).map(|image| (image.width, image.height)).unwrap();
        made.jpegs.iter().flatten().map(size).collect()
    }

    fn run(originals: Vec<Original>, seen: BoundingBox) -> Vec<Prepared> {
        let packages = [Package::Cropped, Package::CroppedResized, Package::OriginalResized];
        let crop = CropTool { extension: 1.5, ..CropTool::default() };
        let settings =
            Preprocess { size: 32, detector: Kind::Contrast, wanted: packages.to_vec(), crop, ..Preprocess::default() };
        prepare(1, originals, &packages, &settings, Some(&Everywhere(seen))).unwrap()
    }

    #[test]
    fn one_decode_gives_every_package_and_where_the_specimen_is() {
        let prepared = run(vec![original("a.jpg")], SEEN);
        let made = prepared[0].outcome.as_ref().unwrap();
        // 40×20 grows by 0.5 · 40 on both axes to 60×40, of which 40 becomes 32; 90 of the whole picture becomes 32.
        assert_eq!(sizes(made), [(60, 40), (48, 32), (43, 32)]);
        assert_eq!(made.seen, Some((Size { width: 120, height: 90 }, Some(seen(SEEN)))));
    }

    #[test]
    fn an_empty_dish_is_its_own_crop() {
        let prepared = run(vec![original("empty.jpg"), original("b.jpg")], SEEN);
        let made = prepared[0].outcome.as_ref().unwrap();
        assert_eq!(sizes(made), [(120, 90), (43, 32), (43, 32)]);
        assert_eq!(made.seen.unwrap().1, None);
        assert_eq!(prepared[1].outcome.as_ref().unwrap().seen.unwrap().1, Some(seen(SEEN)), "each picture has its own answer");
    }

    #[test]
    fn a_broken_jpeg_is_quarantined_beside_a_good_one_and_a_box_outside_the_picture_spoils_its_crops_alone() {
        let broken = Original { file: "broken.jpg".into(), jpeg: Ok(b"\xff\xd8\xff".to_vec()) };
        let prepared = run(vec![broken, original("a.jpg")], BoundingBox { x0: 500, y0: 500, x1: 540, y1: 520 });
        assert_eq!(prepared[0].outcome.as_ref().unwrap_err().reason, "truncated");
        let made = prepared[1].outcome.as_ref().unwrap();
        let reasons: Vec<_> = made.jpegs.iter().map(|jpeg| jpeg.as_ref().err().map(|entry| entry.reason.as_str())).collect();
        assert_eq!(reasons, [Some("bad_box"), Some("bad_box"), None]);
        assert_eq!(sizes(made), [(43, 32)]);
    }
}
