//! The pass over all rows.

use std::path::Path;

use serde::Serialize;

use crate::config::Partition;
use crate::dataset::bioscan5m;
use crate::dataset::record::{Columns, PHOTOGRAPHER, SYNTHETIC_PHOTOGRAPHER};
use crate::dataset::role::Role;
use crate::dataset::schema::{self, Schema};
use crate::dataset::split::not_a_role;
use crate::dataset::statistics::attribute::{Attribute, Category, Rank, Tail};
use crate::dataset::statistics::experiments::{Divided, Experiment};
use crate::dataset::statistics::partitions::{PartitionCount, Partitions};
use crate::dataset::table;
use crate::dataset::taxonomy::RANKS;
use crate::error::{Error, Result};

/// The attribute of both coordinates together, each of whose values is a latitude and a longitude with a space between.
pub const SITE: &str = "(coord-lat, coord-lon)";

/// What a table holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Statistics {
    /// Records.
    pub rows: u64,
    /// Whether any of them is synthetic.
    #[serde(skip)]
    pub synthetic: bool,
    /// The column and the value that every record counted has; `None` where all were counted.
    #[serde(skip)]
    pub level: Option<(String, String)>,
    /// One for each taxonomic rank the table has, and one for the BIN.
    pub ranks: Vec<Rank>,
    /// The barcode, and what BIOSCAN-5M says of places and sizes.
    pub attributes: Vec<Rank>,
    /// One for each experiment column the table has.
    pub experiments: Vec<Experiment>,
    /// BIOSCAN-5M's eight partitions; empty for other tables.
    pub partitions: Vec<PartitionCount>,
    /// All values of the attribute asked for, the most frequent first.
    pub values: Vec<Category>,
    /// All values of each of `ranks`, where they were asked for: millions, for the figures alone.
    #[serde(skip)]
    pub tails: Vec<Tail>,
    /// Likewise of each of `attributes`, but of the barcode, whose values are not kept.
    #[serde(skip)]
    pub attribute_tails: Vec<Tail>,
}

/// What to count.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Partitions of one's own, counted beside the published ones.
    pub own: Vec<Partition>,
    /// Count only the records with this value in this column.
    pub level: Option<(String, String)>,
    /// List all values of this column.
    pub attribute: Option<String>,
    /// List all values of each rank and attribute, too.
    pub tails: bool,
}

/// Counts the table at `path`: every rank and experiment it has, and the partitions of `own` besides.
pub fn statistics(path: &Path, own: &[Partition]) -> Result<Statistics> {
    statistics_with(path, &Query { own: own.to_vec(), ..Query::default() })
}

/// Counts the table at `path` as `query` asks.
pub fn statistics_with(path: &Path, query: &Query) -> Result<Statistics> {
    let mut table = table::open(path)?;
    let columns = table.columns().clone();
    let (mut ranks, mut attributes) = (ranks(&columns), attributes(&columns));
    let level = query.level.as_ref().map(|(name, value)| Ok::<_, Error>((columns.require(name)?, value))).transpose()?;
    let mut asked =
        query.attribute.as_ref().map(|name| Ok::<_, Error>(Attribute::new(name, columns.require(name)?))).transpose()?;
    let mut experiments = Divided::find(&columns, &query.own)?;
    let mut partitions = Partitions::find(&columns);
    let photographer = columns.find(PHOTOGRAPHER);
    let (mut rows, mut synthetic) = (0, false);
    table::for_each(table.as_mut(), |_, row, place| {
        if level.as_ref().is_some_and(|(column, value)| column.of(row) != value.as_str()) {
            return Ok(());
        }
        rows += 1;
        synthetic |= photographer.is_some_and(|column| column.of(row) == SYNTHETIC_PHOTOGRAPHER);
        ranks.iter_mut().chain(&mut attributes).chain(&mut asked).for_each(|attribute| attribute.count(row));
        for experiment in &mut experiments {
            let cell = experiment.cell(row);
            let role = Role::parse(cell).ok_or_else(|| not_a_role(path, &place(), experiment.name(), cell))?;
            experiment.count(row, role);
        }
        let counted = partitions.as_mut().map_or(Ok(()), |partitions| partitions.count(row));
        counted.map_err(|cell| bioscan5m::not_a_partition(path, &place(), cell))
    })?;
    let tails = |all: &[Attribute]| all.iter().filter(|_| query.tails).filter_map(Attribute::tail).collect();
    Ok(Statistics {
        rows,
        synthetic,
        level: query.level.clone(),
        tails: tails(&ranks),
        attribute_tails: tails(&attributes),
        values: asked.map(|attribute| attribute.categories()).unwrap_or_default(),
        ranks: ranks.into_iter().map(Attribute::finish).collect(),
        attributes: attributes.into_iter().map(Attribute::finish).collect(),
        experiments: experiments.into_iter().map(Divided::finish).collect(),
        partitions: partitions.map(Partitions::finish).unwrap_or_default(),
    })
}

