//! what a pack was made from and what came out → `part{N}.json` beside it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::config::Preprocess;
use crate::container::pack::{self, Sealed};
use crate::error::{Error, IoContext, Result};
use crate::preprocess::Quarantined;
use crate::store::{atomic, hash};

/// Raised when the same settings would give other pixels than before, so that packs of two makes are never mixed.
const RECIPE: u32 = 1;

/// Vouches for one pack. It is written after the pack and holds the pack's hash: a chunk is done if and only if the two agree and
/// `settings` and `source` are what would be used now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The chunk.
    pub chunk: u32,
    /// See [`settings_hash`].
    pub settings: String,
    /// blake3 that tells this archive from another.
    pub source: String,
    /// How many images the pack holds.
    pub images: u64,
    /// The pack's length and hash.
    pub pack: Sealed,
    /// What was left out, sorted.
    pub quarantined: Vec<Quarantined>,
}

impl Manifest {
    /// Where the manifest of `chunk` lies.
    #[must_use]
    pub fn path(packs: &Path, chunk: u32) -> PathBuf {
        packs.join(format!("part{chunk}.json"))
    }

    /// Reads it; `None` where there is none or it is not one of this version.
    pub fn read(packs: &Path, chunk: u32) -> Result<Option<Self>> {
        let path = Self::path(packs, chunk);
        match fs::read(&path) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok().filter(|manifest: &Self| manifest.chunk == chunk)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).at("read", &path),
        }
    }

    /// Writes it.
    pub fn write(&self, packs: &Path) -> Result<()> {
        let mut text = serde_json::to_string_pretty(self).map_err(|error| Error::library("serde_json", error))?;
        text.push('\n');
        atomic::write(&Self::path(packs, self.chunk), text.as_bytes())
    }

    /// Whether the pack beside it is, byte for byte, the one it vouches for.
    pub fn agrees_with_pack(&self, packs: &Path) -> Result<bool> {
        let path = packs.join(pack::file_name(self.chunk));
        match fs::metadata(&path) {
            Ok(found) if found.len() == self.pack.bytes => Ok(hash::of_file(&path)? == self.pack.blake3),
            Ok(_) => Ok(false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error).at("look at", &path),
        }
    }
}

/// blake3 over the settings that change a result: not the formats, not the threads.
pub fn settings_hash(settings: &Preprocess) -> Result<String> {
    let shaping =
        (RECIPE, settings.size, settings.fit, settings.quality, settings.orientation, settings.detector, &settings.crop);
    let text = serde_json::to_vec(&shaping).map_err(|error| Error::library("serde_json", error))?;
    Ok(hash::of_bytes(&text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Fit, Format};

    #[test]
    fn threads_and_formats_leave_the_packs_valid_and_a_size_does_not() {
        let base = Preprocess::default();
        let same = Preprocess { threads: 7, formats: vec![Format::Zip], ..base.clone() };
        let other = Preprocess { fit: Fit::Height, ..base.clone() };
        assert_eq!(settings_hash(&base).unwrap(), settings_hash(&same).unwrap());
        assert_ne!(settings_hash(&base).unwrap(), settings_hash(&other).unwrap());
    }

    #[test]
    fn a_manifest_that_cannot_be_read_means_not_done() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Manifest::read(folder.path(), 1).unwrap(), None);
        fs::write(Manifest::path(folder.path(), 1), b"{\"chunk\": 1").unwrap();
        assert_eq!(Manifest::read(folder.path(), 1).unwrap(), None);
    }
}
