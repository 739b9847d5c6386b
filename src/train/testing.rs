//! Any weights on any split of a job → every metric: a run's own, a file's, several after each other, or several together.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use crate::comm::World;
use crate::config::{Experiment, Job, RunConfig};
use crate::dataset::Role;
use crate::error::{Error, Result};
use crate::evaluate::Evaluation;
use crate::model::{Classify, Ensemble, Model};
use crate::store::atomic;
use crate::train::data::Data;
use crate::train::examination::{Examination, Examiner, to_csv};
use crate::train::run::Options;
use crate::train::trained::Trained;

/// What is measured.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Says which images, classes, backbone and loss.
    pub experiment: Experiment,
    /// A file of weights, or a folder with one; `None` takes the best of the experiment's own run.
    pub weights: Option<PathBuf>,
}

impl Subject {
    /// What its figures are called: the run, or the file.
    #[must_use]
    pub fn name(&self) -> String {
        let stem = |path: &PathBuf| Some(path.file_stem()?.to_string_lossy().into_owned());
        self.weights.as_ref().and_then(stem).unwrap_or_else(|| self.experiment.id.to_string())
    }

    fn path(&self, job: &Job) -> PathBuf {
        self.weights.clone().unwrap_or_else(|| job.paths.runs().join(self.experiment.id.to_string()))
    }
}

/// The figures of one subject, or of all of them together.
#[derive(Clone, Debug, Serialize)]
pub struct Tested {
    /// The run or the file; `ensemble` for several together.
    pub name: String,
    /// The weights behind the figures.
    pub weights: Vec<PathBuf>,
    /// Which images.
    pub split: &'static str,
    /// Every metric.
    pub evaluation: Evaluation,
}

/// Measures `subjects` on `split` and writes each one's figures and predictions below `out`, if given; the figures on rank 0. With
/// `ensemble` they answer together: the mean of their softmax probabilities.
///
/// # Errors
/// Wrong usage where subjects cannot be told apart or cannot answer together; input errors of the weights, which must have an output for
/// each class of their experiment.
pub fn test(
    job: &Job,
    subjects: &[Subject],
    split: Role,
    ensemble: bool,
    out: Option<&Path>,
    world: &World,
    options: &Options,
) -> Result<Vec<Tested>> {
    check(subjects, ensemble)?;
    let mut bench = Bench { job, split, out, world, options, data: None };
    if ensemble {
        let Some(first) = subjects.first() else { return Ok(vec![]) };
        let models = subjects.iter().map(|subject| bench.model(subject)).collect::<Result<Vec<_>>>()?;
        let weights = subjects.iter().map(|subject| subject.path(job)).collect();
        return bench.measure("ensemble".to_owned(), weights, &first.experiment, &Ensemble(models)).map(Vec::from_iter);
    }
    let mut tested = Vec::new();
    for subject in subjects {
        let model = bench.model(subject)?;
        tested.extend(bench.measure(subject.name(), vec![subject.path(job)], &subject.experiment, &model)?);
    }
    Ok(tested)
}

fn check(subjects: &[Subject], ensemble: bool) -> Result<()> {
    let mut names = BTreeSet::new();
    if let Some(name) = subjects.iter().map(Subject::name).find(|name| !names.insert(name.clone())) {
        return Err(Error::usage(format!("two of the weights are called {name}")).with_help("measure them in two calls"));
    }
    let partitions = || subjects.iter().map(|subject| &subject.experiment.partition);
    match partitions().zip(partitions().skip(1)).find(|(one, other)| one != other) {
        Some((one, other)) if ensemble => {
            Err(Error::usage(format!("{} and {} have different classes: they cannot answer together", one.name, other.name))
                .with_help("an ensemble is of one partition, over seeds, losses or backbones"))
        }
        _ => Ok(()),
    }
}

/// What all measurements of a call share; subjects of one partition share its data.
struct Bench<'a> {
    job: &'a Job,
    split: Role,
    out: Option<&'a Path>,
    world: &'a World,
    options: &'a Options,
    data: Option<(String, Arc<Data>)>,
}

