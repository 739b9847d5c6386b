//! How the benchmark's experiments, and partitions of one's own, are divided.

use serde::Serialize;

use crate::config::Partition;
use crate::dataset::labels::Names;
use crate::dataset::record::{Column, Columns, StringRecord, is_blank};
use crate::dataset::role::Role;
use crate::dataset::split::EXPERIMENTS;
use crate::error::Result;

/// How one experiment is divided.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Experiment {
    /// The experiment column.
    pub experiment: String,
    /// Its classes, the one with the most records first, ties by first appearance.
    pub classes: Vec<ClassCount>,
}

/// Records of one class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClassCount {
    /// Its label.
    pub class: String,
    /// To train on.
    pub train: u64,
    /// To select by.
    pub validation: u64,
    /// To measure on.
    pub test: u64,
}

/// Counts one experiment column.
pub(super) struct Divided {
    name: String,
    label: Column,
    split: Column,
    names: Names,
    counts: Vec<[u64; 3]>,
}

impl Divided {
    pub(super) fn find(columns: &Columns, own: &[Partition]) -> Result<Vec<Self>> {
        let new =
            |name: &str, label, split| Self { name: name.to_owned(), label, split, names: Names::default(), counts: vec![] };
        let mut found = Vec::new();
        for name in EXPERIMENTS {
            if let Some(split) = columns.find(name) {
                found.push(new(name, columns.require(if name.ends_with("family") { "family" } else { "order" })?, split));
            }
        }
        for partition in own.iter().filter(|partition| !EXPERIMENTS.contains(&partition.split.as_str())) {
            found.push(new(&partition.name, columns.require(&partition.label)?, columns.require(&partition.split)?));
        }
        Ok(found)
    }

    /// The experiment column, or the name of one's own partition.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The role of a row, as it is written.
    pub(super) fn cell<'a>(&self, row: &'a StringRecord) -> &'a str {
        self.split.of(row)
    }

    pub(super) fn count(&mut self, row: &StringRecord, role: Role) {
        let label = self.label.of(row);
        let Some(position) = role.position().filter(|_| !is_blank(label)) else { return };
        let class = self.names.number(label) as usize;
        if class == self.counts.len() {
            self.counts.push([0; 3]);
        }
        if let Some(count) = self.counts.get_mut(class).and_then(|counts| counts.get_mut(position)) {
            *count += 1;
        }
    }

    pub(super) fn finish(self) -> Experiment {
        let counts = std::iter::zip(self.names.all(), self.counts);
        let mut classes: Vec<ClassCount> = counts
            .map(|(class, [train, validation, test])| ClassCount { class: class.clone(), train, validation, test })
            .collect();
        classes.sort_by_key(|count| std::cmp::Reverse(count.train + count.validation + count.test));
        Experiment { experiment: self.name, classes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::statistics::statistics;

    #[test]
    fn ranks_and_experiments_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.csv");
        let rows = "order,uri,small_insect_order,quality,part
Diptera,BOLD:A,train,good,test
not_classified,BOLD:A,no_split,,no_split
Diptera,BOLD:B,test,bad,train
Odonata,BOLD:C,train,good,train
";
        std::fs::write(&path, rows).unwrap();
        let own = [Partition { name: "mine".into(), label: "quality".into(), split: "part".into() }];
        let found = statistics(&path, &own).unwrap();
        let ranks: Vec<_> =
            found.ranks.iter().map(|rank| (rank.rank.as_str(), rank.categories, rank.labelled, rank.share)).collect();
        assert_eq!(ranks, [("order", 2, 3, 0.75), ("uri", 3, 4, 1.0)]);
        let count = |class: &str, train, validation, test| ClassCount { class: class.into(), train, validation, test };
        assert_eq!(found.experiments[0].classes, [count("Diptera", 1, 0, 1), count("Odonata", 1, 0, 0)]);
        assert_eq!(found.experiments[1].experiment, "mine");
        assert_eq!(found.experiments[1].classes, [count("good", 1, 0, 1), count("bad", 1, 0, 0)]);
    }
}
