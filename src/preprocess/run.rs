//! a job and the ranks → every chunk's packs, the containers asked for, the quarantine tables and the summaries.

use std::collections::BTreeSet;
use std::fs;
use std::io;

use serde::{Deserialize, Serialize};

use crate::comm::World;
use crate::comm::signals::StopFlag;
use crate::config::{Format, Job};
use crate::error::{Error, IoContext, Result};
use crate::preprocess::crew::employ;
use crate::preprocess::ledger::Ledger;
use crate::preprocess::need::need;
use crate::preprocess::pass::{Pass, Product};
use crate::preprocess::publish::Output;
use crate::preprocess::queue::Remainder;
use crate::preprocess::source::{Source, discover};
use crate::preprocess::survey::survey;
use crate::preprocess::{Quarantined, Queue, boxes, quarantine, share};
use crate::store::lock::Lock;
use crate::store::{atomic, room};
use crate::telemetry::Progress;

/// What came out for one package; `summary.json` holds it, and it is the same however often the work was interrupted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// The name of the image package.
    pub package: String,
    /// [`crate::config::Preprocess::shaping`] of its images.
    pub settings: String,
    /// Chunks found in the dataset.
    pub chunks_total: usize,
    /// Chunks with a finished pack.
    pub chunks_done: usize,
    /// Images in the packs.
    pub images: u64,
    /// Images in which the specimen was found: rows of `boxes.tsv`; nothing where nobody looked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub located: Option<u64>,
    /// Inputs left out: rows of `quarantine.csv`.
    pub quarantined: usize,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything is there.
    Done {
        /// What came out, for each package.
        summaries: Vec<Summary>,
        /// Chunks that an earlier run had finished.
        skipped_already_done: usize,
    },
    /// A signal came; what is finished is kept.
    Stopped {
        /// How many chunks are finished.
        chunks_done: usize,
        /// Of how many.
        chunks_total: usize,
    },
}

/// Preprocesses the job's dataset with all ranks of `world`; call it from the thread that owns MPI.
///
/// The ranks look together at what is left, share it by units, and meet again before the containers are written. A stop signal ends
/// the work between two images; the ranks agree on it before any of them leaves.
///
/// # Errors
/// A dataset without chunks, a folder another run owns, a full disk. A bad image is none: it goes to `quarantine.csv`.
pub fn run(job: &Job, world: &World, stop: &StopFlag) -> Result<Outcome> {
    world.agree(refuse_missing_features(&job.preprocess.formats))?;
    let sources = from_root(world, || discover(&job.paths.dataset))?;
    let pass = world.agree(Pass::new(job, world.threads(job.preprocess.threads)))?;
    let _locks = world.on_root(|| take(&pass))?;
    world.on_root(|| refuse_departed(&pass, &sources))?;
    let (ledger, skipped_already_done) = prepare_all(&pass, &sources, world, stop)?;
    let finished = |source: &&Source| ledger.has(source.chunk, pass.products.iter().map(|product| product.package));
    let (chunks_done, chunks_total) = (sources.iter().filter(finished).count(), sources.len());
    if chunks_done < chunks_total || !publish_all(&pass, &ledger, world, stop)? {
        return Ok(Outcome::Stopped { chunks_done, chunks_total });
    }
    let summaries = pass.products.iter().map(|product| summary(product, &ledger)).collect::<Vec<_>>();
    world.on_root(|| {
        pass.products.iter().zip(&summaries).try_for_each(|(product, summary)| conclude(product, &ledger, summary))
    })?;
    Ok(Outcome::Done { summaries, skipped_already_done })
}

/// Takes the packages' folders and removes what a killed run left in them.
fn take(pass: &Pass) -> Result<Vec<Lock>> {
    let one = |product: &Product| {
        let lock = Lock::acquire(&product.place.folder)?;
        for folder in [&product.place.folder, &product.place.packs, &product.place.units()] {
            atomic::remove_unfinished(folder)?;
        }
        Ok(lock)
    };
    pass.products.iter().map(one).collect()
}

/// Refuses a dataset that has lost chunks: training would read their packs, and the containers would not hold them. Which of the two is
/// meant, the user alone knows; a pack whose chunk is gone cannot be made again.
fn refuse_departed(pass: &Pass, sources: &[Source]) -> Result<()> {
    let there: BTreeSet<u32> = sources.iter().map(|source| source.chunk).collect();
    for Product { place, .. } in &pass.products {
        if let Some(chunk) = place.chunks()?.difference(&there).next() {
            let slot = place.chunk(*chunk);
            let message = format!("was made from part{chunk}, which is in the dataset no more");
            let names = slot.pack.with_extension("*");
            return Err(Error::input(&slot.pack, message)
                .with_help(format!("put the chunk back, or remove {} to leave it out", names.display())));
        }
    }
    Ok(())
}

/// Removes the summaries of the packages that are about to change: whoever finds one takes all packs for made by its settings.
fn withdraw(pass: &Pass, left: &[Remainder]) -> Result<()> {
    let changes = |product: &&Product| left.iter().any(|remainder| remainder.packages.contains(&product.package));
    pass.products.iter().filter(changes).try_for_each(|product| atomic::remove(&product.place.summary))
}

