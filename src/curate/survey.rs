//! a shelf → what each of its images is, by all threads of all ranks.

use std::collections::HashMap;
use std::path::Path;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::comm::World;
use crate::curate::Shelf;
use crate::curate::duplicates::{Likeness, mark_duplicates, picture_hash};
use crate::dataset::clean::{ImageFacts, ImageTable};
use crate::dataset::place::Places;
use crate::dataset::table::{self, Quoting};
use crate::error::{Error, Result};
use crate::image::{contrast, decode};
use crate::store::hash;
use crate::telemetry::Progress;

/// What to look for in every image, besides whether it can be read.
#[derive(Clone, Copy, Debug)]
pub struct Looking {
    /// What counts as a duplicate.
    pub likeness: Likeness,
    /// Whether the organism is looked for and its pixels are counted: about as much work again as the decoding.
    pub organisms: bool,
}

/// One image as one rank found it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Looked {
    pub place: String,
    pub facts: ImageFacts,
    /// 64 bits that change little where the picture changes little; `None` where it cannot be decoded.
    pub picture: Option<u64>,
}

/// Reads and decodes every image of `shelf`, looks for what `looking` says, and tells duplicates, of which those that `metadata`
/// names are the originals. Each rank takes one stretch of the places, so that it reads containers in their order; the answer is
/// rank 0's, `None` on the others.
pub fn survey(world: &World, shelf: &Shelf, looking: Looking, metadata: &Path, quoting: Quoting) -> Result<Option<ImageTable>> {
    let places = shelf.places();
    let share = places.len().div_ceil(world.size());
    let mine: &[&str] = places.chunks(share.max(1)).nth(world.rank()).unwrap_or_default();
    let progress = Progress::start(mine.len() as u64, "images");
    let pool = rayon::ThreadPoolBuilder::new().num_threads(world.threads(0)).build();
    let pool = pool.map_err(|error| Error::library("rayon", error))?;
    let look = |place: &&str| {
        let looked = look(shelf, place, looking.organisms);
        progress.advance(1);
        looked
    };
    let looked: Vec<Looked> = pool.install(|| mine.par_iter().map(look).collect::<Result<_>>())?;
    let refused = |error| Error::library("serde_json", error);
    let Some(pieces) = world.gather(&serde_json::to_vec(&looked).map_err(refused)?)? else { return Ok(None) };
    let mut all: Vec<Looked> = Vec::with_capacity(places.len());
    for piece in pieces {
        all.extend(serde_json::from_slice::<Vec<Looked>>(&piece).map_err(refused)?);
    }
    let named = named(&all, metadata, quoting)?;
    mark_duplicates(&mut all, &named, looking.likeness);
    Ok(Some(all.into_iter().map(|looked| (looked.place, looked.facts)).collect()))
}

/// Whether a record names each of `looked`.
fn named(looked: &[Looked], metadata: &Path, quoting: Quoting) -> Result<Vec<bool>> {
    let mut named = vec![false; looked.len()];
    let mut table = table::open_with(metadata, quoting)?;
    let Some(places) = Places::find(table.columns()) else { return Ok(named) };
    let by_place: HashMap<&str, usize> = looked.iter().enumerate().map(|(index, image)| (image.place.as_str(), index)).collect();
    table::for_each(table.as_mut(), |_, row, _| {
        let place = places.of(row);
        let found = by_place.get(place.path.as_str()).or_else(|| by_place.get(place.file.as_str()));
        found.and_then(|index| named.get_mut(*index)).into_iter().for_each(|named| *named = true);
        Ok(())
    })?;
    Ok(named)
}

fn look(shelf: &Shelf, place: &str, organisms: bool) -> Result<Looked> {
    let (mut facts, mut picture) = (ImageFacts::default(), None);
    match shelf.read(place)? {
        Err(fault) => facts.fault = Some(fault),
        Ok(jpeg) => {
            (facts.bytes, facts.blake3) = (jpeg.len() as u64, hash::of_bytes(&jpeg));
            match decode(&jpeg) {
                Err(fault) => facts.fault = Some(fault.to_string()),
                Ok(image) => {
                    (facts.width, facts.height) = (image.width, image.height);
                    picture = picture_hash(&image);
                    if organisms {
                        let found = contrast::locate(&image, image.size())?;
                        facts.organism_pixels = Some(found.map_or(0, |found| found.pixels));
                    }
                }
            }
        }
    }
    Ok(Looked { place: place.to_owned(), facts, picture })
}
