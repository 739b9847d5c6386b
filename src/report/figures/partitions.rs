//! Records, barcodes and species of each partition → bars in groups, on a logarithmic axis: millions stand beside thousands.

use crate::report::figures::axis::{Axis, label, thousands};
use crate::report::figures::font::{widest, width};
use crate::report::figures::svg::{Anchor, Svg, TEXT, TOP};
use crate::report::figures::{Heading, Series, Style};

/// What is drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Partitions {
    /// Above the figure.
    pub heading: Heading,
    /// What is counted: `samples`.
    pub series: Vec<String>,
    /// Names with a count a series.
    pub partitions: Vec<(String, Vec<u64>)>,
}

const BAR: f64 = 12.0;
/// Between the bars of two partitions.
const GAP: f64 = 10.0;
const PLOT: f64 = 460.0;
/// The logarithm of one is nothing, and yet it is more than none.
const LEAST: f64 = 1.5;
const SMALL: f64 = 10.5;

/// The text of the figure.
#[must_use]
pub fn draw(figure: &Partitions) -> String {
    let left = widest(figure.partitions.iter().map(|partition| partition.0.as_str()), TEXT) + 20.0;
    let most = figure.partitions.iter().flat_map(|partition| &partition.1).copied().max().unwrap_or(1);
    let room = width(&thousands(most), SMALL) + 20.0;
    let right = left + PLOT.max(Svg::least_width(&figure.heading) - left - room);
    let group = BAR * figure.series.len() as f64 + GAP;
    let (top, bottom) = (TOP + 34.0, TOP + 34.0 + group * figure.partitions.len() as f64);
    let mut svg = Svg::new(right + room, bottom + 48.0, &figure.heading);
    let named = figure.series.iter().enumerate();
    let series: Vec<Series> = named.map(|(index, name)| Series { name: name.clone(), style: Style::plain(index) }).collect();
    svg.swatches(left, TOP + 16.0, &series);
    let x = Axis::decades((1.0, most as f64), (left, right));
    for tick in x.ticks(0) {
        svg.rule((x.at(tick), top), (x.at(tick), bottom), tick == 1.0);
        svg.text(x.at(tick), bottom + 17.0, Anchor::Middle, &label(tick));
    }
    svg.text(f64::midpoint(left, right), bottom + 36.0, Anchor::Middle, "count (logarithmic)");
    for (place, (name, counts)) in (0u32..).zip(&figure.partitions) {
        let y = top + GAP / 2.0 + group * f64::from(place);
        svg.text(left - 8.0, y + (group - GAP) / 2.0 + 4.0, Anchor::End, name);
        for ((line, &count), Series { name: counted, style }) in (0u32..).zip(counts).zip(&series) {
            let (y, words) = (y + BAR * f64::from(line), thousands(count));
            let long = if count == 0 { 0.0 } else { (x.at(count as f64) - left).max(LEAST) };
            svg.area((left, y + 0.5), (long, BAR - 1.0), style.colour, 1.0, &format!("{name}: {words} {counted}"));
            svg.sized(left + long + 5.0, y + 9.8, SMALL, Anchor::Start, &words);
        }
    }
    svg.finish()
}
