//! Records of each category, from the most populous on → a line a taxonomic rank, both axes logarithmic: how long each tail is.

use crate::report::figures::axis::{Axis, label, thousands};
use crate::report::figures::svg::{Anchor, Svg, TOP};
use crate::report::figures::{Heading, Series, Style};

/// What is drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Tails {
    /// Above the figure.
    pub heading: Heading,
    /// The ranks, from the widest.
    pub tails: Vec<Tail>,
}

/// One rank.
#[derive(Clone, Debug, PartialEq)]
pub struct Tail {
    /// Its name.
    pub name: String,
    /// Records of its categories, falling.
    pub counts: Vec<u64>,
}

const PLOT: (f64, f64) = (640.0, 380.0);
const LEFT: f64 = 86.0;
/// Points that lie closer together, in units of the canvas, are one to the eye.
const SEEN: f64 = 1.0;

/// What the figures of tails have in common: a legend, two axes with their lines, and what they are called.
pub(super) struct Frame<'a> {
    /// How many names stand in a line of the legend, at least.
    pub names: usize,
    /// Lines that an axis should have, about.
    pub ticks: usize,
    /// Where both axes begin.
    pub origin: f64,
    /// Below the horizontal axis.
    pub along: &'a str,
    /// Beside the vertical one.
    pub up: &'a str,
}

/// A frame that was drawn, to be drawn into.
pub(super) struct Drawn {
    pub svg: Svg,
    /// One a tail.
    pub series: Vec<Series>,
    pub x: Axis,
    pub y: Axis,
}

impl Frame<'_> {
    /// `axes` makes the horizontal and the vertical axis, each from the places of its ends on the canvas.
    pub fn draw(self, heading: &Heading, tails: &[Tail], axes: impl FnOnce((f64, f64), (f64, f64)) -> (Axis, Axis)) -> Drawn {
        let width = (LEFT + PLOT.0 + 30.0).max(Svg::least_width(heading));
        let right = width - 30.0;
        let named = tails.iter().enumerate().map(|(index, tail)| Series {
            name: format!("{} ({})", tail.name, thousands(tail.counts.len() as u64)),
            style: Style::of(index, index / 6),
        });
        let series: Vec<Series> = named.collect();
        let lines = 18.0 * (series.len() / self.names) as f64;
        let mut svg = Svg::new(width, TOP + 34.0 + lines + PLOT.1 + 52.0, heading);
        let top = svg.legend(LEFT, TOP + 16.0, right, &series) + 22.0;
        let bottom = top + PLOT.1;
        let (x, y) = axes((LEFT, right), (bottom, top));
        for tick in x.ticks(self.ticks) {
            svg.rule((x.at(tick), top), (x.at(tick), bottom), tick == self.origin);
            svg.text(x.at(tick), bottom + 17.0, Anchor::Middle, &label(tick));
        }
        for tick in y.ticks(self.ticks) {
            svg.rule((LEFT, y.at(tick)), (right, y.at(tick)), tick == self.origin);
            svg.text(LEFT - 6.0, y.at(tick) + 4.0, Anchor::End, &label(tick));
        }
        svg.text(f64::midpoint(LEFT, right), bottom + 36.0, Anchor::Middle, self.along);
        svg.turned(16.0, f64::midpoint(top, bottom), -90.0, Anchor::Middle, self.up);
        Drawn { svg, series, x, y }
    }
}

/// The text of the figure.
#[must_use]
pub fn draw(figure: &Tails) -> String {
    let most = figure.tails.iter().flat_map(|tail| tail.counts.first()).copied().max().unwrap_or(1);
    let longest = figure.tails.iter().map(|tail| tail.counts.len()).max().unwrap_or(1);
    let frame = Frame {
        names: 4,
        ticks: 0,
        origin: 1.0,
        along: "place of the category, the most populous first (logarithmic)",
        up: "records (logarithmic)",
    };
    let axes = |across, upwards| (Axis::decades((1.0, longest as f64), across), Axis::decades((1.0, most as f64), upwards));
    let Drawn { mut svg, series, x, y } = frame.draw(&figure.heading, &figure.tails, axes);
    for (tail, Series { style, .. }) in figure.tails.iter().zip(&series) {
        let (Some(&largest), Some(&smallest)) = (tail.counts.first(), tail.counts.last()) else { continue };
        let tip = format!(
            "{}: {} categories, the largest of {} records, the smallest of {}",
            tail.name,
            thousands(tail.counts.len() as u64),
            thousands(largest),
            thousands(smallest)
        );
        let points = (1u64..).zip(&tail.counts).map(|(place, &records)| (x.at(place as f64), y.at(records as f64)));
        let points = seen(points.collect());
        svg.line(&points, *style, 1.8, &tip);
        // Its ends, so that a rank of one category is seen, too.
        points.first().into_iter().chain(points.last()).for_each(|end| svg.mark(*end, *style, 3.2, &tip));
    }
    svg.finish()
}

/// The first and the last of `points`, and of the others those that lie apart.
pub(super) fn seen(points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    let last = points.len().saturating_sub(1);
    let mut kept: Vec<(f64, f64)> = Vec::new();
    for (index, point) in points.into_iter().enumerate() {
        let apart = kept.last().is_none_or(|(x, y)| (point.0 - x).abs().max((point.1 - y).abs()) >= SEEN);
        if apart || index == last {
            kept.push(point);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_that_look_like_one_are_one_and_the_ends_stay() {
        let points = vec![(0.0, 9.0), (0.2, 8.9), (1.0, 8.0), (1.1, 7.9), (1.2, 7.8)];
        assert_eq!(seen(points), [(0.0, 9.0), (1.0, 8.0), (1.2, 7.8)]);
        assert_eq!(seen(vec![(3.0, 1.0)]), [(3.0, 1.0)]);
        assert_eq!(seen(vec![]), []);
    }
}
