//! JPEG bytes → an [`RgbImage`], whole or at a fraction of its size, or the reason why not.

use std::cell::RefCell;

use turbojpeg::{Colorspace, DecompressHeader, Decompressor, Image, PixelFormat, ScalingFactor};

use crate::image::{Fault, Reason, RgbImage, Size, Target};

/// Pictures beyond this are refused from their header: 64 megapixels are 192 MiB decoded, ten times a BIOSCAN original.
pub(super) const MOST_PIXELS: usize = 64 << 20;

/// A progressive file may name any number of scans, each as costly as a decode; encoders write about ten.
pub(super) const MOST_SCANS: u32 = 100;

/// Fractions that libjpeg-turbo's inverse DCT makes with SIMD, the smallest first.
const FRACTIONS: [ScalingFactor; 4] =
    [ScalingFactor::ONE_EIGHTH, ScalingFactor::ONE_QUARTER, ScalingFactor::ONE_HALF, ScalingFactor::ONE];

thread_local! {
    /// Building one allocates libjpeg's pools and Huffman tables, so each thread keeps its own.
    static DECOMPRESSOR: RefCell<Option<Decompressor>> = const { RefCell::new(None) };
}

/// Decodes a whole picture. Grey becomes RGB; EXIF orientation is left alone, as in the original tools.
///
/// A picture that ends early or contradicts itself is a [`Fault`], never a partial picture.
pub fn decode(jpeg: &[u8]) -> Result<RgbImage, Fault> {
    let mut image = RgbImage::default();
    decode_into(jpeg, &mut image).map(|()| image)
}

/// As [`decode`], into the memory that `image` has.
pub(super) fn decode_into(jpeg: &[u8], image: &mut RgbImage) -> Result<(), Fault> {
    with_decompressor(|decompressor| {
        let header = header(decompressor, jpeg)?;
        pixels(decompressor, jpeg, &header, (ScalingFactor::ONE, Chroma::Smooth), image)
    })
}

/// What the header says, once everything is looked at that can be refused before a pixel is decoded.
pub(super) fn header_of(jpeg: &[u8]) -> Result<DecompressHeader, Fault> {
    with_decompressor(|decompressor| header(decompressor, jpeg))
}

/// Decodes a picture that is to be resized to `target`; returns it with the size it is to become.
///
/// Large ones come out at 1/2, 1/4 or 1/8, but never below twice the final size: there the result of the resize stays within 0.5 dB
/// of a whole decode's, at 40 % of its time. For the same reason their colours are not smoothed where the resize averages them anyway:
/// 0.06 dB of 51, at 85 % of the time of a whole decode (`make bench` measures both against ImageMagick's pixels).
pub fn decode_for(jpeg: &[u8], target: Target) -> Result<(RgbImage, Size), Fault> {
    with_decompressor(|decompressor| {
        let header = header(decompressor, jpeg)?;
        let from = size_of(&header);
        let becomes = target.size_for(from)?;
        let mut image = RgbImage::default();
        pixels(decompressor, jpeg, &header, way_to_resize(from, becomes), &mut image)?;
        Ok((image, becomes))
    })
}

/// Decodes a picture as finely as someone needs who looks at `side` pixels along its longer side: at the smallest of 1/8, 1/4, 1/2
/// and 1 that has as many. Returns it with the size of the whole.
///
/// Everything is gone through, so what is wrong with the picture is found as by [`decode`].
pub fn decode_reduced(jpeg: &[u8], side: u32) -> Result<(RgbImage, Size), Fault> {
    with_decompressor(|decompressor| {
        let header = header(decompressor, jpeg)?;
        let whole = size_of(&header);
        let mut image = RgbImage::default();
        pixels(decompressor, jpeg, &header, way_to_see(whole, side), &mut image)?;
        Ok((image, whole))
    })
}

/// Whether [`decode_reduced`] at `side`, of a picture of size `from`, gives the very pixels that [`decode_for`] gives of one that
/// is to become `becomes`.
#[must_use]
pub fn decode_reduced_serves(from: Size, side: u32, becomes: Size) -> bool {
    way_to_see(from, side) == way_to_resize(from, becomes)
}

/// At which fraction of its size a picture is decoded, and how its colours are.
type Way = (ScalingFactor, Chroma);

