//! How many records have a label at each taxonomic rank → bars, with the number of categories beside them.

use crate::report::figures::Heading;
use crate::report::figures::axis::{Axis, label, thousands};
use crate::report::figures::font::widest;
use crate::report::figures::palette::STRENGTH;
use crate::report::figures::svg::{Anchor, Svg, TEXT, TOP};

/// What is drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranks {
    /// Above the figure.
    pub heading: Heading,
    /// The ranks from the widest, with records labelled, their share in 0..1, and distinct labels.
    pub ranks: Vec<(String, u64, f64, usize)>,
}

const LINE: f64 = 26.0;
const PLOT: f64 = 400.0;

/// The text of the figure.
#[must_use]
pub fn draw(figure: &Ranks) -> String {
    let left = widest(figure.ranks.iter().map(|rank| rank.0.as_str()), TEXT) + 20.0;
    let of = |rank: &(String, u64, f64, usize)| format!("{} labelled, {} distinct", thousands(rank.1), thousands(rank.3 as u64));
    let beside: Vec<String> = figure.ranks.iter().map(of).collect();
    let room = widest(beside.iter().map(String::as_str), TEXT) + 26.0;
    let right = left + PLOT.max(Svg::least_width(&figure.heading) - left - room);
    let (top, bottom) = (TOP + 10.0, TOP + 10.0 + LINE * figure.ranks.len() as f64);
    let mut svg = Svg::new(right + room, bottom + 48.0, &figure.heading);
    let x = Axis::linear((0.0, 100.0), (left, right));
    for tick in x.ticks(5) {
        svg.rule((x.at(tick), top), (x.at(tick), bottom), tick == 0.0);
        svg.text(x.at(tick), bottom + 17.0, Anchor::Middle, &label(tick));
    }
    svg.text(f64::midpoint(left, right), bottom + 36.0, Anchor::Middle, "records with a label, %");
    for ((line, rank), beside) in (0u32..).zip(&figure.ranks).zip(&beside) {
        let y = top + LINE * f64::from(line);
        let tip = format!("{}: {:.1} % of the records, {beside}", rank.0, 100.0 * rank.2);
        svg.text(left - 8.0, y + LINE / 2.0 + 4.0, Anchor::End, &rank.0);
        svg.area((left, y + 5.0), (x.at(100.0 * rank.2) - left, LINE - 10.0), STRENGTH, 1.0, &tip);
        svg.text(right + 14.0, y + LINE / 2.0 + 4.0, Anchor::Start, beside);
    }
    svg.finish()
}
