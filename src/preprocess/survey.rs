//! chunks and what lies on the disk → what of each is finished and what is left.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::config::Package;
use crate::error::Result;
use crate::preprocess::Manifest;
use crate::preprocess::pass::{Pass, Product};
use crate::preprocess::queue::Remainder;
use crate::preprocess::source::{Archive, Source};
use crate::preprocess::units::{Unit, cut};
use crate::preprocess::work::Manifests;

/// What was found of one chunk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Survey {
    /// The manifests of the packages for which the chunk is finished.
    pub manifests: Manifests,
    /// What is left for the others; `None` where there are none.
    pub remainder: Option<Remainder>,
}

/// Looks at `sources` on the current pool. It reads the finished packs again: their hashes are the truth, not their being there.
pub fn survey(pass: &Pass, sources: &[Source], mine: &[u32]) -> Result<Vec<Survey>> {
    mine.par_iter().map(|chunk| survey_one(pass, &Archive::open(sources, *chunk)?)).collect()
}

fn survey_one(pass: &Pass, archive: &Archive) -> Result<Survey> {
    let (mut manifests, mut left) = (Vec::new(), Vec::new());
    for product in &pass.products {
        match Manifest::current(&product.place.chunk(archive.chunk()), &product.settings, archive.fingerprint())? {
            Some(manifest) => manifests.push((product.package, manifest)),
            None => left.push(product),
        }
    }
    let remainder = if left.is_empty() { None } else { Some(remainder(&left, archive)?) };
    Ok(Survey { manifests, remainder })
}

fn remainder(products: &[&Product], archive: &Archive) -> Result<Remainder> {
    let lengths: Vec<u64> = archive.files().iter().map(|(_, stored)| *stored).collect();
    let units = cut(archive.chunk(), &lengths);
    let wanted = |unit: &Unit| -> Result<Vec<Package>> {
        let mut wanted = Vec::new();
        for product in products {
            if Manifest::current(&product.place.unit(unit), &product.settings, archive.fingerprint())?.is_none() {
                wanted.push(product.package);
            }
        }
        Ok(wanted)
    };
    let wanted = units.iter().map(wanted).collect::<Result<_>>()?;
    Ok(Remainder { units, wanted, packages: products.iter().map(|product| product.package).collect() })
}
