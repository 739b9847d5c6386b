//! A plan of batches → batches of pixels, decoded ahead of the step that wants them, in memory that is used again.
//!
//! What a batch holds is a function of the plan and the views alone; how many threads decode it changes nothing but the time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Scope;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, bounded};
use rayon::prelude::*;
use tch::{Device, Tensor};

use crate::comm::gpu::{copy_to_gpu, finish_on};
use crate::comm::host_tensor::{HostTensor, Memory};
use crate::config::Recipe;
use crate::error::{Error, Result};
pub use crate::train::source::{Images, Source, Views};

/// Batches in the making at the same time: where the threads run out of images of one, they go on with the next.
const LANES: usize = 2;
/// Finished batches a lane keeps ready: with those in the making enough to hide an uneven decode, few enough to stay small.
const READY: usize = 1;

/// What one step asks of this rank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// This rank's samples.
    pub indices: Vec<usize>,
    /// Samples of the global batch, over all ranks.
    pub global: usize,
}

/// A rank's part of a global batch.
pub struct Batch {
    /// `[≥ n, 3, side, side]`, 0..1; `None` only while it is being given back.
    pixels: Option<HostTensor>,
    /// `[n]`.
    pub labels: Vec<i64>,
    /// Which samples, `[n]`.
    pub indices: Vec<usize>,
    /// Samples of the global batch, over all ranks.
    pub global: usize,
    spares: Arc<Spares>,
}

impl Batch {
    /// The batch on `device`: images `[n, 3, side, side]` float32, labels `[n]` int64. On the CPU the images are the loader's own memory,
    /// which it takes back once the batch and all tensors made of it are gone. From pinned memory the copy to a GPU runs beside its
    /// computing; from other memory the host waits for it.
    pub fn tensors(&self, device: Device) -> Result<(Tensor, Tensor)> {
        let libtorch = |error| Error::library("libtorch", error);
        let pixels = self.pixels.as_ref().ok_or_else(|| Error::library("loader", "a batch without pixels"))?;
        let (images, labels) = (pixels.rows(self.labels.len())?, Tensor::f_from_slice(&self.labels).map_err(libtorch)?);
        let to_device = |tensor: &Tensor| match (device, self.spares.memory) {
            (Device::Cuda(index), Memory::Pinned) => copy_to_gpu(tensor, index),
            _ => tensor.f_to_device(device).map_err(libtorch),
        };
        if self.spares.memory == Memory::Pageable {
            // The copy waits for the device anyway; that time is the step's, not the copy's.
            finish_on(device);
        }
        let started = Instant::now();
        let (images, labels) = (to_device(&images)?, to_device(&labels)?);
        let nanoseconds = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.spares.copying.fetch_add(nanoseconds, Ordering::Relaxed);
        Ok((images, labels))
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        if let Some(pixels) = self.pixels.take() {
            self.spares.give(pixels);
        }
    }
}

/// The batches of a plan in its order. Dropping it ends the work on those to come.
pub struct Batches {
    lanes: [Receiver<Result<Batch>>; LANES],
    next: usize,
    count: usize,
    waited: Duration,
    spares: Arc<Spares>,
}

impl Batches {
    /// How long the receiver waited for batches, and copied them to its device, since it last asked.
    pub fn spent(&mut self) -> (Duration, Duration) {
        let copying = Duration::from_nanos(self.spares.copying.swap(0, Ordering::Relaxed));
        (std::mem::take(&mut self.waited), copying)
    }
}

impl Iterator for Batches {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next == self.count {
            return None;
        }
        // A lane ends early only behind an error, which its receiver got; whoever asks on after that is at the end.
        let started = Instant::now();
        let batch = self.lanes[self.next % LANES].recv().ok();
        self.waited += started.elapsed();
        self.next = if batch.is_some() { self.next + 1 } else { self.count };
        batch
    }
}

