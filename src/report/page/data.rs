//! Counts of the metadata → the figures of the data: sizes, ranks, long tails, classes.

use crate::dataset::statistics::{ClassCount, Experiment, Rank, Tail};
use crate::dataset::taxonomy::RANKS;
use crate::report::figures::axis::thousands;
use crate::report::figures::{distribution, pareto, ranks, sizes, strips, tails};
use crate::report::page::counts::Size;
use crate::report::page::material::Material;
use crate::report::page::pictures::{Picture, Section, heading};

/// What is counted of a class.
type Split = fn(&ClassCount) -> u64;

/// So many categories of a rank are named; the figure of all tails shows the others.
const NAMED: usize = 30;

/// Every figure of the data; none where they were not counted.
pub(super) fn pictures(material: &Material) -> Vec<Picture> {
    let Some(statistics) = &material.statistics else { return vec![] };
    let mut all = vec![of_sizes(material, &statistics.experiments), of_ranks(material, &statistics.ranks)];
    all.push(of_tails(material, &statistics.tails));
    all.push(pareto_of_ranks(material, &statistics.tails));
    all.push(pareto_of_classes(material, &statistics.experiments));
    all.extend(statistics.experiments.iter().map(|experiment| of_classes(material, experiment)));
    all.extend(statistics.experiments.iter().map(|experiment| in_shades(material, experiment)));
    let taxa = statistics.tails.iter().filter(|tail| RANKS.contains(&tail.rank.as_str()) && tail.categories.len() > 1);
    all.extend(taxa.map(|tail| of_categories(material, tail)));
    all
}

fn picture(name: impl Into<String>, caption: &str, in_front: bool, svg: String) -> Picture {
    Picture { section: Section::Dataset, name: name.into(), caption: caption.into(), in_front, svg }
}

fn of_sizes(material: &Material, experiments: &[Experiment]) -> Picture {
    let set = |experiment: &Experiment| {
        let Size { classes, images, imbalance } = Size::of(experiment);
        sizes::Dataset { name: experiment.experiment.clone(), classes, images, imbalance }
    };
    let datasets = experiments.iter().map(set).collect();
    let caption = "Imbalance: images of the largest class over those of the smallest.";
    let figure = sizes::Sizes { heading: heading(material, "Sizes of the datasets"), datasets };
    picture("dataset_sizes", caption, true, sizes::draw(&figure))
}

fn of_ranks(material: &Material, all: &[Rank]) -> Picture {
    let rank = |rank: &Rank| (rank.rank.clone(), rank.labelled, rank.share, rank.categories);
    let figure = ranks::Ranks { heading: heading(material, "Labels at each rank"), ranks: all.iter().map(rank).collect() };
    let caption = "How far down the taxonomy the records are identified; uri is the BIN.";
    picture("dataset_ranks", caption, true, ranks::draw(&figure))
}

fn of_tails(material: &Material, all: &[Tail]) -> Picture {
    let figure =
        tails::Tails { heading: heading(material, "Records of the categories of each rank"), tails: counts_of_ranks(all) };
    let caption = "Every category of a rank from the most populous to the least; in brackets how many there are. A straight line is a power \
        law.";
    picture("dataset_tails", caption, true, tails::draw(&figure))
}

fn counts_of_ranks(all: &[Tail]) -> Vec<tails::Tail> {
    let there = all.iter().filter(|tail| !tail.categories.is_empty());
    let counts = |tail: &Tail| tail.categories.iter().map(|category| category.records).collect();
    there.map(|tail| tails::Tail { name: tail.rank.clone(), counts: counts(tail) }).collect()
}

fn pareto_of_ranks(material: &Material, all: &[Tail]) -> Picture {
    let heading = heading(material, "Records held by the most populous categories of each rank");
    let figure = pareto::Pareto { heading, unit: "records".into(), groups: "categories".into(), tails: counts_of_ranks(all) };
    let caption = "A mark where four fifths of the records are reached; on the straight line all categories would be equal.";
    picture("dataset_pareto", caption, true, pareto::draw(&figure))
}

