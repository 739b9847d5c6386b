//! BIOSCAN-1M's columns ↔ BIOSCAN-5M's: other names for the same things, and another sign for what is missing.

use std::path::Path;

use crate::dataset::record::{CHUNK_NUMBER, COLUMNS, Column, Columns, IMAGE_FILE, NOT_CLASSIFIED, StringRecord, is_blank};
use crate::dataset::role::Role;
use crate::dataset::split::is_paper;
use crate::dataset::table::{self, ReadRows};
use crate::dataset::taxonomy::RANKS;
use crate::error::Result;

/// The 23 published columns of BIOSCAN-5M, in their order.
pub const COLUMNS_5M: [&str; 23] = [
    "processid",
    "sampleid",
    "taxon",
    "phylum",
    "class",
    "order",
    "family",
    "subfamily",
    "genus",
    "species",
    "dna_bin",
    "dna_barcode",
    "country",
    "province_state",
    "coord-lat",
    "coord-lon",
    "image_measurement_value",
    "area_fraction",
    "scale_factor",
    "inferred_ranks",
    SPLIT,
    "index_bioscan_1M_insect",
    CHUNK,
];

/// BIOSCAN-5M's column with the name of the partition a record belongs to.
pub const SPLIT: &str = "split";
/// BIOSCAN-5M's column with the folder of the image below that of its partition; text, because `05` and `5` are different folders.
pub const CHUNK: &str = "chunk";

/// What BIOSCAN-1M and BIOSCAN-5M call the same thing.
const NAMES: [(&str, &str); 3] = [("uri", "dna_bin"), ("nucraw", "dna_barcode"), ("name", "taxon")];

/// One of the two published forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schema {
    /// 28 columns; an unknown taxon is `not_classified`.
    Bioscan1M,
    /// 23 columns; an unknown taxon is empty.
    Bioscan5M,
}

impl Schema {
    /// The form of a table with these columns: BIOSCAN-5M's where it has the partition, and its own names or no image files. What
    /// was converted keeps columns of the other form behind those of its own.
    #[must_use]
    pub fn of(columns: &Columns) -> Self {
        let has = |name: &str| columns.find(name).is_some();
        let own_names = NAMES.into_iter().filter(|(_, five)| has(five)).count();
        let their_names = NAMES.into_iter().filter(|(one, _)| has(one)).count();
        let is_5m = has(SPLIT) && has("processid") && (own_names > their_names || !has(IMAGE_FILE));
        if is_5m { Self::Bioscan5M } else { Self::Bioscan1M }
    }

    /// Its published columns.
    #[must_use]
    pub fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Bioscan1M => &COLUMNS,
            Self::Bioscan5M => &COLUMNS_5M,
        }
    }

    /// What it calls `column`, whichever form that name is of.
    #[must_use]
    pub fn name(self, column: &str) -> &str {
        match (self, NAMES.into_iter().find(|(one, five)| *one == column || *five == column)) {
            (Self::Bioscan1M, Some((one, _))) => one,
            (Self::Bioscan5M, Some((_, five))) => five,
            (_, None) => column,
        }
    }

    /// What stands in `column` where nothing is known.
    #[must_use]
    pub fn missing(self, column: &str) -> &'static str {
        match self {
            Self::Bioscan1M if column == "name" || RANKS.contains(&column) => NOT_CLASSIFIED,
            Self::Bioscan1M if is_paper(column) => Role::NoSplit.as_str(),
            _ => "",
        }
    }
}

/// What the cells of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text as it stands.
    Text,
    /// Whole numbers.
    Whole,
    /// Numbers with a fraction.
    Fraction,
}

impl Kind {
    /// Of the published columns, and of those that a cleaning adds; all others are text.
    #[must_use]
    pub fn of(column: &str) -> Self {
        match column {
            CHUNK_NUMBER | "image_measurement_value" | "inferred_ranks" | "index_bioscan_1M_insect" => Self::Whole,
            "barcode_length" | "image_width" | "image_height" | "image_bytes" | "organism_pixels" => Self::Whole,
            "coord-lat" | "coord-lon" | "area_fraction" | "scale_factor" => Self::Fraction,
            _ => Self::Text,
        }
    }
}

/// The column that `columns` has under either form's name.
#[must_use]
pub fn find(columns: &Columns, name: &str) -> Option<Column> {
    [Schema::Bioscan1M, Schema::Bioscan5M].into_iter().find_map(|schema| columns.find(schema.name(name)))
}

/// The column whose cells `name` gets: the one called so, before one of the other form's name.
fn source_of(columns: &Columns, name: &str) -> Option<Column> {
    columns.find(name).or_else(|| find(columns, name))
}

