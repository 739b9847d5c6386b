//! Images of each class and split, or records of each category → the long tail, on a logarithmic axis: a line a class, a mark a split.

use crate::report::figures::axis::{Axis, label, thousands};
use crate::report::figures::font::widest;
use crate::report::figures::svg::{Anchor, Svg, TEXT, TOP};
use crate::report::figures::{Heading, Series, Style};

/// What is drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Distribution {
    /// Above the figure.
    pub heading: Heading,
    /// What is counted: `images`.
    pub unit: String,
    /// What the marks of a line are: the splits, or one alone.
    pub series: Vec<String>,
    /// Names with a count a series; the most populous first.
    pub classes: Vec<(String, Vec<u64>)>,
}

const LINE: f64 = 17.0;
const PLOT: f64 = 480.0;
/// The text of the figure.
#[must_use]
pub fn draw(figure: &Distribution) -> String {
    let left = widest(figure.classes.iter().map(|class| class.0.as_str()), TEXT) + 20.0;
    let totals: Vec<String> = figure.classes.iter().map(|(_, counts)| thousands(counts.iter().sum())).collect();
    let counted = widest(totals.iter().map(String::as_str).chain([figure.unit.as_str()]), TEXT) + 24.0;
    let right = left + PLOT.max(Svg::least_width(&figure.heading) - left - counted);
    // One series alone is what the axis says: it has no legend.
    let room = if figure.series.len() > 1 { 42.0 } else { 24.0 };
    let (top, end) = (TOP + room, right + counted - 10.0);
    let bottom = top + LINE * figure.classes.len() as f64;
    let mut svg = Svg::new(right + counted, bottom + 48.0, &figure.heading);
    let named = figure.series.iter().enumerate();
    let series: Vec<Series> = named.map(|(index, name)| Series { name: name.clone(), style: Style::plain(index) }).collect();
    if series.len() > 1 {
        svg.legend(left, TOP + 16.0, right, &series);
    }
    svg.text(end, top - 8.0, Anchor::End, &figure.unit);
    let most = figure.classes.iter().flat_map(|class| &class.1).copied().max().unwrap_or(1);
    let x = Axis::decades((1.0, most as f64), (left, right));
    for tick in x.ticks(0) {
        svg.rule((x.at(tick), top), (x.at(tick), bottom), tick == 1.0);
        svg.text(x.at(tick), bottom + 17.0, Anchor::Middle, &label(tick));
    }
    svg.text(f64::midpoint(left, right), bottom + 36.0, Anchor::Middle, &format!("{} (logarithmic)", figure.unit));
    for ((line, (name, counts)), total) in (0u32..).zip(&figure.classes).zip(&totals) {
        let y = top + LINE * (f64::from(line) + 0.5);
        svg.text(left - 8.0, y + 4.0, Anchor::End, name);
        svg.text(end, y + 4.0, Anchor::End, total);
        svg.rule((left, y), (right, y), false);
        let above = (series.len() as i32 - 1) / 2;
        let marks = (-above..).zip(counts).zip(&series).filter(|((_, images), _)| **images > 0);
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
