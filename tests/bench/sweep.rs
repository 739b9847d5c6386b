//! `sweep` on synthetic runs, and its arrays beside submitit's on one real Slurm → milliseconds, ratios, memory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use bioscan_hpc::config::{Cluster, Job};
use bioscan_hpc::sweep::plan::plan;
use bioscan_hpc::sweep::render::{Rendering, render, templates};

use crate::Result;
use crate::memory::mebibytes;
use crate::runs;
use crate::slurm::{PROFILE, Site, SlurmLab};
use crate::statistics::Spread;
use crate::table::{Group, Row, Target, Unit};

const PROGRAM: &str = env!("CARGO_BIN_EXE_bioscan-hpc");
/// Tasks of the array that is compared.
const TASKS: usize = 24;

/// Both groups.
pub fn measure(rounds: usize, folder: &Path) -> Result<Vec<Group>> {
    eprintln!("sweep");
    Ok(vec![grids(rounds, folder)?, arrays(rounds.min(5), folder)?])
}

/// Planning and looking, without Slurm.
fn grids(rounds: usize, folder: &Path) -> Result<Group> {
    let start = samples(rounds, || timed(Command::new(PROGRAM).arg("--version")))?;
    let plan = samples(rounds, planned)?;
    let small = synthetic(&folder.join("runs-72"), 3)?;
    let large = synthetic(&folder.join("runs-10000"), 417)?;
    let look = |job: &Path| samples(rounds, || timed(sweep(&["status", "--json"]).arg(job)));
    let row = |figure: &str, values: Vec<f64>, target| Row {
        figure: figure.into(),
        ours: "–".into(),
        peer: "–".into(),
        value: Some(Spread::median(values.into_iter().map(|seconds| 1e3 * seconds))),
        unit: Unit::Milliseconds,
        target,
    };
    Ok(Group {
        title: "The sweep's own figures".into(),
        rows: vec![
            row("72 runs planned and rendered for Fir, within the program", plan, Target::AtMost(50.0)),
            row("`--version`: what starting this binary takes", start, Target::Stated),
            row("`sweep status` of 72 runs, half of them done", look(&small)?, Target::Stated),
            row("`sweep status` of 10,008 runs, half of them done", look(&large)?, Target::Stated),
        ],
        notes: vec![
            "Wall time; the last three of the whole program, from its start to its end, in a warm file cache. A binary with libtorch spends \
             most of its start on loading it; one built with `--no-default-features` does not."
                .into(),
        ],
    })
}

/// Plans and renders the paper's grid once, from the job's text to the scripts'.
fn planned() -> Result<f64> {
    let start = Instant::now();
    let file = Path::new("jobs/bioscan-1m.toml");
    let job = Job::as_written(file)?;
    let plan = plan(&job, &Cluster::load("fir", None)?)?;
    let rendering = Rendering { job: &job, job_file: file, folder: Path::new("slurm/fir"), account: None, ranks: 1 };
    std::hint::black_box(render(&plan, &rendering, templates(None)?)?);
    Ok(start.elapsed().as_secs_f64())
}

/// A job whose every second run is done; returns its file.
fn synthetic(folder: &Path, seeds: usize) -> Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let seeds: Vec<String> = (1..=seeds).map(|seed| seed.to_string()).collect();
    let output = folder.join("out").display().to_string();
    let file = runs::job_file(folder, "job.toml", &output, &format!("[{}]", seeds.join(", ")));
    let job = Job::load(&file)?;
    let experiments = job.grid.experiments();
    let mut record = runs::record(&job, 0, 8);
    for experiment in experiments.into_iter().step_by(2) {
        record.id = experiment.id;
        runs::finish(&job.paths.runs(), &record);
    }
    Ok(file)
}

/// One array of tasks that do nothing: by `sweep`, by submitit, and by hand.
fn arrays(rounds: usize, folder: &Path) -> Result<Group> {
    let title = format!("An array of {TASKS} tasks that do nothing, beside submitit");
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join(".bench/bin/python");
    let missing = |why: &str| Group {
        title: title.clone(),
        rows: vec![Row::not_measured("wall of a task", Unit::Times, Target::Stated, why)],
        notes: vec![],
    };
    let Some(lab) = SlurmLab::start(&Site::default()) else { return Ok(missing("Slurm is not installed")) };
    let has_peer = Command::new(&python).args(["-c", "import submitit"]).stderr(Stdio::null()).status();
    if !has_peer.is_ok_and(|status| status.success()) {
        return Ok(missing("submitit is not in .bench"));
    }
    let (mut ours, mut peers, mut plain) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        eprintln!("  round {} of {rounds}", round + 1);
        ours.push(by_sweep(&lab, &folder.join(format!("ours-{round}")))?);
        peers.push(by_submitit(&lab, &python, &folder.join(format!("peer-{round}")))?);
        plain.push(by_hand(&lab, folder)?);
    }
    let of = |all: &[Array], value: fn(&Array) -> f64| all.iter().map(value).collect::<Vec<f64>>();
    let text = |all: &[Array], value: fn(&Array) -> f64, factor: f64, unit: &str| {
        format!("{:.0} {unit}", factor * Spread::median(of(all, value)).middle)
    };
    let compare = |figure: &str, value: fn(&Array) -> f64, factor, unit| Row {
        figure: figure.into(),
        ours: text(&ours, value, factor, unit),
        peer: text(&peers, value, factor, unit),
        value: Some(Spread::of_ratios(&of(&peers, value), &of(&ours, value))),
        unit: Unit::Times,
        target: Target::AtLeast(1.0),
    };
    let overhead = ours.iter().zip(&plain).map(|(ours, plain)| 1e3 * (ours.whole - plain.whole) / TASKS as f64);
    Ok(Group {
        title,
        rows: vec![
            compare("submission, wall", |array| array.submission, 1e3, "ms"),
            compare("submission, peak RSS", |array| array.memory, 1.0, "MiB"),
            compare("the whole, from the command to the end of the last task", |array| array.whole, 1e3, "ms"),
            Row {
                figure: "our array over one of a bare `srun true`, wall a task".into(),
                ours: text(&ours, |array| array.whole, 1e3, "ms in all"),
                peer: text(&plain, |array| array.whole, 1e3, "ms in all"),
                value: Some(Spread::median(overhead)),
                unit: Unit::Milliseconds,
                target: Target::Stated,
            },
        ],
        notes: vec![
            "One Slurm of four nodes on this machine for all, in turns. Ours submits the array and the aggregation behind it, submitit the array."
                .into(),
            "Tasks run side by side, as many as the nodes take, and begin while the submission goes on; the last figure is the difference of \
             the whole to an array submitted by hand, over the number of tasks: the start of our program is in it."
                .into(),
        ],
    })
}

