//! JPEG bytes → which way up its EXIF says the picture is, and pixels turned so.

use crate::config::Fit;
use crate::image::{Fault, RgbImage, Size, Target, decode, decode_for};

/// The tag of the orientation (EXIF 2.32, table 4) and the type of its value, an unsigned 16-bit integer.
const ORIENTATION: u16 = 0x0112;
const SHORT: u16 = 3;

/// The EXIF orientation, 1..8: where the first row and the first column of pixels belong. 1, as they lie, where the file says nothing or
/// nothing valid.
///
/// Only the first directory is looked at, so a thumbnail's orientation is never taken for the picture's.
#[must_use]
pub fn orientation_of(jpeg: &[u8]) -> u8 {
    exif(jpeg).and_then(tiff_orientation).unwrap_or(1)
}

/// The TIFF block of the first EXIF segment.
fn exif(jpeg: &[u8]) -> Option<&[u8]> {
    let mut rest = jpeg.strip_prefix(&[0xff, 0xd8])?;
    loop {
        let [0xff, marker, ..] = *rest else { return None };
        match marker {
            // Any number of fill bytes may stand before a marker.
            0xff => rest = &rest[1..],
            // Markers without a length.
            0x01 | 0xd0..=0xd7 => rest = &rest[2..],
            // The picture begins, or ends.
            0xda | 0xd9 => return None,
            _ => {
                let length = usize::from(u16::from_be_bytes(*rest.get(2..)?.first_chunk()?));
                let segment = rest.get(4..2 + length)?;
                if let (0xe1, Some(tiff)) = (marker, segment.strip_prefix(b"Exif\0\0")) {
                    return Some(tiff);
                }
                rest = &rest[2 + length..];
            }
        }
    }
}

