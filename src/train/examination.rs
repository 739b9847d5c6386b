//! A model and a split → every metric, exact over ranks, and each image's prediction.

use std::path::Path;

use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use crate::comm::World;
use crate::comm::signals::StopFlag;
use crate::comm::tensor_ext::Arithmetic;
use crate::config::RunConfig;
use crate::error::{Error, Result};
use crate::evaluate::{Accumulator, DEFAULT_KS, Evaluation, Threshold, likeliest, original, thresholds};
use crate::model::Classify;
use crate::store::codec::Format;
use crate::telemetry::Progress;
use crate::train::loader::{Order, Source, Views, memory};
use crate::train::losses::per_sample;
use crate::train::order::Share;

/// Images a rank examines at a time.
const BATCH: usize = 32;
/// What a rank tells rank 0.
const PART: Format = Format { magic: *b"BHPCEXAM", version: 1 };
/// Classes named in a prediction.
const NAMED: usize = 5;

/// What a model made of a split, all ranks together; on rank 0.
pub struct Examination {
    /// The counts behind every metric.
    pub seen: Accumulator,
    /// One an image, in the order of the metadata.
    pub predictions: Vec<Prediction>,
}

/// What the model says of one image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// Position in the split.
    pub index: usize,
    /// Its loss.
    pub loss: f32,
    /// The likeliest classes and their probabilities, falling.
    pub likeliest: Vec<(usize, f32)>,
}

/// A model and all that examining it on any split takes.
pub struct Examiner<'a> {
    /// What is examined.
    pub model: &'a dyn Classify,
    /// Of the run.
    pub config: &'a RunConfig,
    /// How many there are.
    pub classes: usize,
    /// Who shares the work.
    pub world: &'a World,
    /// Where the model is.
    pub device: Device,
    /// Decodes the images.
    pub pool: &'a rayon::ThreadPool,
    /// Raised by a signal.
    pub stop: &'a StopFlag,
}

/// What the model makes of one image.
struct Scored<'a> {
    index: usize,
    label: usize,
    loss: f32,
    /// `[C]`.
    probabilities: &'a [f32],
}

impl Examiner<'_> {
    /// Examines `source`, each image exactly once whatever the number of ranks, counting average-k under `thresholds`; `None` on all
    /// ranks but 0.
    ///
    /// # Errors
    /// Besides what the images and the ranks meet, [`Error::Stopped`] on all ranks where one is told to stop before the end.
    pub fn examine(&self, source: &Source, thresholds: &[Threshold]) -> Result<Option<Examination>> {
        let mut seen = Accumulator::new(self.classes, &DEFAULT_KS).with_thresholds(thresholds);
        let mut predictions = Vec::new();
        let loss = self.for_each(source, |scored| {
            seen.add(scored.label, scored.probabilities);
            let likeliest = likeliest(scored.probabilities, NAMED);
            predictions.push(Prediction { index: scored.index, loss: scored.loss, likeliest });
        })?;
        seen.add_loss(loss);
        gather(self.world, seen, predictions)
    }

    /// As [`examine`](Self::examine), under thresholds from the same split: validation is looked at once for both.
    pub fn examine_by_itself(&self, source: &Source) -> Result<Option<Examination>> {
        let (mut labels, mut probabilities, mut predictions) = (Vec::new(), Vec::new(), Vec::new());
        let loss = self.for_each(source, |scored| {
            labels.push(scored.label);
            probabilities.extend_from_slice(scored.probabilities);
            let likeliest = likeliest(scored.probabilities, NAMED);
            predictions.push(Prediction { index: scored.index, loss: scored.loss, likeliest });
        })?;
        let thresholds = if source.samples.is_empty() { vec![] } else { self.thresholds_of(&probabilities)? };
        let mut seen = Accumulator::new(self.classes, &DEFAULT_KS).with_thresholds(&thresholds);
        for (&label, probabilities) in labels.iter().zip(probabilities.chunks_exact(self.classes)) {
            seen.add(label, probabilities);
        }
        seen.add_loss(loss);
        gather(self.world, seen, predictions)
    }

    /// The thresholds of average-k from a validation split, the same on every rank; none where it is empty.
    pub fn thresholds(&self, validation: &Source) -> Result<Vec<Threshold>> {
        if validation.samples.is_empty() {
            return Ok(vec![]);
        }
        let mut mine = Vec::new();
        self.for_each(validation, |scored| mine.extend_from_slice(scored.probabilities))?;
        self.thresholds_of(&mine)
    }

    /// The thresholds from every rank's probabilities. Rank 0 holds those of the whole split for the moment, four bytes each.
    fn thresholds_of(&self, mine: &[f32]) -> Result<Vec<Threshold>> {
        let mine: Vec<u8> = mine.iter().flat_map(|p| p.to_le_bytes()).collect();
        let mut lambdas = [0.0; DEFAULT_KS.len()];
        if let Some(parts) = self.world.gather(&mine)? {
            let bytes = parts.iter().flat_map(|part| part.as_chunks().0);
            let mut all: Vec<f32> = bytes.map(|&bytes| f32::from_le_bytes(bytes)).collect();
            let found = thresholds(&mut all, self.classes, &DEFAULT_KS);
            lambdas.iter_mut().zip(found).for_each(|(lambda, found)| *lambda = found.lambda);
        }
        // Only rank 0 knows them; adding zeros tells the others.
        self.world.all_sum(&mut lambdas);
        Ok(DEFAULT_KS.into_iter().zip(lambdas).map(|(k, lambda)| Threshold { k, lambda }).collect())
    }

    /// Hands this rank's images to `take`; returns the sum of their losses. Collective: the ranks agree before each batch whether to go on.
    fn for_each(&self, source: &Source, mut take: impl FnMut(Scored<'_>)) -> Result<f64> {
        let share = Share { rank: self.world.rank(), world: self.world.size() };
        let mine = share.of(&(0..source.samples.len()).collect::<Vec<_>>());
        let plan: Vec<Order> = mine.chunks(BATCH).map(|part| Order { indices: part.to_vec(), global: part.len() }).collect();
        let progress = Progress::start(mine.len() as u64, "images");
        let mut sum = 0.0;
        // Figures are of full precision, whatever the steps between are.
        Arithmetic { tf32: false, deterministic: self.config.recipe.deterministic }.set();
        let most = source.samples.len().div_ceil(self.world.size()).div_ceil(BATCH);
        std::thread::scope(|scope| {
            let mut batches = source.stream(scope, self.pool, plan, Views::Centre, memory(&self.config.recipe, self.device));
            for _ in 0..most {
                if self.world.all_max(u64::from(self.stop.raised())) > 0 {
                    return Err(Error::Stopped);
                }
                let Some(batch) = batches.next().transpose()? else { continue };
                let (images, labels) = batch.tensors(self.device)?;
                tch::no_grad(|| {
                    let logits = self.model.scores(&images)?;
                    let losses = per_sample(self.config.id.loss, self.config.recipe.focal_gamma, &logits, &labels);
                    sum += losses.sum(Kind::Double).double_value(&[]);
                    let (losses, probabilities) = (floats(&losses)?, floats(&logits.softmax(-1, Kind::Float))?);
                    let rows = losses.into_iter().zip(probabilities.chunks_exact(self.classes));
                    for ((&label, &index), (loss, probabilities)) in batch.labels.iter().zip(&batch.indices).zip(rows) {
                        take(Scored { index, label: label as usize, loss, probabilities });
                    }
                    Ok::<(), Error>(())
                })?;
                progress.advance(batch.labels.len() as u64);
            }
            Ok::<(), Error>(())
        })?;
        Ok(sum)
    }
}

