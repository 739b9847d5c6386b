//! packs → the containers that were asked for, each written by one rank in canonical order.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::comm::signals::StopFlag;
use crate::config::{Format, Preprocess};
#[cfg(feature = "hdf5")]
use crate::container::Hdf5Writer;
use crate::container::{FolderWriter, ImageKey, Pack, Writer, ZipWriter, pack};
use crate::error::{Error, IoContext, Result};
use crate::preprocess::Manifest;
use crate::preprocess::pass::Product;
use crate::store::{atomic, hash};

/// A container beside the packs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    format: Format,
    path: PathBuf,
    package: String,
}

/// Says that an output came from exactly these packs; written after the output, it holds the output's hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    packs: String,
    blake3: String,
}

impl Output {
    /// The outputs of `product` that the settings ask for, in a fixed order. The packs are always there and none of these.
    #[must_use]
    pub fn of(product: &Product, settings: &Preprocess) -> Vec<Self> {
        let mut formats = settings.formats.clone();
        formats.sort();
        formats.dedup();
        let name = |format| match format {
            Format::Folder => Some("folder".to_owned()),
            Format::Zip => Some(format!("{}.zip", product.name)),
            Format::Hdf5 => Some(format!("{}.hdf5", product.name)),
            Format::Tar | Format::Pack => None,
        };
        let output =
            |format| Some(Self { format, path: product.place.folder.join(name(format)?), package: product.name.clone() });
        formats.into_iter().filter_map(output).collect()
    }

    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes what a killed writer left where `atomic::remove_unfinished` does not reach. Call it only as the owner.
    pub fn remove_unfinished(&self) -> Result<()> {
        if self.format == Format::Folder { FolderWriter::remove_unfinished(&self.path) } else { Ok(()) }
    }

    /// Writes it from the packs, unless it is there already; false where `stop` was raised on the way, and then nothing is left.
    pub fn publish(&self, manifests: &[Manifest], packs: &Path, stop: &StopFlag) -> Result<bool> {
        if self.fault(manifests)?.is_none() {
            tracing::debug!(path = %self.path.display(), "is there already, from these packs");
            return Ok(true);
        }
        let mut writer = self.writer()?;
        for manifest in manifests {
            let pack = Pack::open(&packs.join(pack::file_name(manifest.chunk)))?;
            for image in pack.images() {
                if stop.raised() {
                    return Ok(false);
                }
                let (file, jpeg) = image?;
                writer.add(&ImageKey::new(manifest.chunk, file), jpeg)?;
            }
        }
        writer.finish()?;
        let note = Note { packs: packs_hash(manifests), blake3: self.hash()? };
        let text = serde_json::to_vec_pretty(&note).map_err(|error| Error::library("serde_json", error))?;
        atomic::write(&self.note_path(), &text)?;
        Ok(true)
    }

    /// Why it is not what the packs would give; `None` where it is.
    pub fn fault(&self, manifests: &[Manifest]) -> Result<Option<&'static str>> {
        let note_path = self.note_path();
        let note: Option<Note> = match fs::read(&note_path) {
            Ok(bytes) => serde_json::from_slice(&bytes).ok(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error).at("read", &note_path),
        };
        let Some(note) = note else { return Ok(Some("was not finished")) };
        if !self.path.exists() {
            return Ok(Some("is missing"));
        }
        if note.packs != packs_hash(manifests) {
            return Ok(Some("was made from other packs"));
        }
        Ok((self.hash()? != note.blake3).then_some("differs from what was written"))
    }

    fn writer(&self) -> Result<Box<dyn Writer>> {
        Ok(match self.format {
            Format::Folder => Box::new(FolderWriter::create(&self.path)?),
            Format::Zip => Box::new(ZipWriter::create(&self.path, &self.package)?),
            #[cfg(feature = "hdf5")]
            Format::Hdf5 => {
                let description = format!("{}: one JPEG image a dataset, named by its file", self.package);
                Box::new(Hdf5Writer::create(&self.path, &[("Description", &description)])?)
            }
            #[cfg(not(feature = "hdf5"))]
            Format::Hdf5 => return Err(Error::Feature { feature: "hdf5" }),
            Format::Tar | Format::Pack => return Err(Error::usage("packs are what outputs are made from")),
        })
    }

    fn note_path(&self) -> PathBuf {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        self.path.with_file_name(format!("{name}.json"))
    }

    /// blake3 of the file; of a folder, over the sorted paths and hashes of its files.
    fn hash(&self) -> Result<String> {
        if self.format != Format::Folder {
            return hash::of_file(&self.path);
        }
        let mut lines = BTreeMap::new();
        for chunk in fs::read_dir(&self.path).at("list", &self.path)? {
            let chunk = chunk.at("list", &self.path)?.path();
            for file in fs::read_dir(&chunk).at("list", &chunk)? {
                let file = file.at("list", &chunk)?.path();
                lines.insert(file.strip_prefix(&self.path).unwrap_or(&file).to_owned(), hash::of_file(&file)?);
            }
        }
        let text: String = lines.iter().map(|(path, hash)| format!("{hash}  {}\n", path.display())).collect();
        Ok(hash::of_bytes(text.as_bytes()))
    }
}

/// blake3 over the packs' hashes in the order of the chunks.
fn packs_hash(manifests: &[Manifest]) -> String {
    let text: String = manifests.iter().map(|manifest| format!("{} {}\n", manifest.chunk, manifest.pack.blake3)).collect();
    hash::of_bytes(text.as_bytes())
}