impl Source {
    /// Decodes the batches of `plan` on `pool` into `memory`, a few ahead of the receiver.
    pub fn stream<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        pool: &'scope rayon::ThreadPool,
        plan: Vec<Order>,
        views: Views,
        memory: Memory,
    ) -> Batches {
        let rows = plan.iter().map(|order| order.indices.len()).max().unwrap_or(0);
        let spares = Arc::new(Spares::of(rows, self.side(), memory));
        let count = plan.len();
        let mut plans: [Vec<Order>; LANES] = Default::default();
        for (at, order) in plan.into_iter().enumerate() {
            plans[at % LANES].push(order);
        }
        let lanes = plans.map(|plan| {
            let ((sender, receiver), spares) = (bounded(READY), Arc::clone(&spares));
            scope.spawn(move || {
                for order in plan {
                    let batch = pool.install(|| self.batch(order, views, &spares));
                    let failed = batch.is_err();
                    if sender.send(batch).is_err() || failed {
                        break;
                    }
                }
            });
            receiver
        });
        Batches { lanes, next: 0, count, waited: Duration::ZERO, spares }
    }

    fn batch(&self, order: Order, views: Views, spares: &Arc<Spares>) -> Result<Batch> {
        let Order { indices, global } = order;
        let numbers = 3 * self.side() * self.side();
        let mut pixels = spares.take()?;
        let free = pixels.values_mut().and_then(|values| values.get_mut(..indices.len() * numbers));
        let values = free.ok_or_else(|| Error::library("loader", "the memory of a batch is in use"))?;
        values.par_chunks_exact_mut(numbers).zip(&indices).try_for_each(|(out, &index)| self.fill(index, views, out))?;
        let labels = indices.iter().map(|&index| i64::from(self.samples[index].label)).collect();
        Ok(Batch { pixels: Some(pixels), labels, indices, global, spares: Arc::clone(spares) })
    }
}

/// Where batches for `device` are decoded to.
pub(super) fn memory(recipe: &Recipe, device: Device) -> Memory {
    if recipe.pin_memory && device.is_cuda() { Memory::Pinned } else { Memory::Pageable }
}

/// Memory of batches that are done with.
struct Spares {
    /// `[rows, 3, side, side]`.
    shape: [i64; 4],
    memory: Memory,
    unused: Mutex<Vec<HostTensor>>,
    /// Nanoseconds that went to copies to the device.
    copying: AtomicU64,
}

impl Spares {
    fn of(rows: usize, side: usize, memory: Memory) -> Self {
        let shape = [rows as i64, 3, side as i64, side as i64];
        Self { shape, memory, unused: Mutex::default(), copying: AtomicU64::new(0) }
    }

    /// Memory that nobody looks at: used before where there is such, else new.
    fn take(&self) -> Result<HostTensor> {
        let mut unused = self.unused.lock().unwrap_or_else(PoisonError::into_inner);
        match unused.iter_mut().position(|pixels| pixels.values_mut().is_some()) {
            Some(at) => Ok(unused.swap_remove(at)),
            None => HostTensor::new(&self.shape, self.memory),
        }
    }

    /// Pinned memory goes back to libtorch, which alone knows when a GPU has read it, and keeps it for the next batch.
    fn give(&self, pixels: HostTensor) {
        if self.memory == Memory::Pinned {
            return;
        }
        self.unused.lock().unwrap_or_else(PoisonError::into_inner).push(pixels);
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::config::Crop;
    use crate::container::{ImageKey, Reader};
    use crate::dataset::Sample;
    use crate::image::{RgbImage, encode};
    use crate::train::order::{Share, shuffled};

    /// Images in memory.
    struct InMemory(BTreeMap<ImageKey, Vec<u8>>);

    impl Reader for InMemory {
        fn keys(&self) -> Vec<ImageKey> {
            self.0.keys().cloned().collect()
        }

        fn read(&self, key: &ImageKey) -> Result<Option<Cow<'_, [u8]>>> {
            Ok(self.0.get(key).map(|jpeg| Cow::Borrowed(jpeg.as_slice())))
        }
    }

    const SAMPLES: usize = 23;

    fn source() -> Source {
        let picture = |index: usize| {
            let pixels = (0..3 * 12 * 10).map(|at| ((at * (index + 3)) % 256) as u8).collect();
            encode(&RgbImage { width: 12, height: 10, pixels }, 90).unwrap()
        };
        let sample = |index: usize| Sample { chunk: 1, file: format!("{index}.jpg").into(), label: index as u32 };
        let samples: Vec<Sample> = (0..SAMPLES).map(sample).collect();
        let images = samples.iter().map(|s| (ImageKey::new(1, &*s.file), picture(s.label as usize))).collect();
        Source::new("train", samples, &Images::of(Arc::new(InMemory(images))), Crop { resize: 10, size: 8, augment: true })
    }

