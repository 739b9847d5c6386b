//! The whole of a prediction: rounds of batches over ranks and threads, written in order by rank 0.

use std::io::{ErrorKind, Write};
use std::path::Path;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use tch::Device;

use crate::comm::World;
use crate::error::{Error, IoContext, Result};
use crate::evaluate::{Accumulator, DEFAULT_KS, Evaluation, likeliest};
use crate::predict::scorer::{Scored, Scorer};
use crate::predict::{Answer, Classifier, Cropper, Inputs, Refusal, Truth, Writing};
use crate::store::{atomic, rows};
use crate::telemetry::Progress;

/// Images of a batch on a CPU: few, since every thread has a batch of its own.
const BATCH_CPU: usize = 8;
/// Images of a batch on a GPU.
const BATCH_GPU: usize = 64;
/// Batches of a thread between two looks at the other ranks: enough that uneven ones hardly wait for each other.
const BATCHES_A_THREAD: usize = 4;

/// What is asked.
pub struct Request<'a> {
    /// Who answers.
    pub classifier: &'a Classifier,
    /// What about.
    pub inputs: &'a Inputs,
    /// Cuts the specimen out first.
    pub cropper: Option<&'a Cropper<'a>>,
    /// What is right, where that is known.
    pub truth: Option<&'a Truth>,
    /// Classes named in a line.
    pub top: usize,
    /// Threads of this rank.
    pub threads: usize,
}

/// What came of it; on rank 0.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Images listed.
    pub images: usize,
    /// Images with a line of labels.
    pub labelled: usize,
    /// Images, or whole entries, without.
    pub quarantined: Vec<Refusal>,
    /// Every metric over the images whose truth is known and one of the classes; `None` where there are no such images.
    pub metrics: Option<Evaluation>,
}

/// Where lines go; rank 0's alone are used.
pub trait Sink {
    /// Takes the lines of some images, in order.
    fn take(&mut self, csv: &str, json: &str) -> std::io::Result<()>;
}

/// Labels every image, on all ranks together; lines go to `sink` on rank 0, which also gets the summary.
///
/// The bytes of the lines do not depend on the number of ranks or threads: batches are cut from the list of images alone, and on a CPU each
/// is computed by one thread.
///
/// # Errors
/// What the disk, libtorch or the sink refuses. A sink whose reader has gone away is none: the rest is left undone.
pub fn predict(request: &Request<'_>, world: &World, sink: &mut dyn Sink) -> Result<Option<Summary>> {
    let pool = pool(request.threads)?;
    let Request { classifier, inputs, cropper, truth, .. } = *request;
    let scorer = Scorer::new(classifier, cropper, inputs, request.threads)?;
    let round = Round::of(request, world);
    let writing =
        Writing { classes: &classifier.classes, top: request.top.min(classifier.classes.len()), with_truth: truth.is_some() };
    let mut told = Told::default();
    let mut seen = Accumulator::new(classifier.classes.len(), &DEFAULT_KS);
    let progress = Progress::start(inputs.len() as u64, "images");
    if world.is_root() {
        told.say(sink.take(&writing.header()?, ""))?;
    }
    for first in (0..inputs.len()).step_by(round.images(world.size())) {
        let batches = round.batches(first, world.rank(), inputs.len());
        let scored: Vec<Vec<Scored>> =
            pool.install(|| batches.par_iter().map(|&(first, end)| scorer.score(first, end)).collect::<Result<_>>())?;
        let mine = batches.iter().map(|&(first, _)| first).zip(scored);
        let part = Part::of(mine, request, &writing, &mut seen)?;
        let json = |error: serde_json::Error| Error::library("serde_json", error);
        for bytes in world.gather(&serde_json::to_vec(&part).map_err(json)?)?.into_iter().flatten() {
            let part: Part = serde_json::from_slice(&bytes).map_err(json)?;
            told.labelled += part.labelled;
            told.quarantined.extend(part.quarantined);
            told.say(sink.take(&part.csv, &part.json))?;
        }
        progress.advance(round.images(world.size()).min(inputs.len() - first) as u64);
        if world.all_max(u64::from(told.reader_is_gone)) > 0 {
            break;
        }
    }
    let all = world.all_gather(&seen)?;
    let mut quarantined = inputs.refused();
    quarantined.append(&mut told.quarantined);
    Ok(world.is_root().then(|| Summary {
        images: inputs.len(),
        labelled: told.labelled,
        quarantined,
        metrics: truth.and_then(|truth| {
            let mut merged = Accumulator::new(classifier.classes.len(), &DEFAULT_KS);
            all.iter().for_each(|part| merged.merge(part));
            Some(Evaluation::new(&merged, &classifier.classes, truth.len() as u64)).filter(|evaluation| evaluation.used > 0)
        }),
    }))
}

/// Writes `quarantine.csv`: image, reason, detail.
pub fn write_quarantine(path: &Path, entries: &[Refusal]) -> Result<()> {
    let table =
        rows::csv(&["image", "reason", "detail"], entries.iter().map(|entry| [&entry.image, &entry.reason, &entry.detail]))?;
    atomic::write(path, table.as_bytes())
}

