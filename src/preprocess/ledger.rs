//! manifests as they come → which chunks of which packages are finished.

use std::collections::BTreeMap;

use crate::config::Package;
use crate::preprocess::Manifest;

/// The manifests of everything that is finished.
#[derive(Clone, Debug, Default)]
pub struct Ledger(BTreeMap<(Package, u32), Manifest>);

impl Ledger {
    /// Whether `chunk` is finished for each of `packages`.
    #[must_use]
    pub fn has(&self, chunk: u32, packages: impl IntoIterator<Item = Package>) -> bool {
        packages.into_iter().all(|package| self.0.contains_key(&(package, chunk)))
    }

    /// The manifests of `package` in the order of their chunks.
    #[must_use]
    pub fn of(&self, package: Package) -> Vec<Manifest> {
        self.0.range((package, 0)..=(package, u32::MAX)).map(|(_, manifest)| manifest.clone()).collect()
    }
}

impl Extend<(Package, Manifest)> for Ledger {
    fn extend<T: IntoIterator<Item = (Package, Manifest)>>(&mut self, manifests: T) {
        self.0.extend(manifests.into_iter().map(|(package, manifest)| ((package, manifest.chunk), manifest)));
    }
}
