//! the prepared images of a unit → its packs and manifests; the units of a chunk → the chunk's.

use std::fs;
use std::io;
use std::path::PathBuf;

use crate::config::Package;
use crate::container::{ImageKey, Pack, PackWriter, Writer};
use crate::error::{Error, IoContext, Result};
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
    let parts: Vec<Slot> = units.iter().map(|unit| product.place.unit(unit)).collect();
    let manifests = parts.iter().map(|part| finished(part, product)).collect::<Result<Vec<_>>>()?;
    let source = manifests.first().map(|manifest| manifest.source.clone()).unwrap_or_default();
    if let Some((part, _)) = parts.iter().zip(&manifests).find(|(_, manifest)| manifest.source != source) {
        return Err(again(part, "the archive changed while it was read"));
    }
    let mut pack = PackWriter::create(&slot.pack, chunk)?;
    for part in &parts {
        for image in Pack::open(&part.pack)?.images() {
            let (file, jpeg) = image?;
            pack.add(&ImageKey::new(chunk, file), jpeg)?;
        }
    }
    let located: Option<u64> = manifests.iter().map(|manifest| manifest.located).sum();
    let tables: Vec<PathBuf> = parts.iter().map(|part| part.boxes.clone()).collect();
    let manifest = Manifest {
        chunk,
        settings: product.settings.clone(),
        source,
        images: pack.len() as u64,
        boxes: located.map(|_| boxes::join(&tables, &slot.boxes)).transpose()?,
        located,
        pack: pack.seal()?,
        quarantined: sorted(manifests.into_iter().flat_map(|manifest| manifest.quarantined)),
    };
    manifest.write(&slot)?;
    // Before all of it is in its place nothing of the units goes; what a kill leaves of them goes at the end of the next run.
    parts.iter().try_for_each(remove)?;
    Ok(manifest)
}

/// The manifest of a unit that was finished for `product` just now or in an earlier run.
fn finished(part: &Slot, product: &Product) -> Result<Manifest> {
    let manifest = Manifest::read(part)?.ok_or_else(|| again(part, "the manifest of a finished unit is gone"))?;
    if manifest.settings != product.settings {
        return Err(again(part, "the unit was made by other settings"));
    }
    Ok(manifest)
}

fn again(part: &Slot, what: &str) -> Error {
    Error::input(&part.manifest, what).with_help("run the same command again: only what is not as it should be is made anew")
}

fn sorted(entries: impl Iterator<Item = Quarantined>) -> Vec<Quarantined> {
    let mut entries: Vec<_> = entries.collect();
    entries.sort();
    entries
}

/// Removes a unit, what vouches for it first.
fn remove(part: &Slot) -> Result<()> {
    for path in [&part.manifest, &part.boxes, &part.pack] {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error).at("remove", path),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Job, from_text};
    use crate::preprocess::prepare::Made;

    const UNITS: [Unit; 2] =
        [Unit { chunk: 1, first: 0, count: 1, of: 2, cost: 0 }, Unit { chunk: 1, first: 1, count: 1, of: 2, cost: 0 }];

    #[test]
    fn the_units_of_one_archive_are_joined_and_go_and_those_of_two_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "name = \"x\"\npaths = {{ dataset = \"x\", output = {:?} }}\n[grid]\nsizes = [\"small\"]\n\
             tasks = [\"insect_order\"]\nbackbones = [\"resnet18\"]\nlosses = [\"CE\"]\nseeds = [1]\n",
            folder.path()
        );
        let pass = Pass::new(&from_text::<Job>(&text, "job.toml").unwrap(), 1).unwrap();
        let (packages, product) = ([Package::OriginalResized], &pass.products[0]);
        let write = |unit: &Unit, file: &str, source: &str| {
            let mut writer = UnitWriter::create(&pass, unit.clone(), &packages, &[], source.into()).unwrap();
            let made = Made { jpegs: vec![Ok(b"jpeg".to_vec())], seen: None };
            writer.add(Prepared { file: file.into(), outcome: Ok(made) }).unwrap();
            writer.finish().unwrap();
        };
        write(&UNITS[0], "a.jpg", "one");
        write(&UNITS[1], "b.jpg", "another");
        let error = join(&pass, &UNITS, &packages).unwrap_err();
        assert!(error.to_string().contains("the archive changed while it was read"), "{error}");
        assert!(!product.place.chunk(1).pack.exists());

        write(&UNITS[1], "b.jpg", "one");
        let manifests = join(&pass, &UNITS, &packages).unwrap();
        assert_eq!((manifests[0].1.images, manifests[0].1.source.as_str()), (2, "one"));
        assert!(manifests[0].1.agrees(&product.place.chunk(1)).unwrap());
        assert_eq!(fs::read_dir(product.place.units()).unwrap().count(), 0, "no disk holds them twice for long");
    }
}
