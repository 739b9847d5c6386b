//! one chunk of originals → its pack and its manifest.

use std::path::Path;

use rayon::prelude::*;

use crate::comm::signals::StopFlag;
use crate::config::{Detector, Preprocess};
use crate::container::{ImageKey, PackWriter, Reader, Writer, ZipImages, zip};
use crate::error::{Error, Result};
use crate::image::{Fault, Filter, Target, decode_for, encode, resize};
use crate::preprocess::manifest::{Manifest, settings_hash};
use crate::preprocess::{Quarantined, Source};

/// Images a thread takes on before their results are written: bounds the memory, and is how long a signal may wait.
const BATCH_A_THREAD: usize = 16;

/// The manifest of a chunk that needs no more work: made by these settings from this archive, and its pack is whole.
pub fn finished(source: &Source, settings: &Preprocess, packs: &Path) -> Result<Option<Manifest>> {
    let Some(manifest) = Manifest::read(packs, source.chunk)? else { return Ok(None) };
    let current = manifest.settings == settings_hash(settings)? && manifest.source == zip::fingerprint(&source.path)?;
    Ok((current && manifest.agrees_with_pack(packs)?).then_some(manifest))
}

/// Makes the pack and the manifest of one chunk in `packs`; `None` where `stop` was raised on the way, and then nothing is left.
///
/// Runs on the current rayon pool; images are independent, so neither their number nor their order of completion shows in the result.
/// An archive that cannot be read as a whole gives an empty pack and one quarantine entry without a file name.
pub fn process(source: &Source, settings: &Preprocess, packs: &Path, stop: &StopFlag) -> Result<Option<Manifest>> {
    let mut writer = PackWriter::create(packs, source.chunk)?;
    let mut quarantined = Vec::new();
    match ZipImages::open_chunk(&source.path, source.chunk) {
        Ok(archive) => {
            quarantined.extend(archive.refused().iter().cloned().map(|refused| Quarantined::entry(source.chunk, refused)));
            if !fill(&mut writer, &archive, settings, &mut quarantined, stop)? {
                return Ok(None);
            }
        }
        Err(Error::Input { message, .. }) => quarantined.push(Quarantined::chunk(source.chunk, message)),
        Err(error) => return Err(error),
    }
    quarantined.sort();
    let images = writer.len() as u64;
    let manifest = Manifest {
        chunk: source.chunk,
        settings: settings_hash(settings)?,
        source: zip::fingerprint(&source.path)?,
        images,
        pack: writer.seal()?,
        quarantined,
    };
    manifest.write(packs)?;
    Ok(Some(manifest))
}

/// Writes every image of `archive`, in order; false where `stop` was raised.
fn fill(
    writer: &mut PackWriter,
    archive: &ZipImages,
    settings: &Preprocess,
    quarantined: &mut Vec<Quarantined>,
    stop: &StopFlag,
) -> Result<bool> {
    let keys = archive.keys();
    for batch in keys.chunks(BATCH_A_THREAD * rayon::current_num_threads()) {
        if stop.raised() {
            return Ok(false);
        }
        let results: Vec<_> = batch.par_iter().map(|key| read_and_prepare(archive, key, settings)).collect();
        for (key, result) in batch.iter().zip(results) {
            match result? {
                Ok(jpeg) => writer.add(key, &jpeg)?,
                Err(entry) => quarantined.push(entry),
            }
        }
    }
    Ok(true)
}

/// The inner error is about this image alone; the outer one ends the command.
fn read_and_prepare(archive: &ZipImages, key: &ImageKey, settings: &Preprocess) -> Result<Result<Vec<u8>, Quarantined>> {
    let original = match archive.read_checked(key)? {
        Some(Ok(original)) => original,
        Some(Err(refused)) => return Ok(Err(Quarantined::entry(key.chunk, refused))),
        None => return Err(Error::input(key.to_string(), "listed in the archive, but not in it")),
    };
    Ok(prepare(&original, settings)?.map_err(|fault| Quarantined::image(key.chunk, &key.file, fault)))
}

/// decode → (crop) → resize → encode.
fn prepare(original: &[u8], settings: &Preprocess) -> Result<Result<Vec<u8>, Fault>> {
    let target = Target { fit: settings.fit, length: settings.size };
    let decoded = match settings.detector {
        Detector::None => decode_for(original, target),
        other => return Err(Error::usage(format!("the detector {other:?} is not there yet"))),
    };
    match decoded {
        Ok((picture, size)) => encode(&resize(&picture, size, Filter::Lanczos3)?, settings.quality).map(Ok),
        Err(fault) => Ok(Err(fault)),
    }
}
