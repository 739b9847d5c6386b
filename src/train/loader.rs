//! Samples and a plan of batches → batches of pixels, decoded ahead of the step that wants them.
//!
//! What a batch holds is a function of the plan and the views alone; how many threads decode it changes nothing but the time.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::thread::Scope;

use crossbeam::channel::{Receiver, bounded};
use rayon::prelude::*;

use crate::config::{Crop, Fit};
use crate::container::{self, ImageKey, Reader};
use crate::dataset::Sample;
use crate::error::{Error, Result};
use crate::image::{Filter, Size, Target, crop_to_chw, decode, resize};
use crate::train::augment::View;

/// Batches kept ready: enough to hide an uneven decode, few enough to stay small in memory.
const AHEAD: usize = 3;

/// An open container and what it holds.
pub struct Images {
    reader: Arc<dyn Reader>,
    held: HashSet<ImageKey>,
}

impl Images {
    /// Opens the container at `path`.
    pub fn open(path: &Path) -> Result<Self> {
        let reader: Arc<dyn Reader> = container::open(path)?.into();
        let held = reader.keys().into_iter().collect();
        Ok(Self { reader, held })
    }
}

/// The images of one split and what a network sees of them.
pub struct Source {
    reader: Arc<dyn Reader>,
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

/// A rank's part of a global batch.
pub struct Batch {
    /// `[n, 3, side, side]`, 0..1.
    pub pixels: Vec<f32>,
    /// `[n]`.
    pub labels: Vec<i64>,
    /// Which samples, `[n]`.
    pub indices: Vec<usize>,
    /// Samples of the global batch, over all ranks.
    pub global: usize,
}

/// What one step asks of this rank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// This rank's samples.
    pub indices: Vec<usize>,
    /// Samples of the global batch, over all ranks.
    pub global: usize,
}

impl Source {
    /// The samples whose image `reader` has; those without are counted and left out, aloud (contract 6).
    pub fn new(split: &str, samples: Vec<Sample>, images: &Images, crop: Crop) -> Self {
        let expected = samples.len();
        let samples: Vec<Sample> = samples.into_iter().filter(|sample| images.held.contains(&key(sample))).collect();
        if samples.len() < expected {
            tracing::warn!(split, missing = expected - samples.len(), expected, "images are missing or quarantined: left out");
        }
        Self { reader: Arc::clone(&images.reader), samples, expected, crop }
    }

    /// Adds to `hasher` what tells the bytes of these images from any others.
    pub fn fingerprint(&self, hasher: &mut blake3::Hasher) -> Result<()> {
        for sample in &self.samples {
            hasher.update(&self.reader.check(&key(sample))?.unwrap_or_default());
        }
        Ok(())
    }

    /// Samples a class, in class order.
    pub fn class_totals(&self, classes: usize) -> Vec<u64> {
        let mut totals = vec![0; classes];
        for sample in &self.samples {
            totals[sample.label as usize] += 1;
        }
        totals
    }

    /// Side of the square in pixels.
    pub fn side(&self) -> usize {
        self.crop.size as usize
    }

    /// Decodes the batches of `plan` on `pool`, a few ahead of the receiver. Dropping the receiver ends the work.
    pub fn stream<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        pool: &'scope rayon::ThreadPool,
        plan: Vec<Order>,
        views: Views,
    ) -> Receiver<Result<Batch>> {
        let (sender, receiver) = bounded(AHEAD);
        scope.spawn(move || {
            for order in plan {
                let batch = pool.install(|| self.batch(order, views));
                let failed = batch.is_err();
                if sender.send(batch).is_err() || failed {
                    break;
                }
            }
        });
        receiver
    }

    fn batch(&self, order: Order, views: Views) -> Result<Batch> {
        let numbers = 3 * self.side() * self.side();
        let mut pixels = vec![0f32; order.indices.len() * numbers];
        pixels.par_chunks_exact_mut(numbers).zip(&order.indices).try_for_each(|(out, &index)| self.fill(index, views, out))?;
        let labels = order.indices.iter().map(|&index| i64::from(self.samples[index].label)).collect();
        Ok(Batch { pixels, labels, indices: order.indices, global: order.global })
    }

    /// One image: decoded, its shorter side resized to `crop.resize`, the view cut out.
    fn fill(&self, index: usize, views: Views, out: &mut [f32]) -> Result<()> {
        let sample = &self.samples[index];
        let (key, side) = (key(sample), self.crop.size);
        let broken = |what: String| Error::input(format!("part{}/{}", key.chunk, key.file), what);
        let jpeg = self.reader.read(&key)?.ok_or_else(|| broken("the image is gone from its container".into()))?;
        let image = decode(&jpeg).map_err(|fault| broken(fault.to_string()))?;
        let target = Target { fit: Fit::Shorter, length: self.crop.resize };
        let Size { width, height } = target.size_for(image.size()).map_err(|fault| broken(fault.to_string()))?;
        let image = resize(&image, Size { width, height }, Filter::Bilinear)?;
        let view = match views {
            Views::Random { seed, epoch } if self.crop.augment => View::random(seed, epoch, index as u64, (width, height), side),
            _ => View::centre((width, height), side),
        };
        crop_to_chw(&image, view.x, view.y, side, view.flip, out);
        Ok(())
    }
}

fn key(sample: &Sample) -> ImageKey {
    ImageKey::new(sample.chunk, sample.file.as_ref())
}
