//! a job → what one pass over the chunks makes, and where it puts it.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::config::{CropTool, Detector as Kind, Fit, Job, Orientation, Package, Preprocess};
use crate::error::{Error, Result};
use crate::preprocess::Unit;
use crate::preprocess::detector::{self, Detector};
use crate::store::hash;

/// Raised when the same settings would give other pixels or boxes than before, so that packs of two makes are never mixed.
const RECIPE: u32 = 3;

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
    /// blake3 over the settings that change its images: not the formats, not the threads.
    pub settings: String,
}

impl Pass {
    /// The pass that `job` asks for, on ranks of `threads` threads.
    pub fn new(job: &Job, threads: usize) -> Result<Self> {
        let settings = job.preprocess.clone();
        let detector = detector::from_settings(&settings, threads)?;
        let fingerprint = detector.as_ref().map(|detector| detector.fingerprint().to_owned()).unwrap_or_default();
        Ok(Self { products: products(job, &fingerprint)?, settings, detector })
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

/// The products of `job`; `fingerprint` is the detector's.
pub fn products(job: &Job, fingerprint: &str) -> Result<Vec<Product>> {
    let settings = &job.preprocess;
    let product = |package: Package| {
        let name = package.name(settings.size);
        let place = Place::of(job.paths.images(&name));
        Ok(Product { package, name, place, settings: settings_hash(settings, package, fingerprint)? })
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

/// What shapes the images of a package.
#[derive(Serialize)]
struct Shaping<'a> {
    recipe: u32,
    package: Package,
    /// The crop keeps its own size.
    resize: Option<(u32, Fit)>,
    quality: u8,
    orientation: Orientation,
    /// A pass that crops decodes wholly, and another's resized originals differ from its by a rounding here and there.
    decoded_wholly: bool,
    crop: Option<(Kind, &'a CropTool, &'a str)>,
}

fn settings_hash(settings: &Preprocess, package: Package, fingerprint: &str) -> Result<String> {
    let shaping = Shaping {
        recipe: RECIPE,
        package,
        resize: (package != Package::Cropped).then_some((settings.size, settings.fit)),
        quality: settings.quality,
        orientation: settings.orientation,
        decoded_wholly: settings.detector != Kind::None,
        crop: package.is_cropped().then_some((settings.detector, &settings.crop, fingerprint)),
    };
    let text = serde_json::to_vec(&shaping).map_err(|error| Error::library("serde_json", error))?;
    Ok(hash::of_bytes(&text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Format;

    fn hash_of(package: Package, settings: &Preprocess) -> String {
        settings_hash(settings, package, "").unwrap()
    }

    #[test]
    fn threads_and_formats_leave_the_packs_valid_and_a_size_does_not() {
        let base = Preprocess::default();
        let same = Preprocess { threads: 7, formats: vec![Format::Zip], ..base.clone() };
        let other = Preprocess { fit: Fit::Height, ..base.clone() };
        let package = Package::OriginalResized;
        assert_eq!(hash_of(package, &base), hash_of(package, &same));
        assert_ne!(hash_of(package, &base), hash_of(package, &other));
    }

    #[test]
    fn a_crop_at_its_own_size_does_not_depend_on_the_resize_nor_an_original_on_the_crop() {
        let base = Preprocess { detector: Kind::Contrast, ..Preprocess::default() };
        let smaller = Preprocess { size: 128, ..base.clone() };
        assert_eq!(hash_of(Package::Cropped, &base), hash_of(Package::Cropped, &smaller));
        let wider = Preprocess { crop: CropTool { extension: 2.0, ..CropTool::default() }, ..base.clone() };
        assert_eq!(hash_of(Package::OriginalResized, &base), hash_of(Package::OriginalResized, &wider));
        assert_ne!(hash_of(Package::CroppedResized, &base), hash_of(Package::CroppedResized, &wider));
    }

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
