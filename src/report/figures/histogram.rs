//! Distinct values with their records → a histogram, with the quartiles marked.

use crate::report::figures::axis::{Axis, label, thousands};
use crate::report::figures::font::{widest, width};
use crate::report::figures::palette::STRENGTH;
use crate::report::figures::svg::{Anchor, Svg, TEXT, TOP};
use crate::report::figures::{Heading, Style};

/// What is drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// Above the figure.
    pub heading: Heading,
    /// Below the horizontal axis: what was measured, and in which unit.
    pub along: String,
    /// Whether that axis, and the bins on it, are logarithmic; all values are positive then.
    pub logarithmic: bool,
    /// How many records it shows, and which it does not.
    pub note: String,
    /// Distinct finite values, rising, with the records of each.
    pub values: Vec<(f64, u64)>,
}

const PLOT: (f64, f64) = (640.0, 280.0);
/// Room for the name of a quartile that lies at the left edge, and at the right one.
const LEAST: f64 = 40.0;
const RIGHT: f64 = 76.0;
/// So many bins are told apart.
const MOST: f64 = 60.0;

/// A line at a quartile, and where its name stands.
struct Quartile {
    p: f64,
    name: &'static str,
    /// From the line's upper end at the edge of the plot to its name.
    offset: (f64, f64),
    anchor: Anchor,
    dashed: bool,
}

/// The median's name stands above the other two, and theirs outwards, so that none lies on another.
const QUARTILES: [Quartile; 3] = [
    Quartile { p: 0.25, name: "Q1", offset: (-4.0, -8.0), anchor: Anchor::End, dashed: true },
    Quartile { p: 0.5, name: "median", offset: (0.0, -24.0), anchor: Anchor::Middle, dashed: false },
    Quartile { p: 0.75, name: "Q3", offset: (4.0, -8.0), anchor: Anchor::Start, dashed: true },
];

/// The text of the figure.
#[must_use]
pub fn draw(figure: &Histogram) -> String {
    let (top, bottom) = (TOP + 66.0, TOP + 66.0 + PLOT.1);
    let bins = figure.bins();
    let y = Axis::linear((0.0, bins.iter().map(|bin| bin.records).max().unwrap_or(1) as f64), (bottom, top));
    let counts: Vec<(f64, String)> = y.ticks(5).into_iter().map(|tick| (tick, label(tick))).collect();
    let left = widest(counts.iter().map(|(_, text)| text.as_str()), TEXT).max(LEAST) + 36.0;
    let sheet = [left + PLOT.0 + RIGHT, Svg::least_width(&figure.heading), width(&figure.note, TEXT) + 20.0];
    let sheet = sheet.into_iter().fold(0.0, f64::max);
    let right = sheet - RIGHT;
    let mut svg = Svg::new(sheet, bottom + 48.0, &figure.heading);
    svg.text(10.0, TOP + 10.0, Anchor::Start, &figure.note);
    let x = figure.axis(&bins, (left, right));
    for tick in x.ticks(8) {
        svg.rule((x.at(tick), top), (x.at(tick), bottom), false);
        svg.text(x.at(tick), bottom + 17.0, Anchor::Middle, &label(tick));
    }
    for (tick, text) in &counts {
        svg.rule((left, y.at(*tick)), (right, y.at(*tick)), *tick == 0.0);
        svg.text(left - 6.0, y.at(*tick) + 4.0, Anchor::End, text);
    }
    svg.text(f64::midpoint(left, right), bottom + 36.0, Anchor::Middle, &figure.along);
    svg.turned(16.0, f64::midpoint(top, bottom), -90.0, Anchor::Middle, "records");
    for Bin { from, to, records } in bins {
        let tip = format!("{} to {}: {} records", short(from), short(to), thousands(records));
        // A little apart, as far as there is room for it.
        let (from, to) = (x.at(from), x.at(to));
        svg.area((from, y.at(records as f64)), ((to - from - 0.6).max(0.6), bottom - y.at(records as f64)), STRENGTH, 0.75, &tip);
    }
    for Quartile { p, name, offset: (aside, above), anchor, dashed } in QUARTILES {
        let Some(value) = quantile(&figure.values, p) else { continue };
        let (name, at) = (format!("{name} {}", short(value)), x.at(value));
        svg.line(&[(at, top + above + 4.0), (at, bottom)], Style::of(1, usize::from(dashed)), 1.5, &name);
        svg.text(at + aside, top + above, anchor, &name);
    }
    svg.finish()
}

/// Records with a value from `from` on and below `to`; in the last bin also at it.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Bin {
    from: f64,
    to: f64,
    records: u64,
}

impl Histogram {
    fn axis(&self, bins: &[Bin], positions: (f64, f64)) -> Axis {
        let (low, high) = bins.first().zip(bins.last()).map_or((1.0, 10.0), |(first, last)| (first.from, last.to));
        if self.logarithmic { Axis::decades((low, high), positions) } else { Axis::linear((low.min(0.0), high), positions) }
    }

    /// Equally wide bins, on a logarithmic axis those of the logarithms.
    fn bins(&self) -> Vec<Bin> {
        if !self.logarithmic {
            return bins(&self.values);
        }
        let logarithms: Vec<(f64, u64)> = self.values.iter().map(|(value, records)| (value.log10(), *records)).collect();
        bins(&logarithms).into_iter().map(|bin| Bin { from: 10f64.powf(bin.from), to: 10f64.powf(bin.to), ..bin }).collect()
    }
}

