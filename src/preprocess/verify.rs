//! a package on disk → what in it is not what was written.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::config::Job;
use crate::container::{Pack, chunk_number, pack};
use crate::error::{IoContext, Result};
use crate::preprocess::publish::Output;
use crate::preprocess::run::Place;
use crate::preprocess::{Manifest, quarantine};

/// A file that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub what: String,
}

impl Finding {
    /// Names the file and the fault.
    pub fn new(path: impl Into<PathBuf>, what: impl Into<String>) -> Self {
        Self { path: path.into(), what: what.into() }
    }
}

/// Hashes every pack and container of the job's package again. Returns how many were looked at, and the faults.
pub fn verify(job: &Job) -> Result<(usize, Vec<Finding>)> {
    let (settings, place) = (&job.preprocess, Place::of(job));
    let (mut checked, mut findings, mut manifests) = (0, Vec::new(), Vec::new());
    for chunk in chunks(&place.packs)? {
        checked += 1;
        match Manifest::read(&place.packs, chunk)? {
            None => findings.push(Finding::new(Manifest::path(&place.packs, chunk), "the manifest is missing or cannot be read")),
            Some(manifest) => {
                findings.extend(pack_faults(&manifest, &place.packs)?);
                manifests.push(manifest);
            }
        }
    }
    // Without a summary no run has come to its end, and neither the containers nor the table need be there.
    if !place.summary.exists() {
        return Ok((checked, findings));
    }
    for output in Output::of(&place.folder, &settings.package(), &settings.formats) {
        checked += 1;
        findings.extend(output.fault(&manifests)?.map(|what| Finding::new(output.path(), what)));
    }
    let entries: Vec<_> = manifests.iter().flat_map(|manifest| manifest.quarantined.clone()).collect();
    checked += 1;
    match fs::read_to_string(&place.quarantine) {
        Ok(text) if text == quarantine::table(&entries)? => {}
        Ok(_) => findings.push(Finding::new(&place.quarantine, "differs from what the manifests say")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => findings.push(Finding::new(&place.quarantine, "is missing")),
        Err(error) => return Err(error).at("read", &place.quarantine),
    }
    Ok((checked, findings))
}

/// What is wrong with one pack, down to the images that are damaged.
fn pack_faults(manifest: &Manifest, packs: &Path) -> Result<Vec<Finding>> {
    let path = packs.join(pack::file_name(manifest.chunk));
    if !path.exists() {
        return Ok(vec![Finding::new(path, "is missing")]);
    }
    if manifest.agrees_with_pack(packs)? {
        return Ok(Vec::new());
    }
    let mut found = vec![Finding::new(&path, "differs from its manifest")];
    match Pack::open(&path) {
        Ok(pack) => {
            found.extend(pack.images().filter_map(Result::err).map(|error| Finding::new(&path, error.to_string())));
        }
        Err(error) => found.push(Finding::new(&path, error.to_string())),
    }
    Ok(found)
}

/// The chunks that have a pack or a manifest.
fn chunks(packs: &Path) -> Result<BTreeSet<u32>> {
    let mut chunks = BTreeSet::new();
    if !packs.is_dir() {
        return Ok(chunks);
    }
    for entry in fs::read_dir(packs).at("list", packs)? {
        let name = entry.at("list", packs)?.file_name().to_string_lossy().into_owned();
        let stem = name.strip_suffix(".pack").or_else(|| name.strip_suffix(".json"));
        chunks.extend(stem.and_then(chunk_number));
    }
    Ok(chunks)
}
