//! What the Python package bioscan-dataset 1.3.0 reads of tables that this program wrote (`fixtures/bioscan_dataset`, made and checked by
//! `make compat`), our code reads as well: the same records in the same partitions, the same labels, the same numbers of labels.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bioscan_hpc::dataset::bioscan5m::{Selection, read};
use bioscan_hpc::dataset::record::{StringRecord, is_blank};
use bioscan_hpc::dataset::table;

/// Process id, number of the label (-1 for none), label.
type Items = Vec<(String, i64, String)>;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/bioscan_dataset").join(name)
}

fn golden(dataset: &str) -> BTreeMap<String, Items> {
    let text = std::fs::read_to_string(fixture("golden.json")).unwrap();
    let all: BTreeMap<String, Items> = serde_json::from_str(&text).unwrap();
    all.into_iter().filter_map(|(key, items)| Some((key.strip_prefix(dataset)?.to_owned(), items))).collect()
}

#[test]
fn every_partition_of_bioscan_5m_is_read_alike() {
    let golden = golden("5m/");
    assert_eq!(golden.len(), 2 * 12);
    for (key, expected) in golden {
        let (column, split) = key.split_once('/').unwrap();
        let found = read(&fixture("5m.csv"), Selection::parse(split).unwrap(), column).unwrap();
        // The package takes the genus `NA` for a missing one, and so its numbers leave that class out; ours do not lose it.
        let classes: Vec<&String> = found.classes.iter().filter(|class| *class != "NA").collect();
        let items: Items = found
            .records
            .into_iter()
            .map(|record| {
                let label = record.label.map_or("", |label| found.classes[label as usize].as_str());
                let number = classes.iter().position(|class| *class == label);
                let label = if number.is_some() { label } else { "" };
                (record.processid, number.map_or(-1, |number| number as i64), label.to_owned())
            })
            .collect();
        assert_eq!(items, expected, "{key}");
        assert_eq!(found.classes.contains(&"NA".to_owned()), column == "genus");
    }
}

#[test]
fn every_partition_of_bioscan_1m_is_read_alike() {
    let golden = golden("1m/");
    assert_eq!(golden.len(), 6 * 4);
    for (key, expected) in golden {
        let (experiment, split) = key.split_once('/').unwrap();
        let mut table = table::open(&fixture("1m.tsv")).unwrap();
        let columns = table.columns().clone();
        let label = columns.require(if experiment.ends_with("family") { "family" } else { "order" }).unwrap();
        let (id, role) = (columns.require("processid").unwrap(), columns.require(experiment).unwrap());
        let mut rows: Vec<StringRecord> = Vec::new();
        table::for_each(table.as_mut(), |_, row, _| {
            rows.push(row.clone());
            Ok(())
        })
        .unwrap();
        let mut classes: Vec<&str> = rows.iter().map(|row| label.of(row)).filter(|label| !is_blank(label)).collect();
        classes.sort_unstable();
        classes.dedup();
        let items: Items = rows
            .iter()
            .filter(|row| role.of(row) == split)
            .map(|row| {
                let number = classes.iter().position(|class| *class == label.of(row));
                let text = if number.is_some() { label.of(row) } else { "" };
                (id.of(row).to_owned(), number.map_or(-1, |number| number as i64), text.to_owned())
            })
            .collect();
        assert_eq!(items, expected, "{key}");
    }
}
