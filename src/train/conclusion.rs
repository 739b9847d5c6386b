//! A run whose epochs are done → its best weights tested, and the record that makes it finished.

use std::collections::BTreeMap;

use tch::Device;

use crate::config::BatchNorm;
use crate::error::{Error, Result};
use crate::evaluate::{RunRecord, majority_baseline};
use crate::model::{Model, WeightFile};
use crate::store::{atomic, hash};
use crate::telemetry::Provenance;
use crate::train::checkpoint::Position;
use crate::train::directory::RunDirectory;
use crate::train::examination::{Examination, to_csv};
use crate::train::run::Run;
use crate::train::trained::best_weights_are_intact;

impl Run<'_> {
    /// Tests the best weights and publishes the result; the record on rank 0.
    pub(super) fn finish(&self, model: &Model, position: &Position) -> Result<Option<Box<RunRecord>>> {
        let tested = self.examine_best(model, position)?;
        let notes = notes(model.has_batch_norm(), self.config.recipe.batch_norm, self.world.size());
        let record = tested.map(|tested| self.publish(&tested, position, notes)).transpose();
        self.world.on_root(|| record)?.map_or(Ok(None), |record| Ok(record.map(Box::new)))
    }

    fn publish(&self, tested: &Examination, position: &Position, mut notes: BTreeMap<String, String>) -> Result<RunRecord> {
        let data = self.data;
        let classes = data.classes.len();
        if !position.skipped.is_empty() {
            notes.insert("skipped".into(), format!("{} steps whose loss was no number (skipped.csv)", position.skipped.len()));
        }
        let mut provenance = Provenance::here(self.world.size(), self.options.threads, name_of(self.options.device));
        provenance.libraries.insert("libtorch".into(), env!("BIOSCAN_TORCH_VERSION").into());
        provenance.notes.clone_from(&notes);
        let record = RunRecord {
            id: self.config.id.clone(),
            config: self.config.clone(),
            config_hash: self.config.hash()?,
            best_epoch: position.best.as_ref().map_or(0, |best| best.epoch),
            ranks: self.world.size(),
            evaluation: tested.evaluation(&data.classes, data.test.expected),
            majority: majority_baseline(&data.train.class_totals(classes), &data.test.class_totals(classes)),
            notes,
        };
        let json = |error| Error::library("serde_json", error);
        atomic::write(&self.directory.file("predictions.csv"), &to_csv(&data.test, &data.classes, &tested.predictions)?)?;
        atomic::write(&self.directory.file("provenance.json"), &serde_json::to_vec_pretty(&provenance).map_err(json)?)?;
        self.directory.finish(&record)?;
        Ok(record)
    }

    fn examine_best(&self, model: &Model, position: &Position) -> Result<Option<Examination>> {
        self.world.on_root(|| best_weights_are(&self.directory, position))?;
        let best = best_weights_are_intact(&self.directory).and_then(|()| WeightFile::read(&self.directory.best_weights()));
        self.world.agree(best.and_then(|best| model.load_trained(&best)))?;
        let pool = self.options.pool()?;
        let examiner = self.examiner(model, &pool);
        // Thresholds are the validation split's, so that the test split decides nothing about itself.
        let thresholds = examiner.thresholds(&self.data.validation)?;
        examiner.examine(&self.data.test, &thresholds)
    }
}

/// For a reader of the figures: how BatchNorm kept its statistics, where there is one. The one thing besides rounding that the number of
/// ranks can change.
fn notes(has_batch_norm: bool, batch_norm: BatchNorm, ranks: usize) -> BTreeMap<String, String> {
    let note = match batch_norm {
        BatchNorm::Local if ranks > 1 => format!("each of {ranks} ranks by the statistics of its share; rank 0's running ones"),
        BatchNorm::Sync | BatchNorm::Local => "statistics of the whole batch".to_owned(),
    };
    has_batch_norm.then(|| ("batch_norm".to_owned(), note)).into_iter().collect()
}

/// PyTorch's name of a device.
fn name_of(device: Device) -> String {
    match device {
        Device::Cuda(index) => format!("cuda:{index}"),
        other => format!("{other:?}").to_lowercase(),
    }
}

/// Refuses weights of another epoch than the one that counts as the best.
fn best_weights_are(directory: &RunDirectory, position: &Position) -> Result<()> {
    let (path, best) = (directory.best_weights(), position.best.as_ref().map_or("", |best| &best.weights));
    if hash::of_file(&path)? == best {
        return Ok(());
    }
    let help = "remove the run's folder and train it again".into();
    Err(Error::Damaged { path, message: "these are not the weights of the best epoch".into(), help })
}
