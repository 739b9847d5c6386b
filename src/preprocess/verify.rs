//! packages on disk → what in them is not what was written.

use std::fs;
use std::io;
use std::path::PathBuf;

use crate::config::{Job, Preprocess};
use crate::container::Pack;
use crate::error::{IoContext, Result};
use crate::preprocess::pass::{Product, Slot, products};
use crate::preprocess::publish::Output;
use crate::preprocess::{Manifest, boxes, quarantine};

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

/// Hashes every pack and container of the job's packages again. Returns how many were looked at, and the faults.
pub fn verify(job: &Job) -> Result<(usize, Vec<Finding>)> {
    let (mut checked, mut findings) = (0, Vec::new());
    // Nobody asks here what shaped the images, and the file of boxes or weights may be gone.
    for product in products(job, |_| Ok(String::new()))? {
        let (looked_at, found) = verify_product(&product, &job.preprocess)?;
        checked += looked_at;
        findings.extend(found);
    }
    Ok((checked, findings))
}

fn verify_product(product: &Product, settings: &Preprocess) -> Result<(usize, Vec<Finding>)> {
    let place = &product.place;
    let (mut checked, mut findings, mut manifests) = (0, Vec::new(), Vec::new());
    for slot in place.chunks()?.into_iter().map(|chunk| place.chunk(chunk)) {
        checked += 1;
        match Manifest::read(&slot)? {
            None => findings.push(Finding::new(slot.manifest, "the manifest is missing or cannot be read")),
            Some(manifest) => {
                findings.extend(pack_faults(&manifest, &slot)?);
                manifests.push(manifest);
            }
        }
    }
    // Without a summary no run has come to its end, and neither the containers nor the tables need be there.
    if !place.summary.exists() {
        return Ok((checked, findings));
    }
    for output in Output::of(product, settings) {
        checked += 1;
        findings.extend(output.fault(&manifests)?.map(|what| Finding::new(output.path(), what)));
    }
    let entries: Vec<_> = manifests.iter().flat_map(|manifest| manifest.quarantined.clone()).collect();
    let mut tables = vec![(&place.quarantine, quarantine::table(&entries)?.into_bytes())];
    if product.package.is_cropped() {
        let parts: Vec<_> = manifests.iter().map(|manifest| place.chunk(manifest.chunk).boxes).collect();
        if parts.iter().all(|part| part.exists()) {
            tables.push((&place.boxes, boxes::joined(&parts)?));
        } else {
            findings.push(Finding::new(&place.boxes, "cannot be compared: the table of a chunk is missing"));
        }
    }
    for (path, expected) in tables {
        checked += 1;
        match fs::read(path) {
            Ok(bytes) if bytes == expected => {}
            Ok(_) => findings.push(Finding::new(path, "differs from what the manifests say")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => findings.push(Finding::new(path, "is missing")),
            Err(error) => return Err(error).at("read", path),
        }
    }
    Ok((checked, findings))
}

/// What is wrong with one pack, down to the images that are damaged.
fn pack_faults(manifest: &Manifest, slot: &Slot) -> Result<Vec<Finding>> {
    let missing = |path: &&PathBuf| !path.exists();
    let files = [&slot.pack].into_iter().chain(manifest.boxes.is_some().then_some(&slot.boxes));
    let absent: Vec<Finding> = files.filter(missing).map(|path| Finding::new(path, "is missing")).collect();
    if !absent.is_empty() {
        return Ok(absent);
    }
    if manifest.agrees(slot)? {
        return Ok(Vec::new());
    }
    let path = &slot.pack;
    let mut found = vec![Finding::new(path, "differs from its manifest, or its box table does")];
    match Pack::open(path) {
        Ok(pack) => {
            found.extend(pack.images().filter_map(Result::err).map(|error| Finding::new(path, error.to_string())));
        }
        Err(error) => found.push(Finding::new(path, error.to_string())),
    }
    Ok(found)
}
