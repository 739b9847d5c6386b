//! The values of one column → the numbers that the published tables give of it.

use std::collections::HashMap;

use serde::Serialize;

use crate::dataset::labels::Names;
use crate::dataset::record::{Column, StringRecord, is_blank};

/// How much is known of one attribute: a taxonomic rank, a BIN, a barcode, a country, a measure.
///
/// The published tables call the records with a value labelled, and the distinct values categories.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rank {
    /// The column.
    pub rank: String,
    /// Distinct labels.
    pub categories: usize,
    /// Records with a label.
    pub labelled: u64,
    /// Their share of all records, 0..1.
    pub share: f64,
    /// Records without a label.
    pub unlabelled: u64,
    /// Records of the most populated category over those of the least; 0 where there is none.
    pub imbalance_ratio: f64,
    /// The category with the most records, ties by the alphabet; `None` where there is none or the values are too long to be kept.
    pub most_populated: Option<Category>,
    /// The category with the fewest, likewise.
    pub least_populated: Option<Category>,
    /// Mean records of a category.
    pub mean: f64,
    /// Median of them.
    pub median: f64,
    /// Their standard deviation, of the population (divided by n).
    pub std: f64,
}

/// One value with its records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Category {
    /// The value.
    pub name: String,
    /// Records that have it.
    pub records: u64,
}

/// Every category of one taxonomic rank or of another attribute: a long tail.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tail {
    /// The column.
    pub rank: String,
    /// Its categories, the one with the most records first, ties by the alphabet.
    pub categories: Vec<Category>,
}

/// Counts the values of one attribute.
pub(super) struct Attribute {
    name: String,
    columns: Vec<Column>,
    values: Values,
    unlabelled: u64,
}

enum Values {
    Named(Names, Vec<u64>),
    /// By the first half of their blake3, because two million barcodes of 660 letters would fill the memory.
    Hashed(HashMap<u128, u64>),
}

impl Attribute {
    /// The values of `column`.
    pub(super) fn new(name: &str, column: Column) -> Self {
        Self::of_all(name, vec![column])
    }

    /// The values of several columns together, each known only where all are.
    pub(super) fn of_all(name: &str, columns: Vec<Column>) -> Self {
        Self { name: name.to_owned(), columns, values: Values::Named(Names::default(), Vec::new()), unlabelled: 0 }
    }

    /// The values of `column`, which are many and long, so that they are told apart but not kept.
    pub(super) fn hashed(name: &str, column: Column) -> Self {
        Self { values: Values::Hashed(HashMap::new()), ..Self::new(name, column) }
    }

    pub(super) fn count(&mut self, row: &StringRecord) {
        if self.columns.iter().any(|column| is_blank(column.of(row))) {
            self.unlabelled += 1;
            return;
        }
        let joined;
        let value = match self.columns.as_slice() {
            [column] => column.of(row),
            columns => {
                joined = columns.iter().map(|column| column.of(row)).collect::<Vec<_>>().join(" ");
                &joined
            }
        };
        match &mut self.values {
            Values::Named(names, counts) => {
                let number = names.number(value) as usize;
                if number == counts.len() {
                    counts.push(0);
                }
                counts.get_mut(number).into_iter().for_each(|count| *count += 1);
            }
            Values::Hashed(counts) => *counts.entry(crate::dataset::record::digest(value)).or_default() += 1,
        }
    }

    /// Every value with its records, the most first, ties by the alphabet; none where the values were not kept.
    pub(super) fn categories(&self) -> Vec<Category> {
        let Values::Named(names, counts) = &self.values else { return Vec::new() };
        let mut all: Vec<Category> = std::iter::zip(names.all(), counts)
            .map(|(name, records)| Category { name: name.clone(), records: *records })
            .collect();
        all.sort_by(|a, b| b.records.cmp(&a.records).then_with(|| a.name.cmp(&b.name)));
        all
    }

    /// [`categories`](Self::categories) with the attribute's name; `None` where the values were not kept.
    pub(super) fn tail(&self) -> Option<Tail> {
        let kept = matches!(self.values, Values::Named(..));
        kept.then(|| Tail { rank: self.name.clone(), categories: self.categories() })
    }

