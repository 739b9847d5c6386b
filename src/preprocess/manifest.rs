//! what a pack was made from and what came out → `part{N}.json` beside it.

use std::fs;
use std::io;

use serde::{Deserialize, Serialize};

use crate::container::pack::Sealed;
use crate::error::{Error, IoContext, Result};
use crate::preprocess::Quarantined;
use crate::preprocess::pass::Slot;
use crate::store::{atomic, hash};

/// Vouches for one pack. It is written after the pack and holds the pack's hash: a chunk is done if and only if the two agree and
/// `settings` and `source` are what would be used now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The chunk.
    pub chunk: u32,
    /// The hash of [`crate::preprocess::pass::Product::settings`].
    pub settings: String,
    /// blake3 that tells this archive from another.
    pub source: String,
    /// How many images the pack holds.
    pub images: u64,
    /// The pack's length and hash.
    pub pack: Sealed,
    /// The box table's; `None` where nothing was looked for.
    pub boxes: Option<Sealed>,
    /// In how many of the images the specimen was found: rows of the box table.
    pub located: Option<u64>,
    /// What was left out, sorted.
    pub quarantined: Vec<Quarantined>,
}

impl Manifest {
    /// Reads that of `slot`; `None` where there is none or it is not one of this version.
    pub fn read(slot: &Slot) -> Result<Option<Self>> {
        match fs::read(&slot.manifest) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok().filter(|manifest: &Self| manifest.chunk == slot.chunk)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).at("read", &slot.manifest),
        }
    }

    /// Writes it.
    pub fn write(&self, slot: &Slot) -> Result<()> {
        let mut text = serde_json::to_string_pretty(self).map_err(|error| Error::library("serde_json", error))?;
        text.push('\n');
        atomic::write(&slot.manifest, text.as_bytes())
    }

    /// Whether the files beside it are, byte for byte, those it vouches for.
    pub fn agrees(&self, slot: &Slot) -> Result<bool> {
        let boxes = self.boxes.as_ref().map(|sealed| (&slot.boxes, sealed));
        for (path, sealed) in [(&slot.pack, &self.pack)].into_iter().chain(boxes) {
            let same = match fs::metadata(path) {
                Ok(found) if found.len() == sealed.bytes => hash::of_file(path)? == sealed.blake3,
                Ok(_) => false,
                Err(error) if error.kind() == io::ErrorKind::NotFound => false,
                Err(error) => return Err(error).at("look at", path),
            };
            if !same {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// That of `slot`, if it was made by these settings from this archive and what it vouches for is whole.
    pub fn current(slot: &Slot, settings: &str, source: &str) -> Result<Option<Self>> {
        let Some(manifest) = Self::read(slot)? else { return Ok(None) };
        let current = manifest.settings == settings && manifest.source == source;
        Ok((current && manifest.agrees(slot)?).then_some(manifest))
    }
}
