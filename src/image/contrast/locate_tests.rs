//! Dishes drawn by hand, and where the specimen in them is found.

use proptest::prelude::*;

use super::*;

/// On the photograph itself.
fn locate(picture: &RgbImage) -> Option<Found> {
    super::locate(picture, picture.size()).unwrap()
}

/// A dish of an even light grey.
fn dish(width: u32, height: u32) -> RgbImage {
    RgbImage { width, height, pixels: vec![210; 3 * width as usize * height as usize] }
}

/// Colours every pixel whose centre `(x, y)` lies inside.
fn paint(picture: &mut RgbImage, colour: [u8; 3], inside: impl Fn(f32, f32) -> bool) {
    let width = picture.width as usize;
    for (at, pixel) in picture.pixels.chunks_exact_mut(3).enumerate() {
        if inside((at % width) as f32 + 0.5, (at / width) as f32 + 0.5) {
            pixel.copy_from_slice(&colour);
        }
    }
}

fn ellipse(x: f32, y: f32, across: f32, down: f32) -> impl Fn(f32, f32) -> bool {
    move |at_x, at_y| ((at_x - x) / across).powi(2) + ((at_y - y) / down).powi(2) <= 1.0
}

const BROWN: [u8; 3] = [95, 65, 40];

/// A brown ellipse of 120×72 pixels around (420, 340).
const BODY: BoundingBox = BoundingBox { x0: 360, y0: 304, x1: 480, y1: 376 };

fn dish_with_a_body() -> RgbImage {
    let mut picture = dish(1024, 768);
    paint(&mut picture, BROWN, ellipse(420.0, 340.0, 60.0, 36.0));
    picture
}

#[track_caller]
fn assert_near(found: Option<Found>, truth: BoundingBox, pixels: i32) {
    let found = found.expect("a specimen").bounding_box;
    let off = [found.x0 - truth.x0, found.y0 - truth.y0, found.x1 - truth.x1, found.y1 - truth.y1];
    assert!(off.iter().all(|off| off.abs() <= pixels), "{found:?} is not {truth:?}");
}

#[test]
fn an_ellipse_on_an_even_dish_is_boxed_to_a_working_pixel() {
    assert_near(locate(&dish_with_a_body()), BODY, 2);
}

#[test]
fn an_organism_covers_the_pixels_of_its_ellipse() {
    // π · 60 · 36 = 6,786 pixels; in working squares of 2×2 the edge of some 300 pixels belongs to it or not.
    let found = locate(&dish_with_a_body()).unwrap();
    assert!(found.pixels.abs_diff(6_786) < 300, "{}", found.pixels);
    // Of a photograph four times as large, seen at a quarter: π · 180 · 120.
    let mut quarter = dish(720, 540);
    paint(&mut quarter, BROWN, ellipse(300.0, 225.0, 45.0, 30.0));
    let found = super::locate(&quarter, Size { width: 2880, height: 2160 }).unwrap().unwrap();
    assert!(found.pixels.abs_diff(67_858) < 3_000, "{}", found.pixels);
}

#[test]
fn a_thin_fibre_across_the_body_does_not_extend_the_box() {
    let mut picture = dish_with_a_body();
    paint(&mut picture, [120, 110, 100], |x, y| (y - 340.0 - (x - 420.0) * 0.3).abs() < 1.5 && (150.0..900.0).contains(&x));
    assert_near(locate(&picture), BODY, 6);
}

#[test]
fn uneven_light_does_not_matter() {
    let mut picture = dish_with_a_body();
    for (at, pixel) in picture.pixels.chunks_exact_mut(3).enumerate() {
        // From 70 % of the light at the left edge to 110 % at the right one.
        let light = 0.7 + 0.4 * (at % 1024) as f32 / 1024.0;
        pixel.iter_mut().for_each(|value| *value = (f32::from(*value) * light) as u8);
    }
    assert_near(locate(&picture), BODY, 2);
}

#[test]
fn an_empty_dish_holds_nothing() {
    assert_eq!(locate(&dish(1024, 768)), None);
    let mut with_a_fibre = dish(1024, 768);
    paint(&mut with_a_fibre, [190, 190, 188], |x, y| (y - x * 0.4).abs() < 1.0 && (300.0..400.0).contains(&x));
    assert_eq!(locate(&with_a_fibre), None);
}

#[test]
fn a_large_photograph_its_half_and_its_quarter_give_the_same_box() {
    let mut large = dish(2880, 2160);
    paint(&mut large, BROWN, ellipse(1200.0, 900.0, 180.0, 120.0));
    let truth = BoundingBox { x0: 1020, y0: 780, x1: 1380, y1: 1020 };
    assert_near(locate(&large), truth, 6);
    let mut half = dish(1440, 1080);
    paint(&mut half, BROWN, ellipse(600.0, 450.0, 90.0, 60.0));
    assert_near(super::locate(&half, large.size()).unwrap(), truth, 6);
    // A quarter, as it is decoded: 1.5 pixels of it make a working pixel.
    let mut quarter = dish(720, 540);
    paint(&mut quarter, BROWN, ellipse(300.0, 225.0, 45.0, 30.0));
    let found = super::locate(&quarter, large.size()).unwrap();
    assert_near(found, truth, 6);
}

#[test]
fn tiny_pictures_are_empty_dishes() {
    for (width, height) in [(0, 0), (1, 1), (3, 2), (1, 40), (40, 1)] {
        assert_eq!(locate(&dish(width, height)), None, "{width}×{height}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_the_picture_a_box_lies_inside_it(width in 1u32..90, height in 1u32..90, seed in any::<u64>(), coarse in 1usize..12) {
        // Blocks of random grey: noise where `coarse` is 1, things to find where it is larger.
        let value = |x: usize, y: usize| {
            let mixed = (seed ^ (x / coarse * 31 + y / coarse * 977) as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            (mixed >> 56) as u8
        };
        let (columns, rows) = (width as usize, height as usize);
        let pixels = (0..rows).flat_map(|y| (0..columns).flat_map(move |x| [value(x, y), value(x, y + 1), 128])).collect();
        if let Some(found) = locate(&RgbImage { width, height, pixels }) {
            let BoundingBox { x0, y0, x1, y1 } = found.bounding_box;
            prop_assert!(0 <= x0 && x0 < x1 && x1 <= width as i32 && 0 <= y0 && y0 < y1 && y1 <= height as i32, "{:?}", found);
            prop_assert!((0.0..=1.0).contains(&found.score), "{:?}", found);
            prop_assert!((1..=((x1 - x0) * (y1 - y0)) as u64).contains(&found.pixels), "{:?}", found);
        }
    }
}
