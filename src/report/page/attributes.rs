//! Counts of BIOSCAN-5M's partitions, places and sizes → their figures, which stand behind the others.

use crate::dataset::statistics::{PartitionCount, SITE, Tail};
use crate::report::figures::axis::thousands;
use crate::report::figures::{histogram, partitions, sites};
use crate::report::page::data::{Data, SHARES, labelled, long_tails, of_categories, picture, shares};
use crate::report::page::pictures::Picture;
use crate::report::page::values::{Numbers, places};

/// What names a place, from the widest.
const PLACES: [&str; 3] = ["country", "province_state", SITE];

/// What is measured of each organism.
const MEASURES: [Measure; 3] = [
    Measure {
        column: "image_measurement_value",
        title: "Size of the organism",
        along: "image_measurement_value, pixels (logarithmic)",
        logarithmic: true,
        means: "The pixels that the organism covers.",
    },
    Measure {
        column: "area_fraction",
        title: "Share of the photograph within the box of the organism",
        along: "area_fraction, 0..1",
        logarithmic: false,
        means: "The area of the box over that of the photograph.",
    },
    Measure {
        column: "scale_factor",
        title: "Shorter side of the box of the organism",
        along: "scale_factor, in sides of 256 pixels",
        logarithmic: false,
        means: "The shorter side of the box over 256 pixels.",
    },
];

struct Measure {
    column: &'static str,
    title: &'static str,
    along: &'static str,
    /// Skewed over decades.
    logarithmic: bool,
    means: &'static str,
}

/// What the figure of the values of one attribute is called, and the file of their counts.
pub(super) fn name_of(attribute: &str) -> String {
    let is_measure = MEASURES.iter().any(|measure| measure.column == attribute);
    match attribute {
        SITE => "dataset_sites".into(),
        measure if is_measure => format!("distribution_{measure}"),
        other => format!("categories_{other}"),
    }
}

/// Those that these counts have something for.
pub(super) fn pictures(data: Data) -> Vec<Picture> {
    let named = || PLACES.into_iter().filter_map(|place| tail(data, place));
    let overviews = [of_partitions(data), of_attributes(data), of_sites(data)];
    let mut all: Vec<Picture> = overviews.into_iter().flatten().collect();
    all.extend(tails_of_places(data, named()));
    all.extend(pareto_of_places(data, named()));
    all.extend(named().filter(|tail| tail.rank != SITE).map(|tail| of_categories(data, tail)));
    all.extend(MEASURES.iter().filter_map(|measure| of_measure(data, measure)));
    all
}

/// All values of an attribute; `None` where there is none.
fn tail<'a>(data: Data<'a>, attribute: &str) -> Option<&'a Tail> {
    data.statistics.attribute_tails.iter().find(|tail| tail.rank == attribute && !tail.categories.is_empty())
}

fn of_partitions(data: Data) -> Option<Picture> {
    let partition =
        |count: &PartitionCount| (count.partition.clone(), vec![count.samples, count.barcodes as u64, count.species as u64]);
    let figure = partitions::Partitions {
        heading: data.heading("Partitions"),
        series: ["samples", "barcodes", "species"].map(String::from).into(),
        partitions: data.statistics.partitions.iter().map(partition).collect(),
    };
    let caption = "Records, and the distinct barcodes and species among them.";
    (!figure.partitions.is_empty()).then(|| picture("dataset_partitions", caption, false, partitions::draw(&figure)))
}

fn of_attributes(data: Data) -> Option<Picture> {
    let svg = labelled(&data.statistics.attributes, data.heading("What is known beside the taxonomy"))?;
    let caption = "How many records have a barcode, a place and a size, and how many of these are distinct.";
    Some(picture("dataset_attributes", caption, false, svg))
}

fn of_sites(data: Data) -> Option<Picture> {
    let (sites, elsewhere) = places(tail(data, SITE)?);
    let all = format!("{} sites, a pair of coordinates each", thousands(sites.len() as u64));
    let caption = match elsewhere {
        0 => format!("{all}."),
        records => format!("{all}; the coordinates of {} records are no place on earth.", thousands(records)),
    };
    let figure = sites::Sites { heading: data.heading("Sites"), sites };
    Some(picture(name_of(SITE), caption, false, sites::draw(&figure)))
}

fn tails_of_places<'a>(data: Data, places: impl Iterator<Item = &'a Tail>) -> Option<Picture> {
    let svg = long_tails(places, data.heading("Records of the countries, provinces and sites"))?;
    let caption = "Every country, province and site from the most populous to the least; in brackets how many there are.";
    Some(picture("dataset_tails_places", caption, false, svg))
}

fn pareto_of_places<'a>(data: Data, places: impl Iterator<Item = &'a Tail>) -> Option<Picture> {
    let svg = shares(places, data.heading("Records held by the most populous countries, provinces and sites"))?;
    Some(picture("dataset_pareto_places", SHARES, false, svg))
}

