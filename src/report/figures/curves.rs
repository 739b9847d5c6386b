//! A figure an epoch, of every run → lines in small multiples: a panel a partition, a line a run.

use crate::report::figures::axis::{Axis, label};
use crate::report::figures::svg::{Anchor, Svg, TOP};
use crate::report::figures::{Heading, Series, Style};

/// What is drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Curves {
    /// Above the figure.
    pub heading: Heading,
    /// What the upright axes show, with its unit.
    pub unit: String,
    /// The values of the upright axes; `None` for the range of the data from zero.
    pub range: Option<(f64, f64)>,
    /// What the lines are called.
    pub legend: Vec<Series>,
    /// Rows of panels.
    pub panels: Vec<Vec<Panel>>,
}

/// The runs of one partition.
#[derive(Clone, Debug, PartialEq)]
pub struct Panel {
    /// Its name.
    pub title: String,
    /// A line a run.
    pub curves: Vec<Curve>,
}

/// One run.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// Its id.
    pub name: String,
    /// That of its backbone and loss.
    pub style: Style,
    /// (epoch from 1, value).
    pub points: Vec<(f64, f64)>,
}

const PANEL: (f64, f64) = (280.0, 190.0);
const LEFT: f64 = 58.0;
const GAP: (f64, f64) = (66.0, 74.0);

/// The text of the figure.
#[must_use]
pub fn draw(figure: &Curves) -> String {
    let columns = figure.panels.iter().map(Vec::len).max().unwrap_or(0).max(1) as f64;
    let width = (LEFT + columns * (PANEL.0 + GAP.0)).max(Svg::least_width(&figure.heading));
    let height = TOP + 52.0 + figure.panels.len() as f64 * (PANEL.1 + GAP.1);
    let mut svg = Svg::new(width, height, &figure.heading);
    let first = svg.legend(LEFT, TOP + 16.0, width - 10.0, &figure.legend) + 34.0;
    for (row, panels) in (0u32..).zip(&figure.panels) {
        for (column, panel) in (0u32..).zip(panels) {
            let (left, top) = (LEFT + f64::from(column) * (PANEL.0 + GAP.0), first + f64::from(row) * (PANEL.1 + GAP.1));
            draw_panel(&mut svg, figure, panel, left, top);
        }
    }
    svg.finish()
}

fn draw_panel(svg: &mut Svg, figure: &Curves, panel: &Panel, left: f64, top: f64) {
    let points = || panel.curves.iter().flat_map(|curve| &curve.points);
    let (right, bottom) = (left + PANEL.0, top + PANEL.1);
    let epochs = points().map(|point| point.0).fold(1.0, f64::max);
    let most = points().map(|point| point.1).fold(0.0, f64::max);
    let values = figure.range.unwrap_or((0.0, if most > 0.0 { most } else { 1.0 }));
    let (x, y) = (Axis::linear((1.0, epochs.max(2.0)), (left, right)), Axis::linear(values, (bottom, top)));
    svg.bold(left, top - 8.0, 13.0, &panel.title);
    for tick in y.ticks(5) {
        svg.rule((left, y.at(tick)), (right, y.at(tick)), tick == values.0);
        svg.text(left - 6.0, y.at(tick) + 4.0, Anchor::End, &label(tick));
    }
    for tick in x.ticks(6).into_iter().filter(|tick| tick.fract() == 0.0) {
        svg.rule((x.at(tick), bottom), (x.at(tick), bottom + 4.0), true);
        svg.text(x.at(tick), bottom + 17.0, Anchor::Middle, &label(tick));
    }
    svg.text(f64::midpoint(left, right), bottom + 34.0, Anchor::Middle, "epoch");
    svg.turned(left - 42.0, f64::midpoint(top, bottom), -90.0, Anchor::Middle, &figure.unit);
    if panel.curves.is_empty() {
        svg.text(f64::midpoint(left, right), f64::midpoint(top, bottom), Anchor::Middle, "no run");
    }
    for curve in &panel.curves {
        let line: Vec<(f64, f64)> = curve.points.iter().map(|point| (x.at(point.0), y.at(point.1))).collect();
        let last = curve.points.last().map(|point| format!(": {:.2} at epoch {}", point.1, point.0)).unwrap_or_default();
        svg.line(&line, curve.style, 1.4, &format!("{}{last}", curve.name));
        if let [only] = line.as_slice() {
            svg.mark(*only, curve.style, 3.0, &format!("{}{last}", curve.name));
        }
    }
}
