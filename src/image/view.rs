//! JPEG bytes and what a network is to see of them → planes of floats. No work is done on pixels that nobody looks at where that
//! changes none of the others, and a thread uses its memory again from one picture to the next.

use std::cell::RefCell;

use super::decode::{decode_into, header_of};
use super::region::{Region, decode_region_padded};
use super::resize::resize_into;
use super::tensor::{PaddedImage, padded_to_chw};
use crate::error::Result;
use crate::image::{Fault, Filter, Reason, RgbImage, Size, Target, crop_to_chw};

/// The square a network sees of a resized picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// Left edge in pixels.
    pub x: u32,
    /// Upper edge in pixels.
    pub y: u32,
    /// Mirrored left to right.
    pub flip: bool,
}

impl View {
    /// The middle, as torchvision's `CenterCrop` rounds it (half to even).
    #[must_use]
    pub fn centre(picture: Size, side: u32) -> Self {
        let middle = |length: u32| (f64::from(length.saturating_sub(side)) / 2.0).round_ties_even() as u32;
        Self { x: middle(picture.width), y: middle(picture.height), flip: false }
    }
}

/// What a thread keeps.
#[derive(Default)]
struct Scratch {
    part: PaddedImage,
    decoded: RgbImage,
    resized: RgbImage,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Decodes a picture, resizes it to `target` by a triangle, and writes the square of `side` pixels that `choose` picks from the resized
/// size to `out`: `[3, side, side]`, 0..1.
///
/// The inner error is about this picture alone.
///
/// # Panics
/// Where `out` does not hold `3 * side * side` values.
pub fn view_of(
    jpeg: &[u8],
    target: Target,
    side: u32,
    choose: impl FnOnce(Size) -> View,
    out: &mut [f32],
) -> Result<Result<(), Fault>> {
    SCRATCH.with_borrow_mut(|scratch| {
        let sizes = header_of(jpeg).and_then(|header| {
            let from = Size { width: header.width as u32, height: header.height as u32 };
            Ok((header, from, target.size_for(from)?))
        });
        let (header, from, becomes) = match sizes {
            Ok(sizes) => sizes,
            Err(fault) => return Ok(Err(fault)),
        };
        let view = choose(becomes);
        let (right, bottom) = (view.x.saturating_add(side), view.y.saturating_add(side));
        if right > becomes.width || bottom > becomes.height {
            let detail = format!("a square of {side} pixels does not fit into {}×{}", becomes.width, becomes.height);
            return Ok(Err(Fault::new(Reason::BadBox, detail)));
        }
        if from == becomes {
            let wanted = Region { columns: view.x..right, rows: view.y..bottom };
            match decode_region_padded(jpeg, &header, &wanted, &mut scratch.part) {
                Err(fault) => return Ok(Err(fault)),
                Ok(Some((left, top))) => {
                    padded_to_chw(&scratch.part, view.x - left, view.y - top, side, view.flip, out);
                    return Ok(Ok(()));
                }
                Ok(None) => {}
            }
        }
        if let Err(fault) = decode_into(jpeg, &mut scratch.decoded) {
            return Ok(Err(fault));
        }
        resize_into(&scratch.decoded, becomes, Filter::Bilinear, &mut scratch.resized)?;
        crop_to_chw(&scratch.resized, view.x, view.y, side, view.flip, out);
        Ok(Ok(()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Fit;
    use crate::image::{decode, encode, resize};

    fn picture(width: u32, height: u32) -> Vec<u8> {
        let value = |at: u32| (at * 37 % 251) as u8;
        encode(&RgbImage { width, height, pixels: (0..3 * width * height).map(value).collect() }, 80).unwrap()
    }

    /// The long way: the whole picture, resized, then cut.
    fn plainly(jpeg: &[u8], target: Target, side: u32, view: View) -> Vec<f32> {
        let whole = decode(jpeg).unwrap();
        let whole = resize(&whole, target.size_for(whole.size()).unwrap(), Filter::Bilinear).unwrap();
        let mut out = vec![0.0; 3 * (side * side) as usize];
        crop_to_chw(&whole, view.x, view.y, side, view.flip, &mut out);
        out
    }

    #[test]
    fn the_middle_is_where_torchvision_puts_it() {
        // int(round((341 - 224) / 2)) = round(58.5) = 58; (256 - 224) / 2 = 16.
        assert_eq!(View::centre(Size { width: 341, height: 256 }, 224), View { x: 58, y: 16, flip: false });
        assert_eq!(View::centre(Size { width: 224, height: 224 }, 224), View { x: 0, y: 0, flip: false });
    }

    #[test]
    fn a_view_is_what_decoding_resizing_and_cutting_the_whole_gives() {
        // At its size already, to be shrunk, and to be enlarged; the same thread one after the other.
        for (width, height) in [(52, 40), (120, 90), (30, 25), (40, 61)] {
            let (jpeg, target) = (picture(width, height), Target { fit: Fit::Shorter, length: 40 });
            for view in [View { x: 0, y: 0, flip: false }, View { x: 7, y: 3, flip: true }, View { x: 8, y: 8, flip: false }] {
                let mut out = vec![0.0; 3 * 32 * 32];
                view_of(&jpeg, target, 32, |_| view, &mut out).unwrap().unwrap();
                assert_eq!(out, plainly(&jpeg, target, 32, view), "{width}×{height}, {view:?}");
            }
        }
    }

    #[test]
    fn what_is_wrong_with_a_picture_is_said_and_the_next_one_comes_out() {
        let (jpeg, target) = (picture(52, 40), Target { fit: Fit::Shorter, length: 40 });
        let centre = |_| View { x: 0, y: 0, flip: false };
        let mut out = vec![0.0; 3 * 32 * 32];
        let mut reason = |jpeg: &[u8], side| view_of(jpeg, target, side, centre, &mut out).unwrap().map_err(|fault| fault.reason);
        assert_eq!(reason(&jpeg[..jpeg.len() / 2], 32), Err(Reason::Truncated));
        assert_eq!(reason(b"GIF89a", 32), Err(Reason::NotJpeg));
        assert_eq!(reason(&jpeg, 41), Err(Reason::BadBox));
        assert_eq!(reason(&jpeg, 32), Ok(()));
    }
}
