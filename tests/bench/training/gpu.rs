//! a backbone and a batch → time of one training step on a GPU, ours and PyTorch's with timm's network, eager and compiled.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use bioscan_hpc::comm::World;
use bioscan_hpc::comm::signals::StopFlag;
use bioscan_hpc::comm::tensor_ext::load_cuda;
use bioscan_hpc::config::Job;
use bioscan_hpc::train::{Options, rehearse};
use tch::Device;

use crate::Result;
use crate::contest::{Contender, Cost, Costs, contest};
use crate::peers::{Peer, Request};
use crate::statistics::Spread;
use crate::table::{Group, Row, Target, Unit};
use crate::training::Prepared;

/// How long each of ours is rehearsed, a turn.
const PATIENCE: Duration = Duration::from_secs(5);
const STEPS: usize = 30;
const THREADS: usize = 8;

/// What is compared: a batch that keeps a GPU busy, and the paper's, which leaves it waiting for launches unless they are recorded.
const CASES: [(usize, bool, f64); 2] = [(256, false, 1.0), (32, true, 1.5)];

/// ResNet-50 and ViT-B/16, bfloat16 and channels last; without a GPU, rows that say so.
pub fn measure(rounds: usize, folder: &Path, versions: &mut BTreeMap<String, String>) -> Result<Group> {
    let missing = load_cuda().err().map(|error| error.to_string());
    let missing = missing.or_else(|| (!tch::Cuda::is_available()).then(|| "no GPU here".to_owned()));
    let mut rows = Vec::new();
    for backbone in ["resnet50", "vit_base_patch16_224"] {
        for (batch, graphs, least) in CASES {
            let [eager, compiled] =
                ["eager PyTorch", "torch.compile"].map(|peer| format!("step of {backbone}, batch {batch}, over {peer}"));
            let target = Target::AtLeast(least);
            if let Some(why) = &missing {
                rows.push(Row::not_measured(eager, Unit::Times, target, why));
                rows.push(Row::not_measured(compiled, Unit::Times, Target::Stated, why));
                continue;
            }
            eprintln!("step of {backbone} on the GPU, batch {batch}");
            let costs = compare(rounds, &folder.join(format!("gpu-{batch}")), (backbone, batch, graphs), versions)?;
            let row = |figure, peer: &Costs, target| Row {
                figure,
                ours: costs[0].wall_ms(),
                peer: peer.wall_ms(),
                value: Some(Spread::of_ratios(&peer.wall, &costs[0].wall)),
                unit: Unit::Times,
                target,
            };
            rows.extend([row(eager, &costs[1], target), row(compiled, &costs[2], Target::Stated)]);
        }
    }
    let notes = vec![
        "Wall time of a step at 224 pixels, bfloat16 autocast and channels last: forward, backward, SGD with Nesterov's momentum. At batch 32 ours \
         is a CUDA graph. Ours waits for the GPU after each step and copies its batches; the peers wait after thirty, and their one \
         batch lies on the GPU."
            .to_owned(),
    ];
    Ok(Group { title: "Training step on a GPU".into(), rows, notes })
}

/// Ours, eager PyTorch and torch.compile.
fn compare(
    rounds: usize,
    folder: &Path,
    (backbone, batch, graphs): (&str, usize, bool),
    versions: &mut BTreeMap<String, String>,
) -> Result<Vec<Costs>> {
    let prepared = Prepared::write(folder, batch + 64)?;
    let recipe = format!(
        "global_batch = {batch}\nprecision = \"bfloat16\"\nchannels_last = true\ncuda_graphs = {graphs}\nthreads = {THREADS}"
    );
    let job = Job::load(&prepared.job(backbone, &recipe)?)?;
    let mut peer = Peer::start("gpu_step")?;
    versions.extend(peer.versions.clone());
    let request = |compile: u8| Request {
        files: Vec::new(),
        repetitions: STEPS,
        out: format!("model={backbone} batch={batch} compile={compile}").into(),
    };
    let mut compiler = Peer::start("gpu_step")?;
    let mut contenders = vec![
        Contender::new("ours", || ours(&job)),
        Contender::new("eager PyTorch", || Ok(peer.ask(&request(0))?.per(STEPS))),
        Contender::new("torch.compile", || Ok(compiler.ask(&request(1))?.per(STEPS))),
    ];
    contest(&mut contenders, rounds)
}

/// The middle step of a rehearsal.
fn ours(job: &Job) -> Result<Cost> {
    let options = Options { device: Device::Cuda(0), threads: THREADS, stop: StopFlag::never(), packs: None, stage: None };
    let experiment = job.grid.experiments().swap_remove(0);
    let wall_s = rehearse(job, &experiment, &World::alone(), &options, PATIENCE, &mut |_| {})?.step_s;
    Ok(Cost { cpu_s: f64::NAN, wall_s })
}