/// The orientation in the first directory of a TIFF block (TIFF 6.0, section 2).
fn tiff_orientation(tiff: &[u8]) -> Option<u8> {
    let big_endian = match tiff.get(..4)? {
        b"MM\0*" => true,
        b"II*\0" => false,
        _ => return None,
    };
    let short = |at: usize| {
        let bytes = *tiff.get(at..)?.first_chunk()?;
        Some(if big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    };
    let offset = *tiff.get(4..)?.first_chunk()?;
    let directory = (if big_endian { u32::from_be_bytes(offset) } else { u32::from_le_bytes(offset) }) as usize;
    // A count, then twelve bytes an entry: tag, type, number of values, value.
    (0..usize::from(short(directory)?)).find_map(|index| {
        let entry = directory + 2 + 12 * index;
        if short(entry)? != ORIENTATION || short(entry + 2)? != SHORT {
            return None;
        }
        u8::try_from(short(entry + 8)?).ok().filter(|value| (1..=8).contains(value))
    })
}

/// `image` turned and mirrored so that a picture of this EXIF orientation stands upright; as it is for any other number.
#[must_use]
pub fn upright(image: RgbImage, orientation: u8) -> RgbImage {
    let Size { width, height } = image.size();
    let (right, bottom) = (width.saturating_sub(1), height.saturating_sub(1));
    // Where pixel (x, y) of the result comes from.
    match orientation {
        2 => rearranged(&image, false, |x, y| (right - x, y)),
        3 => rearranged(&image, false, |x, y| (right - x, bottom - y)),
        4 => rearranged(&image, false, |x, y| (x, bottom - y)),
        5 => rearranged(&image, true, |x, y| (y, x)),
        6 => rearranged(&image, true, |x, y| (y, bottom - x)),
        7 => rearranged(&image, true, |x, y| (right - y, bottom - x)),
        8 => rearranged(&image, true, |x, y| (right - y, x)),
        _ => image,
    }
}

fn rearranged(image: &RgbImage, on_its_side: bool, source: impl Fn(u32, u32) -> (u32, u32)) -> RgbImage {
    let (width, height) = if on_its_side { (image.height, image.width) } else { (image.width, image.height) };
    let mut pixels = Vec::with_capacity(image.pixels.len());
    for y in 0..height {
        for x in 0..width {
            let (column, row) = source(x, y);
            let at = 3 * (row as usize * image.width as usize + column as usize);
            pixels.extend_from_slice(&image.pixels[at..at + 3]);
        }
    }
    RgbImage { width, height, pixels }
}

/// [`decode_for`], and upright: `target` speaks of the picture as its EXIF turns it.
pub fn decode_upright_for(jpeg: &[u8], target: Target) -> Result<(RgbImage, Size), Fault> {
    let orientation = orientation_of(jpeg);
    let on_its_side = orientation >= 5;
    if on_its_side && target.fit == Fit::Height {
        // Its height becomes a width, which no target speaks of: the whole picture is turned before its size is asked for.
        let image = upright(decode(jpeg)?, orientation);
        let becomes = target.size_for(image.size())?;
        return Ok((image, becomes));
    }
    let (image, Size { width, height }) = decode_for(jpeg, target)?;
    let becomes = if on_its_side { Size { width: height, height: width } } else { Size { width, height } };
    Ok((upright(image, orientation), becomes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::image::encode;

    /// `jpeg` with an EXIF segment of one entry behind its first two bytes.
    fn with_exif(jpeg: &[u8], big_endian: bool, tag: u16, kind: u16, value: u16) -> Vec<u8> {
        let short = |value: u16| if big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
        let long = |value: u32| if big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
        let order: &[u8] = if big_endian { b"MM" } else { b"II" };
        let tiff =
            [order, &short(42), &long(8), &short(1), &short(tag), &short(kind), &long(1), &short(value), &[0; 2], &long(0)]
                .concat();
        let length = (2 + 6 + tiff.len()) as u16;
        [&jpeg[..2], &[0xff, 0xff, 0xe1], &length.to_be_bytes(), b"Exif\0\0", &tiff, &jpeg[2..]].concat()
    }

    fn picture(width: u32, height: u32) -> Vec<u8> {
        encode(&RgbImage::black(Size { width, height }), 75).unwrap()
    }

    #[test]
    fn the_orientation_is_read_in_both_byte_orders_and_is_one_where_it_says_nothing_valid() {
        let jpeg = picture(16, 8);
        assert_eq!(orientation_of(&jpeg), 1);
        for big_endian in [false, true] {
            for value in 1..=8 {
                let turned = with_exif(&jpeg, big_endian, ORIENTATION, SHORT, value);
                assert_eq!(u16::from(orientation_of(&turned)), value);
                assert!(decode(&turned).is_ok());
            }
            for (tag, kind, value) in [(ORIENTATION, SHORT, 0), (ORIENTATION, SHORT, 9), (ORIENTATION, 4, 6), (0x0113, SHORT, 6)]
            {
                assert_eq!(orientation_of(&with_exif(&jpeg, big_endian, tag, kind, value)), 1);
            }
        }
        for nothing in [&b""[..], b"\xff", b"\xff\xd8", b"\xff\xd8\xff\xe1", b"\xff\xd8\xff\xe1\0\0", b"\x89PNG"] {
            assert_eq!(orientation_of(nothing), 1);
        }
    }

    #[test]
    fn each_of_the_eight_puts_the_first_row_and_column_where_exif_says() {
        // a b c
        // d e f
        let image = RgbImage { width: 3, height: 2, pixels: b"abcdef".iter().flat_map(|letter| [*letter; 3]).collect() };
        let rows = |orientation| {
            let turned = upright(image.clone(), orientation);
            let letters: Vec<u8> = turned.pixels.chunks_exact(3).map(|pixel| pixel[0]).collect();
            letters
                .chunks(turned.width as usize)
                .map(|row| String::from_utf8_lossy(row).into_owned())
                .collect::<Vec<_>>()
                .join(" ")
        };
        // The table of EXIF: 1 top left, 2 top right, 3 bottom right, 4 bottom left, 5 left top, 6 right top, 7 right bottom, 8 left bottom.
        let expected = ["abc def", "cba fed", "fed cba", "def abc", "ad be cf", "da eb fc", "fc eb da", "cf be ad"];
        for (orientation, expected) in (1..).zip(expected) {
            assert_eq!(rows(orientation), expected, "orientation {orientation}");
        }
        assert_eq!((rows(0), rows(9)), ("abc def".into(), "abc def".into()));
    }

    #[test]
    fn the_target_speaks_of_the_upright_picture() {
        // 40×80 pixels as they lie are 80×40 upright.
        let jpeg = with_exif(&picture(40, 80), true, ORIENTATION, SHORT, 6);
        for (fit, length, expected) in [(Fit::Shorter, 20, (40, 20)), (Fit::Height, 10, (20, 10))] {
            let (image, becomes) = decode_upright_for(&jpeg, Target { fit, length }).unwrap();
            assert_eq!((becomes.width, becomes.height), expected);
            assert_eq!(image.width, 2 * image.height);
        }
        let plain = picture(40, 80);
        assert_eq!(
            decode_upright_for(&plain, Target { fit: Fit::Height, length: 10 }),
            decode_for(&plain, Target { fit: Fit::Height, length: 10 })
        );
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), at in 0usize..60, value: u8, cut in 0usize..60) {
            let first = orientation_of(&[b"\xff\xd8\xff\xe1\0\x60Exif\0\0".as_slice(), &bytes].concat());
            prop_assert!((1..=8).contains(&first));
            let mut jpeg = with_exif(&picture(8, 8), value % 2 == 0, ORIENTATION, SHORT, 6);
            jpeg[at] = value;
            jpeg.truncate(60 + cut);
            prop_assert!((1..=8).contains(&orientation_of(&jpeg)));
        }
    }
}
