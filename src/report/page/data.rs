//! Counts of the metadata → the figures of the data: sizes, ranks, long tails, classes.

use crate::dataset::statistics::{ClassCount, Experiment, Rank, SITE, Statistics, Tail};
use crate::dataset::taxonomy::RANKS;
use crate::report::figures::axis::thousands;
use crate::report::figures::{Heading, distribution, pareto, ranks, sizes, strips, tails};
use crate::report::page::attributes;
use crate::report::page::counts::Size;
use crate::report::page::pictures::{Picture, Section};

/// What is counted of a class.
type Split = fn(&ClassCount) -> u64;

/// So many categories of a rank are named; the figure of all tails shows the others.
const NAMED: usize = 30;

/// What a reader of a Pareto curve of records should know.
pub(super) const SHARES: &str =
    "A mark where four fifths of the records are reached; on the straight line all categories would be equal.";

/// Counts, and what every figure of them says above it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Data<'a> {
    pub statistics: &'a Statistics,
    pub synthetic: bool,
}

impl<'a> Data<'a> {
    /// Above a figure of these counts: of which records they are, where not of all.
    pub fn heading(&self, title: &str) -> Heading {
        match &self.statistics.level {
            Some((column, value)) => Heading::new(format!("{title}, {column} = {value}"), self.synthetic),
            None => Heading::new(title, self.synthetic),
        }
    }

    /// The experiments that have images: a table that was not split yet has their columns, too.
    fn experiments(self) -> impl Iterator<Item = &'a Experiment> {
        self.statistics.experiments.iter().filter(|experiment| Size::of(experiment).classes > 0)
    }
}

/// Every figure of the data that these counts have something for; `synthetic` marks them so even where no record of the table is.
#[must_use]
pub fn pictures(statistics: &Statistics, synthetic: bool) -> Vec<Picture> {
    let data = Data { statistics, synthetic };
    let overviews = [of_sizes(data), of_ranks(data), of_tails(data), pareto_of_ranks(data), pareto_of_classes(data)];
    let mut all: Vec<Picture> = overviews.into_iter().flatten().collect();
    all.extend(data.experiments().map(|experiment| of_classes(data, experiment)));
    all.extend(data.experiments().map(|experiment| in_shades(data, experiment)));
    let taxa = statistics.tails.iter().filter(|tail| RANKS.contains(&tail.rank.as_str()) && tail.categories.len() > 1);
    all.extend(taxa.map(|tail| of_categories(data, tail)));
    all.extend(attributes::pictures(data));
    all
}

pub(super) fn picture(name: impl Into<String>, caption: impl Into<String>, in_front: bool, svg: String) -> Picture {
    Picture { section: Section::Dataset, name: name.into(), caption: caption.into(), in_front, svg }
}

fn of_sizes(data: Data) -> Option<Picture> {
    let set = |experiment: &Experiment| {
        let Size { classes, images, imbalance } = Size::of(experiment);
        sizes::Dataset { name: experiment.experiment.clone(), classes, images, imbalance }
    };
    let datasets: Vec<sizes::Dataset> = data.experiments().map(set).collect();
    let caption = "Imbalance: images of the largest class over those of the smallest.";
    let draw = |datasets| sizes::draw(&sizes::Sizes { heading: data.heading("Sizes of the datasets"), datasets });
    (!datasets.is_empty()).then(|| picture("dataset_sizes", caption, true, draw(datasets)))
}

fn of_ranks(data: Data) -> Option<Picture> {
    let svg = labelled(&data.statistics.ranks, data.heading("Labels at each rank"))?;
    let caption = "How far down the taxonomy the records are identified; uri, or dna_bin, is the BIN.";
    Some(picture("dataset_ranks", caption, true, svg))
}

/// How much of each of `all` is labelled; `None` of nothing.
pub(super) fn labelled(all: &[Rank], heading: Heading) -> Option<String> {
    let rank = |rank: &Rank| (rank.rank.clone(), rank.labelled, rank.share, rank.categories);
    let ranks: Vec<_> = all.iter().map(rank).collect();
    (!ranks.is_empty()).then(|| ranks::draw(&ranks::Ranks { heading, ranks }))
}

fn of_tails(data: Data) -> Option<Picture> {
    let svg = long_tails(&data.statistics.tails, data.heading("Records of the categories of each rank"))?;
    let caption = "Every category of a rank from the most populous to the least; in brackets how many there are. A straight line is a power \
        law.";
    Some(picture("dataset_tails", caption, true, svg))
}

