//! The accuracy of each class in each row of a table → marks on a line a class.

use crate::report::figures::axis::{Axis, label, thousands};
use crate::report::figures::font::widest;
use crate::report::figures::svg::{Anchor, Svg, TEXT, TOP};
use crate::report::figures::{Heading, Series};

/// What is drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct PerClass {
    /// Above the figure.
    pub heading: Heading,
    /// The rows of the table.
    pub series: Vec<Series>,
    /// The classes, from the top.
    pub classes: Vec<Class>,
}

/// One class.
#[derive(Clone, Debug, PartialEq)]
pub struct Class {
    /// Its name.
    pub name: String,
    /// Its test images.
    pub images: u64,
    /// Its accuracy in each of the series, in per cent: mean over seeds.
    pub values: Vec<Option<f64>>,
}

const LINE: f64 = 19.0;
const PLOT: f64 = 640.0;
/// Series lie a little above each other, so that equal values are all seen.
const APART: f64 = 3.4;

/// The text of the figure.
#[must_use]
pub fn draw(figure: &PerClass) -> String {
    let left = widest(figure.classes.iter().map(|class| class.name.as_str()), TEXT) + 20.0;
    let counts: Vec<String> = figure.classes.iter().map(|class| thousands(class.images)).collect();
    let counted = widest(counts.iter().map(String::as_str).chain(["test images"]), TEXT) + 24.0;
    let right = left + PLOT.max(Svg::least_width(&figure.heading) - left - counted);
    let height = TOP + 82.0 + LINE * figure.classes.len() as f64 + 18.0 * (figure.series.len() / 3) as f64;
    let mut svg = Svg::new(right + counted, height, &figure.heading);
    let top = svg.legend(left, TOP + 16.0, right, &figure.series) + 26.0;
    let bottom = top + LINE * figure.classes.len() as f64;
    let x = Axis::linear((0.0, 100.0), (left, right));
    for tick in x.ticks(10) {
        svg.rule((x.at(tick), top), (x.at(tick), bottom), tick == 0.0);
        svg.text(x.at(tick), bottom + 17.0, Anchor::Middle, &label(tick));
    }
    svg.text(f64::midpoint(left, right), bottom + 36.0, Anchor::Middle, "top-1 of the class (recall), %, mean over seeds");
    svg.text(right + counted - 10.0, top - 8.0, Anchor::End, "test images");
    for ((line, class), images) in (0u32..).zip(&figure.classes).zip(&counts) {
        let y = top + LINE * (f64::from(line) + 0.5);
        svg.rule((left, y), (right, y), false);
        svg.text(left - 8.0, y + 4.0, Anchor::End, &class.name);
        svg.text(right + counted - 10.0, y + 4.0, Anchor::End, images);
        let middle = (figure.series.len() as f64 - 1.0) / 2.0;
        for ((place, series), value) in (0u32..).zip(&figure.series).zip(&class.values) {
            if let Some(value) = value {
                let y = y + APART * (f64::from(place) - middle);
                svg.mark((x.at(*value), y), series.style, 3.6, &format!("{}, {}: {value:.2} %", class.name, series.name));
            }
        }
    }
    svg.finish()
}
