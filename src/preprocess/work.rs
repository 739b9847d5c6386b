//! the prepared images of a unit → its packs and manifests; the units of a chunk → the chunk's.

use crate::config::Package;
use crate::container::{ImageKey, Pack, PackWriter, Writer};
use crate::error::{Error, Result};
use crate::image::Size;
use crate::preprocess::boxes::{self, BoxTable};
use crate::preprocess::detector::Sighting;
use crate::preprocess::manifest::Manifest;
use crate::preprocess::pass::{Pass, Product, Slot};
use crate::preprocess::prepare::Prepared;
use crate::preprocess::{Quarantined, Unit};

/// Manifests by package, in the order asked for.
pub type Manifests = Vec<(Package, Manifest)>;

/// Writes one unit: a pack and a manifest for each package. Dropped before [`UnitWriter::finish`] it leaves nothing.
pub struct UnitWriter {
    unit: Unit,
    outputs: Vec<Output>,
    source: String,
}

struct Output {
    product: Product,
    slot: Slot,
    pack: PackWriter,
    /// Of a package of crops.
    boxes: Option<BoxTable>,
    quarantined: Vec<Quarantined>,
}

impl UnitWriter {
    /// Begins the packs of `unit`. `refused` is what its archive would not give, `source` the archive's fingerprint.
    pub fn create(pass: &Pass, unit: Unit, packages: &[Package], refused: &[Quarantined], source: String) -> Result<Self> {
        let output = |package: &Package| {
            let product = pass.product(*package)?.clone();
            let slot = product.place.unit(&unit);
            let boxes = (pass.detector.is_some() && package.is_cropped()).then(BoxTable::default);
            Ok(Output { pack: PackWriter::create(&slot.pack, unit.chunk)?, product, slot, boxes, quarantined: refused.to_vec() })
        };
        let outputs = packages.iter().map(output).collect::<Result<_>>()?;
        Ok(Self { unit, outputs, source })
    }

    /// Adds an image's results; images come in order.
    pub fn add(&mut self, Prepared { file, outcome }: Prepared) -> Result<()> {
        let made = match outcome {
            Ok(made) => made,
            Err(entry) => {
                self.outputs.iter_mut().for_each(|output| output.quarantined.push(entry.clone()));
                return Ok(());
            }
        };
        let key = ImageKey::new(self.unit.chunk, file);
        for (output, jpeg) in self.outputs.iter_mut().zip(made.jpegs) {
            output.add(&key, jpeg, made.seen)?;
        }
        Ok(())
    }

    /// Publishes the packs, and then what vouches for them. The manifests of a unit that is a whole chunk are handed back.
    pub fn finish(self) -> Result<Manifests> {
        let (chunk, source) = (self.unit.chunk, self.source);
        let finished = self.outputs.into_iter().map(|output| output.finish(chunk, source.clone()));
        let manifests = finished.collect::<Result<Vec<_>>>()?;
        Ok(if self.unit.is_whole_chunk() { manifests } else { Vec::new() })
    }
}

impl Output {
    fn add(&mut self, key: &ImageKey, jpeg: Result<Vec<u8>, Quarantined>, seen: Option<(Size, Option<Sighting>)>) -> Result<()> {
        let jpeg = match jpeg {
            Ok(jpeg) => jpeg,
            Err(entry) => {
                self.quarantined.push(entry);
                return Ok(());
            }
        };
        self.pack.add(key, &jpeg)?;
        if let (Some(table), Some((size, Some(found)))) = (&mut self.boxes, seen) {
            table.add(&key.file, size, found);
        }
        Ok(())
    }

    fn finish(self, chunk: u32, source: String) -> Result<(Package, Manifest)> {
        let Self { product, slot, pack, boxes, mut quarantined } = self;
        quarantined.sort();
        let manifest = Manifest {
            chunk,
            settings: product.settings,
            source,
            images: pack.len() as u64,
            boxes: boxes.as_ref().map(|table| table.write(&slot.boxes)).transpose()?,
            located: boxes.as_ref().map(BoxTable::len),
            pack: pack.seal()?,
            quarantined,
        };
        manifest.write(&slot)?;
        Ok((product.package, manifest))
    }
}

/// Joins the finished `units` of a chunk to the chunk's packs and manifests, the same that one unit of all its images would give.
pub fn join(pass: &Pass, units: &[Unit], packages: &[Package]) -> Result<Manifests> {
    packages.iter().map(|package| Ok((*package, join_one(pass.product(*package)?, units)?))).collect()
}

fn join_one(product: &Product, units: &[Unit]) -> Result<Manifest> {
    let chunk = units.first().map(|unit| unit.chunk).ok_or_else(|| Error::usage("a chunk without units"))?;
    let slot = product.place.chunk(chunk);
    let mut pack = PackWriter::create(&slot.pack, chunk)?;
    let (mut quarantined, mut source, mut tables, mut located) = (Vec::new(), String::new(), Vec::new(), None);
    for unit in units {
        let part = product.place.unit(unit);
        let manifest = Manifest::read(&part)?.ok_or_else(|| {
            Error::input(&part.manifest, "the manifest of a finished unit is gone").with_help("run the same command again")
        })?;
        for image in Pack::open(&part.pack)?.images() {
            let (file, jpeg) = image?;
            pack.add(&ImageKey::new(chunk, file), jpeg)?;
        }
        if let Some(rows) = manifest.located {
            tables.push(part.boxes);
            *located.get_or_insert(0) += rows;
        }
        quarantined.extend(manifest.quarantined);
        source = manifest.source;
    }
    quarantined.sort();
    let images = pack.len() as u64;
    let boxes = if tables.is_empty() { None } else { Some(boxes::join(&tables, &slot.boxes)?) };
    let settings = product.settings.clone();
    let manifest = Manifest { chunk, settings, source, images, boxes, located, pack: pack.seal()?, quarantined };
    manifest.write(&slot)?;
    Ok(manifest)
}