fn of_measure(data: Data, measure: &Measure) -> Option<Picture> {
    let Measure { column, title, along, logarithmic, means } = *measure;
    let mut numbers = Numbers::of(tail(data, column)?);
    let blank = data.statistics.attributes.iter().find(|rank| rank.rank == column).map_or(0, |rank| rank.unlabelled);
    let not_positive = if logarithmic { numbers.take_not_positive() } else { 0 };
    let left_out = [(blank, "without a value"), (numbers.unreadable, "without a number"), (not_positive, "of 0 or less")];
    let note = note(numbers.records(), &left_out);
    let caption = format!(
        "{means} {note}. Bins after Freedman and Diaconis, 60 at most; lines at the median (solid) and the first and third quartile \
         (dashed)."
    );
    let (heading, along, values) = (data.heading(title), along.into(), numbers.values);
    let svg = histogram::draw(&histogram::Histogram { heading, along, logarithmic, note, values });
    Some(picture(name_of(column), caption, false, svg))
}

/// How many records are shown, and how many are not for which reason.
fn note(shown: u64, left_out: &[(u64, &str)]) -> String {
    let there = left_out.iter().filter(|(records, _)| *records > 0);
    let left_out: Vec<String> = there.map(|(records, why)| format!("{} {why}", thousands(*records))).collect();
    let shown = format!("{} records", thousands(shown));
    if left_out.is_empty() { shown } else { format!("{shown}; left out: {}", left_out.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::statistics::{Query, Statistics, statistics_with};
    use crate::report::page::data;

    const OF_5M: &str =
        "processid,order,dna_barcode,country,province_state,coord-lat,coord-lon,image_measurement_value,split,chunk
a,Diptera,ACGT,Canada,Ontario,45.5,-80,100,train,0
b,Diptera,ACGA,Canada,Ontario,45.5,-80.0,400.0,train,9
c,Hemiptera,ACGA,Kenya,,0.3,36.9,0,val,
d,Hemiptera,ACGC,Kenya,,95,36.9,,pretrain,82
";

    fn count(table: &str, level: Option<(String, String)>) -> Statistics {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.csv");
        std::fs::write(&path, table).unwrap();
        statistics_with(&path, &Query { level, tails: true, ..Query::default() }).unwrap()
    }

    #[test]
    fn a_table_of_bioscan_5m_has_its_figures_behind_those_of_any_other() {
        let all = data::pictures(&count(OF_5M, None), false);
        let (front, behind): (Vec<&Picture>, Vec<&Picture>) = all.iter().partition(|picture| picture.in_front);
        let names = |pictures: Vec<&Picture>| pictures.iter().map(|picture| picture.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(front), ["dataset_ranks", "dataset_tails", "dataset_pareto"]);
        let places =
            ["dataset_sites", "dataset_tails_places", "dataset_pareto_places", "categories_country", "categories_province_state"];
        let mut expected = vec!["categories_order", "dataset_partitions", "dataset_attributes"];
        expected.extend(places.into_iter().chain(["distribution_image_measurement_value"]));
        assert_eq!(names(behind), expected);
        let find = |name: &str| all.iter().find(|picture| picture.name == name).unwrap();
        assert!(find("dataset_partitions").svg.contains("train: 2 barcodes"));
        let sites = find("dataset_sites");
        assert!(sites.svg.contains("45.5° N, 80° W: 2 records"), "however the numbers are written");
        assert!(
            sites.caption.contains("2 sites") && sites.caption.contains("of 1 records are no place on earth"),
            "{}",
            sites.caption
        );
        let sizes = find("distribution_image_measurement_value");
        assert!(
            sizes.svg.contains(">2 records; left out: 1 without a value, 1 of 0 or less<") && sizes.svg.contains(">median 250<")
        );
    }

    #[test]
    fn figures_of_a_part_say_of_which_and_those_of_synthetic_data_that_they_are() {
        let level = Some(("country".to_owned(), "Kenya".to_owned()));
        let all = data::pictures(&count(OF_5M, level), true);
        assert!(
            all.iter().all(|picture| picture.svg.contains("country = Kenya</title>") && picture.svg.contains("SYNTHETIC data"))
        );
    }

    #[test]
    fn a_table_of_names_and_experiments_alone_has_none_of_them() {
        let all = data::pictures(&count("order,small_insect_order\nDiptera,train\nHemiptera,test\n", None), false);
        assert!(all.iter().any(|picture| picture.name == "distribution_small_insect_order"));
        assert!(all.iter().all(|picture| !picture.name.contains("places") && !picture.name.contains("partitions")));
        let not_split_yet = data::pictures(&count("order,small_insect_order\n,no_split\n", None), false);
        assert_eq!(not_split_yet.iter().map(|picture| &picture.name).collect::<Vec<_>>(), ["dataset_ranks"]);
        assert_eq!(data::pictures(&count("processid\na\n", None), false), []);
    }
}
