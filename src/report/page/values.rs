//! The values of a column, which are text → numbers and places, each once.

use std::cmp::Ordering;

use crate::dataset::statistics::{Category, Tail};
use crate::report::figures::sites::Site;

/// The values of a column as numbers.
#[derive(Debug, PartialEq)]
pub(super) struct Numbers {
    /// Distinct, rising, with the records of each.
    pub values: Vec<(f64, u64)>,
    /// Records whose value is no number.
    pub unreadable: u64,
}

impl Numbers {
    pub fn of(tail: &Tail) -> Self {
        let (values, unreadable) = read(&tail.categories, number);
        Self { values: merged(values, f64::total_cmp), unreadable }
    }

    /// Records with a number.
    pub fn records(&self) -> u64 {
        self.values.iter().map(|(_, records)| records).sum()
    }

    /// Takes out what no logarithmic axis can show, and returns how many records that are.
    pub fn take_not_positive(&mut self) -> u64 {
        let (kept, taken): (Vec<(f64, u64)>, _) =
            std::mem::take(&mut self.values).into_iter().partition(|(value, _)| *value > 0.0);
        self.values = kept;
        taken.iter().map(|(_, records)| records).sum()
    }
}

/// The sites of a tail of pairs of coordinates, and how many records lie at none on earth.
pub(super) fn places(tail: &Tail) -> (Vec<Site>, u64) {
    let place = |value: &str| {
        let (latitude, longitude) = value.split_once(' ')?;
        let (latitude, longitude) = (number(latitude)?, number(longitude)?);
        (latitude.abs() <= 90.0 && longitude.abs() <= 180.0).then_some((latitude, longitude))
    };
    let (read, elsewhere) = read(&tail.categories, place);
    let order = |a: &(f64, f64), b: &(f64, f64)| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1));
    let site = |((latitude, longitude), records)| Site { latitude, longitude, records };
    (merged(read, order).into_iter().map(site).collect(), elsewhere)
}

/// `12095.0` and `8605`; neither `nan` nor `inf`, nor what is so large that a difference of two has no number either.
fn number(value: &str) -> Option<f64> {
    value.trim().parse().ok().filter(|number: &f64| number.abs() <= f64::from(f32::MAX))
}

/// What `read` makes of every category, and the records of those of which it makes nothing.
fn read<T>(categories: &[Category], read: impl Fn(&str) -> Option<T>) -> (Vec<(T, u64)>, u64) {
    let mut unreadable = 0;
    let mut understood = Vec::new();
    for Category { name, records } in categories {
        match read(name) {
            Some(value) => understood.push((value, *records)),
            None => unreadable += records,
        }
    }
    (understood, unreadable)
}

/// In order, and what is equal once: a number may be written in several ways.
fn merged<T: Copy>(mut all: Vec<(T, u64)>, order: impl Fn(&T, &T) -> Ordering) -> Vec<(T, u64)> {
    all.sort_by(|a, b| order(&a.0, &b.0));
    let equal = all.chunk_by(|a, b| order(&a.0, &b.0).is_eq());
    equal.filter_map(|run| Some((run.first()?.0, run.iter().map(|(_, records)| records).sum()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tail(values: &[(&str, u64)]) -> Tail {
        let category = |(name, records): &(&str, u64)| Category { name: (*name).into(), records: *records };
        Tail { rank: "x".into(), categories: values.iter().map(category).collect() }
    }

    #[test]
    fn a_number_written_in_two_ways_is_one_and_what_is_none_is_counted() {
        let mut numbers =
            Numbers::of(&tail(&[("8605", 2), ("12095.0", 3), ("8605.0", 1), ("NA", 4), ("nan", 1), ("1e308", 1), ("0", 7)]));
        assert_eq!((&numbers.values[..], numbers.unreadable), (&[(0.0, 7), (8605.0, 3), (12_095.0, 3)][..], 6));
        assert_eq!((numbers.take_not_positive(), numbers.records()), (7, 6));
        assert_eq!(numbers.values, [(8605.0, 3), (12_095.0, 3)]);
    }

    #[test]
    fn a_site_lies_on_earth() {
        let (sites, elsewhere) =
            places(&tail(&[("10.327 -84.08", 2), ("10.3270 -84.080", 1), ("91 0", 4), ("0 -181", 2), ("x 1", 1)]));
        assert_eq!((sites, elsewhere), (vec![Site { latitude: 10.327, longitude: -84.08, records: 3 }], 7));
    }
}
