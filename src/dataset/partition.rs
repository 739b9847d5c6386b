//! metadata and a partition → its classes and the samples of train, validation and test: what training starts from.

use std::collections::HashMap;
use std::path::Path;

use crate::config::Partition;
use crate::dataset::labels::Labels;
use crate::dataset::record::{
    CHUNK_NUMBER, Column, Columns, IMAGE_FILE, PHOTOGRAPHER, SYNTHETIC_PHOTOGRAPHER, StringRecord, is_blank,
};
use crate::dataset::role::Role;
use crate::dataset::split::not_a_role;
use crate::dataset::table::{self, ReadRows};
use crate::error::{Error, Result};

/// One image with its class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The chunk that holds the image, from 1.
    pub chunk: u32,
    /// Its name in the chunk, `.jpg` included.
    pub file: Box<str>,
    /// Position in [`PartitionData::classes`].
    pub label: u32,
}

/// One classification problem, complete. The samples of each role are in file order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionData {
    /// Names by label: the classes of the train rows, the most populous first, ties in the order of first appearance.
    pub classes: Vec<String>,
    /// Weights are fitted to these.
    pub train: Vec<Sample>,
    /// The best epoch is chosen by these.
    pub validation: Vec<Sample>,
    /// The result is measured on these.
    pub test: Vec<Sample>,
    /// Validation rows left out because their class has no train row, so that no output of the network stands for it.
    pub validation_without_class: usize,
    /// Test rows left out for the same reason: whoever reports n must add them to what was expected.
    pub test_without_class: usize,
    /// Whether any record is synthetic.
    pub synthetic: bool,
    /// blake3 over the lines `chunk, file, label, role` (tab-separated, each with its newline) of the partition in file order, left-out rows
    /// included: the same whatever other columns and rows the table has.
    pub fingerprint: String,
}

/// The columns a partition needs.
struct Needed {
    label: Column,
    split: Column,
    chunk: Column,
    file: Column,
    photographer: Option<Column>,
}

impl Needed {
    fn find(columns: &Columns, partition: &Partition) -> Result<Self> {
        Ok(Self {
            label: columns.require(&partition.label)?,
            split: columns.require(&partition.split)?,
            chunk: columns.require(CHUNK_NUMBER)?,
            file: columns.require(IMAGE_FILE)?,
            photographer: columns.find(PHOTOGRAPHER),
        })
    }
}

/// Reads the rows that take part in `partition`. Rows with a role but a blank label take no part and are counted in the log.
pub fn load_partition(metadata: &Path, partition: &Partition) -> Result<PartitionData> {
    let mut table = table::open(metadata)?;
    let needed = Needed::find(table.columns(), partition)?;
    let mut gathered = Gathered::default();
    let mut row = StringRecord::new();
    while table.read(&mut row)? {
        let cell = needed.split.of(&row);
        let role = Role::parse(cell).ok_or_else(|| not_a_role(metadata, &table.place(), &partition.split, cell))?;
        if role != Role::NoSplit {
            gathered.add(&needed, &row, role, metadata, table.as_ref())?;
        }
    }
    gathered.finish(metadata, partition)
}

#[derive(Default)]
struct Gathered {
    /// Labels of the rows gathered, numbered as they came.
    labels: Labels,
    roles: Vec<Role>,
    places: Vec<(u32, Box<str>)>,
    blank: usize,
    synthetic: bool,
    hasher: blake3::Hasher,
}

impl Gathered {
    fn add(&mut self, needed: &Needed, row: &StringRecord, role: Role, path: &Path, table: &dyn ReadRows) -> Result<()> {
        let label = needed.label.of(row);
        if is_blank(label) {
            self.blank += 1;
            return Ok(());
        }
        let chunk: u32 = needed.chunk.of(row).parse().map_err(|_| {
            Error::input(path, format!("{}: the chunk number is `{}`", table.place(), needed.chunk.of(row)))
                .with_help("`bioscan-hpc metadata validate` lists every such row")
        })?;
        let file = needed.file.of(row);
        for part in [chunk.to_string().as_str(), "\t", file, "\t", label, "\t", role.as_str(), "\n"] {
            self.hasher.update(part.as_bytes());
        }
        self.synthetic |= needed.photographer.is_some_and(|column| column.of(row) == SYNTHETIC_PHOTOGRAPHER);
        self.labels.push(label);
        self.roles.push(role);
        self.places.push((chunk, file.into()));
        Ok(())
    }

