//! a file of boxes → the specimen of each picture it names.

use std::collections::BTreeMap;
use std::path::Path;

use crate::dataset::boxes::{self, BoxRecord, Original};
use crate::error::Result;
use crate::image::{BoundingBox, Fault, Reason, Size};
use crate::preprocess::detector::{Detail, Detector, Found, Scene, Sighting};

/// Boxes that somebody else found.
pub struct BoxFile {
    boxes: BTreeMap<String, BoxRecord>,
}

impl BoxFile {
    /// Reads a COCO JSON or a box table.
    pub fn read(path: &Path) -> Result<Self> {
        Ok(Self { boxes: boxes::read(path)? })
    }
}

impl Detector for BoxFile {
    /// A picture the file does not name has no specimen.
    fn locate(&self, scenes: &[Scene<'_>]) -> Result<Vec<Found>> {
        let sighting = |scene: &Scene<'_>| {
            let Some(record) = self.boxes.get(scene.file) else { return Ok(None) };
            Ok(Some(Sighting { bounding_box: in_pixels(record, scene.original)?, score: record.score }))
        };
        Ok(scenes.iter().map(sighting).collect())
    }

    /// Nothing; so the picture is only gone through for what may be wrong with it.
    fn detail(&self) -> Detail {
        Detail::Side(1)
    }
}

/// The record's box in a picture of this size. A box drawn on another size of the same picture is scaled to this one.
fn in_pixels(record: &BoxRecord, size: Size) -> Result<BoundingBox, Fault> {
    let drawn_on = record.original.map_or(size, |Original { width, height }| Size { width, height });
    if !is_one_shape(drawn_on, size) {
        let detail = format!(
            "the box was drawn on {}×{} pixels, another shape than {}×{}",
            drawn_on.width, drawn_on.height, size.width, size.height
        );
        return Err(Fault::new(Reason::BadBox, detail));
    }
    // Tables hold no edge beyond a million, so that no product overflows; an edge beyond i32 is beyond any picture all the same.
    let scaled = |edge: i64, to: u32, from: u32| {
        let edge = (edge * i64::from(to)).div_euclid(i64::from(from.max(1)));
        edge.clamp(i32::MIN.into(), i32::MAX.into()) as i32
    };
    Ok(BoundingBox {
        x0: scaled(record.x0, size.width, drawn_on.width),
        y0: scaled(record.y0, size.height, drawn_on.height),
        x1: scaled(record.x1, size.width, drawn_on.width),
        y1: scaled(record.y1, size.height, drawn_on.height),
    })
}

/// Whether one may be the other made larger or smaller, each side rounded by less than a pixel: then w·H and h·W differ by less
/// than the larger of W + H and w + h. A picture turned by a quarter is another.
fn is_one_shape(one: Size, other: Size) -> bool {
    let sides = |size: Size| (i64::from(size.width), i64::from(size.height));
    let ((width, height), (other_width, other_height)) = (sides(one), sides(other));
    let rounding = (width + height).max(other_width + other_height);
    (width * other_height - height * other_width).abs() <= rounding
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::RgbImage;

    #[test]
    fn a_box_is_found_by_file_name_and_scaled_to_the_picture_it_is_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("boxes.csv");
        std::fs::write(&path, "file,x0,y0,x1,y1,width_original,height_original\na.jpg,10,20,30,40,100,80\n").unwrap();
        let detector = BoxFile::read(&path).unwrap();
        let (same, half) = (RgbImage::black(Size { width: 100, height: 80 }), RgbImage::black(Size { width: 50, height: 40 }));
        fn scene<'a>(file: &'a str, picture: &'a RgbImage) -> Scene<'a> {
            Scene { file, picture, original: picture.size() }
        }
        let found = detector.locate(&[scene("a.jpg", &same), scene("a.jpg", &half), scene("b.jpg", &same)]).unwrap();
        assert_eq!(found[0].as_ref().unwrap().unwrap().bounding_box, BoundingBox { x0: 10, y0: 20, x1: 30, y1: 40 });
        assert_eq!(found[1].as_ref().unwrap().unwrap().bounding_box, BoundingBox { x0: 5, y0: 10, x1: 15, y1: 20 });
        assert_eq!(found[2], Ok(None));
    }

    #[test]
    fn a_box_of_another_shape_is_a_fault_and_one_beyond_all_pixels_stays_there() {
        let on = |width, height, x1| BoxRecord {
            file: "a.jpg".into(),
            original: Some(Original { width, height }),
            x0: 0,
            y0: 0,
            x1,
            y1: 1,
            score: None,
        };
        let size = Size { width: 2880, height: 2160 };
        // Reductions of it, their sides rounded either way.
        for (width, height) in [(2880, 2160), (341, 256), (342, 256), (256, 192), (4, 3)] {
            assert!(in_pixels(&on(width, height, 3), size).is_ok(), "{width}×{height}");
        }
        let fault = in_pixels(&on(2160, 2880, 3), size).unwrap_err();
        assert_eq!(fault.to_string(), "bad_box: the box was drawn on 2160×2880 pixels, another shape than 2880×2160");
        assert!(in_pixels(&on(256, 256, 3), size).is_err());
        assert_eq!(in_pixels(&on(1, 1, 1_000_000), size).unwrap().x1, i32::MAX);
    }
}
