//! JPEG bytes and a rectangle → its pixels alone, the same that a whole decode gives.
//!
//! Outside the rectangle libjpeg-turbo leaves out the inverse transform and the colours; only the entropy coding above its last row must
//! be gone through. So damage below it is not found: whether a file is whole is its container's to say. The turbojpeg crate offers no such decode, so this file, and no other, calls the library that the crate links.

use std::cell::RefCell;
use std::ffi::CStr;
use std::ops::Range;
use std::ptr::NonNull;

use turbojpeg::{DecompressHeader, Subsamp, raw};

use super::decode::{MOST_SCANS, decode_into, fault_in};
use super::tensor::PaddedImage;
use crate::image::{Fault, RgbImage, Size};

/// A part of a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Region {
    /// From left to right.
    pub columns: Range<u32>,
    /// From top to bottom.
    pub rows: Range<u32>,
}

thread_local! {
    /// Each thread keeps its own, as with whole pictures.
    static DECODER: RefCell<Option<RegionDecoder>> = const { RefCell::new(None) };
}

/// Decodes at least `wanted` of the picture that `header` was read from into `image`, whose memory is used again; returns which column
/// and row of the picture its first pixel is.
pub(super) fn decode_region(
    jpeg: &[u8],
    header: &DecompressHeader,
    wanted: &Region,
    image: &mut RgbImage,
) -> Result<(u32, u32), Fault> {
    if !can_be_cut(header) {
        return decode_into(jpeg, image).map(|()| (0, 0));
    }
    let part = decodable(header, wanted);
    decode_part(jpeg, &part, raw::TJPF_TJPF_RGB, 3, &mut image.pixels)?;
    (image.width, image.height) = (part.size().width, part.size().height);
    Ok((part.columns.start, part.rows.start))
}

/// The same with pixels of four bytes; `None`, with `image` as it was, where the picture cannot be cut.
pub(super) fn decode_region_padded(
    jpeg: &[u8],
    header: &DecompressHeader,
    wanted: &Region,
    image: &mut PaddedImage,
) -> Result<Option<(u32, u32)>, Fault> {
    if !can_be_cut(header) {
        return Ok(None);
    }
    let part = decodable(header, wanted);
    decode_part(jpeg, &part, raw::TJPF_TJPF_RGBX, 4, &mut image.pixels)?;
    image.size = part.size();
    Ok(Some((part.columns.start, part.rows.start)))
}

/// The library cuts blocks of which it knows how they lie: a lossless picture has none.
fn can_be_cut(header: &DecompressHeader) -> bool {
    !header.is_lossless && header.subsamp != Subsamp::Unknown
}

/// Decodes exactly `part`, with the decoder of this thread, into pixels of a `format` of so many `bytes`.
fn decode_part(jpeg: &[u8], part: &Region, format: raw::TJPF, bytes: usize, pixels: &mut Vec<u8>) -> Result<(), Fault> {
    pixels.resize(bytes * part.size().area(), 0);
    DECODER.with_borrow_mut(|slot| {
        // A new one takes its place after an error, because libjpeg-turbo may be left within the bad picture.
        let mut decoder = slot.take().map_or_else(RegionDecoder::new, Ok)?;
        decoder.decode(jpeg, part, format, bytes, pixels)?;
        *slot = Some(decoder);
        Ok(())
    })
}

impl Region {
    fn size(&self) -> Size {
        Size { width: self.columns.len() as u32, height: self.rows.len() as u32 }
    }
}

/// A decoder of parts of pictures, its tables and pools kept from one to the next.
struct RegionDecoder(NonNull<std::ffi::c_void>);

impl RegionDecoder {
    fn new() -> Result<Self, Fault> {
        // SAFETY: makes a handle, or returns null.
        let handle = unsafe { raw::tj3Init(raw::TJINIT_TJINIT_DECOMPRESS as i32) };
        let decoder = NonNull::new(handle).map(Self).ok_or_else(|| fault_in(&[], error("no memory for a decoder".into())))?;
        // SAFETY: the handle is live.
        let set = unsafe { raw::tj3Set(handle, raw::TJPARAM_TJPARAM_SCANLIMIT as i32, MOST_SCANS as i32) };
        if set == 0 { Ok(decoder) } else { Err(fault_in(&[], decoder.last_error())) }
    }

