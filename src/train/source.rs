//! The images of one split, wherever they are kept, and what a network sees of each.
//!
//! What a sample looks like is a function of its bytes and the view alone: neither the container, nor the rank, nor the thread is in it.

use std::cell::RefCell;
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use rayon::prelude::*;

use crate::comm::signals::StopFlag;
use crate::config::{Crop, Fit};
use crate::container::{self, ImageKey, Reader};
use crate::dataset::Sample;
use crate::error::{Error, Result};
use crate::image::{Size, Target, View, view_of};
use crate::train::augment;

/// Samples whose bytes are hashed between two updates of a fingerprint: enough for all threads, few enough to stay small.
const HASHED_AT_ONCE: usize = 4096;

/// An open container and what it holds.
pub struct Images {
    reader: Arc<dyn Reader>,
    held: HashSet<ImageKey>,
    /// Whether it tells chunks apart; the published HDF5 layout does not.
    chunked: bool,
}

/// The images of one split and what a network sees of them.
pub struct Source {
    reader: Arc<dyn Reader>,
    chunked: bool,
    /// Those whose image is there, in the order of the metadata.
    pub samples: Vec<Sample>,
    /// How many the metadata lists.
    pub expected: usize,
    crop: Crop,
}

/// Which square of each image is taken.
#[derive(Clone, Copy, Debug)]
pub enum Views {
    /// The middle.
    Centre,
    /// A random one, mirrored half of the time, a function of seed, epoch and sample.
    Random {
        /// The run's.
        seed: u64,
        /// 0-based.
        epoch: u64,
    },
}

impl Images {
    /// Opens the container at `path`.
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Self::of(container::open(path)?.into()))
    }

    /// The images that `reader` holds.
    #[must_use]
    pub fn of(reader: Arc<dyn Reader>) -> Self {
        let held: HashSet<ImageKey> = reader.keys().into_iter().collect();
        let chunked = held.iter().any(|key| key.chunk != 0);
        Self { reader, held, chunked }
    }
}

impl Source {
    /// The samples whose image `images` has; those without are counted and left out, aloud (contract 6).
    #[must_use]
    pub fn new(split: &str, samples: Vec<Sample>, images: &Images, crop: Crop) -> Self {
        let expected = samples.len();
        let mut source =
            Self { reader: Arc::clone(&images.reader), chunked: images.chunked, samples: Vec::new(), expected, crop };
        source.samples = samples.into_iter().filter(|sample| source.with_key(sample, |key| images.held.contains(key))).collect();
        let missing = expected - source.samples.len();
        if missing > 0 {
            tracing::warn!(split, missing, expected, "images are missing or quarantined: left out");
        }
        source
    }

    /// Adds to `hasher` what tells the bytes of these images from any others, the same from every container that holds them. Packs have
    /// it in their index; from another container every image is read once, on all cores.
    ///
    /// # Errors
    /// [`Error::Stopped`] where `stop` is raised before the end: it may take minutes.
    pub fn fingerprint(&self, hasher: &mut blake3::Hasher, stop: &StopFlag) -> Result<()> {
        for part in self.samples.chunks(HASHED_AT_ONCE) {
            if stop.raised() {
                return Err(Error::Stopped);
            }
            let check = |sample| self.with_key(sample, |key| self.reader.check(key));
            for check in part.par_iter().map(check).collect::<Result<Vec<_>>>()? {
                hasher.update(&check.unwrap_or_default());
            }
        }
        Ok(())
    }

    /// Samples a class, in class order.
    #[must_use]
    pub fn class_totals(&self, classes: usize) -> Vec<u64> {
        let mut totals = vec![0; classes];
        for sample in &self.samples {
            totals[sample.label as usize] += 1;
        }
        totals
    }

    /// Side of the square in pixels.
    #[must_use]
    pub fn side(&self) -> usize {
        self.crop.size as usize
    }

    /// The names of samples as a person looks for them: `part7/4a2b.jpg`.
    pub fn names(&self, indices: &[usize]) -> Vec<String> {
        let named = indices.iter().filter_map(|&index| self.samples.get(index));
        named.map(|sample| format!("part{}/{}", sample.chunk, sample.file)).collect()
    }

    /// One image: decoded, its shorter side resized to `crop.resize`, the view cut out into `out`, `[3, side, side]`.
    ///
    /// # Errors
    /// [`Error::Damaged`] for an image that is no longer what preprocessing wrote.
    pub fn fill(&self, index: usize, views: Views, out: &mut [f32]) -> Result<()> {
        self.with_key(&self.samples[index], |key| {
            let broken = |message: String| {
                let help = "`bioscan-hpc verify JOB` names all that is damaged, and says how to make it again".into();
                Error::Damaged { path: key.to_string().into(), message, help }
            };
            let read = self.reader.read(key).map_err(|error| match error {
                Error::Input { message, .. } => broken(message),
                other => other,
            });
            let jpeg = read?.ok_or_else(|| broken("the image is gone from its container".into()))?;
            let target = Target { fit: Fit::Shorter, length: self.crop.resize };
            let choose = |size: Size| match views {
                Views::Random { seed, epoch } if self.crop.augment => {
                    augment::random(seed, epoch, index as u64, size, self.crop.size)
                }
                _ => View::centre(size, self.crop.size),
            };
            view_of(&jpeg, target, self.crop.size, choose, out)?.map_err(|fault| broken(fault.to_string()))
        })
    }

    /// Lends the key of a sample; a thread makes all its keys in the same memory.
    fn with_key<T>(&self, sample: &Sample, work: impl FnOnce(&ImageKey) -> T) -> T {
        thread_local! {
            static KEY: RefCell<ImageKey> = RefCell::new(ImageKey::new(0, ""));
        }
        KEY.with_borrow_mut(|key| {
            key.chunk = if self.chunked { sample.chunk } else { 0 };
            key.file.clear();
            key.file.push_str(&sample.file);
            work(key)
        })
    }
}
