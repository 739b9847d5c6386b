//! How often predictions of each probability were right → a reliability diagram, a panel a partition, a line a row of its table.

use crate::evaluate::CalibrationReport;
use crate::report::figures::axis::{Axis, label, thousands};
use crate::report::figures::svg::{Anchor, Svg, TOP};
use crate::report::figures::{Heading, Series, Style};

/// What is drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Reliability {
    /// Above the figure.
    pub heading: Heading,
    /// What the lines are called.
    pub legend: Vec<Series>,
    /// Rows of panels.
    pub panels: Vec<Vec<Panel>>,
}

/// One partition.
#[derive(Clone, Debug, PartialEq)]
pub struct Panel {
    /// Its name.
    pub title: String,
    /// A line a row of its table.
    pub lines: Vec<Line>,
}

/// The runs of one row, pooled.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// `resnet50 CE`.
    pub name: String,
    /// That of the row.
    pub style: Style,
    /// Its bins.
    pub report: CalibrationReport,
}

const PANEL: f64 = 240.0;
const LEFT: f64 = 62.0;
const GAP: (f64, f64) = (70.0, 74.0);

/// The text of the figure.
#[must_use]
pub fn draw(figure: &Reliability) -> String {
    let columns = figure.panels.iter().map(Vec::len).max().unwrap_or(0).max(1) as f64;
    let width = (LEFT + columns * (PANEL + GAP.0)).max(Svg::least_width(&figure.heading));
    let height = TOP + 56.0 + figure.panels.len() as f64 * (PANEL + GAP.1);
    let mut svg = Svg::new(width, height, &figure.heading);
    let first = svg.legend(LEFT, TOP + 16.0, width - 10.0, &figure.legend) + 36.0;
    for (row, panels) in (0u32..).zip(&figure.panels) {
        for (column, panel) in (0u32..).zip(panels) {
            let (left, top) = (LEFT + f64::from(column) * (PANEL + GAP.0), first + f64::from(row) * (PANEL + GAP.1));
            draw_panel(&mut svg, panel, left, top);
        }
    }
    svg.finish()
}

fn draw_panel(svg: &mut Svg, panel: &Panel, left: f64, top: f64) {
    let (right, bottom) = (left + PANEL, top + PANEL);
    let (x, y) = (Axis::linear((0.0, 1.0), (left, right)), Axis::linear((0.0, 1.0), (bottom, top)));
    svg.bold(left, top - 8.0, 13.0, &panel.title);
    for tick in x.ticks(5) {
        svg.rule((left, y.at(tick)), (right, y.at(tick)), tick == 0.0);
        svg.rule((x.at(tick), top), (x.at(tick), bottom), tick == 0.0);
        svg.text(left - 6.0, y.at(tick) + 4.0, Anchor::End, &label(tick));
        svg.text(x.at(tick), bottom + 17.0, Anchor::Middle, &label(tick));
    }
    svg.rule((left, bottom), (right, top), true);
    svg.text(f64::midpoint(left, right), bottom + 34.0, Anchor::Middle, "probability of the prediction");
    svg.turned(left - 38.0, f64::midpoint(top, bottom), -90.0, Anchor::Middle, "share that is right");
    for line in &panel.lines {
        let all: u64 = line.report.bins.iter().map(|bin| bin.images).sum();
        let bins: Vec<_> = line.report.bins.iter().filter(|bin| bin.images > 0).collect();
        let points: Vec<(f64, f64)> = bins.iter().map(|bin| (x.at(bin.probability), y.at(bin.accuracy))).collect();
        svg.line(&points, line.style, 1.2, &format!("{}: ECE {:.2} %", line.name, 100.0 * line.report.ece));
        for (bin, point) in bins.iter().zip(points) {
            // An area in proportion to the images, but never too small to see.
            let radius = (7.0 * (bin.images as f64 / all as f64).sqrt()).max(1.8);
            let tip = format!(
                "{}: {} predictions of {:.1} % on average, {:.1} % right",
                line.name,
                thousands(bin.images),
                100.0 * bin.probability,
                100.0 * bin.accuracy
            );
            svg.mark(point, line.style, radius, &tip);
        }
    }
}
