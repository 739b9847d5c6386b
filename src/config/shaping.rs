//! What shapes the images of a package → one hash, by which packs of two makes are told apart.

use std::path::Path;

use serde::Serialize;

use crate::config::{CropTool, Detector, Fit, Orientation, Package, Preprocess};
use crate::error::{Error, Result};
use crate::store::hash;

/// Raised when the same settings would give other pixels or boxes than before, so that packs of two makes are never mixed.
const RECIPE: u32 = 4;

#[derive(Serialize)]
struct Shaping<'a> {
    recipe: u32,
    package: Package,
    /// The crop keeps its own size.
    resize: Option<(u32, Fit)>,
    quality: u8,
    orientation: Orientation,
    crop: Option<(Detector, &'a CropTool, &'a str)>,
}

impl Preprocess {
    /// The file that the detector goes by: boxes or weights.
    #[must_use]
    pub fn evidence(&self) -> Option<&Path> {
        match self.detector {
            Detector::None | Detector::Contrast => None,
            Detector::Boxes => self.crop.boxes.as_deref(),
            Detector::Detr => self.crop.weights.as_deref(),
        }
    }

    /// blake3 over what changes the images of `package`: not the formats, not the threads, but the bytes of the detector's file.
    ///
    /// # Errors
    /// That file cannot be read.
    pub fn shaping(&self, package: Package) -> Result<String> {
        let evidence = self.evidence().filter(|_| package.is_cropped()).map(hash::of_file).transpose()?.unwrap_or_default();
        let shaping = Shaping {
            recipe: RECIPE,
            package,
            resize: (package != Package::Cropped).then_some((self.size, self.fit)),
            quality: self.quality,
            orientation: self.orientation,
            crop: package.is_cropped().then_some((self.detector, &self.crop, &evidence)),
        };
        let text = serde_json::to_vec(&shaping).map_err(|error| Error::library("serde_json", error))?;
        Ok(hash::of_bytes(&text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Format;

    fn hash_of(package: Package, settings: &Preprocess) -> String {
        settings.shaping(package).unwrap()
    }

    #[test]
    fn threads_and_formats_leave_the_packs_valid_and_a_size_does_not() {
        let base = Preprocess::default();
        let same = Preprocess { threads: 7, formats: vec![Format::Zip], ..base.clone() };
        let other = Preprocess { fit: Fit::Height, ..base.clone() };
        let package = Package::OriginalResized;
        assert_eq!(hash_of(package, &base), hash_of(package, &same));
        assert_ne!(hash_of(package, &base), hash_of(package, &other));
    }

    #[test]
    fn a_crop_at_its_own_size_does_not_depend_on_the_resize_nor_an_original_on_the_crop() {
        let base = Preprocess { detector: Detector::Contrast, ..Preprocess::default() };
        let smaller = Preprocess { size: 128, ..base.clone() };
        assert_eq!(hash_of(Package::Cropped, &base), hash_of(Package::Cropped, &smaller));
        let wider = Preprocess { crop: CropTool { extension: 2.0, ..CropTool::default() }, ..base.clone() };
        assert_eq!(hash_of(Package::OriginalResized, &base), hash_of(Package::OriginalResized, &wider));
        let uncropped = Preprocess::default();
        assert_eq!(hash_of(Package::OriginalResized, &base), hash_of(Package::OriginalResized, &uncropped));
        assert_ne!(hash_of(Package::CroppedResized, &base), hash_of(Package::CroppedResized, &wider));
    }

    #[test]
    fn other_boxes_under_the_same_name_are_other_crops() {
        let folder = tempfile::tempdir().unwrap();
        let boxes = folder.path().join("boxes.tsv");
        let crop = CropTool { boxes: Some(boxes.clone()), ..CropTool::default() };
        let settings = Preprocess { detector: Detector::Boxes, crop, ..Preprocess::default() };
        std::fs::write(&boxes, "one").unwrap();
        let (crop, original) = (hash_of(Package::CroppedResized, &settings), hash_of(Package::OriginalResized, &settings));
        std::fs::write(&boxes, "two").unwrap();
        assert_ne!(hash_of(Package::CroppedResized, &settings), crop);
        assert_eq!(hash_of(Package::OriginalResized, &settings), original);
        std::fs::remove_file(&boxes).unwrap();
        assert!(settings.shaping(Package::CroppedResized).is_err());
    }
}
