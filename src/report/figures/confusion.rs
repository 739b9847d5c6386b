//! A confusion matrix → a square of shades, each row divided by its sum: the truth from top to bottom, the prediction from left to right.

use crate::report::figures::Heading;
use crate::report::figures::font::{self, widest};
use crate::report::figures::palette::STRENGTH;
use crate::report::figures::svg::{Anchor, Svg, TEXT, TOP};

/// What is drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfusionFigure {
    /// Above the figure.
    pub heading: Heading,
    /// Names of the classes, in the order of the rows.
    pub classes: Vec<String>,
    /// `[C, C]` images; rows are the truth.
    pub counts: Vec<Vec<u64>>,
}

/// Up to so many classes the shares are written into the cells.
const WRITTEN: usize = 20;

/// White is easier to read than black on stronger shades alone.
pub(super) const DARK: f64 = 0.85;

/// How wide the key to the shades is.
const SCALE: f64 = 164.0;
const KEY: &str = "share of the images of the true class; empty: none";

/// The text of the figure.
#[must_use]
pub fn draw(figure: &ConfusionFigure) -> String {
    let classes = figure.classes.len();
    let written = classes <= WRITTEN;
    let (side, size) = if written { (34.0, TEXT) } else { (16.0, 11.0) };
    let named = widest(figure.classes.iter().map(String::as_str), size) + 12.0;
    let left = named + 26.0;
    let square = side * classes as f64;
    let scale_end = left + SCALE + font::width(KEY, TEXT) + 10.0;
    let width = (left + square + 20.0).max(Svg::least_width(&figure.heading)).max(scale_end);
    let top = TOP + 12.0;
    let mut svg = Svg::new(width, top + square + named + 76.0, &figure.heading);
    for (row, (name, counts)) in figure.classes.iter().zip(&figure.counts).enumerate() {
        let y = top + side * row as f64;
        svg.sized(left - 6.0, y + side / 2.0 + 4.0, size, Anchor::End, name);
        // Below, upright text is read from the bottom, so that its end points at its column.
        svg.turned_sized(left + side * (row as f64 + 0.5) + 4.0, top + square + 8.0, -90.0, size, Anchor::End, name);
        let sum: u64 = counts.iter().sum();
        for (column, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let share = count as f64 / sum as f64;
            let x = left + side * column as f64;
            let said = figure.classes.get(column).map_or("", String::as_str);
            let tip = format!("{name} taken for {said}: {count} of {sum} ({:.1} %)", 100.0 * share);
            // A single image among thousands must be seen too.
            svg.area((x + 0.5, y + 0.5), (side - 1.0, side - 1.0), STRENGTH, 0.08 + 0.92 * share, &tip);
            if written && share >= 0.005 {
                svg.shade_text((x + side / 2.0, y + side / 2.0 + 4.0), share > DARK, &format!("{share:.2}"));
            }
        }
    }
    for line in 0..=classes {
        let at = side * line as f64;
        let strong = line == 0 || line == classes;
        svg.rule((left, top + at), (left + square, top + at), strong);
        svg.rule((left + at, top), (left + at, top + square), strong);
    }
    svg.turned(16.0, top + square / 2.0, -90.0, Anchor::Middle, "truth");
    svg.text(left + square / 2.0, top + square + named + 20.0, Anchor::Middle, "prediction");
    key(&mut svg, left, top + square + named + 36.0, "1", KEY);
    svg.finish()
}

/// What the shades mean: from 0 to `full` of what `name` says.
pub(super) fn key(svg: &mut Svg, left: f64, top: f64, full: &str, name: &str) {
    for step in 0..=10u32 {
        let share = f64::from(step) / 10.0;
        svg.area((left + 14.0 * f64::from(step), top), (14.0, 10.0), STRENGTH, 0.08 + 0.92 * share, "");
    }
    svg.text(left, top + 24.0, Anchor::Start, "0");
    svg.text(left + 154.0, top + 24.0, Anchor::End, full);
    svg.text(left + SCALE, top + 10.0, Anchor::Start, name);
}
