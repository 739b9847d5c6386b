//! A value a class in each of some rows → strips of shades with the values written in, as the original draws its figures by class.

use crate::report::figures::Heading;
use crate::report::figures::confusion::{DARK, key};
use crate::report::figures::font::{self, widest};
use crate::report::figures::palette::STRENGTH;
use crate::report::figures::svg::{Anchor, Svg, TEXT, TOP};

/// What is drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Strips {
    /// Above the figure.
    pub heading: Heading,
    /// The classes, from the left.
    pub classes: Vec<String>,
    /// A strip each: its name, and a cell a class; `None` where there is nothing to show.
    pub rows: Vec<(String, Vec<Option<Shade>>)>,
    /// The value of a full shade.
    pub full: String,
    /// What the shades show.
    pub key: String,
}

/// One cell.
#[derive(Clone, Debug, PartialEq)]
pub struct Shade {
    /// How strong, 0..1.
    pub strength: f64,
    /// What is written in it, four letters at most.
    pub text: String,
    /// What is said under the pointer.
    pub tip: String,
}

/// Up to so many classes the cells are wide.
const WIDE: usize = 20;
const HEIGHT: f64 = 26.0;

/// The text of the figure.
#[must_use]
pub fn draw(figure: &Strips) -> String {
    let side = if figure.classes.len() <= WIDE { 42.0 } else { 28.0 };
    let named = widest(figure.classes.iter().map(String::as_str), TEXT) + 12.0;
    let left = widest(figure.rows.iter().map(|row| row.0.as_str()), TEXT) + 20.0;
    let across = side * figure.classes.len() as f64;
    let key_end = left + 174.0 + font::width(&figure.key, TEXT);
    let width = (left + across + 20.0).max(Svg::least_width(&figure.heading)).max(key_end);
    let (top, down) = (TOP + 12.0, HEIGHT * figure.rows.len() as f64);
    let mut svg = Svg::new(width, top + down + named + 46.0, &figure.heading);
    for ((line, (name, cells)), y) in (0u32..).zip(&figure.rows).map(|row| (row, top + HEIGHT * f64::from(row.0))) {
        svg.text(left - 8.0, y + HEIGHT / 2.0 + 4.0, Anchor::End, name);
        for (column, shade) in (0u32..).zip(cells) {
            let Some(Shade { strength, text, tip }) = shade else { continue };
            let x = left + side * f64::from(column);
            svg.area((x + 0.5, y + 0.5), (side - 1.0, HEIGHT - 1.0), STRENGTH, 0.08 + 0.92 * strength, tip);
            svg.shade_text((x + side / 2.0, y + HEIGHT / 2.0 + 4.0), *strength > DARK, text);
        }
        svg.rule((left, y), (left + across, y), line == 0);
    }
    svg.rule((left, top + down), (left + across, top + down), true);
    for column in 0..=figure.classes.len() {
        let x = left + side * column as f64;
        svg.rule((x, top), (x, top + down), column == 0 || column == figure.classes.len());
    }
    for (column, name) in (0u32..).zip(&figure.classes) {
        svg.turned(left + side * (f64::from(column) + 0.5) + 4.0, top + down + 8.0, -90.0, Anchor::End, name);
    }
    key(&mut svg, left, top + down + named + 8.0, &figure.full, &figure.key);
    svg.finish()
}
