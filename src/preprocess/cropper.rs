//! a picture → its specimen alone, for whoever has pictures one by one.

use std::borrow::Cow;

use crate::config::Preprocess;
use crate::error::{Error, Result};
use crate::image::{Fault, RgbImage, extended_box};
use crate::preprocess::decoded::Decoded;
use crate::preprocess::detector::{Detector, from_settings};

/// Finds a specimen and cuts it out, by the same settings and code as a whole dataset's.
pub struct Cropper {
    settings: Preprocess,
    detector: Box<dyn Detector>,
}

impl Cropper {
    /// As `settings` say, for `threads` threads at a time; `None` where nothing is to be found.
    ///
    /// # Errors
    /// Of the detector's file.
    pub fn new(settings: Preprocess, threads: usize) -> Result<Option<Self>> {
        Ok(from_settings(&settings, threads)?.map(|detector| Self { settings, detector }))
    }

    /// The specimen of the picture in `jpeg`, whose file is called `file`; the whole picture where there is none. The inner error is about
    /// this picture alone.
    ///
    /// # Errors
    /// What the detector's library refuses.
    pub fn crop(&self, file: &str, jpeg: &[u8]) -> Result<Result<RgbImage, Fault>> {
        let decoded = match Decoded::read(Cow::Borrowed(jpeg), &self.settings, Some(self.detector.detail())) {
            Ok(decoded) => decoded,
            Err(fault) => return Ok(Err(fault)),
        };
        let found = self.detector.locate(&[decoded.scene(file)])?;
        let found = found.into_iter().next().ok_or_else(|| Error::library("the detector", "it did not answer"))?;
        let tool = &self.settings.crop;
        Ok(match found {
            Err(fault) => Err(fault),
            Ok(Some(sighting)) => decoded.crop(extended_box(sighting.bounding_box, tool), tool.fill.rgb()),
            Ok(None) => decoded.whole().map(Cow::into_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Detector as Kind;
    use crate::image::{Size, encode};

    #[test]
    fn a_specimen_is_cut_out_and_an_empty_dish_is_kept_whole() {
        assert!(Cropper::new(Preprocess::default(), 1).unwrap().is_none());
        let cropper = Cropper::new(Preprocess { detector: Kind::Contrast, ..Preprocess::default() }, 1).unwrap().unwrap();
        let mut dish = RgbImage { pixels: vec![230; 3 * 400 * 300], ..RgbImage::black(Size { width: 400, height: 300 }) };
        assert_eq!(cropper.crop("a.jpg", &encode(&dish, 90).unwrap()).unwrap().unwrap().size(), dish.size());
        for (y, x) in (120..170usize).flat_map(|y| (150..240usize).map(move |x| (y, x))) {
            dish.pixels[3 * (y * 400 + x)..][..3].copy_from_slice(&[40, 30, 20]);
        }
        let cropped = cropper.crop("a.jpg", &encode(&dish, 90).unwrap()).unwrap().unwrap();
        assert!(cropped.width < 200 && cropped.height < 150, "{:?}", cropped.size());
    }
}
