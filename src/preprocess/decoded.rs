//! a JPEG → as much of it as its detector, its crop and its resize need, each decoded no finer than that.

use std::borrow::Cow;

use crate::config::{Orientation, Preprocess};
use crate::error::Result;
use crate::image::{
    BoundingBox, Fault, Filter, RgbImage, Size, Target, crop, crop_jpeg, decode, decode_for, decode_reduced,
    decode_reduced_serves, decode_upright_for, orientation_of, resize, upright,
};
use crate::preprocess::detector::{Detail, Scene};

/// A picture that was gone through to its end.
pub struct Decoded<'a> {
    picture: RgbImage,
    original: Size,
    /// What more can be decoded from; `None` where `picture` is all that will be asked for.
    jpeg: Option<Cow<'a, [u8]>>,
    /// Whether `picture` has every pixel.
    whole: bool,
    /// What it becomes, where `picture` is what its resize decodes.
    becomes: Option<Size>,
}

impl<'a> Decoded<'a> {
    /// Decodes a picture as finely as a detector wants to see it; where there is none, as its resize needs it.
    ///
    /// # Errors
    /// What is wrong with the picture, wherever in it: it is read to its end.
    pub fn read(jpeg: Cow<'a, [u8]>, settings: &Preprocess, detail: Option<Detail>) -> Result<Self, Fault> {
        let Some(detail) = detail else {
            let (picture, becomes) = for_resize(&jpeg, settings)?;
            return Ok(Self { original: picture.size(), picture, jpeg: None, whole: false, becomes: Some(becomes) });
        };
        let orientation = if settings.orientation == Orientation::Exif { orientation_of(&jpeg) } else { 1 };
        // A turned picture is decoded whole: they are rare, and its parts lie elsewhere than they are asked for.
        if orientation != 1 {
            let picture = upright(decode(&jpeg)?, orientation);
            return Ok(Self { original: picture.size(), picture, jpeg: Some(jpeg), whole: true, becomes: None });
        }
        let side = match detail {
            Detail::Whole => u32::MAX,
            Detail::Side(side) => side,
        };
        let (picture, original) = decode_reduced(&jpeg, side)?;
        let whole = picture.size() == original;
        let becomes = target(settings).size_for(original).ok();
        let becomes = becomes.filter(|becomes| decode_reduced_serves(original, side, *becomes));
        Ok(Self { picture, original, jpeg: Some(jpeg), whole, becomes })
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
        match self.rest() {
            Some(jpeg) => crop_jpeg(jpeg, kept, fill),
            None => crop(&self.picture, kept, fill),
        }
    }

    /// All of it.
    pub fn whole(&self) -> Result<Cow<'_, RgbImage>, Fault> {
        match self.rest() {
            Some(jpeg) => decode(jpeg).map(Cow::Owned),
            None => Ok(Cow::Borrowed(&self.picture)),
        }
    }

    /// All of it, at the size that the settings ask for: the same pixels whatever was decoded for a detector. The outer error is
    /// the resizing library's.
    pub fn resized(&self, settings: &Preprocess) -> Result<Result<RgbImage, Fault>> {
        let (picture, becomes) = match (self.becomes, &self.jpeg) {
            (None, Some(jpeg)) => match for_resize(jpeg, settings) {
                Ok((picture, becomes)) => (Cow::Owned(picture), becomes),
                Err(fault) => return Ok(Err(fault)),
            },
            (becomes, _) => (Cow::Borrowed(&self.picture), becomes.unwrap_or(self.original)),
        };
        resize(&picture, becomes, Filter::Lanczos3).map(Ok)
    }

    /// Where the pixels are that `picture` lacks.
    fn rest(&self) -> Option<&[u8]> {
        self.jpeg.as_deref().filter(|_| !self.whole)
    }
}

/// Decodes a picture as its resize needs it; returns it with the size it is to become.
fn for_resize(jpeg: &[u8], settings: &Preprocess) -> Result<(RgbImage, Size), Fault> {
    let decode = if settings.orientation == Orientation::Exif { decode_upright_for } else { decode_for };
    decode(jpeg, target(settings))
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
    fn a_resize_is_that_without_a_detector_whatever_was_decoded_for_one() {
        // Turned by a quarter, an EXIF segment says.
        let exif = b"\xff\xe1\0\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
        let plain = jpeg();
        let turned = [&plain[..2], exif, &plain[2..]].concat();
        let details = [Detail::Whole, Detail::Side(1), Detail::Side(80), Detail::Side(160), Detail::Side(999)];
        for (size, orientation, jpeg) in [15, 30, 60, 100, 120, 200].into_iter().flat_map(|size| {
            [(Orientation::Ignore, &plain), (Orientation::Ignore, &turned), (Orientation::Exif, &turned)]
                .map(|(orientation, jpeg)| (size, orientation, jpeg))
        }) {
            let settings = Preprocess { orientation, ..settings(size) };
            let resized =
                |detail| Decoded::read(Cow::Borrowed(jpeg), &settings, detail).unwrap().resized(&settings).unwrap().unwrap();
            for detail in details {
                assert_eq!(resized(Some(detail)), resized(None), "{size}, {orientation:?}, {detail:?}");
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
