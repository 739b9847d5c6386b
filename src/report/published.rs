//! The numbers in print, and when they may stand beside ours (contract 7).

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::config::{ExperimentId, Loss, Recipe, from_text};
use crate::error::Result;
use crate::evaluate::RunRecord;
use crate::report::Metric;

const EMBEDDED: &str = include_str!("../../results/published/bioscan-1m.toml");

/// `results/published/bioscan-1m.toml`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// Where the figures come from.
    pub source: String,
    /// Where the test sizes come from.
    pub sizes_source: String,
    /// The one backbone there are figures for.
    pub backbone: String,
    /// The one loss there are figures for.
    pub loss: Loss,
    /// What a reader of them should know; each begins with "published" and the partition it is about.
    pub notes: Vec<String>,
    /// Figures and test sizes, by partition.
    pub partitions: BTreeMap<String, Figures>,
}

/// The published figures of one partition, in per cent.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the keys are the metrics' own")]
pub struct Figures {
    pub top_1: f64,
    pub top_3: f64,
    pub top_5: f64,
    pub macro_top_1: f64,
    pub macro_top_3: f64,
    pub macro_top_5: f64,
    pub f1_micro: f64,
    pub f1_macro: f64,
    /// Test images of each class.
    pub test_sizes: BTreeMap<String, u64>,
}

impl Figures {
    /// The published value of a metric, if it was published.
    #[must_use]
    pub fn of(&self, metric: Metric) -> Option<f64> {
        Some(match metric {
            Metric::Top1 => self.top_1,
            Metric::Top3 => self.top_3,
            Metric::Top5 => self.top_5,
            Metric::MacroTop1 => self.macro_top_1,
            Metric::MacroTop3 => self.macro_top_3,
            Metric::MacroTop5 => self.macro_top_5,
            Metric::F1Micro => self.f1_micro,
            Metric::F1Macro => self.f1_macro,
            _ => return None,
        })
    }
}

impl Published {
    /// The numbers in the binary.
    pub fn load() -> Result<Self> {
        from_text(EMBEDDED, "results/published/bioscan-1m.toml")
    }

    /// The figures that may stand beside the average of `records`, all of one cell; `None` where there are none for it, or where the
    /// data, the images used, the recipe or the starting weights are not the paper's.
    #[must_use]
    pub fn beside(&self, records: &[&RunRecord]) -> Option<&Figures> {
        let id = &records.first()?.id;
        let figures = self.for_cell(id)?;
        records.iter().all(|record| comparable(record, figures)).then_some(figures)
    }

    /// The figures printed for this partition, backbone and loss, whatever our data are.
    fn for_cell(&self, id: &ExperimentId) -> Option<&Figures> {
        self.partitions.get(&id.partition).filter(|_| id.backbone == self.backbone && id.loss == self.loss)
    }
}

/// Contract 7 for one run.
fn comparable(record: &RunRecord, figures: &Figures) -> bool {
    let (config, evaluation) = (&record.config, &record.evaluation);
    let sizes: BTreeMap<String, u64> = evaluation.per_class.iter().map(|class| (class.label.clone(), class.support)).collect();
    !config.synthetic
        && !config.pretrained.is_empty()
        && config.recipe.of_the_result() == Recipe::default()
        && sizes == figures.test_sizes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::aggregate::fixtures_tests::record;

    /// A run that meets every condition.
    fn of_the_paper() -> RunRecord {
        let published = Published::load().unwrap();
        let mut record = record("small_insect_order-vit_base_patch16_224-CE-s1", 90.0);
        record.config.synthetic = false;
        record.config.pretrained = "00ff".into();
        record.evaluation.per_class = published.partitions["small_insect_order"]
            .test_sizes
            .iter()
            .map(|(label, support)| crate::evaluate::ClassScore {
                label: label.clone(),
                precision: 0.9,
                recall: 0.9,
                f1: 0.9,
                support: *support,
            })
            .collect();
        record
    }

    fn stands_beside(change: impl FnOnce(&mut RunRecord)) -> bool {
        let mut record = of_the_paper();
        change(&mut record);
        Published::load().unwrap().beside(&[&record]).is_some()
    }

    #[test]
    fn the_papers_data_and_recipe_get_the_published_value() {
        assert!(stands_beside(|_| {}));
        let published = Published::load().unwrap();
        assert_eq!(published.beside(&[&of_the_paper()]).unwrap().of(Metric::F1Macro), Some(85.84));
        assert_eq!(published.partitions.len(), 6);
        assert_eq!(published.partitions["large_insect_order"].test_sizes.values().sum::<u64>(), 225_660);
    }

    #[test]
    fn where_a_run_is_stored_and_how_many_threads_it_had_do_not_matter() {
        assert!(stands_beside(|record| record.config.recipe.threads = 8));
    }

    #[test]
    fn synthetic_data_do_not() {
        assert!(!stands_beside(|record| record.config.synthetic = true));
    }

    #[test]
    fn one_test_image_less_does_not() {
        assert!(!stands_beside(|record| record.evaluation.per_class[0].support -= 1));
    }

    #[test]
    fn another_class_does_not() {
        assert!(!stands_beside(|record| record.evaluation.per_class[0].label = "Zoraptera".into()));
    }

    #[test]
    fn another_recipe_does_not() {
        assert!(!stands_beside(|record| record.config.recipe.lr = 0.01));
    }

    #[test]
    fn random_starting_weights_do_not() {
        assert!(!stands_beside(|record| record.config.pretrained.clear()));
    }

    #[test]
    fn another_loss_or_backbone_does_not() {
        assert!(!stands_beside(|record| record.id.loss = Loss::Focal));
        assert!(!stands_beside(|record| record.id.backbone = "resnet50".into()));
    }

    #[test]
    fn one_run_of_the_cell_that_differs_is_enough_to_leave_it_out() {
        let (good, mut bad) = (of_the_paper(), of_the_paper());
        bad.config.synthetic = true;
        assert!(Published::load().unwrap().beside(&[&good, &bad]).is_none());
    }
}