    pub(super) fn finish(self) -> Rank {
        let mut sizes: Vec<u64> = match &self.values {
            Values::Named(_, counts) => counts.clone(),
            Values::Hashed(counts) => counts.values().copied().collect(),
        };
        sizes.sort_unstable();
        let labelled: u64 = sizes.iter().sum();
        let named = self.categories();
        let least = named.last().map(|last| last.records);
        let least_populated = named.iter().find(|category| Some(category.records) == least).cloned();
        let Distribution { mean, median, std } = Distribution::of(&sizes);
        let ratio = |(most, least): (&u64, &u64)| *most as f64 / *least as f64;
        Rank {
            categories: sizes.len(),
            labelled,
            share: labelled as f64 / (labelled + self.unlabelled).max(1) as f64,
            unlabelled: self.unlabelled,
            imbalance_ratio: sizes.last().zip(sizes.first()).map_or(0.0, ratio),
            most_populated: named.into_iter().next(),
            least_populated,
            mean,
            median,
            std,
            rank: self.name,
        }
    }
}

struct Distribution {
    mean: f64,
    median: f64,
    std: f64,
}

impl Distribution {
    /// Of sorted sizes; all 0 where there are none.
    fn of(sorted: &[u64]) -> Self {
        let n = sorted.len();
        let at = |index: usize| sorted.get(index).copied().unwrap_or(0) as f64;
        let mean = sorted.iter().sum::<u64>() as f64 / n.max(1) as f64;
        let median = if n % 2 == 1 { at(n / 2) } else { (at((n / 2).wrapping_sub(1)) + at(n / 2)) / 2.0 };
        let squares: f64 = sorted.iter().map(|size| (*size as f64 - mean).powi(2)).sum();
        Self { mean, median, std: (squares / n.max(1) as f64).sqrt() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distribution_worked_by_hand() {
        let mut attribute = Attribute::new("order", Column(0));
        for value in ["b", "a", "b", "", "c", "b", "not_classified", "c", "b", "b"] {
            attribute.count(&StringRecord::from(vec![value]));
        }
        let rank = attribute.finish();
        // Sizes 1, 2, 5: mean 8/3, median 2, variance (25 + 4 + 49)/27 = 26/9.
        assert_eq!((rank.categories, rank.labelled, rank.unlabelled, rank.share), (3, 8, 2, 0.8));
        assert_eq!((rank.imbalance_ratio, rank.median), (5.0, 2.0));
        assert!((rank.mean - 8.0 / 3.0).abs() < 1e-12 && (rank.std - (26.0_f64 / 9.0).sqrt()).abs() < 1e-12);
        assert_eq!(rank.most_populated, Some(Category { name: "b".into(), records: 5 }));
        assert_eq!(rank.least_populated, Some(Category { name: "a".into(), records: 1 }));
        assert_eq!(Distribution::of(&[1, 4]).median, 2.5);
        let none = Attribute::new("x", Column(0)).finish();
        assert_eq!((none.categories, none.mean, none.imbalance_ratio, none.most_populated), (0, 0.0, 0.0, None));
    }

    #[test]
    fn hashed_values_have_the_same_numbers_and_pairs_need_both_halves() {
        let mut hashed = Attribute::hashed("dna_barcode", Column(0));
        let mut pair = Attribute::of_all("place", vec![Column(0), Column(1)]);
        for row in [["1", "2"], ["1", "2"], ["1", ""], ["12", "3"]] {
            let row = StringRecord::from(row.to_vec());
            hashed.count(&row);
            pair.count(&row);
        }
        let (hashed, pair) = (hashed.finish(), pair.finish());
        assert_eq!((hashed.categories, hashed.labelled, hashed.imbalance_ratio, hashed.most_populated), (2, 4, 3.0, None));
        assert_eq!((pair.categories, pair.labelled, pair.unlabelled), (2, 3, 1));
        assert_eq!(pair.most_populated.unwrap().name, "1 2");
    }
}
