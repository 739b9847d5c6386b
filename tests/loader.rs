//! The loader as training uses it, with every allocation of this process counted.

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use bioscan_hpc::comm::host_tensor::Memory;
use bioscan_hpc::config::Crop;
use bioscan_hpc::container::{ImageKey, PackWriter, Writer, pack};
use bioscan_hpc::dataset::Sample;
use bioscan_hpc::image::{RgbImage, encode};
use bioscan_hpc::train::loader::{Images, Order, Source, Views};
use tch::Device;

/// The system's allocator, with a count of the bytes that were asked of it.
struct Counting;

static BYTES: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call is handed on as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.fetch_add(layout.size() as u64, Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        BYTES.fetch_add(size as u64, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(place, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const BATCH: usize = 8;

fn source(folder: &Path) -> Source {
    let (width, height) = (140, 100);
    let mut writer = PackWriter::create(&folder.join(pack::file_name(1)), 1).unwrap();
    let samples: Vec<Sample> =
        (0..64).map(|index| Sample { chunk: 1, file: format!("{index:02}.jpg").into(), label: index }).collect();
    for sample in &samples {
        let pixels = (0..3 * width * height).map(|at| (at * (sample.label + 5) / 7 % 256) as u8).collect();
        let jpeg = encode(&RgbImage { width, height, pixels }, 80).unwrap();
        writer.add(&ImageKey::new(1, &*sample.file), &jpeg).unwrap();
    }
    Box::new(writer).finish().unwrap();
    Source::new("train", samples, &Images::open(folder).unwrap(), Crop { resize: 100, size: 96, augment: true })
}

/// In packs the images are at their size already, so nothing is resized. What libtorch and libjpeg-turbo take for themselves is theirs.
#[test]
fn once_warm_the_loader_allocates_less_in_forty_batches_than_one_picture_takes() {
    let folder = tempfile::tempdir().unwrap();
    let source = source(folder.path());
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    let plan: Vec<Order> =
        (0..60).map(|step| Order { indices: (0..BATCH).map(|at| (step * BATCH + at) % 64).collect(), global: BATCH }).collect();
    let picture = 3 * 96 * 96 * size_of::<f32>() as u64;
    std::thread::scope(|scope| {
        let (mut warm, mut step) = (0, 0);
        for batch in source.stream(scope, &pool, plan, Views::Random { seed: 1, epoch: 0 }, Memory::Pageable) {
            let (images, _labels) = batch.unwrap().tensors(Device::Cpu).unwrap();
            assert_eq!(images.size(), [BATCH as i64, 3, 96, 96]);
            step += 1;
            if step == 20 {
                warm = BYTES.load(Ordering::Relaxed);
            }
        }
        let later = BYTES.load(Ordering::Relaxed) - warm;
        assert!(later < picture, "{later} bytes in 40 batches; a picture has {picture}");
    });
}
