//! prepared images → CPU time of one image through the loader, beside PyTorch's DataLoader and beside decoding alone.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;

use bioscan_hpc::comm::host_tensor::Memory;
use bioscan_hpc::config::Crop;
use bioscan_hpc::dataset::Sample;
use bioscan_hpc::image::decode;
use bioscan_hpc::train::loader::{Images, Order, Source, Views};
use tch::Device;

use crate::Result;
use crate::contest::{Contender, Cost, Costs, contest};
use crate::peers::{Peer, Request};
use crate::statistics::Spread;
use crate::table::{Group, Row, Target, Unit};
use crate::training::Prepared;

const IMAGES: usize = 288;
/// Passes over them in a round.
const PASSES: usize = 4;
const BATCH: usize = 32;

const AGAINST_TORCH: Target = Target::AtLeast(4.0);
const AGAINST_DECODING: Target = Target::AtLeast(0.8);

/// Ours on one thread, decoding alone, and the DataLoader in this process and with two workers.
pub fn measure(rounds: usize, folder: &Path, versions: &mut BTreeMap<String, String>) -> Result<Group> {
    eprintln!("loader");
    let prepared = Prepared::write(&folder.join("loader"), IMAGES)?;
    let jpegs: Vec<Vec<u8>> = prepared.files.iter().map(std::fs::read).collect::<std::io::Result<_>>()?;
    let source = source(&prepared)?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
    let each = PASSES * IMAGES;
    let mut peer = Peer::start("loader")?;
    versions.extend(peer.versions.clone());
    let peer = std::cell::RefCell::new(&mut peer);
    let torch = |workers: usize| {
        let request = Request { files: prepared.files.clone(), repetitions: PASSES, out: format!("workers={workers}").into() };
        let peer = &peer;
        Contender::new(format!("DataLoader, {workers} workers"), move || Ok(peer.borrow_mut().ask(&request)?.per(each)))
    };
    let mut contenders = vec![
        Contender::new("ours", || Ok(Cost::of(|| load(&source, &pool))?.per(each))),
        Contender::new("decoding alone", || {
            let once = || jpegs.iter().try_for_each(|jpeg| decode(jpeg).map(|image| _ = black_box(image)));
            Ok(Cost::of(|| Ok((0..PASSES).try_for_each(|_| once())?))?.per(each))
        }),
        torch(0),
        torch(2),
    ];
    let costs = contest(&mut contenders, rounds)?;
    let rows = vec![
        row("loader over DataLoader + PIL + torchvision, in one process", &costs[0], &costs[2], AGAINST_TORCH),
        row("loader over the same with two worker processes", &costs[0], &costs[3], AGAINST_TORCH),
        row("loader over decoding whole images alone (turbojpeg)", &costs[0], &costs[1], AGAINST_DECODING),
    ];
    let notes = vec![
        format!("{}. CPU time (user + system) an image, of all threads and processes; batches of {BATCH} at 224 pixels.", prepared.origin),
        "Both: decode, resize to 256 (they are), a random crop of 224, a random flip, floats, batches. Ours decodes only what the crop \
         shows, to the same pixels, which is how it can beat decoding whole images."
            .into(),
    ];
    Ok(Group { title: "Loader".into(), rows, notes })
}

fn source(prepared: &Prepared) -> Result<Source> {
    let name = |path: &std::path::PathBuf| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let sample = |path| Sample { chunk: 1, file: name(path).into(), label: 0 };
    let samples = prepared.files.iter().map(sample).collect();
    Ok(Source::new("train", samples, &Images::open(&prepared.packs())?, Crop::default()))
}

/// All passes as one epoch: a real one has hundreds of batches, and the memory of the first few serves all of them.
fn load(source: &Source, pool: &rayon::ThreadPool) -> Result<()> {
    let order: Vec<usize> = (0..IMAGES).cycle().take(PASSES * IMAGES).collect();
    let plan = order.chunks(BATCH).map(|batch| Order { indices: batch.to_vec(), global: batch.len() }).collect();
    std::thread::scope(|scope| {
        for batch in source.stream(scope, pool, plan, Views::Random { seed: 1, epoch: 0 }, Memory::Pageable) {
            drop(black_box(batch?.tensors(Device::Cpu)?));
        }
        Ok(())
    })
}

fn row(figure: &str, ours: &Costs, peer: &Costs, target: Target) -> Row {
    Row {
        figure: figure.into(),
        ours: ours.cpu_ms(),
        peer: peer.cpu_ms(),
        value: Some(Spread::of_ratios(&peer.cpu, &ours.cpu)),
        unit: Unit::Times,
        target,
    }
}
