//! Splits: known words, the subsets that the benchmark promises, and no barcode on both sides of a test.

use std::collections::{BTreeMap, HashMap};

use crate::dataset::bioscan5m::{self, Partition, Set};
use crate::dataset::record::{Column, Columns, digest, is_blank};
use crate::dataset::role::Role;
use crate::dataset::schema::{self, SPLIT, Schema};
use crate::dataset::split::EXPERIMENTS;
use crate::dataset::validate::check::{Check, Row};
use crate::dataset::validate::report::{Report, Severity};
use crate::error::Result;

pub(super) fn checks(columns: &Columns, schema: Schema) -> Result<Vec<Box<dyn Check>>> {
    let experiments: Vec<_> = EXPERIMENTS.into_iter().filter_map(|name| Experiment::find(columns, name)).collect();
    let large = experiments.iter().filter(|experiment| experiment.name.starts_with("large_"));
    let whole = large.filter_map(|experiment| Some(Whole::new(experiment.name, experiment.column, experiment.label?))).collect();
    let mut checks: Vec<Box<dyn Check>> = vec![Box::new(Experiments(experiments)), Box::new(Wholes(whole))];
    if schema == Schema::Bioscan5M {
        let barcode = schema::find(columns, "dna_barcode");
        checks.push(Box::new(Partitions { split: columns.require(SPLIT)?, barcode, seen: HashMap::new() }));
    }
    Ok(checks)
}

/// One of BIOSCAN-1M's experiment columns.
struct Experiment {
    name: &'static str,
    column: Column,
    label: Option<Column>,
    /// The columns of which it is a part, role by role: the large set of its task, and for Diptera that of all orders.
    wholes: Vec<(&'static str, Column)>,
}

impl Experiment {
    fn find(columns: &Columns, name: &'static str) -> Option<Self> {
        let label = columns.find(if name.ends_with("family") { "family" } else { "order" });
        let wholes: &[&str] = match name {
            "small_diptera_family" => &["medium_diptera_family", "large_diptera_family"],
            "medium_diptera_family" => &["large_diptera_family"],
            "large_diptera_family" => &["large_insect_order"],
            "small_insect_order" => &["medium_insect_order", "large_insect_order"],
            "medium_insect_order" => &["large_insect_order"],
            _ => &[],
        };
        let wholes = wholes.iter().filter_map(|whole| Some((*whole, columns.find(whole)?))).collect();
        Some(Self { name, column: columns.find(name)?, label, wholes })
    }
}

struct Experiments(Vec<Experiment>);

impl Check for Experiments {
    fn row(&mut self, row: &Row, report: &mut Report) {
        for Experiment { name, column, label, wholes } in &self.0 {
            let cell = column.of(row.cells);
            let Some(role) = Role::parse(cell) else {
                let kind = format!("`{name}` is none of train, validation, test, no_split");
                report.add(Severity::Fault, &kind, || row.says(format_args!("`{cell}`")));
                continue;
            };
            if role == Role::NoSplit {
                continue;
            }
            if label.is_some_and(|label| is_blank(label.of(row.cells))) {
                let kind = format!("`{name}` gives a role to a record without a label");
                report.add(Severity::Fault, &kind, || (row.place)());
            }
            for (whole, column) in
                wholes.iter().filter(|(_, column)| Role::parse(column.of(row.cells)).is_some_and(|other| other != role))
            {
                // Trained on for one task and tested on for another, a photograph would flatter whoever does both.
                let example = || row.says(format_args!("{role} in {name}, {} in {whole}", column.of(row.cells)));
                report.add(Severity::Fault, &format!("a record of `{name}` has another role in `{whole}`"), example);
            }
        }
    }
}

/// A large set, which takes every record of each class it has.
struct Whole {
    name: &'static str,
    column: Column,
    label: Column,
    /// For each label whether a record of it has a role, how many have none, and the first of those.
    classes: BTreeMap<String, (bool, u64, String)>,
}

impl Whole {
    fn new(name: &'static str, column: Column, label: Column) -> Self {
        Self { name, column, label, classes: BTreeMap::new() }
    }
}

struct Wholes(Vec<Whole>);

impl Check for Wholes {
    fn row(&mut self, row: &Row, _: &mut Report) {
        for Whole { column, label, classes, .. } in &mut self.0 {
            let label = label.of(row.cells);
            let Some(role) = Role::parse(column.of(row.cells)).filter(|_| !is_blank(label)) else { continue };
            if !classes.contains_key(label) {
                classes.insert(label.to_owned(), (false, 0, String::new()));
            }
            let Some((taken, left, first)) = classes.get_mut(label) else { continue };
            if role != Role::NoSplit {
                *taken = true;
                continue;
            }
            if *left == 0 {
                *first = row.says(label);
            }
            *left += 1;
        }
    }