    /// See [`decode_part`]. After an error the decoder must not be used again.
    ///
    /// # Panics
    /// Where `pixels` has no room for the part.
    fn decode(&mut self, jpeg: &[u8], part: &Region, format: raw::TJPF, bytes: usize, pixels: &mut [u8]) -> Result<(), Fault> {
        assert!(pixels.len() >= bytes * part.size().area(), "room for the part");
        let Size { width, height } = part.size();
        let region = raw::tjregion { x: part.columns.start as i32, y: part.rows.start as i32, w: width as i32, h: height as i32 };
        let (handle, pitch) = (self.0.as_ptr(), bytes as i32 * region.w);
        // SAFETY: the handle is live, `jpeg` is borrowed throughout, and the library writes `region.h` rows of `pitch` bytes, for which
        // `pixels` has room: it checks the region against the picture in the same call that takes it.
        let done = unsafe {
            let length = jpeg.len() as raw::size_t;
            raw::tj3DecompressHeader(handle, jpeg.as_ptr(), length) == 0
                && raw::tj3SetCroppingRegion(handle, region) == 0
                && raw::tj3Decompress8(handle, jpeg.as_ptr(), length, pixels.as_mut_ptr(), pitch, format) == 0
        };
        if done { Ok(()) } else { Err(fault_in(jpeg, self.last_error())) }
    }

    fn last_error(&self) -> turbojpeg::Error {
        // SAFETY: the library returns a string that lives until its next call on this handle.
        error(unsafe { CStr::from_ptr(raw::tj3GetErrorStr(self.0.as_ptr())) }.to_string_lossy().into_owned())
    }
}

impl Drop for RegionDecoder {
    fn drop(&mut self) {
        // SAFETY: the handle is live and nobody uses it after this.
        unsafe { raw::tj3Destroy(self.0.as_ptr()) }
    }
}

fn error(message: String) -> turbojpeg::Error {
    turbojpeg::Error::TurboJpegError(message)
}

