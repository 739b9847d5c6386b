//! labels of rows → classes in the order of their ids.
//!
//! One rule for every use: classes by count, the most populous first; ties in the order of first appearance in the file. It numbers
//! the outputs of a network (over the train rows) and the classes of a split (over all rows).

use std::collections::HashMap;

use crate::dataset::record::is_blank;

/// Distinct names, numbered in the order in which they first came.
#[derive(Clone, Debug, Default)]
pub struct Names {
    names: Vec<String>,
    ids: HashMap<String, u32>,
}

impl Names {
    /// The number of `name`, a new one where it is new.
    pub fn number(&mut self, name: &str) -> u32 {
        if let Some(id) = self.ids.get(name) {
            return *id;
        }
        let id = self.names.len() as u32;
        self.names.push(name.to_owned());
        self.ids.insert(name.to_owned(), id);
        id
    }

    /// All names, by number.
    #[must_use]
    pub fn all(&self) -> &[String] {
        &self.names
    }
}

/// The labels of a table's rows, four bytes a row.
#[derive(Clone, Debug, Default)]
pub struct Labels {
    names: Names,
    rows: Vec<Option<std::num::NonZeroU32>>,
}

/// One class of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    /// Its label.
    pub name: String,
    /// Its rows, in file order.
    pub rows: Vec<u32>,
}

impl Labels {
    /// Adds the label of the next row.
    pub fn push(&mut self, label: &str) {
        // One more than the number, so that zero can stand for blank.
        let cell = if is_blank(label) { None } else { std::num::NonZeroU32::new(self.names.number(label) + 1) };
        self.rows.push(cell);
    }

    /// How many rows there are, blank ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The label of a row; `None` where it is blank.
    #[must_use]
    pub fn of(&self, row: u32) -> Option<&str> {
        let number = self.rows.get(row as usize).copied().flatten()?.get() - 1;
        self.names.all().get(number as usize).map(String::as_str)
    }

    /// The classes of the rows that `takes_part` names, by count, ties by first appearance among those rows; blank labels make none.
    #[must_use]
    pub fn classes(&self, takes_part: impl Fn(u32) -> bool) -> Vec<Class> {
        let mut rows_of: Vec<Vec<u32>> = vec![Vec::new(); self.names.all().len()];
        for (row, number) in self.rows.iter().enumerate() {
            let number = number.filter(|_| takes_part(row as u32));
            if let Some(rows) = number.and_then(|number| rows_of.get_mut(number.get() as usize - 1)) {
                rows.push(row as u32);
            }
        }
        let mut classes: Vec<Class> = std::iter::zip(self.names.all(), rows_of)
            .filter(|(_, rows)| !rows.is_empty())
            .map(|(name, rows)| Class { name: name.clone(), rows })
            .collect();
        classes.sort_by_key(|class| (std::cmp::Reverse(class.rows.len()), class.rows.first().copied()));
        classes
    }
}

impl<'a> FromIterator<&'a str> for Labels {
    fn from_iter<I: IntoIterator<Item = &'a str>>(labels: I) -> Self {
        let mut all = Self::default();
        labels.into_iter().for_each(|label| all.push(label));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(classes: &[Class]) -> Vec<&str> {
        classes.iter().map(|class| class.name.as_str()).collect()
    }

    #[test]
    fn classes_come_by_count_and_ties_by_first_appearance() {
        let labels: Labels = ["b", "a", "not_classified", "c", "c", "a", "b", "", "no_data", "c", "d"].into_iter().collect();
        let classes = labels.classes(|_| true);
        assert_eq!(names(&classes), ["c", "b", "a", "d"]);
        assert_eq!(classes[1].rows, [0, 6]);
        assert_eq!((labels.of(1), labels.of(2), labels.len()), (Some("a"), None, 11));
    }

    #[test]
    fn first_appearance_is_among_the_rows_that_take_part() {
        let labels: Labels = ["b", "a", "b"].into_iter().collect();
        assert_eq!(names(&labels.classes(|row| row > 0)), ["a", "b"]);
    }

    proptest::proptest! {
        #[test]
        fn ids_depend_on_the_rows_that_take_part_alone(rows in proptest::collection::vec((0usize..6, proptest::bool::ANY), 0..80)) {
            let name = |index: usize| ["a", "b", "c", "d", "not_classified", ""][index];
            let all: Labels = rows.iter().map(|(label, _)| name(*label)).collect();
            let alone: Labels = rows.iter().filter(|(_, part)| *part).map(|(label, _)| name(*label)).collect();
            let (a, b) = (all.classes(|row| rows[row as usize].1), alone.classes(|_| true));
            proptest::prop_assert_eq!(names(&a), names(&b));
            proptest::prop_assert!(a.windows(2).all(|pair| pair[0].rows.len() >= pair[1].rows.len()));
        }
    }
}