fn ranks(columns: &Columns) -> Vec<Attribute> {
    let bin = Schema::of(columns).name("uri");
    let names = RANKS.into_iter().chain([bin]);
    names.filter_map(|name| Some(Attribute::new(name, schema::find(columns, name)?))).collect()
}

fn attributes(columns: &Columns) -> Vec<Attribute> {
    let barcode = Schema::of(columns).name("nucraw");
    let mut found: Vec<Attribute> =
        schema::find(columns, barcode).map(|column| Attribute::hashed(barcode, column)).into_iter().collect();
    let mut add = |name: &str| found.extend(columns.find(name).map(|column| Attribute::new(name, column)));
    ["country", "province_state", "coord-lat", "coord-lon"].into_iter().for_each(&mut add);
    ["image_measurement_value", "area_fraction", "scale_factor"].into_iter().for_each(&mut add);
    if let Some((latitude, longitude)) = columns.find("coord-lat").zip(columns.find("coord-lon")) {
        found.push(Attribute::of_all(SITE, vec![latitude, longitude]));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(rows: &str, query: &Query) -> Result<Statistics> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.csv");
        std::fs::write(&path, rows).unwrap();
        statistics_with(&path, query)
    }

    const OF_5M: &str = "processid,class,species,dna_bin,dna_barcode,country,coord-lat,coord-lon,split,chunk
a,Insecta,Aus bus,BOLD:A,ACGT,Canada,1,2,train,0
b,Insecta,Aus bus,BOLD:A,ACGT,Canada,1,2,train,9
c,Insecta,,BOLD:B,ACGA,,1,,val,
d,Arachnida,Cus dus,,ACGA,Kenya,3,4,pretrain,82
";

    #[test]
    fn partitions_places_and_barcodes_of_bioscan_5m_are_counted() {
        let found = count(OF_5M, &Query::default()).unwrap();
        let name = |rank: &Rank| (rank.rank.clone(), rank.categories, rank.labelled);
        assert_eq!(
            found.ranks.iter().map(name).collect::<Vec<_>>(),
            [("class".into(), 2, 4), ("species".into(), 2, 3), ("dna_bin".into(), 2, 3)]
        );
        let attributes: Vec<_> = found.attributes.iter().map(name).collect();
        assert!(attributes.contains(&("dna_barcode".into(), 2, 4)) && attributes.contains(&("country".into(), 2, 3)));
        assert!(attributes.contains(&("(coord-lat, coord-lon)".into(), 2, 3)), "{attributes:?}");
        let train = &found.partitions[1];
        assert_eq!((train.partition.as_str(), train.samples, train.barcodes, train.species), ("train", 2, 1, 1));
        assert_eq!(found.partitions.iter().map(|partition| partition.samples).sum::<u64>(), 4);
    }

    #[test]
    fn one_synthetic_record_makes_the_table_synthetic() {
        let table = "order,photographer\nDiptera,CBG\nDiptera,";
        let is_synthetic = |last: &str| count(&format!("{table}{last}\n"), &Query::default()).unwrap().synthetic;
        assert!(is_synthetic(SYNTHETIC_PHOTOGRAPHER) && !is_synthetic("CBG"));
    }

    #[test]
    fn the_tails_of_ranks_and_attributes_are_listed_where_they_are_asked_for() {
        let found = count(OF_5M, &Query { tails: true, ..Query::default() }).unwrap();
        let category = |name: &str, records| Category { name: name.into(), records };
        let ranks: Vec<&str> = found.tails.iter().map(|tail| tail.rank.as_str()).collect();
        assert_eq!(ranks, ["class", "species", "dna_bin"]);
        assert_eq!(found.tails[0].categories, [category("Insecta", 3), category("Arachnida", 1)]);
        let attributes: Vec<&str> = found.attribute_tails.iter().map(|tail| tail.rank.as_str()).collect();
        assert_eq!(attributes, ["country", "coord-lat", "coord-lon", SITE], "no barcodes");
        assert_eq!(found.attribute_tails[3].categories, [category("1 2", 2), category("3 4", 1)]);
        let unasked = count(OF_5M, &Query::default()).unwrap();
        assert_eq!((unasked.tails, unasked.attribute_tails), (vec![], vec![]));
    }

    #[test]
    fn a_level_and_an_attribute_narrow_the_question() {
        let level = Some(("class".to_owned(), "Insecta".to_owned()));
        let found = count(OF_5M, &Query { level, attribute: Some("country".into()), ..Query::default() }).unwrap();
        assert_eq!((found.rows, &found.values[..]), (3, &[Category { name: "Canada".into(), records: 2 }][..]));
        assert!(
            count(OF_5M, &Query { attribute: Some("contry".into()), ..Query::default() })
                .unwrap_err()
                .to_string()
                .contains("no column")
        );
        let error = count(&OF_5M.replace("val,", "vla,"), &Query::default()).unwrap_err();
        assert!(error.to_string().ends_with("line 4: `vla` in column `split`"), "{error}");
    }
}
