//! whole training runs → the time to the first step, memory, and what an epoch's time goes to, beside a PyTorch user's script.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::Result;
use crate::contest::{Contender, Cost, contest};
use crate::memory::mebibytes;
use crate::peers::python;
use crate::statistics::Spread;
use crate::table::{Group, Row, Target, Unit};
use crate::training::{Prepared, last_of};

const SOONER: Target = Target::AtLeast(3.0);
const LESS_MEMORY: Target = Target::AtLeast(1.0);
const WAITING: Target = Target::AtMost(0.03);
const CHECKPOINTS: Target = Target::AtMost(0.035);

/// A small network on small crops, so that starting is what takes the time.
const SMALL: &str = "resnet18";
/// And a real one on real images, a checkpoint a minute.
const LARGE: &str = "resnet50";

/// Starting, memory, waiting for data, checkpoints.
pub fn measure(rounds: usize, folder: &Path) -> Result<Group> {
    eprintln!("runs");
    let prepared = Prepared::write(&folder.join("runs"), 292)?;
    let recipe = "epochs = 1\nglobal_batch = 8\nthreads = 1\ncrop = { resize = 256, size = 64 }";
    let (mut mine, mut theirs) = (Vec::new(), Vec::new());
    let mut contenders = vec![
        Contender::new("ours", || {
            let (cost, peak) = to_first_step(ours(&prepared.job(SMALL, recipe)?), true)?;
            mine.push(peak);
            Ok(cost)
        }),
        Contender::new("PyTorch", || {
            let (cost, peak) = to_first_step(peer(&prepared, SMALL, 64)?, false)?;
            theirs.push(peak);
            Ok(cost)
        }),
    ];
    let costs = contest(&mut contenders, rounds)?;
    drop(contenders);
    let row = |figure: &str, ours: String, peer: String, value, unit, target| Row {
        figure: figure.into(),
        ours,
        peer,
        value: Some(value),
        unit,
        target,
    };
    let median = |values: &[f64]| format!("{:.0} MiB", Spread::median(values.iter().copied()).middle);
    let mut rows = vec![
        row(
            "from process start to the first step, wall",
            costs[0].wall_seconds(),
            costs[1].wall_seconds(),
            Spread::of_ratios(&costs[1].wall, &costs[0].wall),
            Unit::Times,
            SOONER,
        ),
        row(
            "peak memory over the Python trainer's and its one worker's",
            median(&mine),
            median(&theirs),
            Spread::of_ratios(&theirs, &mine),
            Unit::Times,
            LESS_MEMORY,
        ),
    ];
    // Long enough for a checkpoint or two to fall into it.
    let prepared = Prepared::write(&folder.join("long"), 580)?;
    let job = prepared.job(LARGE, "epochs = 1\nglobal_batch = 32\nthreads = 1\ncheckpoint_minutes = 1")?;
    eprintln!("  an epoch of {LARGE}");
    let status = ours(&job).stderr(Stdio::null()).status()?;
    if !status.success() {
        return Err(format!("train ended with {status}").into());
    }
    let run = prepared.run_folder(&job)?;
    let within = |name: &str| name.starts_with("checkpoint-00000-");
    if !fs::read_dir(&run)?.flatten().any(|entry| within(&entry.file_name().to_string_lossy())) {
        return Err("no checkpoint fell into the epoch: this machine is too fast for so few images".into());
    }
    let times = fs::read_to_string(run.join("timing.csv"))?;
    for (column, figure, target) in [
        ("waiting", "part of an epoch that waits for data", WAITING),
        ("checkpointing", "part of an epoch that checkpoints hold up, one a minute", CHECKPOINTS),
    ] {
        let value = Spread::median([last_of(&times, column)?]);
        rows.push(row(figure, "–".into(), "–".into(), value, Unit::Share, target));
    }
    let notes = vec![
        format!("{}.", prepared.origin),
        format!(
            "Start and memory: `train` of {SMALL}, batch 8 at 64 pixels, one thread, an epoch of 288 images and the test of 4; the peer is \
             `tests/bench/trainer.py`: PyTorch, timm, torchvision, PIL, a DataLoader with one worker."
        ),
        format!("The parts: an epoch of {LARGE} over 576 images, batch 32 at 224 pixels, one thread, from `timing.csv`."),
    ];
    Ok(Group { title: "Training runs".into(), rows, notes })
}

fn ours(job: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bioscan-hpc"));
    command.args(["train", "-v", "--device", "cpu", "--index", "0"]).arg(job);
    command
}

fn peer(prepared: &Prepared, model: &str, crop: u32) -> Result<Command> {
    let (table, images) = prepared.for_peers();
    let mut command = Command::new(python()?);
    command.arg("tests/bench/trainer.py").arg(table).arg(images).args([model, "8", "1", "256", &crop.to_string()]);
    Ok(command)
}

/// Wall time until the process says that its first step is done, and its peak memory in MiB: of ours as the kernel kept it, of the peer
/// as it says in its last line.
fn to_first_step(mut command: Command, ours: bool) -> Result<(Cost, f64)> {
    let started = Instant::now();
    let (out, err) = if ours { (Stdio::null(), Stdio::piped()) } else { (Stdio::piped(), Stdio::null()) };
    let mut process = command.stdout(out).stderr(err).spawn()?;
    let said: Box<dyn Read> = match (process.stdout.take(), process.stderr.take()) {
        (Some(out), _) => Box::new(out),
        (_, Some(err)) => Box::new(err),
        _ => return Err("a process without output".into()),
    };
    let status_file = format!("/proc/{}/status", process.id());
    let (mut first, mut last, mut peak) = (None, String::new(), 0f64);
    for line in BufReader::new(said).lines() {
        last = line?;
        if first.is_none() && last.contains("first step done") {
            first = Some(started.elapsed().as_secs_f64());
        }
        let status = fs::read_to_string(&status_file).unwrap_or_default();
        peak = mebibytes(&status, "VmHWM:").unwrap_or(0.0).max(peak);
    }
    let status = process.wait()?;
    let first = first.filter(|_| status.success()).ok_or_else(|| format!("{command:?}: {status}, {last}"))?;
    if !ours {
        let said: serde_json::Value = serde_json::from_str(&last)?;
        peak = said["peak_mib"].as_f64().ok_or("the peer did not say its memory")?;
    }
    Ok((Cost { cpu_s: f64::NAN, wall_s: first }, peak))
}
