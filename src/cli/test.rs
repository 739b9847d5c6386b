//! `test`: any weights on a split of a job → their figures.

use std::fmt::Write;
use std::path::PathBuf;

use crate::cli::train::{Place, Several};
use crate::cli::{Context, answer};
use crate::comm::World;
use crate::config::Job;
use crate::dataset::Role;
use crate::error::{Error, Exit, Result};
use crate::train::{Subject, Tested, test};

/// Arguments of `test`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bioscan-hpc test jobs/demo.toml --experiment small_insect_order-test_resnet-CE-s1 --json
  bioscan-hpc test jobs/demo.toml --experiment small_insect_order-test_resnet-CE-s{1,2,3} --ensemble
  bioscan-hpc test jobs/bioscan-1m.toml --experiment large_insect_order-vit_base_patch16_224-CE-s2 \\
      --weights large_insect_order_vit_base_patch16_224_CE_s2_weights_best_acc.tar --out results/published

Weights of any form will do: a run's folder or checkpoint, safetensors, what torch.save wrote. They must have an
output for each class of the experiment, in the job's order of classes: the most populous in training first. Images
are shown as in training, without a mean taken off. An ensemble takes the mean of the softmax probabilities.
With --out each one's figures and predictions lie in DIR/NAME/SPLIT.json and DIR/NAME/SPLIT-predictions.csv.")]
pub struct Args {
    /// The job file
    job: PathBuf,
    #[command(flatten)]
    which: Several,
    /// Measure these weights, on the data and with the backbone of the experiment, instead of its own run's best
    #[arg(long, value_name = "FILE", num_args = 1..)]
    weights: Vec<PathBuf>,
    /// The images to measure on
    #[arg(long, value_enum, default_value = "test")]
    split: Split,
    /// All of them together, as one: the mean of their softmax probabilities
    #[arg(long)]
    ensemble: bool,
    /// Write figures and predictions below this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Split {
    Train,
    Validation,
    Test,
}

impl From<Split> for Role {
    fn from(split: Split) -> Self {
        match split {
            Split::Train => Self::Train,
            Split::Validation => Self::Validation,
            Split::Test => Self::Test,
        }
    }
}

/// Runs `test`.
pub fn run(args: &Args, context: Context) -> Result<Exit> {
    let job = Job::load(&args.job)?;
    let subjects = subjects(args, &job)?;
    let world = World::connect()?;
    let speaks = world.is_root();
    let (split, out) = (args.split.into(), args.out.as_deref());
    let outcome = args.place.options(&job, &world);
    let outcome = outcome.and_then(|options| test(&job, &subjects, split, args.ensemble, out, &world, &options));
    let tested = world.leave(outcome)?;
    if speaks { answer(context, &tested, || tested.iter().map(words).collect()) } else { Ok(Exit::Done) }
}

fn subjects(args: &Args, job: &Job) -> Result<Vec<Subject>> {
    let experiments = args.which.of(job)?;
    match (experiments.as_slice(), args.weights.as_slice()) {
        (_, []) => Ok(experiments.into_iter().map(|experiment| Subject { experiment, weights: None }).collect()),
        ([experiment], files) => {
            let subject = |file: &PathBuf| Subject { experiment: experiment.clone(), weights: Some(file.clone()) };
            Ok(files.iter().map(subject).collect())
        }
        _ => Err(Error::usage("`--weights` are measured as one experiment's, and several are named")
            .with_help("name the experiment whose data and backbone the weights are for")),
    }
}

fn words(tested: &Tested) -> String {
    let percent = |value: f64| format!("{:.2} %", 100.0 * value);
    let figures = &tested.evaluation;
    let mut text = format!("{} on {} of {} images of {}\n", tested.name, figures.used, figures.expected, tested.split);
    for top in &figures.top_k {
        let _ = writeln!(text, "  top-{} {} (macro {})", top.k, percent(top.micro), percent(top.macro_seen));
    }
    let _ = writeln!(text, "  F1 micro {}, macro {}", percent(figures.f1_micro), percent(figures.f1_macro));
    text
}
