//! `test`: the best weights of a run → its figures on the test split, measured again.

use std::path::PathBuf;

use crate::cli::train::{Place, Which};
use crate::cli::{Context, answer};
use crate::comm::World;
use crate::config::Job;
use crate::error::{Exit, Result};
use crate::train;

/// Arguments of `test`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  bioscan-hpc test jobs/demo.toml --experiment small_insect_order-resnet18-CE-s1 --json")]
pub struct Args {
    /// The job file
    job: PathBuf,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    place: Place,
}

/// Runs `test`.
pub fn run(args: &Args, context: Context) -> Result<Exit> {
    let job = Job::load(&args.job)?;
    let experiment = args.which.of(&job)?;
    let world = World::connect()?;
    let outcome = args.place.options(&job, &world).and_then(|options| train::test(&job, &experiment, &world, options));
    let Some(figures) = world.leave(outcome)? else { return Ok(Exit::Done) };
    let percent = |value: f64| format!("{:.2} %", 100.0 * value);
    answer(context, &figures, || {
        let top_k = figures.top_k.iter();
        let top_k = top_k.map(|top| format!("top-{} {} (macro {})\n", top.k, percent(top.micro), percent(top.macro_seen)));
        let f1 = format!("F1 micro {}, macro {}\n", percent(figures.f1_micro), percent(figures.f1_macro));
        top_k.chain([f1, format!("{} of {} images\n", figures.used, figures.expected)]).collect()
    })
}