fn pareto_of_ranks(data: Data) -> Option<Picture> {
    let svg = shares(&data.statistics.tails, data.heading("Records held by the most populous categories of each rank"))?;
    Some(picture("dataset_pareto", SHARES, true, svg))
}

/// How long the tails are; `None` of nothing.
pub(super) fn long_tails<'a>(all: impl IntoIterator<Item = &'a Tail>, heading: Heading) -> Option<String> {
    let tails = counts(all);
    (!tails.is_empty()).then(|| tails::draw(&tails::Tails { heading, tails }))
}

/// How few categories hold how many of the records; `None` of nothing.
pub(super) fn shares<'a>(all: impl IntoIterator<Item = &'a Tail>, heading: Heading) -> Option<String> {
    let (tails, unit, groups) = (counts(all), "records".into(), "categories".into());
    (!tails.is_empty()).then(|| pareto::draw(&pareto::Pareto { heading, unit, groups, tails }))
}

fn counts<'a>(all: impl IntoIterator<Item = &'a Tail>) -> Vec<tails::Tail> {
    let there = all.into_iter().filter(|tail| !tail.categories.is_empty());
    let counts = |tail: &Tail| tail.categories.iter().map(|category| category.records).collect();
    let name = |tail: &Tail| if tail.rank == SITE { "site".to_owned() } else { tail.rank.clone() };
    there.map(|tail| tails::Tail { name: name(tail), counts: counts(tail) }).collect()
}

fn pareto_of_classes(data: Data) -> Option<Picture> {
    let counts = |experiment: &Experiment| {
        let total = |class: &ClassCount| class.train + class.validation + class.test;
        let mut counts: Vec<u64> = experiment.classes.iter().map(total).filter(|count| *count > 0).collect();
        counts.sort_unstable_by_key(|count| std::cmp::Reverse(*count));
        tails::Tail { name: experiment.experiment.clone(), counts }
    };
    let heading = data.heading("Images held by the most populous classes of each dataset");
    let tails: Vec<tails::Tail> = data.experiments().map(counts).collect();
    let caption = "Of all three splits. A mark where four fifths of the images are reached.";
    let draw = |tails| pareto::draw(&pareto::Pareto { heading, unit: "images".into(), groups: "classes".into(), tails });
    (!tails.is_empty()).then(|| picture("dataset_pareto_classes", caption, true, draw(tails)))
}

fn of_classes(data: Data, experiment: &Experiment) -> Picture {
    let classes = experiment.classes.iter().map(|class| (class.class.clone(), vec![class.train, class.validation, class.test]));
    let figure = distribution::Distribution {
        heading: data.heading(&format!("Images of each class, {}", experiment.experiment)),
        unit: "images".into(),
        series: ["train", "validation", "test"].map(String::from).into(),
        classes: classes.collect(),
    };
    let name = format!("distribution_{}", experiment.experiment);
    picture(name, "Of each split, the most populous class first; at the right all three.", true, distribution::draw(&figure))
}

/// The same as the original draws it.
fn in_shades(data: Data, experiment: &Experiment) -> Picture {
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
        heading: data.heading(&format!("Images of each class and split, {}", experiment.experiment)),
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
pub(super) fn of_categories(data: Data, tail: &Tail) -> Picture {
    let all = tail.categories.len();
    let title = match all {
        few if few <= NAMED => format!("Records of each {}", tail.rank),
        many => format!("Records of each {}, the {NAMED} most populous of {}", tail.rank, thousands(many as u64)),
    };
    let named = tail.categories.iter().take(NAMED).map(|category| (category.name.clone(), vec![category.records]));
    let figure = distribution::Distribution {
        heading: data.heading(&title),
        unit: "records".into(),
        series: vec!["records".into()],
        classes: named.collect(),
    };
    let others: u64 = tail.categories.iter().skip(NAMED).map(|category| category.records).sum();
    let caption = match all.saturating_sub(NAMED) {
        0 => "Of all records of the metadata.".to_owned(),
        more => format!("The {} others together have {} records.", thousands(more as u64), thousands(others)),
    };
    picture(format!("categories_{}", tail.rank), caption, false, distribution::draw(&figure))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_has_four_letters_at_most() {
        assert_eq!([0, 999, 1000, 9949, 9950, 896_324].map(short), ["0", "999", "1.0k", "9.9k", "10k", "896k"]);
    }
}
