//! The `[preprocess]` table of a job: what each image becomes, and in which containers.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// How images are prepared for training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Preprocess {
    /// Length in pixels that [`Preprocess::fit`] speaks of.
    pub size: u32,
    /// Which side becomes `size`.
    pub fit: Fit,
    /// JPEG quality of the results, 1..100.
    pub quality: u8,
    /// What each image becomes; training reads the first. Empty takes the resized crop where there is a detector, else the resized
    /// original; see [`Preprocess::packages`].
    #[serde(rename = "packages")]
    pub wanted: Vec<Package>,
    /// Containers to write beside the pack that training reads.
    pub formats: Vec<Format>,
    /// Which way up a picture is that says so itself.
    pub orientation: Orientation,
    /// How an HDF5 file is laid out.
    pub hdf5_layout: Hdf5Layout,
    /// Attributes of the HDF5 file's group, in the published layout: a licence, whom to name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub hdf5_attributes: BTreeMap<String, String>,
    /// What finds the specimen.
    pub detector: Detector,
    /// What is made of its box.
    pub crop: CropTool,
    /// Threads inside a rank; 0 takes what Slurm or the machine gives.
    pub threads: usize,
}

impl Default for Preprocess {
    fn default() -> Self {
        Self {
            size: 256,
            fit: Fit::Shorter,
            quality: 75,
            wanted: vec![],
            formats: vec![],
            orientation: Orientation::Ignore,
            hdf5_layout: Hdf5Layout::Published,
            hdf5_attributes: BTreeMap::new(),
            detector: Detector::None,
            crop: CropTool::default(),
            threads: 0,
        }
    }
}

impl Preprocess {
    /// What each image becomes, in the order asked for and each once; training reads the first.
    #[must_use]
    pub fn packages(&self) -> Vec<Package> {
        if self.wanted.is_empty() {
            return vec![if self.detector == Detector::None { Package::OriginalResized } else { Package::CroppedResized }];
        }
        let mut packages = Vec::new();
        for &package in &self.wanted {
            if !packages.contains(&package) {
                packages.push(package);
            }
        }
        packages
    }

    /// The published name of the package that training reads: `original_256`.
    #[must_use]
    pub fn package(&self) -> String {
        self.packages()[0].name(self.size)
    }

    /// What a type cannot say.
    pub(super) fn check(&self) -> Result<()> {
        let crops = self.packages().iter().any(|package| package.is_cropped());
        let faults = [
            (self.size == 0, "`preprocess.size` must be at least 1 pixel"),
            (!(1..=100).contains(&self.quality), "`preprocess.quality` must be 1..100"),
            (
                crops && self.detector == Detector::None,
                "`preprocess.packages` asks for crops, and `preprocess.detector` is \"none\": take \"contrast\", \"boxes\" or \"detr\"",
            ),
            (
                self.detector == Detector::Boxes && self.crop.boxes.is_none(),
                "`preprocess.detector = \"boxes\"` needs `preprocess.crop.boxes`, a COCO JSON or a box TSV",
            ),
            (
                self.detector == Detector::Detr && self.crop.weights.is_none(),
                "`preprocess.detector = \"detr\"` needs `preprocess.crop.weights`, the crop tool's .ckpt or a .safetensors",
            ),
            (!(self.crop.extension >= 1.0 && self.crop.extension <= 10.0), "`preprocess.crop.extension` must be 1..10"),
            (self.crop.batch == 0, "`preprocess.crop.batch` must be at least 1"),
            (
                self.hdf5_attributes
                    .iter()
                    .any(|(name, text)| name.is_empty() || name == "Description" || name.contains('\0') || text.contains('\0')),
                "`preprocess.hdf5_attributes` may not hold `Description`, which is there already, an empty name, or a NUL",
            ),
        ];
        match faults.into_iter().find(|(wrong, _)| *wrong) {
            Some((_, message)) => Err(Error::usage(message)),
            None => Ok(()),
        }
    }
}

/// Which side of an image is made [`Preprocess::size`] pixels long; the other keeps the aspect ratio.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fit {
    /// The shorter one, as the benchmark documents it.
    Shorter,
    /// The height, as the original tool does it (`convert -resize x256`).
    Height,
}

/// What an image becomes: one of the dataset's image packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Package {
    /// The whole picture, resized: published as `original_256`.
    OriginalResized,
    /// The specimen's crop at its own size: published as `cropped`.
    Cropped,
    /// The crop, resized: published as `cropped_256`.
    CroppedResized,
}

impl Package {
    /// Its published name, for a resize to `size` pixels.
    #[must_use]
    pub fn name(self, size: u32) -> String {
        match self {
            Self::OriginalResized => format!("original_{size}"),
            Self::Cropped => "cropped".to_owned(),
            Self::CroppedResized => format!("cropped_{size}"),
        }
    }

