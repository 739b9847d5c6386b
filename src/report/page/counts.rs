//! Counts of the metadata → the tables behind the figures of the data, as CSV, each called like its figure.

use crate::dataset::statistics::{ClassCount, Experiment, Statistics};
use crate::error::Result;
use crate::store::rows::csv;

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

/// File name and content of every table: sizes, ranks, and the classes of each dataset.
pub fn tables(statistics: &Statistics) -> Result<Vec<(String, String)>> {
    let sizes = statistics.experiments.iter().map(|experiment| {
        let Size { classes, images: [train, validation, test], imbalance } = Size::of(experiment);
        vec![
            experiment.experiment.clone(),
            classes.to_string(),
            train.to_string(),
            validation.to_string(),
            test.to_string(),
            format!("{imbalance:.2}"),
        ]
    });
    let ranks = statistics.ranks.iter().map(|rank| {
        vec![rank.rank.clone(), rank.categories.to_string(), rank.labelled.to_string(), format!("{:.6}", rank.share)]
    });
    let mut all = vec![
        ("dataset_sizes".to_owned(), csv(&["dataset", "classes", "train", "validation", "test", "imbalance"], sizes)?),
        ("dataset_ranks".to_owned(), csv(&["rank", "categories", "labelled", "share"], ranks)?),
    ];
    for experiment in &statistics.experiments {
        let row = |class: &ClassCount| {
            let ClassCount { class, train, validation, test } = class;
            vec![class.clone(), train.to_string(), validation.to_string(), test.to_string()]
        };
        let table = csv(&["class", "train", "validation", "test"], experiment.classes.iter().map(row))?;
        all.push((format!("distribution_{}", experiment.experiment), table));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dataset_is_as_unbalanced_as_its_largest_class_over_its_smallest_with_images() {
        let class = |name: &str, train, validation, test| ClassCount { class: name.into(), train, validation, test };
        let classes = vec![class("Diptera", 7, 1, 2), class("Embioptera", 3, 1, 1), class("Zoraptera", 0, 0, 0)];
        let size = Size::of(&Experiment { experiment: "small".into(), classes });
        assert_eq!(size, Size { classes: 2, images: [10, 2, 3], imbalance: 2.0 });
    }
}
