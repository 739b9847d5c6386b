//! packs → the containers that were asked for, each written by one rank in canonical order.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::comm::signals::StopFlag;
use crate::config::{Format, Hdf5Layout, Preprocess};
#[cfg(feature = "hdf5")]
use crate::container::Hdf5Writer;
use crate::container::{FolderWriter, ImageKey, Pack, TarWriter, Writer, ZipWriter, pack};
use crate::error::{Error, IoContext, Result};
use crate::preprocess::Manifest;
use crate::preprocess::pass::Product;
use crate::store::atomic::{self, StagedFolder};
use crate::store::hash;

/// A container beside the packs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    format: Format,
    path: PathBuf,
    package: String,
    /// As published for all formats but HDF5.
    layout: Hdf5Layout,
    /// Empty for all formats but HDF5 in the published layout.
    attributes: BTreeMap<String, String>,
}

/// Says that an output came from exactly these packs; written after the output, it holds the output's hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    packs: String,
    blake3: String,
    #[serde(default = "published", skip_serializing_if = "is_published")]
    layout: Hdf5Layout,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    attributes: BTreeMap<String, String>,
}

fn published() -> Hdf5Layout {
    Hdf5Layout::Published
}

fn is_published(layout: &Hdf5Layout) -> bool {
    *layout == published()
}

impl Output {
    /// The outputs of `product` that the settings ask for, in a fixed order. The packs are always there and none of these.
    #[must_use]
    pub fn of(product: &Product, settings: &Preprocess) -> Vec<Self> {
        let mut formats = settings.formats.clone();
        formats.sort();
        formats.dedup();
        formats.retain(|format| *format != Format::Pack);
        let output = |format: Format| {
            let (path, package) = (product.place.folder.join(format.file_name(&product.name)), product.name.clone());
            let layout = if format == Format::Hdf5 { settings.hdf5_layout } else { published() };
            let has_attributes = format == Format::Hdf5 && is_published(&layout);
            let attributes = if has_attributes { settings.hdf5_attributes.clone() } else { BTreeMap::new() };
            Self { format, path, package, layout, attributes }
        };
        formats.into_iter().map(output).collect()
    }

    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
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
        let (layout, attributes) = (self.layout, self.attributes.clone());
        let note = Note { packs: packs_hash(manifests), blake3: self.hash()?, layout, attributes };
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
        if note.layout != self.layout {
            return Ok(Some("was made in another layout"));
        }
        if note.attributes != self.attributes {
            return Ok(Some("was made with other attributes"));
        }
        Ok((self.hash()? != note.blake3).then_some("differs from what was written"))
    }

    fn writer(&self) -> Result<Box<dyn Writer>> {
        Ok(match self.format {
            Format::Folder => Box::new(FolderWriter::create(&self.path)?),
            Format::Zip => Box::new(ZipWriter::create(&self.path, &self.package)?),
            #[cfg(feature = "hdf5")]
            Format::Hdf5 if self.layout == Hdf5Layout::Published => {
                let description = format!("{}: one JPEG image a dataset, named by its file", self.package);
                let own = self.attributes.iter().map(|(name, text)| (name.as_str(), text.as_str()));
                let attributes: Vec<(&str, &str)> = std::iter::once(("Description", description.as_str())).chain(own).collect();
                Box::new(Hdf5Writer::create(&self.path, &attributes)?)
            }
            #[cfg(feature = "hdf5")]
            Format::Hdf5 => Box::new(Hdf5Writer::create_as(&self.path, self.layout)?),
            #[cfg(not(feature = "hdf5"))]
            Format::Hdf5 => return Err(Error::Feature { feature: "hdf5" }),
            Format::Tar => Box::new(Tars::create(&self.path, &self.package)?),
            Format::Pack => return Err(Error::usage("packs are what outputs are made from")),
        })
    }

    fn note_path(&self) -> PathBuf {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        self.path.with_file_name(format!("{name}.json"))
    }

    /// blake3 of the file; of a folder, over the sorted paths and hashes of its files.
    fn hash(&self) -> Result<String> {
        if !self.path.is_dir() {
            return hash::of_file(&self.path);
        }
        let (mut lines, mut folders) = (BTreeMap::new(), vec![self.path.clone()]);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).at("list", &folder)? {
                let path = entry.at("list", &folder)?.path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    lines.insert(path.strip_prefix(&self.path).unwrap_or(&path).to_owned(), hash::of_file(&path)?);
                }
            }
        }
        let text: String = lines.iter().map(|(path, hash)| format!("{hash}  {}\n", path.display())).collect();
        Ok(hash::of_bytes(text.as_bytes()))
    }
}

/// One tar a chunk, begun when its first image comes, in a folder that becomes visible as a whole.
struct Tars {
    staged: StagedFolder,
    package: String,
    current: Option<(u32, TarWriter)>,
}

impl Tars {
    fn create(folder: &Path, package: &str) -> Result<Self> {
        Ok(Self { staged: StagedFolder::beside(folder)?, package: package.to_owned(), current: None })
    }

    fn finish_current(&mut self) -> Result<()> {
        self.current.take().map_or(Ok(()), |(_, tar)| Box::new(tar).finish())
    }
}

impl Writer for Tars {
    fn add(&mut self, key: &ImageKey, jpeg: &[u8]) -> Result<()> {
        if self.current.as_ref().is_none_or(|(chunk, _)| *chunk != key.chunk) {
            self.finish_current()?;
        }
        let (_, tar) = match &mut self.current {
            Some(current) => current,
            None => self.current.insert((key.chunk, TarWriter::create(self.staged.path(), &self.package, key.chunk)?)),
        };
        tar.add(key, jpeg)
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        self.finish_current()?;
        self.staged.publish([])
    }
}

/// blake3 over the packs' hashes in the order of the chunks.
fn packs_hash(manifests: &[Manifest]) -> String {
    let text: String = manifests.iter().map(|manifest| format!("{} {}\n", manifest.chunk, manifest.pack.blake3)).collect();
    hash::of_bytes(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tars_are_what_they_were_until_all_new_ones_are_whole() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("webdataset");
        let begin = |chunks: &[u32]| {
            let mut tars = Box::new(Tars::create(&folder, "x").unwrap());
            chunks.iter().for_each(|chunk| tars.add(&ImageKey::new(*chunk, "a.jpg"), b"jpeg").unwrap());
            tars
        };
        let held = || fs::read_dir(&folder).unwrap().count();
        begin(&[1, 2]).finish().unwrap();
        assert_eq!(held(), 2);
        let new = begin(&[1, 2, 3]);
        assert_eq!(held(), 2);
        new.finish().unwrap();
        assert_eq!(held(), 3);
        drop(begin(&[7]));
        assert_eq!((held(), fs::read_dir(root.path()).unwrap().count()), (3, 1));
    }
}
