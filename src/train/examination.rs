//! A model and a split → every metric, exact over ranks, and each image's prediction.

use serde::{Deserialize, Serialize};
use tch::{Device, Kind};

use crate::comm::World;
use crate::config::RunConfig;
use crate::error::{Error, Result};
use crate::evaluate::{Accumulator, DEFAULT_KS};
use crate::model::Model;
use crate::telemetry::Progress;
use crate::train::epoch::tensors;
use crate::train::loader::{Order, Source, Views};
use crate::train::losses::per_sample;
use crate::train::order::Share;

/// Images a rank examines at a time.
const BATCH: usize = 32;
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
    /// The likeliest classes and their probabilities, falling.
    pub likeliest: Vec<(usize, f32)>,
}

/// Examines `source`, each image exactly once whatever the number of ranks; `None` on all ranks but 0.
pub fn examine(
    model: &Model,
    config: &RunConfig,
    source: &Source,
    classes: usize,
    world: &World,
    device: Device,
    pool: &rayon::ThreadPool,
) -> Result<Option<Examination>> {
    let share = Share { rank: world.rank(), world: world.size() };
    let mine = share.of(&(0..source.samples.len()).collect::<Vec<_>>());
    let plan: Vec<Order> = mine.chunks(BATCH).map(|part| Order { indices: part.to_vec(), global: part.len() }).collect();
    let progress = Progress::start(mine.len() as u64, "images");
    let (mut seen, mut predictions) = (Accumulator::new(classes, &DEFAULT_KS), Vec::new());
    std::thread::scope(|scope| {
        for batch in source.stream(scope, pool, plan, Views::Centre) {
            let batch = batch?;
            let (images, labels) = tensors(&batch, device);
            tch::no_grad(|| {
                let logits = model.forward(&images, false)?;
                let losses = per_sample(config.id.loss, config.recipe.focal_gamma, &logits, &labels);
                seen.add_loss(losses.sum(Kind::Double).double_value(&[]));
                let probabilities = logits.softmax(-1, Kind::Float).to_device(Device::Cpu).contiguous().view([-1]);
                let probabilities: Vec<f32> = Vec::try_from(probabilities).map_err(|error| Error::library("libtorch", error))?;
                for ((&label, &index), scores) in batch.labels.iter().zip(&batch.indices).zip(probabilities.chunks_exact(classes))
                {
                    seen.add(label as usize, scores);
                    predictions.push(Prediction { index, likeliest: likeliest(scores) });
                }
                Ok::<(), Error>(())
            })?;
            progress.advance(batch.labels.len() as u64);
        }
        Ok::<(), Error>(())
    })?;
    gather(world, seen, predictions)
}

/// The most probable classes, ties to the lower index.
fn likeliest(scores: &[f32]) -> Vec<(usize, f32)> {
    let mut classes: Vec<usize> = (0..scores.len()).collect();
    classes.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(a.cmp(&b)));
    classes.into_iter().take(NAMED).map(|class| (class, scores[class])).collect()
}

fn gather(world: &World, seen: Accumulator, predictions: Vec<Prediction>) -> Result<Option<Examination>> {
    let json = |error| Error::library("serde_json", error);
    let mine = serde_json::to_vec(&(&seen, &predictions)).map_err(json)?;
    let Some(parts) = world.gather(&mine)? else { return Ok(None) };
    let mut all: Option<Examination> = None;
    for part in parts {
        let (seen, predictions): (Accumulator, Vec<Prediction>) = serde_json::from_slice(&part).map_err(json)?;
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
    for Prediction { index, likeliest } in predictions {
        let sample = &source.samples[*index];
        let truth = classes[sample.label as usize].clone();
        let image = [sample.chunk.to_string(), sample.file.to_string(), truth].into_iter();
        let said = likeliest.iter().flat_map(|&(class, p)| [classes[class].clone(), format!("{p:.6}")]);
        writer.write_record(image.chain(said)).map_err(failed)?;
    }
    writer.into_inner().map_err(|error| Error::library("csv", error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_likeliest_classes_fall_and_ties_go_to_the_lower_class() {
        let classes: Vec<usize> = likeliest(&[0.1, 0.3, 0.3, 0.05, 0.05, 0.1, 0.1]).into_iter().map(|(class, _)| class).collect();
        assert_eq!(classes, [1, 2, 0, 5, 6]);
    }
}