/// Bins from the least to the greatest of `values`, which rise.
fn bins(values: &[(f64, u64)]) -> Vec<Bin> {
    let Some((&(low, _), &(high, _))) = values.first().zip(values.last()) else { return vec![] };
    // One value alone has a bin around it.
    let (low, high) = if low < high { (low, high) } else { (low - 0.05, high + 0.05) };
    let count = bin_count(values);
    let width = (high - low) / count as f64;
    let edge = |place: usize| low + width * place as f64;
    let mut bins: Vec<Bin> = (0..count).map(|place| Bin { from: edge(place), to: edge(place + 1), records: 0 }).collect();
    for (value, records) in values {
        let place = (((value - low) / width) as usize).min(count - 1);
        bins.get_mut(place).into_iter().for_each(|bin| bin.records += records);
    }
    bins
}

/// How many bins: as wide as 2 · IQR · n^(-1/3) (Freedman and Diaconis, "On the histogram as a density estimator: L2 theory",
/// Z. Wahrscheinlichkeitstheorie verw. Gebiete 57, 1981, 453–476), but at most [`MOST`]. Where the interquartile range is nothing,
/// 1 + log2 n of them (Sturges, "The choice of a class interval", J. Am. Stat. Assoc. 21, 1926, 65–66).
fn bin_count(values: &[(f64, u64)]) -> usize {
    let (Some((low, _)), Some((high, _))) = (values.first(), values.last()) else { return 0 };
    if low >= high {
        return 1;
    }
    let n = values.iter().map(|(_, records)| records).sum::<u64>() as f64;
    let range = |(first, third): (f64, f64)| third - first;
    let iqr = quantile(values, 0.25).zip(quantile(values, 0.75)).map_or(0.0, range);
    let wanted = if iqr > 0.0 { (high - low) * n.cbrt() / (2.0 * iqr) } else { 1.0 + n.log2() };
    wanted.ceil().clamp(1.0, MOST) as usize
}

/// The value below which the share `p` of the records lies, between two of them in proportion (type 7 of Hyndman and Fan, "Sample
/// quantiles in statistical packages", Am. Stat. 50, 1996, 361–365, as R and NumPy have it); `None` of nothing.
fn quantile(values: &[(f64, u64)], p: f64) -> Option<f64> {
    let n: u64 = values.iter().map(|(_, records)| records).sum();
    let place = p * n.checked_sub(1)? as f64;
    let lower = at(values, place.floor() as u64)?;
    let upper = at(values, place.ceil() as u64)?;
    Some(lower + (upper - lower) * place.fract())
}

/// The value of the record in this place, from 0.
fn at(values: &[(f64, u64)], place: u64) -> Option<f64> {
    let mut before = 0;
    let reaches = |(_, records): &&(f64, u64)| {
        before += records;
        before > place
    };
    values.iter().find(reaches).map(|(value, _)| *value)
}

/// A value in four digits, or with four places: `0.0703`, `12.35`, `12,095`.
fn short(value: f64) -> String {
    let before = value.abs().log10().floor().clamp(-1.0, 3.0) as i32 + 1;
    let scale = 10f64.powi(4 - before);
    label((value * scale).round() / scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(logarithmic: bool, values: &[(f64, u64)]) -> Histogram {
        let (along, note) = ("x".into(), String::new());
        Histogram { heading: Heading::new("A figure", false), along, logarithmic, note, values: values.to_vec() }
    }

    #[test]
    fn quartiles_of_records_that_share_values() {
        // 1 2 2 2 10: places 1, 2 and 3 of 0 to 4.
        let values = [(1.0, 1), (2.0, 3), (10.0, 1)];
        assert_eq!([0.25, 0.5, 0.75, 1.0].map(|p| quantile(&values, p)), [Some(2.0), Some(2.0), Some(2.0), Some(10.0)]);
        // 1 2 3 4: place 0.75 lies between 1 and 2.
        assert_eq!(quantile(&[(1.0, 1), (2.0, 1), (3.0, 1), (4.0, 1)], 0.25), Some(1.75));
        assert_eq!((quantile(&[], 0.5), quantile(&[(7.0, 1)], 0.75)), (None, Some(7.0)));
    }

    #[test]
    fn bins_are_as_wide_as_freedman_and_diaconis_say() {
        // 0 to 8 of three records each: n = 27, quartiles 2 and 6, width 2 · 4 / 3, three of them from 0 to 8.
        let values: Vec<(f64, u64)> = (0..9).map(|value| (f64::from(value), 3)).collect();
        let counts: Vec<u64> = bins(&values).iter().map(|bin| bin.records).collect();
        assert_eq!(counts, [9, 9, 9]);
        // No interquartile range: 1 + log2 of 8 records.
        assert_eq!(bin_count(&[(0.0, 7), (1.0, 1)]), 4);
        let many: Vec<(f64, u64)> = (0..10_000).map(|value| (f64::from(value), 1000)).collect();
        assert_eq!((bin_count(&many), bin_count(&[]), bin_count(&[(3.0, 9)])), (60, 0, 1));
    }

    #[test]
    fn bins_of_a_logarithmic_axis_are_equal_factors_and_every_record_is_in_one() {
        let bins = histogram(true, &[(1.0, 7), (10_000.0, 1)]).bins();
        assert_eq!(bins.iter().map(|bin| bin.records).collect::<Vec<_>>(), [7, 0, 0, 1]);
        assert!(bins.iter().all(|bin| (bin.to / bin.from - 10.0).abs() < 1e-9), "{bins:?}");
        assert_eq!(histogram(false, &[(0.5, 3)]).bins(), [Bin { from: 0.45, to: 0.55, records: 3 }]);
    }

    #[test]
    fn a_value_has_four_digits() {
        assert_eq!([0.07031, 1.23456, 12.3456, 999.96, 12_095.4].map(short), ["0.0703", "1.235", "12.35", "1,000", "12,095"]);
    }
}
