//! a metadata table → the same table with its experiment columns: two passes, one byte a row and column in between.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::config::{Partition, Split};
use crate::dataset::bioscan5m::without_n;
use crate::dataset::labels::Labels;
use crate::dataset::record::{Column, Columns, StringRecord, digest, is_blank};
use crate::dataset::role::Role;
use crate::dataset::schema::Schema;
use crate::dataset::split::{EXPERIMENTS, Labelled, divide, divide_grouped, is_paper, paper};
use crate::dataset::table;
use crate::error::{Error, Result};
use crate::store::lock::Lock;
use crate::store::{atomic, hash};

/// What to split.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The metadata as it came.
    pub input: &'a Path,
    /// The metadata with its experiment columns. Its folder is owned while it is made.
    pub output: &'a Path,
    /// How.
    pub settings: &'a Split,
    /// What the job classifies; partitions that are not the paper's are split by the regular rule.
    pub partitions: &'a [Partition],
    /// Make columns again that the table already has.
    pub force: bool,
}

/// What became of one experiment column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnSummary {
    /// The column.
    pub experiment: String,
    /// Whether it was in the table already and was kept.
    pub kept: bool,
    /// Classes with at least one record.
    pub classes: usize,
    /// Records to train on.
    pub train: usize,
    /// Records to select by.
    pub validation: usize,
    /// Records to measure on.
    pub test: usize,
}

/// What a split did.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// One a column, in the order in which they were made.
    pub columns: Vec<ColumnSummary>,
    /// Whether the very same output was there already, so that nothing was written.
    pub unchanged: bool,
}

/// Written beside the output, sealed: says what it was made of, so that the same request does nothing.
#[derive(PartialEq, Serialize, Deserialize)]
struct Note {
    version: u32,
    input: String,
    output: String,
    settings: Split,
    partitions: Vec<Partition>,
    columns: Vec<ColumnSummary>,
}

const NOTE: &str = "split.json";

/// Reads the input, makes or keeps its experiment columns and writes the output, always as a whole.
pub fn split_metadata(request: Request) -> Result<Outcome> {
    let same_file = matches!((request.input.canonicalize(), request.output.canonicalize()), (Ok(a), Ok(b)) if a == b);
    if same_file {
        return Err(Error::usage(format!("{} would be written over itself", request.input.display()))
            .with_help("`paths.output` must be another folder than `paths.dataset`, which is never written to"));
    }
    let folder = request.output.parent().unwrap_or(Path::new("."));
    let table = table::open(request.input)?;
    let _owned = Lock::acquire(folder)?;
    atomic::remove_unfinished(folder)?;
    let settings = Split { keep_published: request.settings.keep_published && !request.force, ..request.settings.clone() };
    let input = hash::of_file(request.input)?;
    let note_path = folder.join(NOTE);
    if let Some(note) = read_note(&note_path)? {
        let same = note.version == 1 && note.input == input && note.settings == settings && note.partitions == request.partitions;
        if same && request.output.is_file() && hash::of_file(request.output)? == note.output {
            return Ok(Outcome { columns: note.columns, unchanged: true });
        }
    }
    let mut cells = Cells::collect(table.columns(), request.partitions, &settings)?;
    drop(table);
    cells.read(request.input)?;
    let made = cells.make(&settings, request.partitions);
    let columns: Vec<ColumnSummary> = made.iter().map(Made::summary).collect();
    write(request.input, request.output, &made)?;
    let output = hash::of_file(request.output)?;
    let note = Note { version: 1, input, output, settings, partitions: request.partitions.to_vec(), columns: columns.clone() };
    let text = serde_json::to_string_pretty(&note).map_err(|error| Error::library("serde_json", error))?;
    hash::write_sealed(&note_path, text.as_bytes())?;
    Ok(Outcome { columns, unchanged: false })
}