/// What must be decoded so that `wanted` comes out as in a whole decode. The library begins at a column of blocks, and takes the edge of
/// what it decodes for the edge of the picture when it smooths colours between two pixels: so at least a column more on either side. A
/// part with a single column of colours, as at the right edge of a picture 18 wide, it does not smooth at all: so never fewer than two.
fn decodable(header: &DecompressHeader, wanted: &Region) -> Region {
    let block = header.subsamp.mcu_width() as u32;
    let pixels_a_colour = block / 8;
    let end = (wanted.columns.end + 2).min(header.width as u32);
    let mut start = wanted.columns.start.saturating_sub(1) / block * block;
    if end - start <= pixels_a_colour {
        start = start.saturating_sub(block);
    }
    Region { columns: start..end, rows: wanted.rows.clone() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use turbojpeg::{Compressor, Image, PixelFormat};

    use super::super::decode::{decode, header_of};
    use super::*;

    fn jpeg(width: usize, height: usize, quality: i32, subsamp: Subsamp, seed: u32) -> Vec<u8> {
        let mut state = seed | 1;
        let pixels: Vec<u8> = (0..3 * width * height)
            .map(|at| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                // Noise over a slope: every block has every frequency, and colours change at every pixel.
                (at as u32 / 7 % 128 + (state >> 25)) as u8
            })
            .collect();
        let mut compressor = Compressor::new().unwrap();
        compressor.set_quality(quality).unwrap();
        compressor.set_subsamp(subsamp).unwrap();
        let image = Image { pixels: &pixels[..], width, pitch: 3 * width, height, format: PixelFormat::RGB };
        compressor.compress_to_vec(image).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        #[test]
        fn a_part_has_the_pixels_of_the_whole(
            (width, height) in (1u32..90, 1u32..90),
            (x, y, w, h) in (0.0f64..1.0, 0.0f64..1.0, 0.0f64..1.0, 0.0f64..1.0),
            quality in 20i32..100,
            subsamp in 0usize..6,
            seed: u32,
        ) {
            let subsamp = [Subsamp::None, Subsamp::Sub2x1, Subsamp::Sub2x2, Subsamp::Gray, Subsamp::Sub1x2, Subsamp::Sub4x1][subsamp];
            let part = |at: f64, length: f64, of: u32| {
                let start = (at * f64::from(of)) as u32;
                start..start + 1 + (length * f64::from(of - start - 1)) as u32
            };
            let wanted = Region { columns: part(x, w, width), rows: part(y, h, height) };
            let jpeg = jpeg(width as usize, height as usize, quality, subsamp, seed);
            let (whole, header) = (decode(&jpeg).unwrap(), header_of(&jpeg).unwrap());
            // A used image: its memory must not shine through.
            let mut image = RgbImage { width: 3, height: 3, pixels: vec![7; 27] };
            let (left, top) = decode_region(&jpeg, &header, &wanted, &mut image).unwrap();
            let mut padded = PaddedImage { size: Size::default(), pixels: vec![7; 5] };
            prop_assert_eq!(decode_region_padded(&jpeg, &header, &wanted, &mut padded), Ok(Some((left, top))));
            let unpadded: Vec<u8> = padded.pixels.as_chunks::<4>().0.iter().flat_map(|[r, g, b, _]| [*r, *g, *b]).collect();
            prop_assert!(unpadded == image.pixels && padded.size == image.size());
            for row in wanted.rows.clone() {
                for column in wanted.columns.clone() {
                    let pixel = |of: &RgbImage, x: u32, y: u32| {
                        let at = 3 * (y * of.width + x) as usize;
                        of.pixels[at..at + 3].to_vec()
                    };
                    prop_assert_eq!(pixel(&image, column - left, row - top), pixel(&whole, column, row), "at {}, {}", column, row);
                }
            }
        }
    }

    #[test]
    fn the_last_columns_are_smoothed_though_they_are_a_block_of_their_own() {
        for width in 15..40 {
            let jpeg = jpeg(width, 3, 29, Subsamp::Sub2x2, 5_252_830);
            let (whole, header) = (decode(&jpeg).unwrap(), header_of(&jpeg).unwrap());
            let last = Region { columns: width as u32 - 1..width as u32, rows: 0..3 };
            let mut part = RgbImage::default();
            decode_region(&jpeg, &header, &last, &mut part).unwrap();
            for (part, whole) in part.pixels.chunks(3 * part.width as usize).zip(whole.pixels.chunks(3 * width)) {
                assert_eq!(part[part.len() - 3..], whole[whole.len() - 3..], "of {width} columns");
            }
        }
    }

    #[test]
    fn what_the_library_cannot_cut_is_decoded_whole() {
        let pixels: Vec<u8> = (0..3 * 32 * 16u32).map(|at| (at * 7) as u8).collect();
        let mut compressor = Compressor::new().unwrap();
        compressor.set_lossless(true).unwrap();
        let image = Image { pixels: &pixels[..], width: 32, pitch: 3 * 32, height: 16, format: PixelFormat::RGB };
        let lossless = compressor.compress_to_vec(image).unwrap();
        // Colours once for four by two pixels, 4:1:0: a flat picture, its only unit made by hand. Eight blocks of luma of 00, no
        // change of the mean, and 1010, no more; two of chroma, whose codes for the same are 00 and 00.
        let mut rare = jpeg(32, 16, 75, Subsamp::Sub4x1, 1);
        let frame = rare.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
        assert_eq!(rare[frame + 11], 0x41);
        rare[frame + 11] = 0x42;
        let scan = rare.windows(2).position(|pair| pair == [0xff, 0xda]).unwrap();
        rare.truncate(scan + 14);
        rare.extend([0x28, 0xa2, 0x8a, 0x28, 0xa2, 0x8a, 0x00, 0xff, 0xd9]);

        for (jpeg, subsamp) in [(lossless, Subsamp::None), (rare, Subsamp::Unknown)] {
            let (whole, header) = (decode(&jpeg).unwrap(), header_of(&jpeg).unwrap());
            assert_eq!(header.subsamp, subsamp);
            let mut part = RgbImage::default();
            assert_eq!(decode_region(&jpeg, &header, &Region { columns: 17..20, rows: 3..9 }, &mut part), Ok((0, 0)));
            assert_eq!(part, whole);
        }
    }

    #[test]
    fn a_picture_that_ends_within_what_is_wanted_is_a_fault_and_below_it_nobody_looks() {
        let whole = jpeg(64, 64, 75, Subsamp::Sub2x2, 3);
        let header = header_of(&whole).unwrap();
        let cut = &whole[..whole.len() - whole.len() / 8];
        let reason = |rows| {
            let wanted = Region { columns: 16..32, rows };
            let decoded = decode_region(cut, &header, &wanted, &mut RgbImage::default());
            decoded.map_err(|fault| fault.reason)
        };
        assert_eq!(reason(40..64), Err(crate::image::Reason::Truncated));
        assert_eq!(reason(0..16), Ok((0, 0)));
    }
}
