//! a dataset of full-size photographs → wall time of `preprocess` on two ranks and on two threads, over one.

use std::hint::black_box;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Instant;

use crate::Result;
use crate::contest::{Contender, Cost, Costs, contest};
use crate::photographs::Photographs;
use crate::preprocess::{Dataset, on_ranks, program};
use crate::statistics::Spread;
use crate::table::{Group, Row, Target, Unit};

/// About 36 s of work for one core, so that starting the program and MPI, and the last units of uneven length, are lost in it.
const CHUNKS: u32 = 72;
const IMAGES: usize = 50;

const TARGET: Target = Target::AtLeast(1.9);

/// One rank and two, one thread and two.
pub fn measure(rounds: usize, folder: &Path) -> Result<Group> {
    eprintln!("scaling");
    let photographs = Photographs::large(folder)?;
    let dataset = Dataset::write(&folder.join("scaling"), &photographs, CHUNKS, IMAGES)?;
    let ranks = |ranks| {
        let dataset = &dataset;
        Contender::new(format!("{ranks} ranks"), move || timed(on_ranks(ranks, &dataset.fresh_job(1)?)))
    };
    let threads = |threads| {
        let dataset = &dataset;
        Contender::new(format!("{threads} threads"), move || timed(program(&dataset.fresh_job(threads)?)))
    };
    let counting = |threads| Contender::new(format!("counting on {threads} threads"), move || Cost::of(|| count(threads)));
    let mut contenders = vec![counting(1), counting(2), threads(1), threads(2)];
    let has_mpirun = Command::new("mpirun").arg("--version").stdout(Stdio::null()).status().is_ok_and(|status| status.success());
    if has_mpirun {
        contenders.extend([ranks(1), ranks(2)]);
    }
    let costs = contest(&mut contenders, rounds)?;
    let given = row("2 threads that only count over 1, wall: what the machine gives", &costs[0], &costs[1]);
    let mut rows = vec![Row { target: Target::Stated, ..given }, row("2 threads over 1, wall", &costs[2], &costs[3])];
    rows.push(match &costs[4..] {
        [one, two] => row("2 ranks over 1, wall", one, two),
        _ => Row::not_measured("2 ranks over 1, wall", Unit::Times, TARGET, "no mpirun here"),
    });
    let notes = vec![
        format!("`preprocess` on {CHUNKS} chunks of {IMAGES} photographs of {} ({}).", photographs.size(), photographs.origin),
        "Wall time, with starting the program and MPI in it. Reading and writing have threads of their own, a twentieth of the work: on \
         two cores the one thread already has their help, and two can be at most 1.9 times as fast. Where two threads that share \
         nothing are not twice as fast as one, the machine does other work too, and the other figures mean nothing."
            .into(),
    ];
    Ok(Group { title: "Scaling of `preprocess`".into(), rows, notes })
}

fn row(figure: &str, one: &Costs, two: &Costs) -> Row {
    Row {
        figure: figure.into(),
        ours: two.wall_seconds(),
        peer: one.wall_seconds(),
        value: Some(Spread::of_ratios(&one.wall, &two.wall)),
        unit: Unit::Times,
        target: TARGET,
    }
}

/// The same work for any number of threads, without memory, disk or locks.
fn count(threads: u64) -> Result<()> {
    const STEPS: u64 = 4_000_000_000;
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| (0..STEPS / threads).for_each(|step| _ = black_box(step)));
        }
    });
    Ok(())
}

/// Only the wall time of a process is known here; the rows ask for nothing else.
fn timed(mut command: Command) -> Result<Cost> {
    let start = Instant::now();
    let status = command.stdout(Stdio::null()).status()?;
    if !status.success() {
        return Err(format!("{command:?} ended with {status}").into());
    }
    Ok(Cost { cpu_s: f64::NAN, wall_s: start.elapsed().as_secs_f64() })
}
