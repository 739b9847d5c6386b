//! the prepared images of a unit → its packs and manifests; the units of a chunk → the chunk's.

use crate::config::Package;
use crate::container::{ImageKey, Pack, PackWriter, Writer};
use crate::error::{Error, Result};
use crate::preprocess::boxes::{self, BoxTable};
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
    boxes: Option<BoxTable>,
    quarantined: Vec<Quarantined>,
    source: String,
}

struct Output {
    product: Product,
    slot: Slot,
    pack: PackWriter,
}

impl UnitWriter {
    /// Begins the packs of `unit`. `refused` is what its archive would not give, `source` the archive's fingerprint.
    pub fn create(pass: &Pass, unit: Unit, packages: &[Package], refused: Vec<Quarantined>, source: String) -> Result<Self> {
        let output = |package: &Package| {
            let product = pass.product(*package)?.clone();
            let slot = product.place.unit(&unit);
            Ok(Output { pack: PackWriter::create(&slot.pack, unit.chunk)?, product, slot })
        };
        let outputs = packages.iter().map(output).collect::<Result<_>>()?;
        let boxes = pass.detector.as_ref().map(|_| BoxTable::default());
        Ok(Self { unit, outputs, boxes, quarantined: refused, source })
    }

    /// Adds an image's results; images come in order.
    pub fn add(&mut self, Prepared { file, outcome }: Prepared) -> Result<()> {
        let made = match outcome {
            Ok(made) => made,
            Err(entry) => {
                self.quarantined.push(entry);
                return Ok(());
            }
        };
        let key = ImageKey::new(self.unit.chunk, file);
        for (output, jpeg) in self.outputs.iter_mut().zip(&made.jpegs) {
            output.pack.add(&key, jpeg)?;
        }
        if let (Some(table), Some((size, Some(found)))) = (&mut self.boxes, made.seen) {
            table.add(&key.file, size, found);
        }
        Ok(())
    }

    /// Publishes the packs, and then what vouches for them. The manifests of a unit that is a whole chunk are handed back.
    pub fn finish(mut self) -> Result<Manifests> {
        self.quarantined.sort();
        let mut manifests = Vec::new();
        for Output { product, slot, pack } in self.outputs {
            let images = pack.len() as u64;
            let boxes = self.boxes.as_ref().filter(|_| product.package.is_cropped());
            let manifest = Manifest {
                chunk: self.unit.chunk,
                settings: product.settings,
                source: self.source.clone(),
                images,
                boxes: boxes.map(|table| table.write(&slot.boxes)).transpose()?,
                located: boxes.map(BoxTable::len),
                pack: pack.seal()?,
                quarantined: self.quarantined.clone(),
            };
            manifest.write(&slot)?;
            manifests.push((product.package, manifest));
        }
        Ok(if self.unit.is_whole_chunk() { manifests } else { Vec::new() })
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