impl Examination {
    /// Every metric; `classes` by their index, `expected` images listed.
    #[must_use]
    pub fn evaluation(&self, classes: &[String], expected: usize) -> Evaluation {
        let mut evaluation = Evaluation::new(&self.seen, classes, expected as u64);
        if let Some(as_original) = &mut evaluation.as_original {
            // As the original program divides it, from the images in the order of the metadata.
            as_original.loss = original::loss(&self.predictions.iter().map(|prediction| prediction.loss).collect::<Vec<_>>());
        }
        evaluation
    }
}

/// A tensor's elements, row by row.
fn floats(tensor: &Tensor) -> Result<Vec<f32>> {
    let flat = tensor.to_kind(Kind::Float).to_device(Device::Cpu).contiguous().view([-1]);
    Vec::try_from(flat).map_err(|error| Error::library("libtorch", error))
}

fn gather(world: &World, seen: Accumulator, predictions: Vec<Prediction>) -> Result<Option<Examination>> {
    // Not as JSON, which has no NaN: weights that are lost make the loss of an image one.
    let mine = PART.encode(&(&seen, &predictions))?;
    let Some(parts) = world.gather(&mine)? else { return Ok(None) };
    let mut all: Option<Examination> = None;
    for part in parts {
        let (seen, predictions): (Accumulator, Vec<Prediction>) = PART.decode(&part, Path::new("an examination"))?;
        match &mut all {
            None => all = Some(Examination { seen, predictions }),
            Some(all) => {
                all.seen.merge(&seen);
                all.predictions.extend(predictions);
            }
        }
    }
    if let Some(all) = &mut all {
        all.predictions.sort_by_key(|prediction| prediction.index);
    }
    Ok(all)
}

/// `predictions.csv`: image, truth, and the likeliest classes with their probabilities.
pub fn to_csv(source: &Source, classes: &[String], predictions: &[Prediction]) -> Result<Vec<u8>> {
    let failed = |error| Error::library("csv", error);
    let mut writer = csv::WriterBuilder::new().flexible(false).from_writer(Vec::new());
    let named = NAMED.min(classes.len());
    let header = ["chunk", "image_file", "truth"].map(str::to_owned).into_iter();
    let columns = (1..=named).flat_map(|place| [format!("top{place}"), format!("p{place}")]);
    writer.write_record(header.chain(columns)).map_err(failed)?;
    for Prediction { index, likeliest, .. } in predictions {
        let sample = &source.samples[*index];
        let truth = classes[sample.label as usize].clone();
        let image = [sample.chunk.to_string(), sample.file.to_string(), truth].into_iter();
        let said = likeliest.iter().flat_map(|&(class, p)| [classes[class].clone(), format!("{p:.6}")]);
        writer.write_record(image.chain(said)).map_err(failed)?;
    }
    writer.into_inner().map_err(|error| Error::library("csv", error))
}
