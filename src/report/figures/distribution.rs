//! Images of each class and split → the long tail, on a logarithmic axis: a line a class, a mark a split.

use crate::report::figures::axis::{Axis, label, thousands};
use crate::report::figures::font::widest;
use crate::report::figures::svg::{Anchor, Svg, TEXT, TOP};
use crate::report::figures::{Heading, Series, Style};

/// What is drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Distribution {
    /// Above the figure.
    pub heading: Heading,
    /// Names with their images in train, validation and test; the most populous first.
    pub classes: Vec<(String, [u64; 3])>,
}

const LINE: f64 = 17.0;
const PLOT: f64 = 480.0;
const SPLITS: [&str; 3] = ["train", "validation", "test"];

/// The text of the figure.
#[must_use]
pub fn draw(figure: &Distribution) -> String {
    let left = widest(figure.classes.iter().map(|class| class.0.as_str()), TEXT) + 20.0;
    let width = (left + PLOT + 30.0).max(Svg::least_width(&figure.heading));
    let (top, right) = (TOP + 42.0, width - 30.0);
    let bottom = top + LINE * figure.classes.len() as f64;
    let mut svg = Svg::new(width, bottom + 48.0, &figure.heading);
    let series: Vec<Series> =
        SPLITS.into_iter().enumerate().map(|(index, name)| Series { name: name.into(), style: Style::plain(index) }).collect();
    svg.legend(left, TOP + 16.0, right, &series);
    let most = figure.classes.iter().flat_map(|class| class.1).max().unwrap_or(1);
    let x = Axis::decades((1.0, most as f64), (left, right));
    for tick in x.ticks(0) {
        svg.rule((x.at(tick), top), (x.at(tick), bottom), tick == 1.0);
        svg.text(x.at(tick), bottom + 17.0, Anchor::Middle, &label(tick));
    }
    svg.text(f64::midpoint(left, right), bottom + 36.0, Anchor::Middle, "images (logarithmic)");
    for (line, (name, counts)) in (0u32..).zip(&figure.classes) {
        let y = top + LINE * (f64::from(line) + 0.5);
        svg.text(left - 8.0, y + 4.0, Anchor::End, name);
        svg.rule((left, y), (right, y), false);
        let marks = (-1i32..).zip(counts).zip(&series).filter(|((_, images), _)| **images > 0);
        for ((place, &images), Series { name: split, style }) in marks {
            // A little above each other, so that equal counts are all seen.
            svg.mark(
                (x.at(images as f64), y + 3.0 * f64::from(place)),
                *style,
                3.4,
                &format!("{name}, {split}: {}", thousands(images)),
            );
        }
    }
    svg.finish()
}
