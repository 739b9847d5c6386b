//! an epoch on one rank and on two → how the same global batch scales, ours over MPI and DistributedDataParallel over gloo.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::Result;
use crate::contest::{Contender, Cost, Costs, contest};
use crate::peers::torchrun;
use crate::preprocess::mpirun;
use crate::statistics::Spread;
use crate::table::{Group, Row, Target, Unit};
use crate::training::{Prepared, last_of};

/// It has ResNet-50's ratio of computing to gradients (0.15 GFLOP a parameter in millions), in less than half its time.
const BACKBONE: &str = "resnet18";
const BATCH: usize = 16;
/// Steps of an epoch. The first of two epochs warms up; the second is what counts.
const STEPS: usize = 4;

const TARGET: Target = Target::AtLeast(1.0);

/// Ours with local statistics, as PyTorch has them on CPUs; with those of the whole batch, our default; and the peer.
pub fn measure(rounds: usize, folder: &Path) -> Result<Group> {
    eprintln!("ranks");
    let prepared = Prepared::write(&folder.join("ranks"), STEPS * BATCH + 4)?;
    let mine = |ranks: usize, statistics: &'static str| {
        let prepared = &prepared;
        Contender::new(format!("ours, {statistics}, {ranks} ranks"), move || ours(prepared, ranks, statistics))
    };
    let theirs = |ranks: usize| {
        let prepared = &prepared;
        Contender::new(format!("DDP, {ranks} ranks"), move || peer(prepared, ranks))
    };
    let mut contenders = vec![mine(1, "local"), mine(2, "local"), mine(2, "sync"), theirs(1), theirs(2)];
    let costs = contest(&mut contenders, rounds)?;
    let [one, two, sync, theirs_one, theirs_two] = &costs[..] else { return Err("a contender without costs".into()) };
    let scaling = |one: &Costs, two: &Costs| Spread::of_ratios(&one.wall, &two.wall);
    let row = |figure: &str, one: &Costs, two: &Costs, value, target| Row {
        figure: figure.into(),
        ours: two.wall_seconds(),
        peer: one.wall_seconds(),
        value: Some(value),
        unit: Unit::Times,
        target,
    };
    let over = {
        let mine = ratios(&one.wall, &two.wall);
        Spread::of_ratios(&mine, &ratios(&theirs_one.wall, &theirs_two.wall))
    };
    let rows = vec![
        row("two ranks over one, BatchNorm's statistics local", one, two, scaling(one, two), Target::Stated),
        row("two ranks over one, BatchNorm's statistics of the whole batch", one, sync, scaling(one, sync), Target::Stated),
        row("DDP over gloo, two ranks over one", theirs_one, theirs_two, scaling(theirs_one, theirs_two), Target::Stated),
        row("our scaling over that of DDP, statistics local", theirs_two, two, over, TARGET),
        row(
            "two ranks of ours against two of DDP, wall",
            theirs_two,
            two,
            Spread::of_ratios(&theirs_two.wall, &two.wall),
            Target::Stated,
        ),
    ];
    let notes = vec![
        format!("{}.", prepared.origin),
        format!(
            "Wall time of the second epoch of two: {STEPS} steps of {BACKBONE}, global batch {BATCH} at 224 pixels, one thread a rank, \
             on the same cores; images decoded in it. DDP: `tests/bench/trainer.py` by torchrun, one DataLoader worker a rank. The \
             columns are, in the first three rows, two ranks and one, and in the last two, DDP's and our two."
        ),
    ];
    Ok(Group { title: "Two ranks on the CPU".into(), rows, notes })
}

fn ratios(one: &[f64], two: &[f64]) -> Vec<f64> {
    one.iter().zip(two).map(|(one, two)| one / two).collect()
}

fn ours(prepared: &Prepared, ranks: usize, statistics: &str) -> Result<Cost> {
    let recipe = format!("epochs = 2\nglobal_batch = {BATCH}\nthreads = 1\nbatch_norm = {statistics:?}");
    let job = prepared.job(BACKBONE, &recipe)?;
    let program = env!("CARGO_BIN_EXE_bioscan-hpc");
    let mut command = if ranks == 1 { Command::new(program) } else { mpirun(ranks, program) };
    command.args(["train", "-q", "--device", "cpu", "--index", "0"]).arg(&job);
    let started = Instant::now();
    let status = command.stdout(Stdio::null()).status()?;
    if !status.success() {
        return Err(format!("{command:?} ended with {status}").into());
    }
    let times = fs::read_to_string(prepared.run_folder(&job)?.join("timing.csv"))?;
    eprintln!("    {:.1} s in all", started.elapsed().as_secs_f64());
    Ok(Cost { cpu_s: f64::NAN, wall_s: last_of(&times, "seconds")? })
}

fn peer(prepared: &Prepared, ranks: usize) -> Result<Cost> {
    let (table, images) = prepared.for_peers();
    let mut command = Command::new(torchrun()?);
    command.args(["--standalone", "--nproc-per-node", &ranks.to_string(), "tests/bench/trainer.py"]).arg(table).arg(images);
    command.args([BACKBONE, &BATCH.to_string(), "2", "256", "224"]).env("OMP_NUM_THREADS", "1").stderr(Stdio::null());
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    // Each rank says its own; they wait for each other in every step, so that any line will do.
    let last = said.lines().rfind(|line| line.starts_with('{')).filter(|_| output.status.success());
    let last: serde_json::Value = serde_json::from_str(last.ok_or_else(|| format!("{command:?}: {}, {said}", output.status))?)?;
    let seconds = last["epoch_s"].as_f64().ok_or("the peer did not say how long its epoch was")?;
    Ok(Cost { cpu_s: f64::NAN, wall_s: seconds })
}