impl Bench<'_> {
    fn data(&mut self, experiment: &Experiment) -> Result<Arc<Data>> {
        let name = &experiment.partition.name;
        if let Some((_, data)) = self.data.as_ref().filter(|(loaded, _)| loaded == name) {
            return Ok(Arc::clone(data));
        }
        let data = Arc::new(self.world.agree(Data::load(self.job, experiment, self.options))?);
        self.data = Some((name.clone(), Arc::clone(&data)));
        Ok(data)
    }

    fn model(&mut self, subject: &Subject) -> Result<Model> {
        let data = self.data(&subject.experiment)?;
        let recipe = self.job.recipe_for(&subject.experiment);
        let loaded = || {
            let (backbone, side) = (&subject.experiment.id.backbone, recipe.crop.size as usize);
            let model = Model::new(backbone, data.classes.len(), side, self.options.device)?;
            model.load_trained(&Trained::open(&subject.path(self.job))?.weights)?;
            Ok(model)
        };
        self.world.agree(loaded())
    }

    fn measure(
        &mut self,
        name: String,
        weights: Vec<PathBuf>,
        experiment: &Experiment,
        model: &dyn Classify,
    ) -> Result<Option<Tested>> {
        let data = self.data(experiment)?;
        let config = RunConfig::new(self.job, experiment, data.fingerprints.clone(), String::new());
        let pool = self.options.pool()?;
        let (classes, device) = (data.classes.len(), self.options.device);
        let examiner =
            Examiner { model, config: &config, classes, world: self.world, device, pool: &pool, stop: &self.options.stop };
        // Thresholds are the validation split's, so that no other split decides anything about itself.
        let thresholds = examiner.thresholds(&data.validation)?;
        let source = match self.split {
            Role::Train => &data.train,
            Role::Validation => &data.validation,
            Role::Test | Role::NoSplit => &data.test,
        };
        let examined = examiner.examine(source, &thresholds)?;
        let tested = examined.map(|examined: Examination| {
            let evaluation = examined.evaluation(&data.classes, source.expected);
            let tested = Tested { name, weights, split: self.split.as_str(), evaluation };
            self.publish(&tested, || to_csv(source, &data.classes, &examined.predictions))?;
            Ok(tested)
        });
        self.world.on_root(|| tested.transpose()).map(Option::flatten)
    }

    /// Writes the predictions and then the figures.
    fn publish(&self, tested: &Tested, predictions: impl FnOnce() -> Result<Vec<u8>>) -> Result<()> {
        let Some(out) = self.out else { return Ok(()) };
        let file = |ending: &str| out.join(&tested.name).join(format!("{}{ending}", tested.split));
        atomic::write(&file("-predictions.csv"), &predictions()?)?;
        let mut text = serde_json::to_vec_pretty(tested).map_err(|error| Error::library("serde_json", error))?;
        text.push(b'\n');
        atomic::write(&file(".json"), &text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Partition;

    fn subject(partition: &str, seed: u64, weights: Option<&str>) -> Subject {
        let id = format!("{partition}-resnet18-CE-s{seed}").parse().unwrap();
        let partition = Partition { name: partition.into(), label: "order".into(), split: partition.into() };
        Subject { experiment: Experiment { index: 0, id, partition }, weights: weights.map(PathBuf::from) }
    }

    #[test]
    fn weights_are_called_after_their_run_or_their_file_and_no_two_alike() {
        assert_eq!(subject("a", 1, None).name(), "a-resnet18-CE-s1");
        assert_eq!(subject("a", 1, Some("from/elsewhere.tar")).name(), "elsewhere");
        assert!(check(&[subject("a", 1, None), subject("a", 2, None)], false).is_ok());
        let files = ["x/w.tar", "v.tar", "y/w.tar"].map(|file| subject("a", 1, Some(file)));
        assert_eq!(check(&files, false).unwrap_err().to_string(), "two of the weights are called w");
    }

    #[test]
    fn only_networks_of_the_same_classes_answer_together() {
        let two = [subject("a", 1, None), subject("b", 1, None)];
        assert!(check(&two, false).is_ok());
        assert!(check(&two, true).unwrap_err().to_string().contains("different classes"));
    }
}
