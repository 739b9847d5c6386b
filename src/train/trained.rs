//! What people call a trained network, a run's folder or a file of weights → its tensors, its classes, and what it was shown.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::config::{Crop, RunConfig, from_file};
use crate::error::{Error, IoContext, Result};
use crate::model::{Form, Recognised, WeightFile, recognise};
use crate::store::hash;
use crate::train::checkpoint::Checkpoint;
use crate::train::directory::RunDirectory;

/// The orders of the published checkpoint `large_insect_order_vit_base_patch16_224_CE_s2_weights_best_acc.tar`, in the order of its
/// outputs: the one label map that the original program spells out.
pub const PUBLISHED_ORDERS: [&str; 16] = [
    "Diptera",
    "Hymenoptera",
    "Coleoptera",
    "Hemiptera",
    "Lepidoptera",
    "Psocodea",
    "Thysanoptera",
    "Trichoptera",
    "Orthoptera",
    "Blattodea",
    "Neuroptera",
    "Ephemeroptera",
    "Dermaptera",
    "Archaeognatha",
    "Plecoptera",
    "Embioptera",
];

/// What the published checkpoints of that experiment are called, and what `--classes` takes for its label map.
pub const LARGE_INSECT_ORDER: &str = "large_insect_order";

/// What an exported folder holds, under Hugging Face's names.
pub(super) const HUGGING_FACE: (&str, &str) = ("model.safetensors", "config.json");

/// A trained network, not yet built.
pub struct Trained {
    /// Its weights.
    pub weights: WeightFile,
    /// How it was trained, where a run's folder says so.
    pub config: Option<RunConfig>,
    /// The names of its classes in the order of its outputs, where something beside it says so.
    pub classes: Option<Vec<String>>,
    /// What it was shown, likewise.
    pub shown: Option<Crop>,
}

impl Trained {
    /// Opens a run's folder (its best weights), a folder with `model.safetensors` and `config.json`, or a file of any form.
    ///
    /// # Errors
    /// An input error for a folder without weights, damaged ones, or a file in no known form.
    pub fn open(path: &Path) -> Result<Self> {
        if !path.is_dir() {
            return Self::of_file(path);
        }
        let run = RunDirectory::at(path);
        if run.best_weights().is_file() {
            best_weights_are_intact(&run)?;
            return Self::of_file(&run.best_weights());
        }
        let exported = path.join(HUGGING_FACE.0);
        if exported.is_file() {
            return Self::of_file(&exported);
        }
        Err(Error::input(path, "the folder holds no weights").with_help(
            "name a run's folder with its best.safetensors, an exported one with model.safetensors, or a file of weights",
        ))
    }

    fn of_file(path: &Path) -> Result<Self> {
        let weights = read_weights(path)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let folder = path.parent().unwrap_or(Path::new(""));
        let mut trained = Self { weights, config: None, classes: None, shown: None };
        // Only our own names vouch for what lies beside them.
        if name == "best.safetensors" || (name.starts_with("checkpoint-") && name.ends_with(".ckpt")) {
            let run = RunDirectory::at(folder);
            let config = run.file("config.toml");
            trained.config = config.is_file().then(|| from_file(&config)).transpose()?;
            trained.shown = trained.config.as_ref().map(|config| config.recipe.crop.clone());
            let labels = |record: crate::evaluate::RunRecord| record.evaluation.per_class.into_iter().map(|class| class.label);
            trained.classes = run.record()?.map(|record| labels(record).collect());
        } else if name == HUGGING_FACE.0 {
            let card = Card::read(&folder.join(HUGGING_FACE.1))?;
            trained.shown = card.crop();
            trained.classes = card.label_names;
        } else if name.starts_with(LARGE_INSECT_ORDER) {
            trained.classes = Some(PUBLISHED_ORDERS.map(String::from).to_vec());
        }
        Ok(trained)
    }

