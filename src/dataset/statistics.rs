//! a metadata table → how much is known at each rank, and how each experiment is divided.

use std::path::Path;

use serde::Serialize;

use crate::config::Partition;
use crate::dataset::labels::Names;
use crate::dataset::record::{Column, Columns, is_blank};
use crate::dataset::role::Role;
use crate::dataset::split::{EXPERIMENTS, not_a_role};
use crate::dataset::table;
use crate::dataset::taxonomy::RANKS;
use crate::error::Result;

/// What a table holds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Statistics {
    /// Records.
    pub rows: u64,
    /// One for each rank the table has, and one for the BIN (`uri`).
    pub ranks: Vec<Rank>,
    /// One for each experiment column the table has.
    pub experiments: Vec<Experiment>,
}

/// How much is known at one rank.
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
}

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

/// Counts the table at `path`: every rank and experiment it has, and the partitions of `own` besides.
pub fn statistics(path: &Path, own: &[Partition]) -> Result<Statistics> {
    let mut table = table::open(path)?;
    let mut ranks = Rankings::find(table.columns());
    let mut experiments = Divided::find(table.columns(), own)?;
    let mut rows = 0;
    table::for_each(table.as_mut(), |_, row, place| {
        rows += 1;
        for (column, names, labelled) in ranks.0.iter_mut().map(|(_, column, names, labelled)| (column, names, labelled)) {
            if !is_blank(column.of(row)) {
                names.number(column.of(row));
                *labelled += 1;
            }
        }
        for experiment in &mut experiments {
            let cell = experiment.split.of(row);
            let role = Role::parse(cell).ok_or_else(|| not_a_role(path, &place(), &experiment.name, cell))?;
            experiment.count(experiment.label.of(row), role);
        }
        Ok(())
    })?;
    let experiments = experiments.into_iter().map(Divided::finish).collect();
    Ok(Statistics { rows, ranks: ranks.finish(rows), experiments })
}

struct Rankings(Vec<(&'static str, Column, Names, u64)>);

impl Rankings {
    fn find(columns: &Columns) -> Self {
        let names = RANKS.into_iter().chain(["uri"]);
        Self(names.filter_map(|name| Some((name, columns.find(name)?, Names::default(), 0))).collect())
    }

    fn finish(self, rows: u64) -> Vec<Rank> {
        let rank = |(name, _, names, labelled): (&str, Column, Names, u64)| Rank {
            rank: name.to_owned(),
            categories: names.all().len(),
            labelled,
            share: labelled as f64 / rows.max(1) as f64,
        };
        self.0.into_iter().map(rank).collect()
    }
}

struct Divided {
    name: String,
    label: Column,
    split: Column,
    names: Names,
    counts: Vec<[u64; 3]>,
}

impl Divided {
    fn find(columns: &Columns, own: &[Partition]) -> Result<Vec<Self>> {
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

    fn count(&mut self, label: &str, role: Role) {
        let Some(position) = role.position().filter(|_| !is_blank(label)) else { return };
        let class = self.names.number(label) as usize;
        if class == self.counts.len() {
            self.counts.push([0; 3]);
        }
        if let Some(count) = self.counts.get_mut(class).and_then(|counts| counts.get_mut(position)) {
            *count += 1;
        }
    }

    fn finish(self) -> Experiment {
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
        let rank = |rank: &str, categories, labelled, share| Rank { rank: rank.into(), categories, labelled, share };
        assert_eq!(found.ranks, [rank("order", 2, 3, 0.75), rank("uri", 3, 4, 1.0)]);
        let count = |class: &str, train, validation, test| ClassCount { class: class.into(), train, validation, test };
        assert_eq!(found.experiments[0].classes, [count("Diptera", 1, 0, 1), count("Odonata", 1, 0, 0)]);
        assert_eq!(found.experiments[1].experiment, "mine");
        assert_eq!(found.experiments[1].classes, [count("good", 1, 0, 1), count("bad", 1, 0, 0)]);
    }
}