/// What one array cost.
struct Array {
    /// Seconds until the submitting program ended.
    submission: f64,
    /// Its peak RSS in MiB.
    memory: f64,
    /// Seconds from the command to the end of the last task.
    whole: f64,
}

impl Array {
    fn of(lab: &SlurmLab, command: &mut Command, name: &str) -> Result<Self> {
        let start = Instant::now();
        let memory = peak(command)?;
        let submission = start.elapsed().as_secs_f64();
        let running = |line: &String| line.contains(name) && !["COMPLETED", "FAILED"].iter().any(|word| line.ends_with(word));
        lab.wait_for("the array", 300, || !lab.squeue("%j %T").iter().any(running));
        let whole = start.elapsed().as_secs_f64();
        lab.wait_for("the rest", 300, || lab.is_quiet());
        Ok(Self { submission, memory, whole })
    }
}

fn by_sweep(lab: &SlurmLab, folder: &Path) -> Result<Array> {
    fs::create_dir_all(folder.join("data"))?;
    let output = folder.join("out");
    let job = runs::job_file(folder, "job.toml", &output.display().to_string(), "[1]");
    let job = Job::load(&job)?;
    runs::preprocessed(&job);
    fs::write(job.paths.split_metadata(), "image_file\n")?;
    fs::write(folder.join("lab.toml"), PROFILE)?;
    let mut command = lab.command(PROGRAM);
    command.args(["-q", "sweep", "submit", "job.toml", "--cluster", "lab.toml"]).current_dir(folder);
    command.env("BIOSCAN_HPC", "true").env("BIOSCAN_SLURM_PACE", "0,1,60");
    Array::of(lab, &mut command, "mini-train")
}

fn by_submitit(lab: &SlurmLab, python: &Path, folder: &Path) -> Result<Array> {
    fs::create_dir_all(folder)?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/submitit_array.py");
    let mut command = lab.command(&python.display().to_string());
    command.arg(script).arg(folder).arg(TASKS.to_string()).current_dir(folder);
    Array::of(lab, &mut command, "submitit")
}

fn by_hand(lab: &SlurmLab, folder: &Path) -> Result<Array> {
    let mut command = lab.command("sbatch");
    command.args(["--job-name=by-hand", "--output=/dev/null", "--cpus-per-task=4", "--gpus-per-node=h100:1", "--mem=8G"]);
    command.arg(format!("--array=0-{}", TASKS - 1)).args(["--wrap", "srun true"]).current_dir(folder);
    Array::of(lab, &mut command, "by-hand")
}

/// Runs a program to its end; its peak RSS in MiB.
fn peak(command: &mut Command) -> Result<f64> {
    let mut process = command.stdout(Stdio::null()).spawn()?;
    let status_file = format!("/proc/{}/status", process.id());
    let mut peak = 0f64;
    let status = loop {
        if let Some(status) = process.try_wait()? {
            break status;
        }
        let text = fs::read_to_string(&status_file).unwrap_or_default();
        peak = peak.max(mebibytes(&text, "VmHWM:").unwrap_or(0.0));
        thread::sleep(Duration::from_millis(2));
    };
    if status.success() { Ok(peak) } else { Err(format!("{command:?} ended with {status}").into()) }
}

fn sweep(arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(["-q", "sweep"]).args(arguments);
    command
}

/// Wall seconds of a program that may end with 4, because runs are missing.
fn timed(command: &mut Command) -> Result<f64> {
    let start = Instant::now();
    let status = command.stdout(Stdio::null()).status()?;
    match status.code() {
        Some(0 | 4) => Ok(start.elapsed().as_secs_f64()),
        _ => Err(format!("{command:?} ended with {status}").into()),
    }
}

/// One turn to fill the caches, and then one a round.
fn samples(rounds: usize, mut turn: impl FnMut() -> Result<f64>) -> Result<Vec<f64>> {
    turn()?;
    (0..rounds).map(|_| turn()).collect()
}