    /// Whether the specimen must be found first.
    #[must_use]
    pub fn is_cropped(self) -> bool {
        self != Self::OriginalResized
    }
}

/// A container of images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// `part{N}/{file}`.
    Folder,
    /// One archive with the published entry names.
    Zip,
    /// One file with the published group.
    Hdf5,
    /// One WebDataset tar a chunk.
    Tar,
    /// One memory-mapped file a chunk, for training.
    Pack,
}

impl Format {
    /// The file or folder that holds the images of `package`, in the folder of that package.
    #[must_use]
    pub fn file_name(self, package: &str) -> String {
        match self {
            Self::Folder => "folder".to_owned(),
            Self::Zip => format!("{package}.zip"),
            Self::Hdf5 => format!("{package}.hdf5"),
            Self::Tar => "webdataset".to_owned(),
            Self::Pack => "packs".to_owned(),
        }
    }
}

/// Which way up a picture is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Orientation {
    /// As its pixels lie, whatever its EXIF says: the original tools' way.
    Ignore,
    /// As its EXIF orientation says.
    Exif,
}

/// How an HDF5 file is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hdf5Layout {
    /// As the published files: a group `bioscan_dataset` of 1-D uint8 datasets.
    Published,
    /// As the original tool's command line writes: scalar fixed-length strings at the root.
    Tool,
}

/// What finds the specimen in an original.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Detector {
    /// Nothing: the whole picture is kept.
    None,
    /// The specimen against the evenly lit dish; needs no weights.
    Contrast,
    /// Boxes from a file.
    Boxes,
    /// The published crop tool's DETR-ResNet-50.
    Detr,
}

/// What is made of a specimen's box. The defaults are those of the original's `main.py`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CropTool {
    /// How much longer the longer side becomes, about the box's centre.
    pub extension: f64,
    /// What the shorter side becomes.
    pub extend: Extend,
    /// The colour beyond the picture's edge.
    pub fill: Fill,
    /// For the detector `boxes`: a COCO JSON, or a TSV as BIOSCAN-5M publishes it.
    pub boxes: Option<PathBuf>,
    /// For the detector `detr`: the crop tool's Lightning `.ckpt`, a state dict, or a `.safetensors`.
    pub weights: Option<PathBuf>,
    /// For the detector `detr`: images a forward pass.
    pub batch: usize,
}

impl Default for CropTool {
    fn default() -> Self {
        Self { extension: 1.4, extend: Extend::Equal, fill: Fill::CropImage, boxes: None, weights: None, batch: 8 }
    }
}

/// How a box grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Extend {
    /// Both sides by as many pixels: (extension − 1) × the longer one.
    Equal,
    /// Each side by its own (extension − 1).
    Each,
}

/// The colours the original's scripts fill with, by the script; which of them made the published crops is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fill {
    /// 240, 240, 240: `crop_image.py`.
    CropImage,
    /// 234, 242, 245: the standalone crop tool's default.
    Standalone,
    /// 204, 218, 243: its script for bulk crops.
    Bulk,
}

impl Fill {
    /// Red, green, blue.
    #[must_use]
    pub fn rgb(self) -> [u8; 3] {
        match self {
            Self::CropImage => [240, 240, 240],
            Self::Standalone => [234, 242, 245],
            Self::Bulk => [204, 218, 243],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::from_text;

    fn preprocess(text: &str) -> Preprocess {
        from_text(text, "job.toml").unwrap()
    }

    #[test]
    fn a_detector_alone_asks_for_the_resized_crop_and_none_for_the_resized_original() {
        assert_eq!(Preprocess::default().package(), "original_256");
        assert_eq!(preprocess("size = 36\ndetector = \"contrast\"").package(), "cropped_36");
        let both = preprocess("detector = \"contrast\"\npackages = [\"cropped\", \"original_resized\", \"cropped\"]");
        assert_eq!(both.packages(), [Package::Cropped, Package::OriginalResized]);
        assert_eq!(both.package(), "cropped");
    }

    #[test]
    fn what_cannot_be_made_is_refused_with_the_key_to_change() {
        let refused = |text: &str| preprocess(text).check().unwrap_err().to_string();
        assert!(refused("packages = [\"cropped\"]").contains("preprocess.detector"));
        assert!(refused("detector = \"boxes\"").contains("preprocess.crop.boxes"));
        assert!(refused("detector = \"detr\"").contains("preprocess.crop.weights"));
        assert!(refused("crop = { extension = 0.5 }").contains("preprocess.crop.extension"));
        assert!(preprocess("detector = \"boxes\"\ncrop = { boxes = \"boxes.tsv\" }").check().is_ok());
    }
}
