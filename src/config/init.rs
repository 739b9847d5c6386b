//! What the weights of a run are before its first step: timm's, or random ones where the job asks for them by name.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::config::{Experiment, Job};
use crate::error::{Error, Result};

/// Where the first weights come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Init {
    /// From `{backbone}.safetensors` in `paths.weights`, as the paper does it.
    #[default]
    Pretrained,
    /// Drawn by the run's seed: training from scratch.
    Random,
}

impl Init {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Job {
    /// The pretrained weights that a run of `backbone` begins with under `init`; `None` where it begins with random ones.
    ///
    /// # Errors
    /// Wrong usage where the job says neither, because nobody should train from scratch unawares; a file that is not there.
    pub fn pretrained(&self, backbone: &str, init: Init) -> Result<Option<PathBuf>> {
        if init == Init::Random {
            return Ok(None);
        }
        let Some(folder) = &self.paths.weights else {
            return Err(Error::usage(format!("the job does not say which weights {backbone} begins with")).with_help(
                "set `paths.weights` to the folder with timm's {backbone}.safetensors (`bioscan-hpc weights import` puts it there), or, \
                 to train from scratch, `init = \"random\"` under [train] (for one backbone under [train.for.NAME])",
            ));
        };
        let path = folder.join(format!("{backbone}.safetensors"));
        if path.is_file() {
            return Ok(Some(path));
        }
        Err(Error::input(&path, "the pretrained weights are not there").with_help(format!(
            "`bioscan-hpc weights import FILE --out {}` puts there what timm, torchvision or `torch.save` wrote; to train from scratch, \
             say `init = \"random\"` under [train]",
            folder.display()
        )))
    }

    /// Whether every experiment has its first weights, before the first of them waits in a queue.
    ///
    /// # Errors
    /// As [`Job::pretrained`], for the first that has none.
    pub fn check_weights(&self) -> Result<()> {
        let of = |run: &Experiment| self.pretrained(&run.id.backbone, self.recipe_for(run).init);
        self.grid.experiments().iter().try_for_each(|experiment| of(experiment).map(drop))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::from_text;

    fn job(head: &str, train: &str) -> Job {
        let text = format!(
            "name = \"mini\"\npaths = {{ dataset = \"data\"{head} }}\n{train}\n[grid]\nsizes = [\"small\"]\ntasks = [\"insect_order\"]\n\
             backbones = [\"resnet18\", \"vit_tiny_patch16_224\"]\nlosses = [\"CE\"]\nseeds = [1]\n"
        );
        from_text(&text, "job.toml").unwrap()
    }

    #[test]
    fn training_from_scratch_must_be_asked_for_by_name() {
        let silent = job("", "").check_weights().unwrap_err();
        assert_eq!(silent.to_string(), "the job does not say which weights resnet18 begins with");
        assert!(silent.help().unwrap().contains("init = \"random\""));
        job("", "[train]\ninit = \"random\"").check_weights().unwrap();
        let half = job("", "[train.for.resnet18]\ninit = \"random\"").check_weights().unwrap_err();
        assert!(half.to_string().contains("vit_tiny_patch16_224"), "{half}");
    }

    #[test]
    fn pretrained_weights_are_a_file_a_backbone_and_must_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let job = job(&format!(", weights = {:?}", folder.path().display().to_string()), "");
        assert!(job.check_weights().unwrap_err().help().unwrap().contains("weights import"));
        for name in ["resnet18", "vit_tiny_patch16_224"] {
            std::fs::write(folder.path().join(format!("{name}.safetensors")), b"x").unwrap();
        }
        job.check_weights().unwrap();
        let found = job.pretrained("vit_tiny_patch16_224", Init::Pretrained).unwrap();
        assert_eq!(found, Some(folder.path().join("vit_tiny_patch16_224.safetensors")));
    }
}
