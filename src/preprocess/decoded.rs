//! a JPEG → as much of it as its detector, its crop and its resize need, each decoded no finer than that.

use std::borrow::Cow;

use crate::config::{Orientation, Preprocess};
use crate::error::Result;
use crate::image::{
    BoundingBox, Fault, Filter, RgbImage, Size, Target, crop, crop_jpeg, decode, decode_for, decode_reduced, decode_upright_for,
    decoded_size, orientation_of, resize, upright,
};
use crate::preprocess::detector::{Detail, Scene};

/// A picture that was gone through to its end.
pub struct Decoded<'a> {
    picture: RgbImage,
    original: Size,
    /// What is not decoded; `None` where `picture` is all that will be asked for.
    rest: Option<Cow<'a, [u8]>>,
    /// What `picture` was decoded for, where it is only to be resized.
    becomes: Option<Size>,
}

impl<'a> Decoded<'a> {
    /// Decodes a picture as finely as a detector wants to see it; where there is none, as its resize needs it.
    ///
    /// # Errors
    /// What is wrong with the picture, wherever in it: it is read to its end.
    pub fn read(jpeg: Cow<'a, [u8]>, settings: &Preprocess, detail: Option<Detail>) -> Result<Self, Fault> {
        let turned = settings.orientation == Orientation::Exif;
        let Some(detail) = detail else {
            let target = target(settings);
            let (picture, becomes) = if turned { decode_upright_for(&jpeg, target)? } else { decode_for(&jpeg, target)? };
            return Ok(Self { original: picture.size(), picture, rest: None, becomes: Some(becomes) });
        };
        let orientation = if turned { orientation_of(&jpeg) } else { 1 };
        match detail {
            // A turned picture is decoded whole: they are rare, and its parts lie elsewhere than they are asked for.
            Detail::Side(side) if orientation == 1 => {
                let (picture, original) = decode_reduced(&jpeg, side)?;
                let rest = (picture.size() != original).then_some(jpeg);
                Ok(Self { picture, original, rest, becomes: None })
            }
            _ => {
                let picture = upright(decode(&jpeg)?, orientation);
                Ok(Self { original: picture.size(), picture, rest: None, becomes: None })
            }
        }
    }

    /// What the detector sees.
    pub fn scene<'s>(&'s self, file: &'s str) -> Scene<'s> {
        Scene { file, picture: &self.picture, original: self.original }
    }

    /// The original's size.
    pub fn original(&self) -> Size {
        self.original
    }

    /// A crop, pixel for pixel that of the whole picture.
    pub fn crop(&self, kept: BoundingBox, fill: [u8; 3]) -> Result<RgbImage, Fault> {
        match &self.rest {
            Some(jpeg) => crop_jpeg(jpeg, kept, fill),
            None => crop(&self.picture, kept, fill),
        }
    }

    /// All of it.
    pub fn whole(&self) -> Result<Cow<'_, RgbImage>, Fault> {
        match &self.rest {
            Some(jpeg) => decode(jpeg).map(Cow::Owned),
            None => Ok(Cow::Borrowed(&self.picture)),
        }
    }

    /// All of it, at the size that the settings ask for. The outer error is the resizing library's.
    pub fn resized(&self, settings: &Preprocess) -> Result<Result<RgbImage, Fault>> {
        let target = target(settings);
        let becomes = match self.becomes.map_or_else(|| target.size_for(self.original), Ok) {
            Ok(becomes) => becomes,
            Err(fault) => return Ok(Err(fault)),
        };
        let again = match &self.rest {
            Some(jpeg) if self.picture.size() != decoded_size(self.original, becomes) => match decode_for(jpeg, target) {
                Ok((picture, _)) => Some(picture),
                Err(fault) => return Ok(Err(fault)),
            },
            _ => None,
        };
        resize(again.as_ref().unwrap_or(&self.picture), becomes, Filter::Lanczos3).map(Ok)
    }
}

/// What the settings make of a picture.
pub fn target(settings: &Preprocess) -> Target {
    Target { fit: settings.fit, length: settings.size }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Fit;
    use crate::image::encode;

    const SIZE: Size = Size { width: 320, height: 240 };

    fn jpeg() -> Vec<u8> {
        let pixels = (0..SIZE.height).flat_map(|y| (0..SIZE.width).flat_map(move |x| [x as u8, y as u8, (x * y / 64) as u8]));
        encode(&RgbImage { pixels: pixels.collect(), ..RgbImage::black(SIZE) }, 85).unwrap()
    }

    fn settings(size: u32) -> Preprocess {
        Preprocess { size, fit: Fit::Shorter, ..Preprocess::default() }
    }

    fn read(jpeg: &[u8], size: u32, detail: Option<Detail>) -> Decoded<'_> {
        Decoded::read(Cow::Borrowed(jpeg), &settings(size), detail).unwrap()
    }

    #[test]
    fn a_detector_sees_no_more_than_it_asks_for_and_hears_of_the_original() {
        let jpeg = jpeg();
        let seen = [Detail::Whole, Detail::Side(200), Detail::Side(160), Detail::Side(1), Detail::Side(999)].map(|detail| {
            let decoded = read(&jpeg, 60, Some(detail));
            assert_eq!(decoded.scene("a.jpg").original, SIZE);
            decoded.scene("a.jpg").picture.width
        });
        assert_eq!(seen, [320, 320, 160, 40, 320]);
    }

    #[test]
    fn crops_and_the_whole_have_the_same_pixels_however_little_was_decoded_first() {
        let jpeg = jpeg();
        let kept = BoundingBox { x0: -10, y0: 33, x1: 101, y1: 180 };
        let fine = read(&jpeg, 60, Some(Detail::Whole));
        let coarse = read(&jpeg, 60, Some(Detail::Side(1)));
        assert_eq!(coarse.crop(kept, [1, 2, 3]).unwrap(), fine.crop(kept, [1, 2, 3]).unwrap());
        assert_eq!(coarse.whole().unwrap(), fine.whole().unwrap());
    }

    #[test]
    fn a_resize_is_that_without_a_detector_wherever_not_every_pixel_was_decoded() {
        let jpeg = jpeg();
        for size in [15, 30, 60, 100] {
            let resized = |detail| read(&jpeg, size, detail).resized(&settings(size)).unwrap().unwrap();
            for side in [1, 80, 160] {
                assert_eq!(resized(Some(Detail::Side(side))), resized(None), "{size} seen at {side}");
            }
        }
    }

    #[test]
    fn a_fault_below_the_crop_is_found() {
        let jpeg = jpeg();
        let cut = Cow::Borrowed(&jpeg[..jpeg.len() - 100]);
        let fault = Decoded::read(cut, &settings(60), Some(Detail::Side(1))).err().unwrap();
        assert_eq!(fault.reason.word(), "truncated");
    }
}
