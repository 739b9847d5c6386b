//! the detector that needs no weights, among the others.

use crate::error::Result;
use crate::image::contrast;
use crate::preprocess::detector::{Detector, Scene, Sighting};

/// What stands out of the dish.
pub struct Contrast;

impl Detector for Contrast {
    fn locate(&self, scenes: &[Scene<'_>]) -> Result<Vec<Option<Sighting>>> {
        let sighting = |found: contrast::Found| Sighting { bounding_box: found.bounding_box, score: Some(found.score.into()) };
        Ok(scenes.iter().map(|scene| contrast::locate(scene.picture).map(sighting)).collect())
    }
}
