//! BIOSCAN-5M's partitions as its page counts them.

use std::collections::HashSet;

use serde::Serialize;

use crate::dataset::bioscan5m::Partition;
use crate::dataset::record::{Column, Columns, StringRecord, digest, is_blank};
use crate::dataset::schema::{self, SPLIT, Schema};

/// What one partition holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartitionCount {
    /// Its name.
    pub partition: String,
    /// Records.
    pub samples: u64,
    /// Distinct barcodes.
    pub barcodes: usize,
    /// Distinct species.
    pub species: usize,
}

/// Counts the partitions of a table that has them.
pub(super) struct Partitions {
    split: Column,
    barcode: Option<Column>,
    species: Option<Column>,
    counted: [(u64, HashSet<u128>, HashSet<u128>); 8],
}

impl Partitions {
    pub(super) fn find(columns: &Columns) -> Option<Self> {
        let split = columns.find(SPLIT).filter(|_| Schema::of(columns) == Schema::Bioscan5M)?;
        let (barcode, species) = (schema::find(columns, "dna_barcode"), columns.find("species"));
        Some(Self { split, barcode, species, counted: Default::default() })
    }

    /// Counts a row; the error is a cell that is no partition.
    pub(super) fn count<'a>(&mut self, row: &'a StringRecord) -> Result<(), &'a str> {
        let cell = self.split.of(row);
        let counted = Partition::parse(cell).and_then(|partition| self.counted.get_mut(partition as usize));
        let (samples, barcodes, species) = counted.ok_or(cell)?;
        *samples += 1;
        for (column, distinct) in [(self.barcode, barcodes), (self.species, species)] {
            let value = column.map_or("", |column| column.of(row));
            if !is_blank(value) {
                distinct.insert(digest(value));
            }
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Vec<PartitionCount> {
        let count = |(partition, (samples, barcodes, species)): (Partition, (u64, HashSet<u128>, HashSet<u128>))| {
            PartitionCount { partition: partition.as_str().to_owned(), samples, barcodes: barcodes.len(), species: species.len() }
        };
        std::iter::zip(Partition::ALL, self.counted).map(count).collect()
    }
}
