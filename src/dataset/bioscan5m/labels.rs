//! the records of some partitions, each with its class as the Python package `bioscan-dataset` numbers it.

use std::collections::BTreeMap;
use std::path::Path;

use crate::dataset::bioscan5m::partition::not_a_partition;
use crate::dataset::bioscan5m::{Partition, Selection};
use crate::dataset::record::{StringRecord, is_blank};
use crate::dataset::schema::{CHUNK, SPLIT};
use crate::dataset::table;
use crate::error::Result;

/// One record of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its process id.
    pub processid: String,
    /// The partition it belongs to.
    pub partition: Partition,
    /// Its image, below the folder of an image package: `{split}/[{chunk}/]{processid}.jpg`.
    pub image: String,
    /// Position in [`ClassIndex::classes`]; `None` where the label is not known.
    pub label: Option<u32>,
}

/// The records asked for, in file order, and the classes of the whole file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClassIndex {
    /// All labels of the column in the whole file, by the alphabet: so the package numbers them, whatever partition is asked for.
    pub classes: Vec<String>,
    /// The records of the partitions asked for.
    pub records: Vec<Record>,
}

/// Reads the records of `selection` with their labels in `column`.
pub fn read(metadata: &Path, selection: Selection, column: &str) -> Result<ClassIndex> {
    let mut table = table::open(metadata)?;
    let columns = table.columns().clone();
    let (id, split, chunk) = (columns.require("processid")?, columns.require(SPLIT)?, columns.require(CHUNK)?);
    let label = columns.require(column)?;
    let mut ids: BTreeMap<String, u32> = BTreeMap::new();
    let mut records = Vec::new();
    table::for_each(table.as_mut(), |_, row: &StringRecord, place| {
        let cell = split.of(row);
        let partition = Partition::parse(cell).ok_or_else(|| not_a_partition(metadata, &place(), cell))?;
        let next = ids.len() as u32;
        let number = (!is_blank(label.of(row))).then(|| *ids.entry(label.of(row).to_owned()).or_insert(next));
        if selection.holds(partition) {
            let folder = chunk.of(row);
            let slash = if folder.is_empty() { "" } else { "/" };
            let image = format!("{partition}/{folder}{slash}{}.jpg", id.of(row));
            records.push(Record { processid: id.of(row).to_owned(), partition, image, label: number });
        }
        Ok(())
    })?;
    // The order of the names is known only now.
    let mut positions = vec![0; ids.len()];
    for (position, first_come) in (0..).zip(ids.values()) {
        if let Some(slot) = positions.get_mut(*first_come as usize) {
            *slot = position;
        }
    }
    for record in &mut records {
        record.label = record.label.and_then(|number| positions.get(number as usize).copied());
    }
    Ok(ClassIndex { classes: ids.into_keys().collect(), records })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_those_of_the_whole_file_by_the_alphabet() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.csv");
        let rows = "processid,split,chunk,order\nP1,train,0,Odonata\nP2,val,,Diptera\nP3,train,f,\nP4,pretrain,0a,Araneae\n";
        std::fs::write(&path, rows).unwrap();
        let read = read(&path, Selection::parse("seen").unwrap(), "order").unwrap();
        assert_eq!(read.classes, ["Araneae", "Diptera", "Odonata"]);
        let found: Vec<_> = read.records.iter().map(|record| (record.image.as_str(), record.label)).collect();
        assert_eq!(found, [("train/0/P1.jpg", Some(2)), ("val/P2.jpg", Some(1)), ("train/f/P3.jpg", None)]);
    }
}