fn way_to_resize(from: Size, becomes: Size) -> Way {
    let fraction = fraction_for(from, becomes);
    (fraction, if is_twice(from, becomes, fraction) { Chroma::Repeated } else { Chroma::Smooth })
}

fn way_to_see(whole: Size, side: u32) -> Way {
    let longer = whole.width.max(whole.height) as usize;
    // A fraction that leaves the size as it is (of a single pixel) gives the mean of a block, not the pixel.
    let enough = |fraction: &ScalingFactor| (side as usize..longer).contains(&fraction.scale(longer));
    // Repeated as `decode_for` has it, which then need not decode the same again.
    FRACTIONS.into_iter().find(enough).map_or((ScalingFactor::ONE, Chroma::Smooth), |fraction| (fraction, Chroma::Repeated))
}

/// The smallest fraction of `from` that is at least twice `becomes` on both sides; 1 where there is none.
fn fraction_for(from: Size, becomes: Size) -> ScalingFactor {
    FRACTIONS.into_iter().find(|fraction| is_twice(from, becomes, *fraction)).unwrap_or(ScalingFactor::ONE)
}

/// Whether `from` at `fraction` still has at least two pixels, across and down, for each one of `becomes`.
fn is_twice(from: Size, becomes: Size, fraction: ScalingFactor) -> bool {
    let enough = |side: u32, wanted: u32| fraction.scale(side as usize) >= 2 * wanted as usize;
    enough(from.width, becomes.width) && enough(from.height, becomes.height)
}

/// How a colour stored once for two or four pixels becomes the colour of each.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Chroma {
    /// Interpolated between its neighbours.
    Smooth,
    /// Repeated.
    Repeated,
}

fn with_decompressor<T>(work: impl FnOnce(&mut Decompressor) -> Result<T, Fault>) -> Result<T, Fault> {
    DECOMPRESSOR.with_borrow_mut(|slot| {
        let decompressor = match slot {
            Some(ready) => ready,
            None => {
                let mut fresh = Decompressor::new().map_err(fault)?;
                fresh.set_scan_limit(MOST_SCANS).map_err(fault)?;
                slot.insert(fresh)
            }
        };
        let result = work(decompressor);
        if result.is_err() {
            // After some faults (12 bits a sample) libjpeg-turbo is left within the bad picture and refuses the next, good one.
            *slot = None;
        }
        result
    })
}

/// Looks at everything that can be refused before a pixel is decoded.
fn header(decompressor: &mut Decompressor, jpeg: &[u8]) -> Result<DecompressHeader, Fault> {
    if jpeg.is_empty() {
        return Err(Fault::new(Reason::Empty, "the file has no bytes"));
    }
    if !jpeg.starts_with(&[0xff, 0xd8]) {
        return Err(Fault::new(Reason::NotJpeg, format!("the file is {}", kind_of(jpeg))));
    }
    let header = decompressor.read_header(jpeg).map_err(|error| fault_in(jpeg, error))?;
    if matches!(header.colorspace, Colorspace::CMYK | Colorspace::YCCK) {
        return Err(Fault::new(Reason::UnsupportedColour, format!("the colours are {:?}", header.colorspace)));
    }
    if header.width == 0 || header.height == 0 {
        return Err(Fault::new(Reason::Corrupt, "the header gives no size"));
    }
    if header.width.saturating_mul(header.height) > MOST_PIXELS {
        let detail = format!("{}×{} pixels; at most {} megapixels are decoded", header.width, header.height, MOST_PIXELS >> 20);
        return Err(Fault::new(Reason::TooLarge, detail));
    }
    Ok(header)
}

fn size_of(header: &DecompressHeader) -> Size {
    // JPEG headers hold 16 bits a side.
    Size { width: header.width as u32, height: header.height as u32 }
}

fn pixels(
    decompressor: &mut Decompressor,
    jpeg: &[u8],
    header: &DecompressHeader,
    (fraction, chroma): Way,
    image: &mut RgbImage,
) -> Result<(), Fault> {
    // Lossless pictures have no blocks to make smaller.
    let fraction = if header.is_lossless { ScalingFactor::ONE } else { fraction };
    decompressor.set_scaling_factor(fraction).map_err(fault)?;
    decompressor.set_fast_upsample(chroma == Chroma::Repeated).map_err(fault)?;
    let scaled = header.scaled(fraction);
    image.become_of(size_of(&scaled));
    let (width, height) = (scaled.width, scaled.height);
    let output = Image { pixels: &mut image.pixels[..], width, pitch: 3 * width, height, format: PixelFormat::RGB };
    decompressor.decompress(jpeg, output).map_err(|error| fault_in(jpeg, error))
}

