//! A picture and its specimen's box → the crop, pixel for pixel as the original crop tool makes it.
//!
//! ```text
//! fractions of the picture ─ box_from_fractions → box ─ extended_box → what is kept ─ crop → pixels
//! ```
//!
//! The original's habits kept, since they move pixels: a box's corners are rounded half to even; it is extended in float64 by
//! (extension − 1), which is 0.3999999999999999 for 1.4; what comes out is cut towards zero. So a crop may be lopsided by one pixel.
//! A habit not kept, since no pixel shows it: the original pads the whole picture, right and below by one pixel too many, and cuts the
//! crop out of that; here only the crop is ever allocated.

use super::decode::{MOST_PIXELS, header_of};
use super::region::{Region, decode_region};
use super::resize::LONGEST_SIDE;
use super::{BoundingBox, Fault, Reason, RgbImage, Size};
use crate::config::{CropTool, Extend};

/// The pixels that a detector's box covers: (centre x, centre y, width, height) in fractions of the picture, all in float32.
///
/// Corners are rounded half to even; what is not a number becomes 0.
#[must_use]
pub fn box_from_fractions([cx, cy, width, height]: [f32; 4], picture: Size) -> BoundingBox {
    // A float beyond i32 becomes the nearest i32, and `crop` refuses that size.
    let pixel = |fraction: f32, side: u32| (fraction * side as f32).round_ties_even() as i32;
    BoundingBox {
        x0: pixel(cx - 0.5 * width, picture.width),
        y0: pixel(cy - 0.5 * height, picture.height),
        x1: pixel(cx + 0.5 * width, picture.width),
        y1: pixel(cy + 0.5 * height, picture.height),
    }
}

/// What is kept of the picture around a specimen; it may reach beyond the picture's edge.
#[must_use]
pub fn extended_box(specimen: BoundingBox, tool: &CropTool) -> BoundingBox {
    let BoundingBox { x0, y0, x1, y1 } = specimen;
    let (width, height) = (specimen.width() as f64, specimen.height() as f64);
    // Not simplified: each form rounds as the original's does.
    let (wider, higher) = match tool.extend {
        Extend::Equal => ((tool.extension - 1.0) * width.max(height), (tool.extension - 1.0) * width.max(height)),
        Extend::Each => (width * tool.extension - width, height * tool.extension - height),
    };
    // A cast cuts towards zero.
    let (before, after) =
        (|side: i32, by: f64| (f64::from(side) - by / 2.0) as i32, |side: i32, by: f64| (f64::from(side) + by / 2.0) as i32);
    BoundingBox { x0: before(x0, wider), y0: before(y0, higher), x1: after(x1, wider), y1: after(y1, higher) }
}

/// The pixels of `image` in `kept`, with `fill` (red, green, blue) beyond its edge.
///
/// A rectangle that is empty or shows nothing of the picture is [`Reason::BadBox`]; one that asks for more pixels than any photograph
/// has, or a side that JPEG cannot hold, is [`Reason::TooLarge`]. Neither allocates.
pub fn crop(image: &RgbImage, kept: BoundingBox, fill: [u8; 3]) -> Result<RgbImage, Fault> {
    let shown = shown(image.size(), kept)?;
    Ok(pasted(image, (0, 0), kept, &shown, fill))
}

/// [`crop`] of the picture in `jpeg`, decoding no more of it than the crop shows; so what is wrong with it below that is not found.
pub fn crop_jpeg(jpeg: &[u8], kept: BoundingBox, fill: [u8; 3]) -> Result<RgbImage, Fault> {
    let header = header_of(jpeg)?;
    let shown = shown(Size { width: header.width as u32, height: header.height as u32 }, kept)?;
    let mut part = RgbImage::default();
    let corner = decode_region(jpeg, &header, &shown, &mut part)?;
    Ok(pasted(&part, corner, kept, &shown, fill))
}

/// What of `kept` lies in a picture of `size`.
fn shown(size: Size, kept: BoundingBox) -> Result<Region, Fault> {
    let BoundingBox { x0, y0, x1, y1 } = kept;
    let fault = |reason, what: &str| {
        let (w, h) = (size.width, size.height);
        Fault::new(reason, format!("the crop from ({x0}, {y0}) to ({x1}, {y1}) of {w}×{h} pixels {what}"))
    };
    if kept.area() == 0 {
        return Err(fault(Reason::BadBox, "is empty"));
    }
    if kept.area() > MOST_PIXELS as i64 || kept.width().max(kept.height()) > LONGEST_SIDE as i64 {
        return Err(fault(Reason::TooLarge, "is larger than any photograph"));
    }
    let shown = Region { columns: within(x0, x1, size.width), rows: within(y0, y1, size.height) };
    if shown.columns.is_empty() || shown.rows.is_empty() {
        return Err(fault(Reason::BadBox, "lies outside it"));
    }
    Ok(shown)
}

