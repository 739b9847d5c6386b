//! `make bench`: our image path and its peers, side by side in one run → a table of ratios on stdout and in `results/bench/`.
//!
//! ```text
//! contest.rs      contenders work in turns, in rounds; a ratio is taken within a round, so that a busy machine disturbs both alike
//! peers.rs .py    the peers: long-lived Python processes that answer with their CPU time
//! resize.rs crop.rs scaling.rs hdf5.rs memory.rs sweep.rs training/{loader,step,ranks,run}.rs
//!                 one group of figures each, with its targets
//! statistics.rs table.rs                      pure: medians, ratios, met or missed
//! ```

mod contest;
mod crop;
mod hdf5;
mod machine;
mod memory;
mod peers;
mod photographs;
mod preprocess;
mod resize;
#[path = "../support/runs.rs"]
#[expect(dead_code, reason = "shared with the tests")]
mod runs;
mod scaling;
#[path = "../support/slurm.rs"]
mod slurm;
mod statistics;
mod sweep;
mod table;
mod training;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clap::{Parser, ValueEnum};
use serde::Serialize;

use crate::machine::Machine;
use crate::table::Group;

/// Whatever ends a measurement is told to the person at the terminal.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// A group of figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Figures {
    /// CPU time and pixels of a resize
    Resize,
    /// CPU time of a crop
    Crop,
    /// Wall time on two ranks and two threads
    Scaling,
    /// CPU time of writing HDF5
    Hdf5,
    /// Memory of a rank over a chunk
    Memory,
    /// Planning, status, and arrays beside submitit's
    Sweep,
    /// CPU time of the loader beside PyTorch's
    Loader,
    /// CPU time of a training step beside PyTorch's
    Step,
    /// Time of a training step on a GPU beside PyTorch's, eager and compiled
    Gpu,
    /// Two ranks over one beside DistributedDataParallel
    Ranks,
    /// Start, memory, and what an epoch's time goes to
    Run,
    /// Loader, step, gpu, ranks and run
    Training,
}

impl Figures {
    fn is_of_training(self) -> bool {
        matches!(self, Self::Loader | Self::Step | Self::Gpu | Self::Ranks | Self::Run)
    }
}

/// Measures the image path, the sweep and training beside their peers.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  make bench
  cargo bench --bench bench -- --only resize --rounds 15
  cargo bench --bench bench -- --only training
  cargo bench --bench bench -- --only memory --chunk 1000")]
struct Args {
    /// Only these figures
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Figures>,
    /// How often everybody works
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Photographs in the chunk of the memory figure; BIOSCAN-1M's have 10,000, 6.4 GB
    #[arg(long, default_value_t = 10_000)]
    chunk: usize,
    /// Where resize.md and resize.json go
    #[arg(long, default_value = "results/bench")]
    out: PathBuf,
    /// Cargo passes it
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    machine: &'a Machine,
    versions: &'a BTreeMap<String, String>,
    groups: &'a [Group],
}

/// Measures the groups of some figures, and adds what it measured with to the versions.
type Program<'a> = &'a dyn Fn(&mut BTreeMap<String, String>) -> Result<Vec<Group>>;

fn main() -> Result<()> {
    let args = Args::parse();
    std::env::set_current_dir(env!("CARGO_MANIFEST_DIR"))?;
    let wanted = |figures: Figures| {
        let training = args.only.contains(&Figures::Training) && figures.is_of_training();
        args.only.is_empty() || args.only.contains(&figures) || training
    };
    let folder = tempfile::Builder::new().prefix("bench-").tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let (rounds, at) = (usize::from(args.rounds), folder.path());
    let before = Machine::now();
    let (mut groups, mut versions) = (Vec::new(), BTreeMap::new());
    let programs: [(Figures, Program); 11] = [
        (Figures::Resize, &|versions| resize::measure(rounds, at, versions)),
        (Figures::Crop, &|versions| Ok(vec![crop::measure(rounds, at, versions)?])),
        (Figures::Hdf5, &|versions| Ok(vec![hdf5::measure(rounds, at, versions)?])),
        (Figures::Scaling, &|_| Ok(vec![scaling::measure(rounds.min(3), at)?])),
        (Figures::Memory, &|_| Ok(vec![memory::measure(args.chunk, at)?])),
        (Figures::Sweep, &|_| sweep::measure(rounds, at)),
        (Figures::Loader, &|versions| Ok(vec![training::loader::measure(rounds, at, versions)?])),
        (Figures::Step, &|versions| Ok(vec![training::step::measure(rounds.min(3), at, versions)?])),
        (Figures::Gpu, &|versions| Ok(vec![training::gpu::measure(rounds.min(3), at, versions)?])),
        (Figures::Ranks, &|_| Ok(vec![training::ranks::measure(rounds.min(3), at)?])),
        (Figures::Run, &|_| Ok(vec![training::run::measure(rounds.min(3), at)?])),
    ];
    for (_, measure) in programs.into_iter().filter(|(figures, _)| wanted(*figures)) {
        let measured = measure(&mut versions)?;
        eprintln!("{}", table::markdown(&measured));
        groups.extend(measured);
        // After each, so that an hour of measuring that breaks off leaves what it had.
        let machine = before.until_now();
        let text = format!("{}{}", table::markdown(&groups), machine.markdown(&versions));
        save(&args.out, &text, &Report { machine: &machine, versions: &versions, groups: &groups })?;
    }
    let machine = before.until_now();
    println!("{}{}", table::markdown(&groups), machine.markdown(&versions));
    Ok(())
}

fn save(out: &Path, text: &str, report: &Report) -> Result<()> {
    fs::create_dir_all(out)?;
    fs::write(out.join("resize.md"), text)?;
    fs::write(out.join("resize.json"), serde_json::to_string_pretty(report)? + "\n")?;
    Ok(())
}