    fn finish(self, path: &Path, partition: &Partition) -> Result<PartitionData> {
        let is_train = |row: u32| self.roles.get(row as usize) == Some(&Role::Train);
        let classes: Vec<String> = self.labels.classes(is_train).into_iter().map(|class| class.name).collect();
        if classes.is_empty() {
            return Err(Error::input(path, format!("no record is `train` in column `{}`", partition.split))
                .with_help("`bioscan-hpc metadata split JOB.toml` divides the records"));
        }
        let ids: HashMap<&str, u32> = classes.iter().map(String::as_str).zip(0..).collect();
        let mut samples = [Vec::new(), Vec::new(), Vec::new()];
        let mut without_class = [0usize; 3];
        for (row, ((chunk, file), role)) in self.places.into_iter().zip(&self.roles).enumerate() {
            let Some(position) = role.position() else { continue };
            match self.labels.of(row as u32).and_then(|label| ids.get(label)) {
                Some(&label) => samples[position].push(Sample { chunk, file, label }),
                None => without_class[position] += 1,
            }
        }
        let [_, validation_without_class, test_without_class] = without_class;
        let name = partition.name.as_str();
        if self.blank > 0 {
            tracing::warn!(partition = name, records = self.blank, "left out: they have a role, but no label");
        }
        if validation_without_class + test_without_class > 0 {
            tracing::warn!(
                partition = name,
                validation = validation_without_class,
                test = test_without_class,
                "left out: their classes have no record to train on"
            );
        }
        let [train, validation, test] = samples;
        let fingerprint = self.hasher.finalize().to_hex().to_string();
        let synthetic = self.synthetic;
        Ok(PartitionData {
            classes,
            train,
            validation,
            test,
            validation_without_class,
            test_without_class,
            synthetic,
            fingerprint,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<PartitionData> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.csv");
        std::fs::write(&path, text).unwrap();
        load_partition(&path, &Partition { name: "mine".into(), label: "quality".into(), split: "part".into() })
    }

    const TABLE: &str = "image_file,chunk_number,quality,part,weight
a.jpg,1,good,train,1
b.jpg,1,bad,train,2
c.jpg,2,bad,validation,3
d.jpg,2,bad,train,4
e.jpg,2,not_classified,train,5
f.jpg,2,odd,test,6
g.jpg,3,good,test,7
h.jpg,3,good,no_split,8
";

    #[test]
    fn labels_are_numbered_by_the_train_rows_and_a_class_without_any_is_left_out_aloud() {
        let data = load(TABLE).unwrap();
        let sample = |chunk, file: &str, label| Sample { chunk, file: file.into(), label };
        assert_eq!(data.classes, ["bad", "good"]);
        assert_eq!(data.train, [sample(1, "a.jpg", 1), sample(1, "b.jpg", 0), sample(2, "d.jpg", 0)]);
        assert_eq!(data.validation, [sample(2, "c.jpg", 0)]);
        assert_eq!(data.test, [sample(3, "g.jpg", 1)]);
        assert_eq!((data.validation_without_class, data.test_without_class, data.synthetic), (0, 1, false));
    }

    #[test]
    fn the_fingerprint_is_of_the_partition_alone() {
        let fingerprint = |text: &str| load(text).unwrap().fingerprint;
        let other_column = TABLE.replace(",7\n", ",9\n");
        let other_row = TABLE.replace("h.jpg", "i.jpg");
        let other_label = TABLE.replace("g.jpg,3,good", "g.jpg,3,bad");
        assert_eq!(fingerprint(TABLE), fingerprint(&other_column));
        assert_eq!(fingerprint(TABLE), fingerprint(&other_row));
        assert_ne!(fingerprint(TABLE), fingerprint(&other_label));
        let lines = "1\ta.jpg\tgood\ttrain\n1\tb.jpg\tbad\ttrain\n2\tc.jpg\tbad\tvalidation\n2\td.jpg\tbad\ttrain\n2\tf.jpg\todd\ttest\n3\tg.jpg\tgood\ttest\n";
        assert_eq!(fingerprint(TABLE), crate::store::hash::of_bytes(lines.as_bytes()));
    }

    #[test]
    fn faults_are_named_by_their_line() {
        let message = |text: &str| load(text).unwrap_err().to_string();
        assert!(message(&TABLE.replace(",train,4", ",trian,4")).ends_with("line 5: `trian` in column `part`"));
        assert!(message(&TABLE.replace("g.jpg,3", "g.jpg,three")).ends_with("line 8: the chunk number is `three`"));
        assert!(message(&TABLE.replace(",train,", ",test,")).ends_with("no record is `train` in column `part`"));
    }
}
