//! Ids and images: each record once, each image once and where its chunk says.

use std::collections::HashSet;

use crate::dataset::bioscan5m;
use crate::dataset::record::{CHUNK_NUMBER, Column, Columns, IMAGE_FILE, digest};
use crate::dataset::schema::{CHUNK, SPLIT, Schema};
use crate::dataset::validate::check::{Check, Row};
use crate::dataset::validate::report::{Report, Severity};
use crate::error::Result;

pub(super) fn checks(columns: &Columns, schema: Schema) -> Result<Vec<Box<dyn Check>>> {
    let mut checks: Vec<Box<dyn Check>> = Vec::new();
    for name in ["processid", "sampleid"] {
        if let Some(column) = columns.find(name) {
            checks.push(Box::new(Unique { name, column, seen: HashSet::new() }));
        }
    }
    checks.push(match schema {
        Schema::Bioscan1M => Box::new(Numbered {
            file: columns.require(IMAGE_FILE)?,
            chunk: columns.require(CHUNK_NUMBER)?,
            places: HashSet::new(),
            names: HashSet::new(),
        }),
        Schema::Bioscan5M => {
            Box::new(Hashed { id: columns.require("processid")?, split: columns.require(SPLIT)?, chunk: columns.require(CHUNK)? })
        }
    });
    Ok(checks)
}

/// An id that no two records share.
struct Unique {
    name: &'static str,
    column: Column,
    seen: HashSet<u128>,
}

impl Check for Unique {
    fn row(&mut self, row: &Row, report: &mut Report) {
        let (name, id) = (self.name, self.column.of(row.cells));
        if id.is_empty() {
            report.add(Severity::Fault, &format!("the {name} is empty"), || (row.place)());
        } else if !self.seen.insert(digest(id)) {
            report.add(Severity::Fault, &format!("two records share a {name}"), || row.says(id));
        }
    }
}

/// Whether `name` is that of a file in a folder, and not a way out of it.
fn is_file_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(['/', '\\', '\0']) && name != "." && name != ".."
}

/// BIOSCAN-1M's images: a name within a numbered chunk.
struct Numbered {
    file: Column,
    chunk: Column,
    places: HashSet<u128>,
    names: HashSet<u128>,
}

impl Check for Numbered {
    fn row(&mut self, row: &Row, report: &mut Report) {
        let (name, number) = (self.file.of(row.cells), self.chunk.of(row.cells));
        if !is_file_name(name) {
            report.add(Severity::Fault, "the image has no usable file name", || row.says(format_args!("`{name}`")));
        }
        let new_name = self.names.insert(digest(name));
        match number.parse::<u32>() {
            Ok(number) if number > 0 => {
                if !self.places.insert(digest(&format!("{number}/{name}"))) {
                    let example = || row.says(format_args!("part{number}/{name}"));
                    report.add(Severity::Fault, "an image is listed twice in its chunk", example);
                } else if !new_name {
                    // The published HDF5 and flat folders have no chunks, so there one would hide the other.
                    report.add(Severity::Warning, "an image has the name of another in another chunk", || row.says(name));
                }
            }
            _ => {
                report.add(Severity::Fault, "the chunk number is no whole number from 1", || row.says(format_args!("`{number}`")))
            }
        }
    }
}

/// BIOSCAN-5M's images: `{processid}.jpg` in the folder that the id's MD5 says.
struct Hashed {
    id: Column,
    split: Column,
    chunk: Column,
}

impl Check for Hashed {
    fn row(&mut self, row: &Row, report: &mut Report) {
        let (id, split, chunk) = (self.id.of(row.cells), self.split.of(row.cells), self.chunk.of(row.cells));
        if !is_file_name(id) {
            report.add(Severity::Fault, "the processid makes no usable file name", || row.says(format_args!("`{id}`")));
        }
        let Some(partition) = bioscan5m::Partition::parse(split) else { return };
        let expected = bioscan5m::chunk(id, partition);
        if chunk != expected {
            let example = || row.says(format_args!("{id} in {split} is in `{expected}`, not in `{chunk}`"));
            report.add(Severity::Fault, "the chunk is not the one its processid hashes to", example);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::dataset::validate::found_tests::found;

    #[test]
    fn ids_are_there_and_are_nobody_elses() {
        let found = found("processid,image_file,chunk_number\nP1,a.jpg,1\n,b.jpg,1\nP1,c.jpg,1\n");
        assert_eq!(found[0], ("fault", "the processid is empty".into(), 1, "line 3".into()));
        assert_eq!(found[1], ("fault", "two records share a processid".into(), 1, "line 4: P1".into()));
    }

    #[test]
    fn a_chunk_of_bioscan_5m_follows_from_the_process_id() {
        // The first is a real record; md5("ASMII953-22") begins with 1a as well.
        let found = found("processid,split,chunk\nCRCBB46471-23,pretrain,2e\nASMII953-22,pretrain,1b\nASMII953-22x,val,\n");
        let example = "line 3: ASMII953-22 in pretrain is in `1a`, not in `1b`";
        assert_eq!(found, [("fault", "the chunk is not the one its processid hashes to".into(), 1, example.into())]);
    }
}
