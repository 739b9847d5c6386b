//! Our crops against the original tool's geometry done by PIL, from boxes and pixels that `fixtures/make_crop_fixtures.py` wrote.
#![cfg(feature = "image")]

#[path = "support/fixture.rs"]
mod fixture;

use bioscan_hpc::config::{CropTool, Extend, Fill};
use bioscan_hpc::image::{BoundingBox, RgbImage, Size, box_from_fractions, crop, extended_box};
use serde::Deserialize;

#[derive(Deserialize)]
struct Fixture {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    fractions: [f32; 4],
    size: [u32; 2],
    extension: f64,
    extend: Extend,
    #[serde(rename = "box")]
    tight: [i32; 4],
    kept: [i32; 4],
    fill: Option<Fill>,
    pixels: Option<String>,
}

fn picture(width: u32, height: u32) -> RgbImage {
    let places = (0..height).flat_map(|y| (0..width).flat_map(move |x| (0..3).map(move |c| (x, y, c))));
    RgbImage { width, height, pixels: places.map(|(x, y, c)| (37 * x + 91 * y + 53 * c + x * y) as u8).collect() }
}

fn corners([x0, y0, x1, y1]: [i32; 4]) -> BoundingBox {
    BoundingBox { x0, y0, x1, y1 }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn boxes_and_pixels_are_the_originals() {
    let fixture: Fixture = fixture::json("crops");
    let mut compared = 0;
    for case in &fixture.cases {
        let [width, height] = case.size;
        let tight = box_from_fractions(case.fractions, Size { width, height });
        assert_eq!(tight, corners(case.tight), "{:?} of {width}×{height}", case.fractions);
        let tool = CropTool { extension: case.extension, extend: case.extend, ..CropTool::default() };
        let kept = extended_box(tight, &tool);
        assert_eq!(kept, corners(case.kept), "{tight:?} by {} {:?}", case.extension, case.extend);
        if let (Some(fill), Some(pixels)) = (case.fill, &case.pixels) {
            let ours = crop(&picture(width, height), kept, fill.rgb()).expect("a crop");
            assert!(hex(&ours.pixels) == *pixels, "pixels of {kept:?} of {width}×{height}");
            compared += 1;
        }
    }
    assert_eq!((compared, fixture.cases.len()), (25, 385));
}
