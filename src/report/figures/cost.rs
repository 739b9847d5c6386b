//! What the runs of each row of the tables took → device-hours, and images a second, as bars side by side.

use crate::report::figures::axis::{Axis, label};
use crate::report::figures::font::widest;
use crate::report::figures::svg::{Anchor, Svg, TEXT, TOP};
use crate::report::figures::{Heading, Style};

/// What is drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Cost {
    /// Above the figure.
    pub heading: Heading,
    /// What an hour is an hour of: `GPU-hours`, `core-hours`.
    pub unit: String,
    /// The rows.
    pub rows: Vec<Row>,
}

/// The runs of one partition, backbone and loss.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What they are called.
    pub name: String,
    /// That of the row.
    pub style: Style,
    /// All runs together, in the figure's unit.
    pub hours: f64,
    /// Mean over the runs: images trained on a second, over all ranks.
    pub images_per_second: f64,
}

const LINE: f64 = 20.0;
const PLOT: f64 = 270.0;
const BETWEEN: f64 = 92.0;

/// The text of the figure.
#[must_use]
pub fn draw(figure: &Cost) -> String {
    let left = widest(figure.rows.iter().map(|row| row.name.as_str()), TEXT) + 20.0;
    let plot = PLOT.max((Svg::least_width(&figure.heading) - left - 2.0 * BETWEEN) / 2.0);
    let (top, bottom) = (TOP + 10.0, TOP + 10.0 + LINE * figure.rows.len() as f64);
    let mut svg = Svg::new(left + 2.0 * (plot + BETWEEN), bottom + 48.0, &figure.heading);
    for (line, row) in (0u32..).zip(&figure.rows) {
        svg.text(left - 8.0, top + LINE * (f64::from(line) + 0.5) + 4.0, Anchor::End, &row.name);
    }
    let right = left + plot;
    bars(&mut svg, figure, (left, right), &format!("{}, all seeds together", figure.unit), |row| row.hours);
    bars(&mut svg, figure, (right + BETWEEN, right + BETWEEN + plot), "images a second in training, a run", |row| {
        row.images_per_second
    });
    svg.finish()
}

fn bars(svg: &mut Svg, figure: &Cost, (left, right): (f64, f64), name: &str, value: fn(&Row) -> f64) {
    let (top, bottom) = (TOP + 10.0, TOP + 10.0 + LINE * figure.rows.len() as f64);
    let most = figure.rows.iter().map(value).fold(0.0, f64::max);
    let x = Axis::linear((0.0, if most > 0.0 { most } else { 1.0 }), (left, right));
    for tick in x.ticks(4) {
        svg.rule((x.at(tick), top), (x.at(tick), bottom), tick == 0.0);
        svg.text(x.at(tick), bottom + 17.0, Anchor::Middle, &label(tick));
    }
    svg.text(f64::midpoint(left, right), bottom + 36.0, Anchor::Middle, name);
    for (line, row) in (0u32..).zip(&figure.rows) {
        let (y, end) = (top + LINE * f64::from(line), x.at(value(row)));
        let shown = short(value(row));
        svg.area((left, y + 3.0), (end - left, LINE - 6.0), row.style.colour, 1.0, &format!("{}: {shown} {name}", row.name));
        svg.text(end + 5.0, y + LINE / 2.0 + 4.0, Anchor::Start, &shown);
    }
}

/// Three digits that count.
fn short(value: f64) -> String {
    match value {
        v if v >= 100.0 => label(v.round()),
        v if v >= 1.0 => format!("{v:.1}"),
        v if v >= 0.01 => format!("{v:.3}"),
        v => format!("{v:.5}"),
    }
}