    fn finish(&mut self, report: &mut Report) {
        for Whole { name, classes, .. } in &self.0 {
            let kind = format!("`{name}` leaves out a record of a class that takes part");
            for (taken, left, first) in classes.values() {
                if *taken && *left > 0 {
                    report.add_many(Severity::Warning, &kind, *left, || first.clone());
                }
            }
        }
    }
}

/// BIOSCAN-5M's partition column.
struct Partitions {
    split: Column,
    barcode: Option<Column>,
    /// For each barcode a bit for each partition it was met in.
    seen: HashMap<u128, u8>,
}

impl Check for Partitions {
    fn row(&mut self, row: &Row, report: &mut Report) {
        let cell = self.split.of(row.cells);
        if cell.is_empty() {
            // So a table is that was converted from BIOSCAN-1M.
            return report.add(Severity::Warning, "the record belongs to no partition: its `split` is empty", || (row.place)());
        }
        let Some(partition) = Partition::parse(cell) else {
            let kind = format!("`split` is none of {}", Partition::ALL.map(Partition::as_str).join(", "));
            return report.add(Severity::Fault, &kind, || row.says(format_args!("`{cell}`")));
        };
        let barcode = self.barcode.map_or("", |column| bioscan5m::without_n(column.of(row.cells)));
        if barcode.is_empty() || !matches!(partition.set(), Set::Seen | Set::Unseen) {
            return;
        }
        let met = self.seen.entry(digest(barcode)).or_default();
        let bit = |partition: Partition| 1u8 << partition as u8;
        *met |= bit(partition);
        let crossed = Partition::ALL
            .into_iter()
            .find(|other| *other != partition && other.set() == partition.set() && *met & bit(*other) != 0);
        if let Some(other) = crossed {
            let example = || row.says(format_args!("{partition}, and earlier in {other}"));
            report.add(Severity::Fault, "a barcode is in two partitions of one set of species", example);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::dataset::validate::found_tests::found;

    #[test]
    fn the_smaller_sets_are_parts_of_the_larger_ones() {
        let header = "image_file,chunk_number,order,family,small_insect_order,large_insect_order,large_diptera_family";
        let found = found(&format!(
            "{header}\na.jpg,1,Diptera,Phoridae,train,train,train\nb.jpg,1,Diptera,Phoridae,test,train,no_split
c.jpg,1,Diptera,Phoridae,no_split,train,test\nd.jpg,1,Diptera,Phoridae,train,no_split,no_split\n"
        ));
        let kind = |small: &str| format!("a record of `{small}` has another role in `large_insect_order`");
        let of_diptera = "line 4: test in large_diptera_family, train in large_insect_order";
        let of_small = "line 3: test in small_insect_order, train in large_insect_order";
        assert_eq!(
            found,
            [
                ("fault", kind("small_insect_order"), 2, of_small.into()),
                ("fault", kind("large_diptera_family"), 1, of_diptera.into()),
                left_out("large_diptera_family", 2, "line 3: Phoridae"),
                left_out("large_insect_order", 1, "line 5: Diptera"),
            ]
        );
    }

    fn left_out(name: &str, count: u64, first: &str) -> (&'static str, String, u64, String) {
        ("warning", format!("`{name}` leaves out a record of a class that takes part"), count, first.into())
    }

    #[test]
    fn a_large_set_takes_all_of_a_class_or_none() {
        let found = found(
            "image_file,chunk_number,order,large_insect_order\na.jpg,1,Diptera,train\nb.jpg,1,Diptera,no_split
c.jpg,1,Zoraptera,no_split\nd.jpg,1,not_classified,no_split\ne.jpg,1,Diptera,\n",
        );
        assert_eq!(found, [left_out("large_insect_order", 2, "line 3: Diptera")]);
    }

    #[test]
    fn a_barcode_stays_on_one_side_whatever_n_surrounds_it() {
        // a and b share a barcode within train, c takes it to test; d is in pretraining, where anything may be.
        let found = found(
            "processid,split,chunk,dna_barcode\na,train,0,ACGT\nb,train,9,NACGTNN\nc,test,,ACGTN\nd,pretrain,82,ACGT\ne,key_unseen,,ACGT\nf,trian,,A\n",
        );
        let kinds: Vec<_> = found.iter().map(|(_, kind, _, first)| (kind.as_str(), first.as_str())).collect();
        assert!(
            kinds.contains(&("a barcode is in two partitions of one set of species", "line 4: test, and earlier in train")),
            "{kinds:?}"
        );
        assert!(
            kinds.iter().any(|(kind, first)| kind.starts_with("`split` is none of pretrain, ") && *first == "line 7: `trian`")
        );
    }
}