    /// Which backbone it is; `backbone` says which it must be.
    ///
    /// # Errors
    /// As [`recognise`], naming the file.
    pub fn recognise(&self, backbone: Option<&str>) -> Result<Recognised> {
        let of_the_run = self.config.as_ref().map(|config| config.id.backbone.as_str());
        recognise(&self.weights.tensors, backbone.or(of_the_run)).map_err(|error| {
            let help = error.help().unwrap_or_else(|| "`bioscan-hpc weights inspect FILE` says what a file holds".into());
            Error::input(&self.weights.path, error.to_string()).with_help(help)
        })
    }

    /// What a network for images of `image_size` pixels is shown: what its run or its card says, or the middle of a resize as much larger
    /// as the paper's, 256 for 224.
    #[must_use]
    pub fn crop(&self, image_size: usize) -> Crop {
        let size = image_size as u32;
        self.shown.clone().unwrap_or(Crop { resize: (size * 8).div_ceil(7), size, augment: true })
    }
}

/// The weights in a file of any form, a checkpoint of this program included.
///
/// # Errors
/// As [`WeightFile::read`], and for a damaged checkpoint.
pub fn read_weights(path: &Path) -> Result<WeightFile> {
    let mut start = Vec::new();
    File::open(path).and_then(|file| file.take(16).read_to_end(&mut start)).at("read", path)?;
    if Checkpoint::begins_with(&start) {
        return Ok(WeightFile::of(path, Form::Checkpoint, Checkpoint::load(path)?.under("model/")));
    }
    WeightFile::read(path)
}

/// Refuses a run whose best weights are not what was sealed.
pub(super) fn best_weights_are_intact(run: &RunDirectory) -> Result<()> {
    let path: PathBuf = run.best_weights();
    match hash::read_sealed(&path)? {
        Some(_) => Ok(()),
        None => Err(Error::input(&path, "the best weights are missing or damaged")
            .with_help("remove the run's folder and train it again")),
    }
}

/// What is read of a `config.json`; others' may lack any of it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Card {
    label_names: Option<Vec<String>>,
    pretrained_cfg: Shown,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Shown {
    input_size: Option<[u32; 3]>,
    crop_pct: Option<f64>,
}

impl Card {
    fn read(path: &Path) -> Result<Self> {
        if !path.is_file() {
            return Ok(Self::default());
        }
        let bytes = std::fs::read(path).at("read", path)?;
        serde_json::from_slice(&bytes).map_err(|error| Error::input(path, error.to_string()))
    }

    /// timm's `crop_pct` is the crop's share of the resize.
    fn crop(&self) -> Option<Crop> {
        let ([_, _, size], share) = (self.pretrained_cfg.input_size?, self.pretrained_cfg.crop_pct?);
        let resize = (f64::from(size) / share).round();
        (size > 0 && resize >= f64::from(size) && resize < 65_536.0).then_some(Crop {
            resize: resize as u32,
            size,
            augment: true,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_run_the_resize_is_in_the_papers_proportion() {
        let weights = WeightFile::of(Path::new("x"), Form::Safetensors, vec![]);
        let trained = Trained { weights, config: None, classes: None, shown: None };
        assert_eq!((trained.crop(224).resize, trained.crop(64).resize), (256, 74));
    }

    #[test]
    fn a_card_says_what_the_network_was_shown_unless_it_makes_no_sense() {
        let crop = |input_size, crop_pct| {
            let pretrained_cfg = Shown { input_size: Some(input_size), crop_pct: Some(crop_pct) };
            Card { pretrained_cfg, ..Card::default() }.crop().map(|crop| (crop.resize, crop.size))
        };
        assert_eq!(crop([3, 224, 224], 0.875), Some((256, 224)));
        assert_eq!(crop([3, 32, 32], 32.0 / 36.0), Some((36, 32)));
        assert_eq!((crop([3, 224, 224], 0.0), crop([3, 224, 224], 1.5), crop([3, 0, 0], 1.0)), (None, None, None));
    }

    #[test]
    fn a_folder_without_weights_is_answered_with_what_would_do() {
        let folder = tempfile::tempdir().unwrap();
        let error = Trained::open(folder.path()).err().unwrap();
        assert!(error.help().unwrap().contains("best.safetensors"));
    }
}
