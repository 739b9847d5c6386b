//! Counts of the metadata → the tables behind the figures of the data, each called like its figure: files of CSV, and two of them on the page.

use crate::dataset::statistics::{Category, ClassCount, Experiment, PartitionCount, Rank, Statistics, Tail};
use crate::error::Result;
use crate::report::figures::svg::escape;
use crate::report::page::attributes;
use crate::report::page::tables::plain;
use crate::store::rows;

/// Size and imbalance of one dataset, as its figure and its table show them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Size {
    /// Classes with an image.
    pub classes: usize,
    /// Images in train, validation and test.
    pub images: [u64; 3],
    /// Images of the largest class over those of the smallest.
    pub imbalance: f64,
}

impl Size {
    /// Of one experiment.
    #[must_use]
    pub fn of(experiment: &Experiment) -> Self {
        let total = |class: &ClassCount| class.train + class.validation + class.test;
        let totals = || experiment.classes.iter().map(total).filter(|images| *images > 0);
        let sum = |of: fn(&ClassCount) -> u64| experiment.classes.iter().map(of).sum();
        Self {
            classes: totals().count(),
            images: [sum(|class| class.train), sum(|class| class.validation), sum(|class| class.test)],
            imbalance: totals().max().unwrap_or(0) as f64 / totals().min().unwrap_or(1) as f64,
        }
    }
}

/// Numbers in full, as a file has them.
struct Counted {
    name: String,
    header: &'static [&'static str],
    rows: Vec<Vec<String>>,
}

/// File name and content of every table with a row: sizes, ranks, partitions and attributes, the classes of each dataset, and the categories
/// of each rank and attribute.
pub fn tables(statistics: &Statistics) -> Result<Vec<(String, String)>> {
    let mut all = vec![sizes(&statistics.experiments), ranks("dataset_ranks", &statistics.ranks)];
    all.extend([partitions(&statistics.partitions), ranks("dataset_attributes", &statistics.attributes)]);
    all.extend(statistics.experiments.iter().map(|experiment| Counted {
        name: format!("distribution_{}", experiment.experiment),
        header: &["class", "train", "validation", "test"],
        rows: experiment.classes.iter().map(class_row).collect(),
    }));
    all.extend(statistics.tails.iter().map(categories));
    all.extend(statistics.attribute_tails.iter().map(categories));
    let filled = all.into_iter().filter(|table| !table.rows.is_empty());
    filled.map(|Counted { name, header, rows }| Ok((name, rows::csv(header, rows)?))).collect()
}

/// Sizes and ranks for the page.
pub fn on_the_page(statistics: &Statistics) -> String {
    let table =
        |title: &str, Counted { header, rows, .. }: &Counted| format!("<h4>{}</h4>\n{}", escape(title), plain(header, rows));
    table("Sizes of the datasets", &sizes(&statistics.experiments))
        + &table("Labels at each rank", &ranks("dataset_ranks", &statistics.ranks))
}

fn sizes(experiments: &[Experiment]) -> Counted {
    let row = |experiment: &Experiment| {
        let Size { classes, images, imbalance } = Size::of(experiment);
        let counts = [classes as u64].into_iter().chain(images).map(|count| count.to_string());
        [experiment.experiment.clone()].into_iter().chain(counts).chain([format!("{imbalance:.2}")]).collect()
    };
    Counted {
        name: "dataset_sizes".into(),
        header: &["dataset", "classes", "train", "validation", "test", "imbalance"],
        rows: experiments.iter().map(row).collect(),
    }
}

fn categories(tail: &Tail) -> Counted {
    let row = |Category { name, records }: &Category| vec![name.clone(), records.to_string()];
    Counted {
        name: attributes::name_of(&tail.rank),
        header: &["category", "records"],
        rows: tail.categories.iter().map(row).collect(),
    }
}

fn partitions(all: &[PartitionCount]) -> Counted {
    let row = |count: &PartitionCount| {
        let counts = [count.samples, count.barcodes as u64, count.species as u64].map(|count| count.to_string());
        [count.partition.clone()].into_iter().chain(counts).collect()
    };
    Counted {
        name: "dataset_partitions".into(),
        header: &["partition", "samples", "barcodes", "species"],
        rows: all.iter().map(row).collect(),
    }
}

fn ranks(name: &str, all: &[Rank]) -> Counted {
    let row = |rank: &Rank| {
        let counts = [rank.categories as u64, rank.labelled, rank.unlabelled].map(|count| count.to_string());
        let named = |category: &Option<Category>| {
            category.as_ref().map_or_else(Default::default, |it| [it.name.clone(), it.records.to_string()])
        };
        let shape = [rank.mean, rank.median, rank.std].map(|value| format!("{value:.2}"));
        let mut row = vec![rank.rank.clone()];
        row.extend(counts.into_iter().chain([format!("{:.6}", rank.share), format!("{:.2}", rank.imbalance_ratio)]));
        row.extend(named(&rank.most_populated).into_iter().chain(named(&rank.least_populated)).chain(shape));
        row
    };
    const HEADER: [&str; 13] = [
        "rank",
        "categories",
        "labelled",
        "unlabelled",
        "share",
        "imbalance",
        "most populated",
        "its records",
        "least populated",
        "its records",
        "mean",
        "median",
        "std",
    ];
    Counted { name: name.into(), header: &HEADER, rows: all.iter().map(row).collect() }
}

fn class_row(ClassCount { class, train, validation, test }: &ClassCount) -> Vec<String> {
    [class.clone()].into_iter().chain([train, validation, test].map(ToString::to_string)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::statistics::SITE;

    fn experiment() -> Experiment {
        let class = |name: &str, train, validation, test| ClassCount { class: name.into(), train, validation, test };
        let classes = vec![class("Diptera", 7, 1, 2), class("Embioptera", 3, 1, 1), class("Zoraptera", 0, 0, 0)];
        Experiment { experiment: "small".into(), classes }
    }

    #[test]
    fn a_dataset_is_as_unbalanced_as_its_largest_class_over_its_smallest_with_images() {
        assert_eq!(Size::of(&experiment()), Size { classes: 2, images: [10, 2, 3], imbalance: 2.0 });
    }

    #[test]
    fn every_figure_of_the_data_has_its_table() {
        let categories = vec![Category { name: "not, sure".into(), records: 1234 }];
        let tail = |rank: &str| vec![Tail { rank: rank.into(), categories: categories.clone() }];
        let partitions = vec![PartitionCount { partition: "val".into(), samples: 3, barcodes: 2, species: 1 }];
        let (tails, attribute_tails) = (tail("order"), [tail(SITE), tail("scale_factor")].concat());
        let statistics =
            Statistics { experiments: vec![experiment()], partitions, tails, attribute_tails, ..Statistics::default() };
        let tables = tables(&statistics).unwrap();
        let names: Vec<&str> = tables.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "dataset_sizes",
                "dataset_partitions",
                "distribution_small",
                "categories_order",
                "dataset_sites",
                "distribution_scale_factor"
            ]
        );
        assert_eq!(tables[1].1, "partition,samples,barcodes,species\nval,3,2,1\n");
        assert_eq!(tables[0].1, "dataset,classes,train,validation,test,imbalance\nsmall,2,10,2,3,2.00\n");
        assert_eq!(tables[3].1, "category,records\n\"not, sure\",1234\n");
        assert!(on_the_page(&statistics).contains("<td>small</td><td class=\"number\">2</td>"));
    }
}
