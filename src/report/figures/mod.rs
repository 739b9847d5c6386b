//! Values → pictures: one pure function from values to the text of an SVG a figure.
//!
//! | file | figure |
//! |---|---|
//! | [`curves`] | a figure an epoch, of all runs, in small multiples |
//! | [`per_class`] | accuracy of each class |
//! | [`strips`] | a value a class, in shades: the original's figures of accuracy and of images by class |
//! | [`confusion`] | confusion matrix, row-normalised |
//! | [`calibration`] | reliability diagram |
//! | [`distribution`] | images of each class and split, records of each category: the long tail |
//! | [`tails`] | records of each category at each taxonomic rank, by place: how long the tails are |
//! | [`pareto`] | how few categories hold how many of the records |
//! | [`sizes`] | images of the datasets, and their imbalance |
//! | [`ranks`] | how much of the metadata is labelled at each taxonomic rank |
//! | [`partitions`] | records, barcodes and species of each of BIOSCAN-5M's partitions |
//! | [`sites`] | where on earth the records come from |
//! | [`histogram`] | how a measure is distributed over the records |
//! | [`cost`] | device-hours and images a second |
//!
//! | file | what they are drawn with |
//! |---|---|
//! | [`svg`] | a canvas that writes elements and escapes text |
//! | [`axis`] | values ↔ positions, round ticks |
//! | [`font`] | how wide a text is |
//! | [`palette`] | colours, dashes and marks that the colour-blind and a black-and-white print tell apart |
//! | `png` | the SVG in pixels (feature `png`) |
//!
//! Text and lines are drawn in `currentColor` on a sheet of class `paper`, so that a page can show the same file in dark mode; alone it is
//! black on white. Every mark carries its value as a `<title>`, which browsers show under the pointer.

pub mod axis;
pub mod calibration;
pub mod confusion;
pub mod cost;
pub mod curves;
pub mod distribution;
pub mod font;
pub mod histogram;
pub mod palette;
pub mod pareto;
pub mod partitions;
pub mod per_class;
#[cfg(feature = "png")]
pub mod png;
pub mod ranks;
pub mod sites;
pub mod sizes;
pub mod strips;
pub mod svg;
pub mod tails;

pub use palette::Style;

/// A series of a figure: what the legend calls it, and how it is drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// `resnet50 CE`.
    pub name: String,
    /// Colour, dashes, mark.
    pub style: Style,
}

/// What is written above a figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Heading {
    /// What it shows.
    pub title: String,
    /// Whether the data are synthetic, which every figure of them says.
    pub synthetic: bool,
}

impl Heading {
    /// A heading.
    pub fn new(title: impl Into<String>, synthetic: bool) -> Self {
        Self { title: title.into(), synthetic }
    }
}

#[cfg(test)]
mod figures_tests;
