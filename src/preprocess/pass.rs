//! a job → what one pass over the chunks makes, and where it puts it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::config::{Job, Package, Preprocess};
use crate::container::chunk_number;
use crate::error::{Error, IoContext, Result};
use crate::preprocess::Unit;
use crate::preprocess::detector::{self, Detector};

/// Everything a rank must know to prepare any image.
pub struct Pass {
    /// The settings.
    pub settings: Preprocess,
    /// Finds the specimens; `None` where the settings want none found.
    pub detector: Option<Box<dyn Detector>>,
    /// What is made, in the order of the settings.
    pub products: Vec<Product>,
}

/// One of the image packages that a pass makes.
#[derive(Clone, Debug)]
pub struct Product {
    /// Which.
    pub package: Package,
    /// Its published name.
    pub name: String,
    /// Where its results lie.
    pub place: Place,
    /// [`Preprocess::shaping`].
    pub settings: String,
}

impl Pass {
    /// The pass that `job` asks for, on ranks of `threads` threads.
    pub fn new(job: &Job, threads: usize) -> Result<Self> {
        let settings = job.preprocess.clone();
        let detector = detector::from_settings(&settings, threads)?;
        let products = products(job, |package| settings.shaping(package))?;
        Ok(Self { products, settings, detector })
    }

    /// How many images are prepared together.
    #[must_use]
    pub fn batch(&self) -> usize {
        self.detector.as_ref().map_or(1, |detector| detector.batch().max(1))
    }

    /// What is made of `package`.
    pub fn product(&self, package: Package) -> Result<&Product> {
        let found = self.products.iter().find(|product| product.package == package);
        found.ok_or_else(|| Error::usage(format!("this pass does not make {package:?}")))
    }
}

/// The products of `job`, with what `shaping` says of each package.
pub fn products(job: &Job, shaping: impl Fn(Package) -> Result<String>) -> Result<Vec<Product>> {
    let settings = &job.preprocess;
    let product = |package: Package| {
        let name = package.name(settings.size);
        let place = Place::of(job.paths.images(&name));
        Ok(Product { package, name, place, settings: shaping(package)? })
    };
    settings.packages().into_iter().map(product).collect()
}

/// Where the results of one package lie.
#[derive(Clone, Debug)]
pub struct Place {
    /// Holds everything.
    pub folder: PathBuf,
    /// Holds the packs and their manifests.
    pub packs: PathBuf,
    /// What was left out.
    pub quarantine: PathBuf,
    /// Where the specimens are, over all chunks; for a package of crops.
    pub boxes: PathBuf,
    /// What came out.
    pub summary: PathBuf,
}

impl Place {
    fn of(folder: PathBuf) -> Self {
        let within = |name| folder.join(name);
        Self {
            packs: within("packs"),
            quarantine: within("quarantine.csv"),
            boxes: within("boxes.tsv"),
            summary: within("summary.json"),
            folder,
        }
    }

    /// Holds the finished units of chunks that are not yet whole.
    #[must_use]
    pub fn units(&self) -> PathBuf {
        self.packs.join("units")
    }

    /// Where the pack of `chunk` lies.
    #[must_use]
    pub fn chunk(&self, chunk: u32) -> Slot {
        Slot::new(&self.packs, format!("part{chunk}"), chunk)
    }

    /// The chunks that have a pack or a manifest.
    pub fn chunks(&self) -> Result<BTreeSet<u32>> {
        let mut chunks = BTreeSet::new();
        if !self.packs.is_dir() {
            return Ok(chunks);
        }
        for entry in fs::read_dir(&self.packs).at("list", &self.packs)? {
            let name = entry.at("list", &self.packs)?.file_name().to_string_lossy().into_owned();
            let stem = name.strip_suffix(".pack").or_else(|| name.strip_suffix(".json"));
            chunks.extend(stem.and_then(chunk_number));
        }
        Ok(chunks)
    }

    /// Where the results of `unit` lie: a whole chunk's at once in their final place.
    #[must_use]
    pub fn unit(&self, unit: &Unit) -> Slot {
        if unit.is_whole_chunk() {
            return self.chunk(unit.chunk);
        }
        let name = format!("part{}-{}-{}", unit.chunk, unit.first, unit.first + unit.count);
        Slot::new(&self.units(), name, unit.chunk)
    }
}

/// Where one pack lies, with what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The chunk whose images it holds.
    pub chunk: u32,
    /// The images.
    pub pack: PathBuf,
    /// What vouches for them.
    pub manifest: PathBuf,
    /// Where their specimens are.
    pub boxes: PathBuf,
}

impl Slot {
    fn new(folder: &Path, name: String, chunk: u32) -> Self {
        let file = |ending: &str| folder.join(format!("{name}.{ending}"));
        Self { chunk, pack: file("pack"), manifest: file("json"), boxes: file("boxes.tsv") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_lies_apart_until_its_chunk_is_whole() {
        let place = Place::of(PathBuf::from("images/original_256"));
        let unit = Unit { chunk: 7, first: 81, count: 81, of: 200, cost: 0 };
        assert!(place.unit(&unit).pack.ends_with("packs/units/part7-81-162.pack"));
        let whole = Unit { first: 0, count: 200, ..unit };
        assert_eq!(place.unit(&whole), place.chunk(7));
        assert!(place.chunk(7).manifest.ends_with("packs/part7.json"));
    }
}
