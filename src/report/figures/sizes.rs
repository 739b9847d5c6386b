//! Images of each dataset and split → bars on one axis, with each dataset's imbalance beside it.

use crate::report::figures::axis::{Axis, label, thousands};
use crate::report::figures::font::widest;
use crate::report::figures::svg::{Anchor, Svg, TEXT, TOP};
use crate::report::figures::{Heading, Series, Style};

/// What is drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Sizes {
    /// Above the figure.
    pub heading: Heading,
    /// The datasets.
    pub datasets: Vec<Dataset>,
}

/// One dataset.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// Its name.
    pub name: String,
    /// How many classes it has.
    pub classes: usize,
    /// Images in train, validation and test.
    pub images: [u64; 3],
    /// Images of its largest class over those of its smallest.
    pub imbalance: f64,
}

const LINE: f64 = 30.0;
const PLOT: f64 = 380.0;
const SPLITS: [&str; 3] = ["train", "validation", "test"];

/// The text of the figure.
#[must_use]
pub fn draw(figure: &Sizes) -> String {
    let left = widest(figure.datasets.iter().map(|set| set.name.as_str()), TEXT) + 20.0;
    let beside: Vec<String> = figure.datasets.iter().map(words).collect();
    let room = widest(beside.iter().map(String::as_str), TEXT) + 26.0;
    let right = left + PLOT.max(Svg::least_width(&figure.heading) - left - room);
    let (top, bottom) = (TOP + 42.0, TOP + 42.0 + LINE * figure.datasets.len() as f64);
    let mut svg = Svg::new(right + room, bottom + 48.0, &figure.heading);
    let series: Vec<Series> =
        SPLITS.into_iter().enumerate().map(|(index, name)| Series { name: name.into(), style: Style::plain(index) }).collect();
    svg.swatches(left, TOP + 16.0, &series);
    let most = figure.datasets.iter().map(|set| set.images.iter().sum()).max().unwrap_or(1u64).max(1);
    let x = Axis::linear((0.0, most as f64), (left, right));
    for tick in x.ticks(5) {
        svg.rule((x.at(tick), top), (x.at(tick), bottom), tick == 0.0);
        svg.text(x.at(tick), bottom + 17.0, Anchor::Middle, &label(tick));
    }
    svg.text(f64::midpoint(left, right), bottom + 36.0, Anchor::Middle, "images");
    for ((line, set), beside) in (0u32..).zip(&figure.datasets).zip(&beside) {
        let y = top + LINE * f64::from(line);
        svg.text(left - 8.0, y + LINE / 2.0 + 4.0, Anchor::End, &set.name);
        let mut before = 0;
        for (&images, Series { name, style }) in set.images.iter().zip(&series) {
            let (from, to) = (x.at(before as f64), x.at((before + images) as f64));
            let tip = format!("{}, {name}: {}", set.name, thousands(images));
            svg.area((from, y + 6.0), (to - from, LINE - 12.0), style.colour, 1.0, &tip);
            before += images;
        }
        svg.text(right + 14.0, y + LINE / 2.0 + 4.0, Anchor::Start, beside);
    }
    svg.finish()
}

fn words(set: &Dataset) -> String {
    let images = thousands(set.images.iter().sum());
    format!("{images} in {} classes, imbalance {}", set.classes, thousands(set.imbalance.round() as u64))
}
