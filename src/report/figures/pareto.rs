//! Records of each category, from the most populous on → how few of the categories hold how many of the records: a Pareto curve a
//! rank or a dataset.

use crate::report::figures::axis::{Axis, thousands};
use crate::report::figures::tails::{Drawn, Frame, Tail, seen};
use crate::report::figures::{Heading, Series};

/// What is drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Pareto {
    /// Above the figure.
    pub heading: Heading,
    /// What is counted: `records`.
    pub unit: String,
    /// What they are counted by: `categories`.
    pub groups: String,
    /// A curve each.
    pub tails: Vec<Tail>,
}

/// The share of the records that is marked on every curve, in per cent.
const MARKED: f64 = 80.0;

/// The text of the figure.
#[must_use]
pub fn draw(figure: &Pareto) -> String {
    let (along, up) =
        (format!("{}, the most populous first, %", figure.groups), format!("{} that they hold together, %", figure.unit));
    let frame = Frame { names: 2, ticks: 5, origin: 0.0, along: &along, up: &up };
    let axes = |across, upwards| (Axis::linear((0.0, 100.0), across), Axis::linear((0.0, 100.0), upwards));
    let Drawn { mut svg, series, x, y } = frame.draw(&figure.heading, &figure.tails, axes);
    // Where all are equal.
    svg.rule((x.at(0.0), y.at(0.0)), (x.at(100.0), y.at(100.0)), false);
    for (tail, Series { style, .. }) in figure.tails.iter().zip(&series) {
        let curve = curve(&tail.counts);
        let Some(&marked) = curve.iter().find(|(_, held)| *held >= MARKED) else { continue };
        let count = thousands(tail.counts.len() as u64);
        let tip = format!(
            "{}: {:.2} % of {count} {} hold {:.1} % of the {}",
            tail.name, marked.0, figure.groups, marked.1, figure.unit
        );
        let at = |(groups, held): (f64, f64)| (x.at(groups), y.at(held));
        svg.line(&seen(curve.iter().copied().map(at).collect()), *style, 1.8, &tip);
        svg.mark(at(marked), *style, 3.2, &tip);
    }
    svg.finish()
}

/// From (0, 0) to (100, 100): the share of the categories, and of the records that they hold together, in per cent; empty where
/// there is none.
fn curve(counts: &[u64]) -> Vec<(f64, f64)> {
    let (all, total) = (counts.len() as f64, counts.iter().sum::<u64>() as f64);
    if total == 0.0 {
        return vec![];
    }
    let held = counts.iter().scan(0, |held, count| {
        *held += count;
        Some(*held)
    });
    let points = (1u64..).zip(held).map(|(place, held)| (100.0 * place as f64 / all, 100.0 * held as f64 / total));
    std::iter::once((0.0, 0.0)).chain(points).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_goes_from_nothing_to_all() {
        assert_eq!(curve(&[6, 3, 1, 0]), [(0.0, 0.0), (25.0, 60.0), (50.0, 90.0), (75.0, 100.0), (100.0, 100.0)]);
        assert_eq!(curve(&[7]), [(0.0, 0.0), (100.0, 100.0)]);
        assert!(curve(&[]).is_empty() && curve(&[0, 0]).is_empty());
    }
}