fn read_note(path: &Path) -> Result<Option<Note>> {
    // A note that cannot be read is one of another version: the split is made again.
    Ok(hash::read_sealed(path)?.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}

/// The cells a split needs, of all rows.
struct Cells {
    /// Whether the paper's six columns are to be made.
    paper: bool,
    /// Label columns by name.
    labels: Vec<(String, Column, Labels)>,
    /// Group columns by name.
    groups: Vec<(String, Column, Labels)>,
    /// Experiment columns that the table has.
    roles: Vec<(String, Column, Vec<Role>)>,
}

impl Cells {
    /// Finds the columns; an asked-for one that is missing is an error.
    fn collect(columns: &Columns, partitions: &[Partition], settings: &Split) -> Result<Self> {
        let asked = partitions.iter().any(|partition| is_paper(&partition.split));
        let could = columns.find("order").is_some() && columns.find("family").is_some();
        let mut names: Vec<&str> = if asked || could { vec!["order", "family"] } else { vec![] };
        let mut experiments: Vec<&str> = if asked || could { EXPERIMENTS.to_vec() } else { vec![] };
        for partition in partitions.iter().filter(|partition| !is_paper(&partition.split)) {
            if ["_insect_order", "_diptera_family"].iter().any(|task| partition.split.ends_with(task)) {
                return Err(Error::usage(format!("`{}` is no experiment of the paper", partition.split))
                    .with_help("sizes are small, medium, large; name the split column of a partition of your own otherwise"));
            }
            if partitions.iter().any(|other| other.split == partition.split && other.label != partition.label) {
                return Err(Error::usage(format!(
                    "two partitions with different labels share the split column `{}`",
                    partition.split
                ))
                .with_help("give each partition a split column of its own"));
            }
            names.push(&partition.label);
            experiments.push(&partition.split);
        }
        names.sort_unstable();
        names.dedup();
        let labels = names.into_iter().map(|name| Ok((name.to_owned(), columns.require(name)?, Labels::default())));
        let labels = labels.collect::<Result<Vec<_>>>()?;
        let there = experiments.into_iter().filter_map(|name| Some((name.to_owned(), columns.find(name)?, Vec::new())));
        let groups = settings.groups.values().map(|name| Ok((name.clone(), columns.require(name)?, Labels::default())));
        Ok(Self { paper: asked || could, labels, groups: groups.collect::<Result<_>>()?, roles: there.collect() })
    }

    fn read(&mut self, path: &Path) -> Result<()> {
        let mut table = table::open(path)?;
        table::for_each(table.as_mut(), |_, row, place| {
            for (_, column, labels) in &mut self.labels {
                labels.push(column.of(row));
            }
            for (name, column, groups) in &mut self.groups {
                groups.push(&group_of(name, column.of(row)));
            }
            for (name, column, roles) in &mut self.roles {
                let cell = column.of(row);
                roles.push(Role::parse(cell).ok_or_else(|| not_a_role(path, &place(), name, cell))?);
            }
            Ok(())
        })
    }

    fn labels(&self, name: &str) -> Labels {
        self.labels.iter().find(|(label, ..)| label == name).map(|(.., labels)| labels.clone()).unwrap_or_default()
    }

    /// Takes the column `name` of the table where it is to be kept: where any record has a role in it.
    fn keep(roles: &mut Vec<(String, Column, Vec<Role>)>, settings: &Split, name: &str) -> Option<Vec<Role>> {
        let position = roles.iter().position(|(column, ..)| column == name)?;
        let (.., cells) = roles.swap_remove(position);
        (settings.keep_published && cells.iter().any(|role| *role != Role::NoSplit)).then_some(cells)
    }

    fn make(mut self, settings: &Split, partitions: &[Partition]) -> Vec<Made> {
        let mut roles = std::mem::take(&mut self.roles);
        let mut made = Vec::new();
        if self.paper {
            let rows = Labelled { orders: self.labels("order"), families: self.labels("family") };
            let mut kept = Vec::new();
            let columns = paper(&rows, settings, |name| {
                let cells = Self::keep(&mut roles, settings, name);
                kept.extend(cells.is_some().then(|| name.to_owned()));
                cells
            });
            for (name, roles) in columns {
                let labels = if name.ends_with("family") { &rows.families } else { &rows.orders };
                made.push(Made::new(name, kept.iter().any(|column| column == name), roles, labels));
            }
            // People's own data without a single known order: empty columns would only be in the way.
            let asked = partitions.iter().any(|partition| is_paper(&partition.split));
            made.retain(|column| asked || column.kept || rows.orders.classes(|_| true).iter().any(|_| true));
        }
        for partition in partitions.iter().filter(|partition| !is_paper(&partition.split)) {
            if made.iter().any(|column| column.name == partition.split) {
                continue;
            }
            let labels = self.labels(&partition.label);
            let kept = Self::keep(&mut roles, settings, &partition.split);
            let is_kept = kept.is_some();
            if is_kept && (settings.groups.contains_key(&partition.split) || settings.shares.contains_key(&partition.split)) {
                tracing::warn!(
                    experiment = partition.split,
                    "kept as the metadata have it, whatever `split.groups` and `split.shares` say; --force makes it anew"
                );
            }
            let cells = kept.unwrap_or_else(|| self.divided(&partition.split, &labels, settings));
            made.push(Made::new(&partition.split, is_kept, cells, &labels));
        }
        made
    }

    /// The column `split` of a partition of one's own, made by the regular split of its `labels`.
    fn divided(&self, split: &str, labels: &Labels, settings: &Split) -> Vec<Role> {
        let mut cells = vec![Role::NoSplit; labels.len()];
        let shares = settings.shares.get(split).copied().unwrap_or_default();
        let group = settings.groups.get(split);
        match self.groups.iter().find(|(name, ..)| Some(name) == group) {
            Some((.., groups)) => divide_grouped(split, labels, groups, shares, settings.seed, &mut cells),
            None => divide(split, labels, shares, settings.seed, |_| true, &mut cells),
        }
        cells
    }
}

/// What stands for a cell in the comparison of groups: barcodes differ in more than the N around them, and any text is kept as 16 bytes.
fn group_of(column: &str, cell: &str) -> String {
    let cell = if column == Schema::Bioscan1M.name("dna_barcode") || column == Schema::Bioscan5M.name("dna_barcode") {
        without_n(cell)
    } else {
        cell
    };
    if is_blank(cell) { String::new() } else { format!("{:032x}", digest(cell)) }
}

/// The error for a cell of an experiment column that is none of the four words.
pub(in crate::dataset) fn not_a_role(path: &Path, place: &str, column: &str, cell: &str) -> Error {
    Error::input(path, format!("{place}: `{cell}` in column `{column}`")).with_help("valid are train, validation, test, no_split")
}

/// One finished experiment column.
struct Made {
    name: String,
    kept: bool,
    classes: usize,
    roles: Vec<Role>,
}

impl Made {
    fn new(name: &str, kept: bool, roles: Vec<Role>, labels: &Labels) -> Self {
        let classes = labels.classes(|row| roles.get(row as usize).is_some_and(|role| *role != Role::NoSplit)).len();
        Self { name: name.to_owned(), kept, classes, roles }
    }

    fn summary(&self) -> ColumnSummary {
        let count = |role| self.roles.iter().filter(|cell| **cell == role).count();
        ColumnSummary {
            experiment: self.name.clone(),
            kept: self.kept,
            classes: self.classes,
            train: count(Role::Train),
            validation: count(Role::Validation),
            test: count(Role::Test),
        }
    }
}

/// Copies the table row by row; columns it has are replaced in place, new ones stand behind the others.
fn write(input: &Path, output: &Path, made: &[Made]) -> Result<()> {
    let mut table = table::open(input)?;
    let mut names = table.columns().names().to_vec();
    let places: Vec<usize> = made
        .iter()
        .map(|column| {
            names.iter().position(|name| *name == column.name).unwrap_or_else(|| {
                names.push(column.name.clone());
                names.len() - 1
            })
        })
        .collect();
    // For every column of the output: the column of roles that fills it, if any.
    let sources: Vec<Option<&Made>> = (0..names.len())
        .map(|place| std::iter::zip(&places, made).find(|(target, _)| **target == place).map(|(_, column)| column))
        .collect();
    table::write(output, &names, |out| {
        let mut whole = StringRecord::new();
        table::for_each(table.as_mut(), |number, row, _| {
            whole.clear();
            for (place, source) in sources.iter().enumerate() {
                whole.push_field(match source {
                    Some(column) => column.roles.get(number as usize).copied().unwrap_or_default().as_str(),
                    None => Column(place).of(row),
                });
            }
            out.write(&whole)
        })
    })
}