fn pareto_of_classes(material: &Material, experiments: &[Experiment]) -> Picture {
    let counts = |experiment: &Experiment| {
        let mut counts: Vec<u64> = experiment
            .classes
            .iter()
            .map(|class| class.train + class.validation + class.test)
            .filter(|count| *count > 0)
            .collect();
        counts.sort_unstable_by_key(|count| std::cmp::Reverse(*count));
        tails::Tail { name: experiment.experiment.clone(), counts }
    };
    let heading = heading(material, "Images held by the most populous classes of each dataset");
    let tails = experiments.iter().map(counts).collect();
    let figure = pareto::Pareto { heading, unit: "images".into(), groups: "classes".into(), tails };
    let caption = "Of all three splits. A mark where four fifths of the images are reached.";
    picture("dataset_pareto_classes", caption, true, pareto::draw(&figure))
}

fn of_classes(material: &Material, experiment: &Experiment) -> Picture {
    let classes = experiment.classes.iter().map(|class| (class.class.clone(), vec![class.train, class.validation, class.test]));
    let figure = distribution::Distribution {
        heading: heading(material, format!("Images of each class, {}", experiment.experiment)),
        unit: "images".into(),
        series: ["train", "validation", "test"].map(String::from).into(),
        classes: classes.collect(),
    };
    let name = format!("distribution_{}", experiment.experiment);
    picture(name, "Of each split, the most populous class first; at the right all three.", true, distribution::draw(&figure))
}

/// The same as the original draws it.
fn in_shades(material: &Material, experiment: &Experiment) -> Picture {
    let splits: [(&str, Split); 3] =
        [("train", |class| class.train), ("validation", |class| class.validation), ("test", |class| class.test)];
    let most = experiment.classes.iter().map(|class| class.train.max(class.validation).max(class.test)).max().unwrap_or(0);
    // A lone image must be seen, too.
    let strength = |images: u64| (1.0 + images as f64).ln() / (1.0 + most as f64).ln();
    let strip = |(split, of): (&str, Split)| {
        let cell = |class: &ClassCount| {
            let images = of(class);
            let tip = format!("{}, {split}: {}", class.class, thousands(images));
            (images > 0).then(|| strips::Shade { strength: strength(images), text: short(images), tip })
        };
        (split.to_owned(), experiment.classes.iter().map(cell).collect())
    };
    let figure = strips::Strips {
        heading: heading(material, format!("Images of each class and split, {}", experiment.experiment)),
        classes: experiment.classes.iter().map(|class| class.class.clone()).collect(),
        rows: splits.into_iter().map(strip).collect(),
        full: thousands(most),
        key: "images, logarithmic; k: thousands; empty: none".into(),
    };
    picture(
        format!("distribution_shades_{}", experiment.experiment),
        "The most populous class first.",
        false,
        strips::draw(&figure),
    )
}

/// A count in four letters.
fn short(count: u64) -> String {
    match count {
        0..1000 => count.to_string(),
        1000..9950 => format!("{:.1}k", count as f64 / 1e3),
        _ => format!("{:.0}k", count as f64 / 1e3),
    }
}

/// Behind the others: the ranks are many, and their names are of interest to few.
fn of_categories(material: &Material, tail: &Tail) -> Picture {
    let all = tail.categories.len();
    let title = match all {
        few if few <= NAMED => format!("Records of each {}", tail.rank),
        many => format!("Records of each {}, the {NAMED} most populous of {}", tail.rank, thousands(many as u64)),
    };
    let named = tail.categories.iter().take(NAMED).map(|category| (category.name.clone(), vec![category.records]));
    let figure = distribution::Distribution {
        heading: heading(material, title),
        unit: "records".into(),
        series: vec!["records".into()],
        classes: named.collect(),
    };
    let others: u64 = tail.categories.iter().skip(NAMED).map(|category| category.records).sum();
    let caption = match all.saturating_sub(NAMED) {
        0 => "Of all records of the metadata.".to_owned(),
        more => format!("The {} others together have {} records.", thousands(more as u64), thousands(others)),
    };
    picture(format!("categories_{}", tail.rank), &caption, false, distribution::draw(&figure))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_has_four_letters_at_most() {
        assert_eq!([0, 999, 1000, 9949, 9950, 896_324].map(short), ["0", "999", "1.0k", "9.9k", "10k", "896k"]);
    }
}
