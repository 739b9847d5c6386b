//! the detector that needs no weights, among the others.

use crate::error::Result;
use crate::image::contrast;
use crate::preprocess::detector::{Detail, Detector, Found, Scene, Sighting};

/// What stands out of the dish.
pub struct Contrast;

impl Detector for Contrast {
    fn locate(&self, scenes: &[Scene<'_>]) -> Result<Vec<Found>> {
        let sighting = |found: contrast::Found| Sighting { bounding_box: found.bounding_box, score: Some(found.score.into()) };
        scenes.iter().map(|scene| Ok(Ok(contrast::locate(scene.picture, scene.original)?.map(sighting)))).collect()
    }

    fn detail(&self) -> Detail {
        Detail::Side(contrast::SIDE)
    }
}