/// Where the cells of one output column come from.
enum Source {
    Copied(Column),
    /// A taxon, whose sign for "unknown" changes.
    Taxon(Column, &'static str),
    /// `{processid}.jpg`, as BIOSCAN-5M names its images.
    ImageOf(Column),
    Missing(&'static str),
}

impl Source {
    fn of(schema: Schema, name: &str, given: &Columns) -> Self {
        let taxon = RANKS.contains(&name) || ["name", "taxon"].contains(&name);
        match (source_of(given, name), given.find("processid")) {
            (Some(column), _) if taxon => Self::Taxon(column, schema.missing(name)),
            (Some(column), _) => Self::Copied(column),
            (None, Some(id)) if name == IMAGE_FILE => Self::ImageOf(id),
            (None, _) => Self::Missing(schema.missing(name)),
        }
    }

    fn push(&self, row: &StringRecord, out: &mut StringRecord) {
        match self {
            Self::Copied(column) => out.push_field(column.of(row)),
            Self::Taxon(column, missing) => {
                let taxon = column.of(row);
                out.push_field(if is_blank(taxon) { missing } else { taxon });
            }
            Self::ImageOf(id) => out.push_field(&format!("{}.jpg", id.of(row))),
            Self::Missing(missing) => out.push_field(missing),
        }
    }
}

/// Writes what is left of `table` to `to` in the form `schema`; returns the number of rows.
///
/// All its published columns are there, empty where `table` does not know them (a chunk number cannot be made of nothing), and columns it
/// does not have stand behind them: a second one for the same thing as well, under its own name.
pub fn convert_as(table: &mut dyn ReadRows, to: &Path, schema: Schema) -> Result<u64> {
    let given = table.columns().clone();
    let own = schema.columns();
    let is_used = |name: &str| own.contains(&schema.name(name)) && source_of(&given, schema.name(name)) == given.find(name);
    let extra = given.names().iter().map(String::as_str).filter(|name| !is_used(name));
    let names: Vec<String> = own.iter().copied().chain(extra).map(str::to_owned).collect();
    let sources: Vec<Source> = names.iter().map(|name| Source::of(schema, name, &given)).collect();
    let mut rows = 0;
    table::write(to, &names, |out| {
        let mut whole = StringRecord::new();
        table::for_each(table, |_, row, _| {
            rows += 1;
            whole.clear();
            sources.iter().for_each(|source| source.push(row, &mut whole));
            out.write(&whole)
        })
    })?;
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn convert(text: &str, schema: Schema) -> Vec<std::collections::HashMap<String, String>> {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("a.csv"), folder.path().join("b.jsonld"));
        std::fs::write(&from, text).unwrap();
        convert_as(table::open(&from).unwrap().as_mut(), &to, schema).unwrap();
        serde_json::from_str(&std::fs::read_to_string(&to).unwrap()).unwrap()
    }

    #[test]
    fn names_and_signs_for_the_unknown_change_and_nothing_is_lost() {
        let rows =
            convert("processid,uri,nucraw,genus,tribe,weight\nP1,BOLD:A,ACGT,not_classified,Tribini,5\n", Schema::Bioscan5M);
        let row = &rows[0];
        assert_eq!((row["dna_bin"].as_str(), row["dna_barcode"].as_str(), row["genus"].as_str()), ("BOLD:A", "ACGT", ""));
        assert_eq!((row["tribe"].as_str(), row["weight"].as_str(), row["country"].as_str()), ("Tribini", "5", ""));
        assert_eq!(row.len(), 23 + 2);
    }

    #[test]
    fn a_converted_table_is_known_for_what_it_is() {
        let of = |names: &[&str]| {
            Schema::of(&Columns::new(Path::new("m"), names.iter().map(|name| (*name).to_owned()).collect()).unwrap())
        };
        let both: Vec<&str> = COLUMNS_5M.into_iter().chain([IMAGE_FILE, CHUNK_NUMBER, "tribe"]).collect();
        assert_eq!(
            (of(&both), of(&COLUMNS_5M), of(&["processid", SPLIT])),
            (Schema::Bioscan5M, Schema::Bioscan5M, Schema::Bioscan5M)
        );
        let both: Vec<&str> = COLUMNS.into_iter().chain([SPLIT, CHUNK, "dna_barcode"]).collect();
        assert_eq!((of(&both), of(&COLUMNS)), (Schema::Bioscan1M, Schema::Bioscan1M));
    }

    #[test]
    fn a_second_column_for_the_same_thing_is_kept() {
        let text = "processid,uri,dna_bin\nP1,BOLD:A,BOLD:B\n";
        for (schema, first, second) in [(Schema::Bioscan5M, "dna_bin", "uri"), (Schema::Bioscan1M, "uri", "dna_bin")] {
            let row = &convert(text, schema)[0];
            let expected = |name: &str| if name == "uri" { "BOLD:A" } else { "BOLD:B" };
            assert_eq!((row[first].as_str(), row[second].as_str()), (expected(first), expected(second)));
            assert_eq!(row.len(), schema.columns().len() + 1);
        }
    }

    #[test]
    fn a_genus_called_na_is_no_missing_one() {
        let rows = convert("processid,split,genus,family,dna_bin\nP1,train,NA,,BOLD:A\n", Schema::Bioscan1M);
        let row = &rows[0];
        assert_eq!((row["genus"].as_str(), row["family"].as_str(), row["uri"].as_str()), ("NA", "not_classified", "BOLD:A"));
        assert_eq!(
            (row["image_file"].as_str(), row["small_insect_order"].as_str(), row["split"].as_str()),
            ("P1.jpg", "no_split", "train")
        );
        assert_eq!(row.len(), 28 + 1);
    }
}
