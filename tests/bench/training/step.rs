//! a backbone → CPU time of one training step, ours and PyTorch's with timm's network, on the same libtorch.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use bioscan_hpc::comm::World;
use bioscan_hpc::comm::signals::StopFlag;
use bioscan_hpc::config::Job;
use bioscan_hpc::train::{Options, rehearse};
use tch::Device;

use crate::Result;
use crate::contest::{Contender, Cost, Meter, contest};
use crate::peers::{Peer, Request};
use crate::statistics::Spread;
use crate::table::{Group, Row, Target, Unit};
use crate::training::Prepared;

const BATCH: usize = 8;
/// A rehearsal without patience warms up in two steps and counts two.
const WARM: usize = 2;
const STEPS: usize = 2;
const TARGET: Target = Target::AtLeast(1.0);

/// ResNet-50 and ViT-B/16, one thread.
pub fn measure(rounds: usize, folder: &Path, versions: &mut BTreeMap<String, String>) -> Result<Group> {
    let prepared = Prepared::write(&folder.join("step"), 64)?;
    let mut rows = Vec::new();
    for backbone in ["resnet50", "vit_base_patch16_224"] {
        eprintln!("step of {backbone}");
        let job = Job::load(&prepared.job(backbone, &format!("global_batch = {BATCH}\nthreads = 1"))?)?;
        let mut peer = Peer::start("step")?;
        versions.extend(peer.versions.clone());
        let out = format!("model={backbone} batch={BATCH}").into();
        let request = Request { files: Vec::new(), repetitions: STEPS, out };
        let mut contenders = vec![
            Contender::new("ours", || Ok(ours(&job)?.per(STEPS))),
            Contender::new("PyTorch + timm", || Ok(peer.ask(&request)?.per(STEPS))),
        ];
        let costs = contest(&mut contenders, rounds)?;
        rows.push(Row {
            figure: format!("step of {backbone} over PyTorch + timm"),
            ours: costs[0].cpu_ms(),
            peer: costs[1].cpu_ms(),
            value: Some(Spread::of_ratios(&costs[1].cpu, &costs[0].cpu)),
            unit: Unit::Times,
            target: TARGET,
        });
    }
    let notes = vec![format!(
        "CPU time of a step of batch {BATCH} at 224 pixels, float32, one thread: forward, backward, SGD with Nesterov's momentum. Ours \
         decodes its images besides; the peer's are one batch of random numbers."
    )];
    Ok(Group { title: "Training step on the CPU".into(), rows, notes })
}

fn ours(job: &Job) -> Result<Cost> {
    let options = Options { device: Device::Cpu, threads: 1, stop: StopFlag::never(), packs: None, stage: None };
    let experiment = job.grid.experiments().swap_remove(0);
    let (mut meter, mut beats, mut cost) = (Meter::start(), 0, None);
    let mut beat = |_| {
        beats += 1;
        match beats {
            WARM => meter = Meter::start(),
            at if at == WARM + STEPS => cost = Some(meter.stop()),
            _ => {}
        }
    };
    rehearse(job, &experiment, &World::alone(), &options, Duration::ZERO, &mut beat)?;
    cost.ok_or_else(|| "the rehearsal took fewer steps than it should".into())
}
