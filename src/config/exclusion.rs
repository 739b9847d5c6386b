//! A line of `exclude` → the cells of the grid that are left out.

use serde::{Deserialize, Serialize};

use crate::config::{ExperimentId, Loss};

/// The cells that have all of these values; what is absent may have any. `{ backbone = "resnet50", size = "large" }`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Exclusion {
    /// The size a partition's name begins with.
    pub size: Option<String>,
    /// The task it ends with.
    pub task: Option<String>,
    /// The whole name of a partition.
    pub partition: Option<String>,
    /// A timm name.
    pub backbone: Option<String>,
    /// A loss.
    pub loss: Option<Loss>,
    /// A seed.
    pub seed: Option<u64>,
}

impl Exclusion {
    /// Whether the cell called `id` is left out.
    #[must_use]
    pub fn covers(&self, id: &ExperimentId) -> bool {
        let (size, task) = id.partition.split_once('_').unwrap_or((&id.partition, ""));
        let may_be = |wanted: &Option<String>, value: &str| wanted.as_deref().is_none_or(|wanted| wanted == value);
        *self != Self::default()
            && may_be(&self.size, size)
            && may_be(&self.task, task)
            && may_be(&self.partition, &id.partition)
            && may_be(&self.backbone, &id.backbone)
            && self.loss.is_none_or(|loss| loss == id.loss)
            && self.seed.is_none_or(|seed| seed == id.seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exclusion_covers_the_cells_that_have_all_its_values() {
        let id = |text: &str| text.parse::<ExperimentId>().unwrap();
        let large_resnets = Exclusion { size: Some("large".into()), backbone: Some("resnet50".into()), ..Exclusion::default() };
        assert!(large_resnets.covers(&id("large_insect_order-resnet50-CE-s1")));
        assert!(!large_resnets.covers(&id("large_insect_order-vit_base_patch16_224-CE-s1")));
        assert!(!large_resnets.covers(&id("small_insect_order-resnet50-CE-s1")));
        assert!(!Exclusion::default().covers(&id("small_insect_order-resnet50-CE-s1")));
        assert!(Exclusion { seed: Some(1), ..Exclusion::default() }.covers(&id("a-resnet50-CE-s1")));
    }
}
