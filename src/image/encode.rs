//! pixels → JPEG bytes, the same bytes for the same pixels.

use std::cell::RefCell;

use turbojpeg::{Compressor, Image, PixelFormat, Subsamp};

use crate::error::{Error, Result};
use crate::image::RgbImage;

thread_local! {
    static COMPRESSOR: RefCell<Option<Compressor>> = const { RefCell::new(None) };
}

/// Encodes baseline JPEG at `quality` (1..100), 4:2:0 with optimised Huffman tables, like the originals, and without any EXIF.
pub fn encode(image: &RgbImage, quality: u8) -> Result<Vec<u8>> {
    let refused = |error| Error::library("libjpeg-turbo", error);
    COMPRESSOR.with_borrow_mut(|slot| {
        let compressor = match slot {
            Some(ready) => ready,
            None => {
                let mut fresh = Compressor::new().map_err(refused)?;
                fresh.set_subsamp(Subsamp::Sub2x2).map_err(refused)?;
                fresh.set_optimize(true).map_err(refused)?;
                slot.insert(fresh)
            }
        };
        compressor.set_quality(i32::from(quality)).map_err(refused)?;
        let (width, height) = (image.width as usize, image.height as usize);
        let source = Image { pixels: &image.pixels[..], width, pitch: 3 * width, height, format: PixelFormat::RGB };
        compressor.compress_to_vec(source).map_err(refused)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Size;

    #[test]
    fn the_same_pixels_give_the_same_bytes_whatever_was_encoded_between() {
        let noise = |salt: u32| {
            let mut image = RgbImage::black(Size { width: 40, height: 30 });
            let mut state = salt;
            for value in &mut image.pixels {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *value = (state >> 24) as u8;
            }
            image
        };
        let first = encode(&noise(1), 75).unwrap();
        let other = encode(&noise(2), 30).unwrap();
        assert_ne!(first, other);
        assert_eq!(encode(&noise(1), 75).unwrap(), first);
        assert!(!first.windows(4).any(|window| window == b"Exif"));
    }
}