/// Prepares what is left of all chunks, as far as no stop signal comes. Returns what is finished, on all ranks the same, and how many
/// chunks an earlier run had finished.
fn prepare_all(pass: &Pass, sources: &[Source], world: &World, stop: &StopFlag) -> Result<(Ledger, usize)> {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(world.threads(pass.settings.threads))
        .build()
        .map_err(|error| Error::library("rayon", error))?;
    let mine: Vec<u32> = sources.iter().map(|source| source.chunk).skip(world.rank()).step_by(world.size()).collect();
    let surveys = world.agree(pool.install(|| survey(pass, sources, &mine)))?;
    let (mut ledger, mut left) = (Ledger::default(), Vec::new());
    for survey in world.all_gather(&surveys)?.into_iter().flatten() {
        ledger.extend(survey.manifests);
        left.extend(survey.remainder);
    }
    let skipped = sources.len() - left.len();
    world.on_root(|| withdraw(pass, &left))?;
    if world.is_root() {
        warn_of_missing_room(pass, &left)?;
    }
    let queue = Queue::new(left);
    if world.is_root() {
        let names: Vec<&str> = pass.products.iter().map(|product| product.name.as_str()).collect();
        let (chunks, ranks) = (sources.len(), world.size());
        tracing::info!(chunks, skipped, tasks = queue.len(), ranks, "preprocessing {}", names.join(", "));
    }
    let progress = Progress::start(queue.len() as u64, "units");
    let mut completed = Vec::new();
    employ(pass, sources, &pool, stop, |crew| {
        share::work(world, crew, world.is_root().then_some(queue), stop, |report| {
            progress.advance(u64::from(!report.abandoned));
            completed.extend(report.manifests);
        })
    })?;
    ledger.extend(world.all_gather(&completed)?.into_iter().flatten());
    Ok((ledger, skipped))
}

/// Says beforehand where what is left would not find room; begun it is all the same, because only the site knows its quotas.
fn warn_of_missing_room(pass: &Pass, left: &[Remainder]) -> Result<()> {
    let Some(product) = pass.products.first() else { return Ok(()) };
    if let Some(message) = room::warning(need(&pass.settings, left), room::at(&product.place.folder)?) {
        tracing::warn!("{message}");
    }
    Ok(())
}

/// Writes the containers, each by one rank; false where a stop signal came.
fn publish_all(pass: &Pass, ledger: &Ledger, world: &World, stop: &StopFlag) -> Result<bool> {
    let outputs = pass
        .products
        .iter()
        .flat_map(|product| Output::of(product, &pass.settings).into_iter().map(move |output| (product, output)));
    let mut mine = outputs.skip(world.rank()).step_by(world.size());
    let published = mine.try_fold(true, |all, (product, output)| {
        Ok(all && output.publish(&ledger.of(product.package), &product.place.packs, stop)?)
    });
    Ok(world.all_max(u64::from(!world.agree(published)?)) == 0)
}

fn summary(product: &Product, ledger: &Ledger) -> Summary {
    let manifests = ledger.of(product.package);
    Summary {
        package: product.name.clone(),
        settings: product.settings.clone(),
        chunks_total: manifests.len(),
        chunks_done: manifests.len(),
        images: manifests.iter().map(|manifest| manifest.images).sum(),
        located: manifests.iter().map(|manifest| manifest.located).sum(),
        quarantined: manifests.iter().map(|manifest| manifest.quarantined.len()).sum(),
    }
}

/// Writes the package's tables and then its summary, and removes what kills left of the units, which are all in packs now.
fn conclude(product: &Product, ledger: &Ledger, summary: &Summary) -> Result<()> {
    let (place, manifests) = (&product.place, ledger.of(product.package));
    let quarantined: Vec<Quarantined> = manifests.iter().flat_map(|manifest| manifest.quarantined.clone()).collect();
    quarantine::write(&place.quarantine, &quarantined)?;
    if product.package.is_cropped() {
        let tables: Vec<_> = manifests.iter().map(|manifest| place.chunk(manifest.chunk).boxes).collect();
        boxes::join(&tables, &place.boxes)?;
    }
    let text = serde_json::to_string_pretty(summary).map_err(|error| Error::library("serde_json", error))?;
    atomic::write(&place.summary, format!("{text}\n").as_bytes())?;
    match fs::remove_dir_all(place.units()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).at("remove", place.units()),
        _ => Ok(()),
    }
}

/// What rank 0 found, on all ranks: a shared file system may not show every rank the same at the same moment.
fn from_root(world: &World, find: impl FnOnce() -> Result<Vec<Source>>) -> Result<Vec<Source>> {
    let found = world.on_root(find)?.unwrap_or_default();
    Ok(world.all_gather(&found)?.into_iter().flatten().collect())
}

fn refuse_missing_features(formats: &[Format]) -> Result<()> {
    if cfg!(not(feature = "hdf5")) && formats.contains(&Format::Hdf5) {
        return Err(Error::Feature { feature: "hdf5" });
    }
    Ok(())
}