/// `kept` of a picture, of which `part` begins at column and row `corner` and holds what is `shown`.
fn pasted(part: &RgbImage, (left, top): (u32, u32), kept: BoundingBox, shown: &Region, fill: [u8; 3]) -> RgbImage {
    let (width, height) = (kept.width() as usize, kept.height() as usize);
    let Region { columns, rows } = shown;
    let mut pixels = fill.repeat(width * height);
    let (before, above) = (offset(columns.start, kept.x0), offset(rows.start, kept.y0));
    for (row, target) in rows.clone().zip(pixels.chunks_exact_mut(3 * width).skip(above)) {
        let start = (row - top) as usize * part.width as usize;
        let source = &part.pixels[3 * (start + (columns.start - left) as usize)..3 * (start + (columns.end - left) as usize)];
        target[3 * before..3 * before + source.len()].copy_from_slice(source);
    }
    RgbImage { width: width as u32, height: height as u32, pixels }
}

/// The part of `from..to` that is inside a picture's `side`.
fn within(from: i32, to: i32, side: u32) -> std::ops::Range<u32> {
    let inside = |at: i32| at.clamp(0, side.min(i32::MAX as u32) as i32) as u32;
    inside(from)..inside(to)
}

/// How far the first shown pixel lies behind the crop's edge.
fn offset(shown: u32, edge: i32) -> usize {
    (i64::from(shown) - i64::from(edge)).max(0) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::Fill;
    use crate::image::{decode, encode};

    fn tool(extension: f64, extend: Extend) -> CropTool {
        CropTool { extension, extend, ..CropTool::default() }
    }

    fn rectangle(x0: i32, y0: i32, x1: i32, y1: i32) -> BoundingBox {
        BoundingBox { x0, y0, x1, y1 }
    }

    /// Every pixel tells its place.
    fn picture(width: u32, height: u32) -> RgbImage {
        let pixels = (0..height).flat_map(|y| (0..width).flat_map(move |x| [x as u8, y as u8, (x * y) as u8])).collect();
        RgbImage { width, height, pixels }
    }

    #[test]
    fn halves_round_to_even() {
        let size = Size { width: 10, height: 10 };
        // Corners at 2.5, 3.5 and 7.5, 6.5.
        assert_eq!(box_from_fractions([0.5, 0.5, 0.5, 0.3], size), rectangle(2, 4, 8, 6));
        assert_eq!(box_from_fractions([f32::NAN, 0.5, 1.0, f32::INFINITY], size), rectangle(0, i32::MIN, 0, i32::MAX));
    }

    #[test]
    fn equal_extension_takes_from_the_longer_side_and_each_from_its_own() {
        // 0.5 · 20 = 10: five pixels on every edge; and 0.5 · 8 = 4 on the shorter side's own account.
        assert_eq!(extended_box(rectangle(100, 100, 120, 108), &tool(1.5, Extend::Equal)), rectangle(95, 95, 125, 113));
        assert_eq!(extended_box(rectangle(100, 100, 120, 108), &tool(1.5, Extend::Each)), rectangle(95, 98, 125, 110));
    }

    #[test]
    fn the_original_cuts_towards_zero_and_its_0_4_is_a_little_less() {
        // 1.4 - 1 = 0.39999999999999991: two pixels less 4e-16, which matters at 0 alone, where -1.99... is cut to -1.
        assert_eq!(extended_box(rectangle(0, 100, 10, 104), &tool(1.4, Extend::Equal)), rectangle(-1, 98, 12, 106));
        // -1.5 is cut to -1, 5.5 to 5.
        assert_eq!(extended_box(rectangle(0, 0, 4, 4), &tool(1.75, Extend::Each)), rectangle(-1, -1, 5, 5));
    }

    #[test]
    fn beyond_the_edge_is_the_fill() {
        let image = picture(2, 2);
        let crop = crop(&image, rectangle(1, -1, 3, 1), Fill::CropImage.rgb()).unwrap();
        assert_eq!((crop.width, crop.height), (2, 2));
        assert_eq!(crop.pixels, [240, 240, 240, 240, 240, 240, 1, 0, 0, 240, 240, 240]);
    }

    #[test]
    fn boxes_that_make_no_picture_are_faults() {
        let image = picture(6, 4);
        let reason = |kept| crop(&image, kept, [0; 3]).unwrap_err().reason;
        assert_eq!(reason(rectangle(2, 2, 2, 4)), Reason::BadBox);
        assert_eq!(reason(rectangle(3, 3, 1, 1)), Reason::BadBox);
        assert_eq!(reason(rectangle(6, 0, 9, 4)), Reason::BadBox);
        assert_eq!(reason(rectangle(-9, -9, 0, 0)), Reason::BadBox);
        assert_eq!(reason(rectangle(i32::MIN, i32::MIN, i32::MAX, i32::MAX)), Reason::TooLarge);
        assert_eq!(reason(rectangle(0, 0, 70_000, 1)), Reason::TooLarge);
        let fault = crop(&image, rectangle(9, 0, 12, 4), [0; 3]).unwrap_err();
        assert_eq!(fault.to_string(), "bad_box: the crop from (9, 0) to (12, 4) of 6×4 pixels lies outside it");
    }

    #[test]
    fn a_crop_of_a_jpeg_is_that_of_the_picture_in_it() {
        let jpeg = encode(&picture(90, 70), 80).unwrap();
        let whole = decode(&jpeg).unwrap();
        for kept in [rectangle(20, 30, 50, 61), rectangle(-5, -9, 12, 80), rectangle(60, 50, 200, 90), rectangle(0, 0, 90, 70)] {
            assert_eq!(crop_jpeg(&jpeg, kept, [9, 8, 7]).unwrap(), crop(&whole, kept, [9, 8, 7]).unwrap(), "{kept:?}");
        }
        for kept in [rectangle(90, 0, 99, 70), rectangle(3, 3, 3, 9), rectangle(0, 0, 70_000, 1)] {
            let (ours, whole) = (crop_jpeg(&jpeg, kept, [0; 3]).unwrap_err(), crop(&whole, kept, [0; 3]).unwrap_err());
            assert_eq!(ours.to_string(), whole.to_string());
        }
    }

    /// The original's way: pad the whole picture, then cut.
    fn crop_of_a_padded_canvas(image: &RgbImage, kept: BoundingBox, fill: [u8; 3]) -> RgbImage {
        let (left, above) = (0.max(-kept.x0), 0.max(-kept.y0));
        let beyond = |end: i32, side: u32| if end > side as i32 { end - side as i32 + 1 } else { 0 };
        let (right, below) = (beyond(kept.x1, image.width), beyond(kept.y1, image.height));
        let (width, height) = (left + image.width as i32 + right, above + image.height as i32 + below);
        let mut canvas = vec![vec![fill; width as usize]; height as usize];
        for (index, pixel) in image.pixels.chunks_exact(3).enumerate() {
            let (x, y) = (index as i32 % image.width as i32, index as i32 / image.width as i32);
            canvas[(y + above) as usize][(x + left) as usize] = [pixel[0], pixel[1], pixel[2]];
        }
        let rows = &canvas[(kept.y0 + above) as usize..(kept.y1 + above) as usize];
        let pixels = rows.iter().flat_map(|row| row[(kept.x0 + left) as usize..(kept.x1 + left) as usize].concat()).collect();
        RgbImage { width: kept.width() as u32, height: kept.height() as u32, pixels }
    }

    proptest! {
        #[test]
        fn a_crop_is_what_the_padded_canvas_shows(
            (width, height) in (1u32..12, 1u32..12),
            (x0, y0) in (-9i32..12, -9i32..12),
            (w, h) in (1i32..20, 1i32..20),
        ) {
            let (image, kept) = (picture(width, height), rectangle(x0, y0, x0 + w, y0 + h));
            let seen = x0 < width as i32 && y0 < height as i32 && x0 + w > 0 && y0 + h > 0;
            match crop(&image, kept, [9, 8, 7]) {
                Ok(crop) => prop_assert!(seen && crop == crop_of_a_padded_canvas(&image, kept, [9, 8, 7])),
                Err(fault) => prop_assert!(!seen && fault.reason == Reason::BadBox),
            }
        }

        #[test]
        fn no_box_and_no_extension_panics_or_allocates_without_bound(
            cxcywh: [f32; 4],
            corners: [i32; 4],
            extension: f64,
            each: bool,
        ) {
            let image = picture(5, 7);
            let tool = tool(extension, if each { Extend::Each } else { Extend::Equal });
            let [x0, y0, x1, y1] = corners;
            for specimen in [box_from_fractions(cxcywh, image.size()), rectangle(x0, y0, x1, y1)] {
                if let Ok(crop) = crop(&image, extended_box(specimen, &tool), [0; 3]) {
                    prop_assert!(crop.size().area() <= MOST_PIXELS);
                }
            }
        }
    }
}
