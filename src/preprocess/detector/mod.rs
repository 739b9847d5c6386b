//! a picture → where its specimen is.

mod boxes;
mod contrast;
#[cfg(feature = "torch")]
mod detr;

use std::path::PathBuf;

#[cfg(feature = "torch")]
pub use detr::DetrDetector;

use crate::config::{Detector as Kind, Preprocess};
use crate::error::{Error, Result};
use crate::image::{BoundingBox, Fault, RgbImage, Size};

/// A picture in which a specimen is to be found.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// Its file name.
    pub file: &'a str,
    /// Its pixels, as finely as the detector asks for.
    pub picture: &'a RgbImage,
    /// The size of the original, in whose pixels the answer is.
    pub original: Size,
}

/// How finely a detector wants to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Every pixel.
    Whole,
    /// At least so many pixels along the longer side, where there are as many.
    Side(u32),
}

/// A specimen that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sighting {
    /// Where, in pixels of the original.
    pub bounding_box: BoundingBox,
    /// How sure the detector is, 0..1; `None` where a person drew the box.
    pub score: Option<f64>,
}

/// The specimen of one picture, `None` where the dish is empty; or why what is known of it cannot be of this picture.
pub type Found = Result<Option<Sighting>, Fault>;

/// Finds specimens. One file a detector; threads share it.
pub trait Detector: Send + Sync {
    /// What is in each picture.
    fn locate(&self, scenes: &[Scene<'_>]) -> Result<Vec<Found>>;

    /// What it wants to see of a picture. Less is decoded sooner.
    fn detail(&self) -> Detail {
        Detail::Whole
    }

    /// How many pictures it likes at a time.
    fn batch(&self) -> usize {
        1
    }
}

/// The detector that the settings ask for, for a rank of `threads` threads; `None` where nothing is to be found.
pub fn from_settings(settings: &Preprocess, threads: usize) -> Result<Option<Box<dyn Detector>>> {
    #[cfg(not(feature = "torch"))]
    let _ = threads;
    let crop = &settings.crop;
    let given =
        |path: &Option<PathBuf>, key| path.clone().ok_or_else(|| Error::usage(format!("`preprocess.crop.{key}` names no file")));
    match settings.detector {
        Kind::None => Ok(None),
        Kind::Contrast => Ok(Some(Box::new(contrast::Contrast))),
        Kind::Boxes => Ok(Some(Box::new(boxes::BoxFile::read(&given(&crop.boxes, "boxes")?)?))),
        #[cfg(feature = "torch")]
        Kind::Detr => Ok(Some(Box::new(detr::Shared::load(&given(&crop.weights, "weights")?, crop.batch, threads)?))),
        #[cfg(not(feature = "torch"))]
        Kind::Detr => Err(Error::Feature { feature: "torch" }),
    }
}
