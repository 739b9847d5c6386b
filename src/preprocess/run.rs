//! a job and the ranks → every chunk's pack, the containers asked for, the quarantine table and the summary.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::comm::World;
use crate::comm::signals::StopFlag;
use crate::config::{Format, Job, Preprocess};
use crate::error::{Error, Result};
use crate::preprocess::publish::Output;
use crate::preprocess::{Manifest, Quarantined, Source, assign, discover, quarantine, work};
use crate::store::atomic;
use crate::store::lock::Lock;
use crate::telemetry::Progress;

/// What came out; `summary.json` holds it, and it is the same however often the work was interrupted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// The name of the image package.
    pub package: String,
    /// Chunks found in the dataset.
    pub chunks_total: usize,
    /// Chunks with a finished pack.
    pub chunks_done: usize,
    /// Images in the packs.
    pub images: u64,
    /// Inputs left out: rows of `quarantine.csv`.
    pub quarantined: usize,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything is there.
    Done {
        /// What came out.
        summary: Summary,
        /// Chunks that an earlier run had finished.
        skipped_already_done: usize,
    },
    /// A signal came; finished chunks are kept.
    Stopped {
        /// How many chunks are finished.
        chunks_done: usize,
        /// Of how many.
        chunks_total: usize,
    },
}

/// Where the results of one package lie.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub folder: PathBuf,
    pub packs: PathBuf,
    pub quarantine: PathBuf,
    pub summary: PathBuf,
}

impl Place {
    pub(super) fn of(job: &Job) -> Self {
        let folder = job.paths.images(&job.preprocess.package());
        let within = |name| folder.join(name);
        Self {
            packs: within("packs"),
            quarantine: within("quarantine.csv"),
            summary: within("summary.json"),
            folder: folder.clone(),
        }
    }
}

/// Preprocesses the job's dataset with all ranks of `world`; call it from the thread that owns MPI.
///
/// The ranks agree on what is left, share it by size, and meet again before the containers are written. A stop signal ends the work
/// between two batches of images; the ranks agree on it before any of them leaves.
///
/// # Errors
/// A dataset without chunks, a folder another run owns, a full disk. A bad image is none: it goes to `quarantine.csv`.
pub fn run(job: &Job, world: &World, stop: &StopFlag) -> Result<Outcome> {
    let (settings, place) = (&job.preprocess, Place::of(job));
    refuse_missing_features(&settings.formats)?;
    let sources = from_root(world, || discover(&job.paths.dataset))?;
    let outputs = Output::of(&place.folder, &settings.package(), &settings.formats);
    let _lock = world.on_root(|| take(&place, &outputs))?;
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(world.threads(settings.threads))
        .build()
        .map_err(|error| Error::library("rayon", error))?;

    let mine = &assign(&sources.iter().collect::<Vec<_>>(), world.size())[world.rank()];
    let finished = mine.iter().filter_map(|source| work::finished(source, settings, &place.packs).transpose());
    let mut manifests = merge(world, finished.collect::<Result<Vec<_>>>())?;
    let skipped_already_done = manifests.len();

    let left: Vec<&Source> =
        sources.iter().filter(|source| !manifests.iter().any(|manifest| manifest.chunk == source.chunk)).collect();
    if world.is_root() {
        tracing::info!(chunks = sources.len(), left = left.len(), ranks = world.size(), "preprocessing {}", settings.package());
    }
    let mine = &assign(&left, world.size())[world.rank()];
    manifests.extend(merge(world, pool.install(|| process_all(mine, settings, &place.packs, stop)))?);
    manifests.sort_by_key(|manifest| manifest.chunk);
    let stopped = |chunks_done| Outcome::Stopped { chunks_done, chunks_total: sources.len() };
    if world.all_max(u64::from(manifests.len() < sources.len())) > 0 {
        return Ok(stopped(manifests.len()));
    }

    let published = publish_mine(world, &outputs, &manifests, &place.packs, stop);
    if world.all_max(u64::from(!world.agree(published)?)) > 0 {
        return Ok(stopped(manifests.len()));
    }
    let quarantined: Vec<Quarantined> = manifests.iter().flat_map(|manifest| manifest.quarantined.clone()).collect();
    let summary = Summary {
        package: settings.package(),
        chunks_total: sources.len(),
        chunks_done: manifests.len(),
        images: manifests.iter().map(|manifest| manifest.images).sum(),
        quarantined: quarantined.len(),
    };
    world.on_root(|| {
        quarantine::write(&place.quarantine, &quarantined)?;
        let text = serde_json::to_string_pretty(&summary).map_err(|error| Error::library("serde_json", error))?;
        atomic::write(&place.summary, format!("{text}\n").as_bytes())
    })?;
    Ok(Outcome::Done { summary, skipped_already_done })
}

/// Takes the package's folder and removes what a killed run left in it.
fn take(place: &Place, outputs: &[Output]) -> Result<Lock> {
    let lock = Lock::acquire(&place.folder)?;
    atomic::remove_unfinished(&place.folder)?;
    atomic::remove_unfinished(&place.packs)?;
    outputs.iter().try_for_each(Output::remove_unfinished)?;
    Ok(lock)
}

/// The manifests of `mine`, as far as no stop signal came.
fn process_all(mine: &[&Source], settings: &Preprocess, packs: &Path, stop: &StopFlag) -> Result<Vec<Manifest>> {
    let progress = Progress::start(mine.len() as u64, "chunks of this rank");
    let mut manifests = Vec::new();
    for source in mine {
        let Some(manifest) = work::process(source, settings, packs, stop)? else { break };
        if !manifest.quarantined.is_empty() {
            tracing::warn!(chunk = source.chunk, inputs = manifest.quarantined.len(), "quarantined");
        }
        manifests.push(manifest);
        progress.advance(1);
    }
    Ok(manifests)
}

/// Writes the outputs that fall to this rank; false where a stop signal came.
fn publish_mine(world: &World, outputs: &[Output], manifests: &[Manifest], packs: &Path, stop: &StopFlag) -> Result<bool> {
    for output in outputs.iter().skip(world.rank()).step_by(world.size()) {
        if !output.publish(manifests, packs, stop)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What rank 0 found, on all ranks: a shared file system may not show every rank the same at the same moment.
fn from_root(world: &World, find: impl FnOnce() -> Result<Vec<Source>>) -> Result<Vec<Source>> {
    let found = world.on_root(find)?.unwrap_or_default();
    Ok(world.all_gather(&found)?.into_iter().flatten().collect())
}

/// Every rank's manifests on all ranks.
fn merge(world: &World, mine: Result<Vec<Manifest>>) -> Result<Vec<Manifest>> {
    Ok(world.all_gather(&world.agree(mine)?)?.into_iter().flatten().collect())
}

fn refuse_missing_features(formats: &[Format]) -> Result<()> {
    if cfg!(not(feature = "hdf5")) && formats.contains(&Format::Hdf5) {
        return Err(Error::Feature { feature: "hdf5" });
    }
    Ok(())
}