/// [`fault`], told from what just stops: libjpeg-turbo closes that with an end marker of its own and then misses the size, the colours
/// or the rest of a table.
pub(super) fn fault_in(jpeg: &[u8], error: turbojpeg::Error) -> Fault {
    match fault(error) {
        Fault { reason: Reason::Corrupt | Reason::UnsupportedColour, detail } if !jpeg.ends_with(&[0xff, 0xd9]) => {
            Fault::new(Reason::Truncated, detail)
        }
        other => other,
    }
}

/// Sorts libjpeg-turbo's messages by what they mean for the image.
fn fault(error: turbojpeg::Error) -> Fault {
    let message = match error {
        turbojpeg::Error::TurboJpegError(message) => message,
        other => other.to_string(),
    };
    let lower = message.to_lowercase();
    let reason = if lower.contains("premature end") || lower.contains("contains no image") {
        Reason::Truncated
    } else if lower.contains("color conversion") || lower.contains("colorspace") {
        Reason::UnsupportedColour
    } else if lower.contains("unsupported jpeg") {
        Reason::Unsupported
    } else {
        Reason::Corrupt
    };
    Fault::new(reason, message)
}

/// What a file that is no JPEG is instead.
fn kind_of(bytes: &[u8]) -> &'static str {
    const KINDS: [(&[u8], &str); 7] = [
        (b"\x89PNG", "a PNG image"),
        (b"GIF8", "a GIF image"),
        (b"BM", "a BMP image"),
        (b"II*\0", "a TIFF image"),
        (b"MM\0*", "a TIFF image"),
        (b"RIFF", "a WebP image or another RIFF file"),
        (b"PK\x03\x04", "a ZIP archive"),
    ];
    KINDS.iter().find(|(start, _)| bytes.starts_with(start)).map_or("of an unknown kind", |(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Fit;
    use crate::image::encode;

    fn gradient(width: u32, height: u32) -> RgbImage {
        let mut image = RgbImage::black(Size { width, height });
        for (index, pixel) in image.pixels.chunks_exact_mut(3).enumerate() {
            let (x, y) = (index as u32 % width, index as u32 / width);
            pixel.copy_from_slice(&[(255 * x / width) as u8, (255 * y / height) as u8, 128]);
        }
        image
    }

    fn reason(bytes: &[u8]) -> Reason {
        decode(bytes).unwrap_err().reason
    }

    #[test]
    fn a_picture_comes_back_within_the_loss_of_its_quality() {
        let image = gradient(97, 61);
        let back = decode(&encode(&image, 95).unwrap()).unwrap();
        assert_eq!(back.size(), image.size());
        let worst = back.pixels.iter().zip(&image.pixels).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        assert!(worst <= 8, "{worst}");
    }

    #[test]
    fn each_kind_of_bad_file_has_its_reason() {
        let good = encode(&gradient(64, 64), 75).unwrap();
        assert_eq!(reason(b""), Reason::Empty);
        assert_eq!(reason(b"\x89PNG\r\n\x1a\n"), Reason::NotJpeg);
        assert!(decode(b"\x89PNG\r\n").unwrap_err().detail.contains("PNG"));
        assert_eq!(reason(&good[..good.len() / 2]), Reason::Truncated);
        assert_eq!(reason(&good[..good.len() - 2]), Reason::Truncated, "only the end marker is missing");
        assert_eq!(reason(&good[..20]), Reason::Truncated);
        // 0xFF 0xFF..: the entropy-coded data are no longer what the tables can produce.
        let mut broken = good.clone();
        let middle = broken.len() - broken.len() / 4;
        broken[middle..middle + 8].copy_from_slice(&[0xff, 0xd8, 0xff, 0xd8, 0xff, 0xd8, 0xff, 0xd8]);
        assert!(decode(&broken).is_err());
    }

    #[test]
    fn a_header_of_a_billion_pixels_is_refused_before_memory_is_taken() {
        let mut bomb = encode(&gradient(64, 64), 75).unwrap();
        // The first SOF0 (FF C0): height and width follow two bytes of length and one of precision.
        let sof = bomb.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
        bomb[sof + 5..sof + 9].copy_from_slice(&[0x75, 0x30, 0x75, 0x30]);
        assert_eq!(reason(&bomb), Reason::TooLarge);
    }

    #[test]
    fn grey_becomes_rgb_and_cmyk_is_refused() {
        let mut compressor = turbojpeg::Compressor::new().unwrap();
        compressor.set_subsamp(turbojpeg::Subsamp::Gray).unwrap();
        let pixels = vec![90u8; 3 * 16 * 16];
        let image = Image { pixels: &pixels[..], width: 16, pitch: 48, height: 16, format: PixelFormat::RGB };
        assert_eq!(decode(&compressor.compress_to_vec(image).unwrap()).unwrap().pixels[..3], [90, 90, 90]);

        let mut compressor = turbojpeg::Compressor::new().unwrap();
        let pixels = vec![90u8; 4 * 16 * 16];
        let image = Image { pixels: &pixels[..], width: 16, pitch: 64, height: 16, format: PixelFormat::CMYK };
        assert_eq!(reason(&compressor.compress_to_vec(image).unwrap()), Reason::UnsupportedColour);
    }

    #[test]
    fn decoding_stops_at_the_smallest_fraction_of_at_least_twice_the_target() {
        let fraction = |width, height, length| {
            let from = Size { width, height };
            fraction_for(from, Target { fit: Fit::Shorter, length }.size_for(from).unwrap()).to_string()
        };
        assert_eq!(fraction(2880, 2160, 256), "1/4", "720×540 is the first at or above 682×512");
        assert_eq!(fraction(1024, 768, 256), "1/1", "512×384 would be less than twice 341×256");
        assert_eq!(fraction(1024, 768, 64), "1/4");
        assert_eq!(fraction(100, 100, 256), "1/1");
    }

    #[test]
    fn a_reduced_decode_has_as_many_pixels_as_it_must_and_is_what_a_resize_decodes() {
        let jpeg = encode(&gradient(800, 600), 75).unwrap();
        let decoded = |side| {
            let (image, whole) = decode_reduced(&jpeg, side).unwrap();
            assert_eq!(whole, Size { width: 800, height: 600 });
            image
        };
        let widths = [1, 100, 101, 200, 201, 400, 401, 900].map(|side| decoded(side).width);
        assert_eq!(widths, [100, 100, 200, 200, 400, 400, 800, 800]);
        assert_eq!(decoded(801), decode(&jpeg).unwrap());
        let (for_resize, becomes) = decode_for(&jpeg, Target { fit: Fit::Height, length: 60 }).unwrap();
        assert_eq!(decoded(150), for_resize);
        let serves =
            [1, 100, 101, 200, 201, u32::MAX].map(|side| decode_reduced_serves(Size { width: 800, height: 600 }, side, becomes));
        assert_eq!(serves, [false, false, true, true, false, false]);
        assert_eq!(decode_reduced(&jpeg[..jpeg.len() - 9], 1).unwrap_err().reason, Reason::Truncated);
    }

    #[test]
    fn colours_are_smoothed_wherever_their_pixels_are_looked_at_one_by_one() {
        // A red and a blue half whose border lies within one stored colour: smoothed, the border has pixels of neither.
        let mut image = RgbImage::black(Size { width: 64, height: 64 });
        for (index, pixel) in image.pixels.chunks_exact_mut(3).enumerate() {
            pixel.copy_from_slice(if index % 64 < 31 { &[200, 0, 0] } else { &[0, 0, 200] });
        }
        let jpeg = encode(&image, 95).unwrap();
        let at = |length| decode_for(&jpeg, Target { fit: Fit::Height, length }).unwrap().0;
        let whole = decode(&jpeg).unwrap();
        assert_eq!(at(40), whole, "less than halved");
        assert_eq!(at(32).size(), whole.size());
        assert_ne!(at(32), whole, "halved: the resize averages");
        assert_eq!(decode(&jpeg).unwrap(), whole, "whatever was decoded between");
    }

    #[test]
    fn a_scaled_decode_says_what_the_whole_picture_becomes() {
        let jpeg = encode(&gradient(720, 540), 75).unwrap();
        let (image, becomes) = decode_for(&jpeg, Target { fit: Fit::Shorter, length: 64 }).unwrap();
        assert_eq!(image.size(), Size { width: 180, height: 135 });
        assert_eq!(becomes, Size { width: 85, height: 64 });
    }
}
