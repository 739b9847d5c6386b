//! a file of boxes → the specimen of each picture it names.

use std::collections::BTreeMap;
use std::path::Path;

use crate::dataset::boxes::{self, BoxRecord};
use crate::error::Result;
use crate::image::BoundingBox;
use crate::preprocess::detector::{Detail, Detector, Scene, Sighting};

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
    fn locate(&self, scenes: &[Scene<'_>]) -> Result<Vec<Option<Sighting>>> {
        let sighting = |scene: &Scene<'_>| {
            let record = self.boxes.get(scene.file)?;
            let bounding_box = in_pixels(record, scene.original.width, scene.original.height);
            Some(Sighting { bounding_box, score: record.score })
        };
        Ok(scenes.iter().map(sighting).collect())
    }

    /// Nothing; so the picture is only gone through for what may be wrong with it.
    fn detail(&self) -> Detail {
        Detail::Side(1)
    }
}

/// The record's box in a picture of this size. A box drawn on another size of the same picture is scaled to this one.
fn in_pixels(record: &BoxRecord, width: u32, height: u32) -> BoundingBox {
    let drawn_on = record.original.map_or((width, height), |original| (original.width, original.height));
    // Tables hold no edge beyond a million, so that neither product nor result overflows.
    let scaled = |edge: i64, to: u32, from: u32| (edge * i64::from(to)).div_euclid(i64::from(from.max(1))) as i32;
    BoundingBox {
        x0: scaled(record.x0, width, drawn_on.0),
        y0: scaled(record.y0, height, drawn_on.1),
        x1: scaled(record.x1, width, drawn_on.0),
        y1: scaled(record.y1, height, drawn_on.1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{RgbImage, Size};

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
        assert_eq!(found[0].unwrap().bounding_box, BoundingBox { x0: 10, y0: 20, x1: 30, y1: 40 });
        assert_eq!(found[1].unwrap().bounding_box, BoundingBox { x0: 5, y0: 10, x1: 15, y1: 20 });
        assert_eq!(found[2], None);
    }
}