    /// A sample, its label and its pixels.
    type Row = (usize, i64, Vec<f32>);

    /// What each step of an epoch gives to `world` ranks, dealt back into the order of the global batch.
    fn epoch(source: &Source, world: usize, threads: usize, global_batch: usize) -> Vec<Row> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let order = shuffled(SAMPLES, 5, 1);
        let mut steps: Vec<Vec<Vec<Row>>> = vec![Vec::new(); order.len().div_ceil(global_batch)];
        for rank in 0..world {
            let share = Share { rank, world };
            let plan: Vec<Order> =
                order.chunks(global_batch).map(|batch| Order { indices: share.of(batch), global: batch.len() }).collect();
            std::thread::scope(|scope| {
                let batches = source.stream(scope, &pool, plan, Views::Random { seed: 5, epoch: 1 }, Memory::Pageable);
                for (step, batch) in batches.enumerate() {
                    let batch = batch.unwrap();
                    let (images, labels) = batch.tensors(Device::Cpu).unwrap();
                    assert_eq!(images.size()[0], labels.size()[0]);
                    let pixels: Vec<f32> = Vec::try_from(images.contiguous().view([-1])).unwrap();
                    let rows = batch.indices.iter().zip(&batch.labels).zip(pixels.chunks(3 * 8 * 8));
                    steps[step].push(rows.map(|((&index, &label), pixels)| (index, label, pixels.to_vec())).collect());
                }
            });
        }
        let deal = |parts: Vec<Vec<Row>>| {
            let count: usize = parts.iter().map(Vec::len).sum();
            (0..count).map(move |at| parts[at % parts.len()][at / parts.len()].clone()).collect::<Vec<_>>()
        };
        steps.into_iter().flat_map(deal).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn each_sample_comes_once_an_epoch_with_the_same_pixels_on_any_ranks_and_threads(
            world in prop::sample::select(vec![1usize, 2, 3, 4, 8]), threads in 1usize..5, global_batch in 1usize..30,
        ) {
            let source = source();
            let seen = epoch(&source, world, threads, global_batch);
            prop_assert_eq!(&seen, &epoch(&source, 1, 1, SAMPLES));
            let mut indices: Vec<usize> = seen.iter().map(|(index, ..)| *index).collect();
            prop_assert_eq!(&indices, &shuffled(SAMPLES, 5, 1));
            indices.sort_unstable();
            prop_assert_eq!(indices, (0..SAMPLES).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_damaged_image_is_named_in_its_turn_and_ends_the_stream() {
        let mut source = source();
        source.samples.push(Sample { chunk: 1, file: "gone.jpg".into(), label: 0 });
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        let order = |index: usize| Order { indices: vec![index], global: 1 };
        std::thread::scope(|scope| {
            let mut batches =
                source.stream(scope, &pool, vec![order(0), order(1), order(SAMPLES), order(2)], Views::Centre, Memory::Pageable);
            assert!(batches.next().unwrap().is_ok() && batches.next().unwrap().is_ok());
            assert!(batches.next().unwrap().err().unwrap().to_string().starts_with("part1/gone.jpg"));
        });
    }

    #[test]
    fn memory_is_used_again_but_never_while_a_tensor_looks_at_it() {
        let source = source();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let plan = (0..SAMPLES).map(|index| Order { indices: vec![index], global: 1 }).collect();
        std::thread::scope(|scope| {
            let mut places = std::collections::BTreeSet::new();
            let mut kept = None;
            for batch in source.stream(scope, &pool, plan, Views::Centre, Memory::Pageable) {
                let batch = batch.unwrap();
                let images = batch.tensors(Device::Cpu).unwrap().0;
                places.insert(images.data_ptr() as usize);
                kept.get_or_insert_with(|| (images.copy(), images));
            }
            let (before, after) = kept.unwrap();
            assert_eq!(before, after, "the first batch was kept, and nobody wrote over it");
            assert!(places.len() <= LANES * (READY + 1) + 2, "{} places", places.len());
        });
    }
}