/// Threads that compute one batch each: a sum's last bits depend on the threads that share it.
fn pool(threads: usize) -> Result<rayon::ThreadPool> {
    // libtorch's threads are counted for each of ours.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).start_handler(|_| tch::set_num_threads(1)).build();
    pool.map_err(|error| Error::library("rayon", error))
}

/// How the list is cut: into batches, and so many of them for each rank between two looks at the others.
#[derive(Clone, Copy, Debug)]
struct Round {
    batch: usize,
    batches: usize,
}

impl Round {
    fn of(request: &Request<'_>, world: &World) -> Self {
        let batch = if request.classifier.device == Device::Cpu { BATCH_CPU } else { BATCH_GPU };
        let wanted = world.all_max((request.threads * BATCHES_A_THREAD) as u64) as usize;
        // Where there are few images every rank has some.
        let fair = request.inputs.len().div_ceil(batch).div_ceil(world.size());
        Self { batch, batches: wanted.min(fair).max(1) }
    }

    /// Images of all ranks.
    fn images(&self, ranks: usize) -> usize {
        self.batch * self.batches * ranks
    }

    /// The batches of `rank` in the round that begins with image `first` of `total`: first image and end of each.
    fn batches(&self, first: usize, rank: usize, total: usize) -> Vec<(usize, usize)> {
        let mine = (0..self.batches).map(|batch| first + (rank * self.batches + batch) * self.batch);
        mine.filter(|&start| start < total).map(|start| (start, (start + self.batch).min(total))).collect()
    }
}

/// A rank's lines of a round.
#[derive(Default, Serialize, Deserialize)]
struct Part {
    csv: String,
    json: String,
    labelled: usize,
    quarantined: Vec<Refusal>,
}

impl Part {
    /// Writes the lines of `batches`, the first image of each with its outcomes, and counts those whose truth is known.
    fn of(
        batches: impl Iterator<Item = (usize, Vec<Scored>)>,
        request: &Request<'_>,
        writing: &Writing<'_>,
        seen: &mut Accumulator,
    ) -> Result<Self> {
        let mut part = Self::default();
        for (index, scored) in batches.flat_map(|(first, scored)| (first..).zip(scored)) {
            let probabilities = match scored {
                Ok(probabilities) => probabilities,
                Err(refusal) => {
                    part.quarantined.push(refusal);
                    continue;
                }
            };
            let image = request.inputs.name(index);
            let truth = request.truth.and_then(|truth| truth.of(&image, request.inputs.file(index)));
            if let Some(label) = truth.and_then(|truth| writing.classes.iter().position(|class| class == truth)) {
                seen.add(label, &probabilities);
                let p = probabilities.get(label).copied().unwrap_or_default();
                // As small as float32 can be, so that a class ruled out costs much and not everything.
                seen.add_loss(-f64::from(p.max(f32::MIN_POSITIVE)).ln());
            }
            let answer = Answer { image, truth: truth.map(str::to_owned), likeliest: likeliest(&probabilities, writing.top) };
            part.csv.push_str(&writing.csv(&answer)?);
            part.json.push_str(&writing.json(&answer));
            part.labelled += 1;
        }
        Ok(part)
    }
}

/// What rank 0 has been told so far.
#[derive(Default)]
struct Told {
    labelled: usize,
    quarantined: Vec<Refusal>,
    reader_is_gone: bool,
}

impl Told {
    /// `… | head` closes the pipe early and wants no more.
    fn say(&mut self, outcome: std::io::Result<()>) -> Result<()> {
        match outcome {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.reader_is_gone = true;
                Ok(())
            }
            outcome => outcome.at("write", "the labels"),
        }
    }
}

/// Both forms of the lines, into anything that can be written to.
pub struct Files<W> {
    /// Takes the CSV.
    pub csv: Option<W>,
    /// Takes the JSON lines.
    pub json: Option<W>,
}

impl<W: Write> Sink for Files<W> {
    fn take(&mut self, csv: &str, json: &str) -> std::io::Result<()> {
        let put = |out: &mut Option<W>, text: &str| out.as_mut().map_or(Ok(()), |out| out.write_all(text.as_bytes()));
        put(&mut self.csv, csv)?;
        put(&mut self.json, json)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_rounds_of_all_ranks_are_the_whole_list_in_order_and_batches_do_not_depend_on_the_ranks(
            total in 1usize..300, batch in 1usize..10, batches in 1usize..6, ranks in 1usize..6,
        ) {
            let round = Round { batch, batches };
            let starts = (0..total).step_by(round.images(ranks));
            let parts = starts.flat_map(|first| (0..ranks).flat_map(move |rank| round.batches(first, rank, total)));
            let whole: Vec<(usize, usize)> = (0..total).step_by(batch).map(|first| (first, (first + batch).min(total))).collect();
            prop_assert_eq!(parts.collect::<Vec<_>>(), whole);
        }
    }

    #[test]
    fn a_reader_that_leaves_is_no_error_and_a_full_disk_is() {
        let mut told = Told::default();
        told.say(Err(ErrorKind::BrokenPipe.into())).unwrap();
        assert!(told.reader_is_gone);
        assert!(told.say(Err(ErrorKind::StorageFull.into())).unwrap_err().to_string().starts_with("cannot write the labels"));
    }
}
