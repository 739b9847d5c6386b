//! `predict`: a trained network and images → labels.

use std::fs::File;
use std::io::{BufWriter, Write, stdout};
use std::path::{Path, PathBuf};

use crate::cli::Context;
use crate::cli::classes::class_names;
use crate::cli::train::OnDevice;
use crate::comm::World;
use crate::config::{Backend, CropTool, Detector, Job, Preprocess};
use crate::error::{Error, Exit, IoContext, Result};
use crate::model::Model;
use crate::predict::{Classifier, Cropper as Cut, Files, Inputs, Request, Sink, Summary, Truth, predict, write_quarantine};
use crate::preprocess::Cropper;
use crate::store::atomic::{self, Staged};
use crate::train::Trained;

/// Arguments of `predict`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bioscan-hpc predict results/mine/runs/mine-resnet50-CE-s1 photos/ > labels.csv
  bioscan-hpc predict results/mine/runs/mine-resnet50-CE-s1 photos.zip --json | jq .top[0]
  mpirun -n 4 bioscan-hpc predict exported/ original_256.hdf5 --out labels --truth truth.csv
  bioscan-hpc predict large_insect_order_vit_base_patch16_224_CE_s2_weights_best_acc.tar photos/ --detector contrast

Labels go to stdout as CSV, with --json as JSON lines; with --out both go to files. Their order and bytes are the
same on any number of ranks and threads. What cannot be read as a JPEG is left out and listed in quarantine.csv
(exit code 3), in the --out folder or here. Images are shown as in training: the shorter side resized, the middle
taken, no mean taken off; weights that were trained otherwise answer wrongly.")]
pub struct Args {
    /// A run's folder, an exported folder, or a file of weights in any form
    #[arg(value_name = "NETWORK")]
    network: PathBuf,
    /// Folders, .zip, .tar, .hdf5 or .h5 files, or single JPEGs
    #[arg(value_name = "IMAGES", required = true)]
    images: Vec<PathBuf>,
    /// The names of the classes, one a line in the order of the outputs, where nothing beside the weights says them;
    /// `large_insect_order` stands for the published checkpoint's
    #[arg(long, value_name = "FILE")]
    classes: Option<PathBuf>,
    /// Take the weights for this backbone instead of finding out
    #[arg(long, value_name = "NAME")]
    backbone: Option<String>,
    /// Classes named for each image
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    top: u16,
    /// A CSV with the columns file,label: adds a column, and metrics over the images it names
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,
    /// Write predictions.csv, predictions.jsonl, quarantine.csv and metrics.json into this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    crop: Crop,
    #[command(flatten)]
    on: OnDevice,
    /// Threads of a rank; 0 takes what Slurm or the machine gives
    #[arg(long, value_name = "N", default_value_t = 0)]
    threads: usize,
}

/// How the specimen is cut out first.
#[derive(Debug, clap::Args)]
struct Crop {
    /// Cut the specimen out first: by its contrast, by a file of boxes, or by the published crop tool
    #[arg(long, value_enum, default_value = "none")]
    detector: Finder,
    /// For `boxes`: a COCO JSON, or a table as BIOSCAN-5M publishes it
    #[arg(long, value_name = "FILE", required_if_eq("detector", "boxes"))]
    boxes: Option<PathBuf>,
    /// For `detr`: the crop tool's .ckpt, a state dict or a .safetensors
    #[arg(long, value_name = "FILE", required_if_eq("detector", "detr"))]
    detector_weights: Option<PathBuf>,
    /// Crop as this job's [preprocess] says
    #[arg(long, value_name = "JOB.toml", conflicts_with_all = ["detector", "boxes", "detector_weights"])]
    crop_as: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Finder {
    None,
    Contrast,
    Boxes,
    Detr,
}

impl Crop {
    fn settings(&self) -> Result<Preprocess> {
        if let Some(job) = &self.crop_as {
            return Ok(Job::load(job)?.preprocess);
        }
        let detector = match self.detector {
            Finder::None => Detector::None,
            Finder::Contrast => Detector::Contrast,
            Finder::Boxes => Detector::Boxes,
            Finder::Detr => Detector::Detr,
        };
        let meant = [
            ("--boxes", self.boxes.is_some(), Detector::Boxes, "boxes"),
            ("--detector-weights", self.detector_weights.is_some(), Detector::Detr, "detr"),
        ];
        if let Some((option, _, _, name)) = meant.into_iter().find(|(_, given, of, _)| *given && *of != detector) {
            return Err(Error::usage(format!("{option} is for `--detector {name}` and would be ignored"))
                .with_help(format!("add `--detector {name}`, or leave {option} out")));
        }
        let crop = CropTool { boxes: self.boxes.clone(), weights: self.detector_weights.clone(), ..CropTool::default() };
        Ok(Preprocess { detector, crop, ..Preprocess::default() })
    }
}

/// Runs `predict`.
pub fn run(args: &Args, context: Context) -> Result<Exit> {
    let world = World::connect()?;
    let outcome = label(args, context, &world);
    let Some(summary) = world.leave(outcome)? else { return Ok(Exit::Done) };
    say(&summary, args.truth.is_some());
    Ok(if summary.quarantined.is_empty() { Exit::Done } else { Exit::Quarantined })
}

fn label(args: &Args, context: Context, world: &World) -> Result<Option<Summary>> {
    let threads = world.threads(args.threads);
    let ready = || {
        let classifier = classifier(args, world)?;
        let truth = args.truth.as_deref().map(Truth::read).transpose()?;
        Ok((classifier, truth, Cropper::new(args.crop.settings()?, threads)?, Inputs::open(&args.images)?))
    };
    let (classifier, truth, cropper, inputs) = world.agree(ready())?;
    if let Some(truth) = truth.as_ref().filter(|_| world.is_root()) {
        warn_of_strangers(truth, &classifier.classes);
    }
    let cut = cropper.as_ref().map(|cropper| move |file: &str, jpeg: &[u8]| cropper.crop(file, jpeg));
    let request = Request {
        classifier: &classifier,
        inputs: &inputs,
        cropper: cut.as_ref().map(|cut| cut as &Cut<'_>),
        truth: truth.as_ref(),
        top: usize::from(args.top),
        threads,
    };
    match &args.out {
        Some(folder) if world.is_root() => into_folder(&request, world, folder).map(Some),
        _ => {
            let (csv, json) = if context.json { (None, Some(stdout())) } else { (Some(stdout()), None) };
            let summary = predict(&request, world, &mut Files { csv, json })?;
            if let Some(summary) = summary.as_ref().filter(|summary| !summary.quarantined.is_empty()) {
                write_quarantine(Path::new("quarantine.csv"), &summary.quarantined)?;
            }
            Ok(summary)
        }
    }
}

/// Everything into `folder`, each file whole or not at all.
fn into_folder(request: &Request<'_>, world: &World, folder: &Path) -> Result<Summary> {
    let staged = ["predictions.csv", "predictions.jsonl"].map(|name| Staged::beside(&folder.join(name)));
    let [csv, json] = staged;
    let (csv, json) = (csv?, json?);
    let writer = |staged: &Staged| File::create(staged.path()).map(BufWriter::new).at("create", staged.path());
    let mut files = Files { csv: Some(writer(&csv)?), json: Some(writer(&json)?) };
    let summary = predict(request, world, &mut files as &mut dyn Sink)?;
    let summary = summary.ok_or_else(|| Error::usage("rank 0 alone writes the files"))?;
    for mut writer in files.csv.into_iter().chain(files.json) {
        writer.flush().at("write", folder)?;
    }
    csv.publish()?;
    json.publish()?;
    write_quarantine(&folder.join("quarantine.csv"), &summary.quarantined)?;
    let path = folder.join("metrics.json");
    match &summary.metrics {
        Some(metrics) => {
            let text = serde_json::to_vec_pretty(metrics).map_err(|error| Error::library("serde_json", error))?;
            atomic::write(&path, &text)?;
        }
        // Those of an earlier call are not of these labels.
        None => atomic::remove(&path)?,
    }
    Ok(summary)
}

/// Labels of the truth that are no class count nowhere: most likely they are misspelled.
fn warn_of_strangers(truth: &Truth, classes: &[String]) {
    const SHOWN: usize = 10;
    let strangers = truth.strangers(classes);
    if strangers.is_empty() {
        return;
    }
    let near = |near: Option<&str>| near.map(|near| format!(" (did you mean `{near}`?)")).unwrap_or_default();
    let named: Vec<String> =
        strangers.iter().take(SHOWN).map(|(label, nearest)| format!("`{label}`{}", near(*nearest))).collect();
    let more = if strangers.len() > SHOWN { ", …" } else { "" };
    tracing::warn!("{} labels of the truth are no class and count nowhere: {}{more}", strangers.len(), named.join(", "));
}

fn classifier(args: &Args, world: &World) -> Result<Classifier> {
    let trained = Trained::open(&args.network)?;
    let found = trained.recognise(args.backbone.as_deref())?;
    let given = args.classes.as_deref().map(class_names).transpose()?;
    let classes = given.or_else(|| trained.classes.clone()).ok_or_else(|| {
        Error::usage("nothing says what the outputs of these weights are called").with_help(
            "give `--classes FILE`, one name a line in the order of the outputs (for the published large-order checkpoint \
             `--classes large_insect_order`), or a run's folder with its test.json",
        )
    })?;
    if found.classes != Some(classes.len()) {
        let outputs = found.classes.map_or("no classifier".to_owned(), |outputs| format!("{outputs} outputs"));
        return Err(Error::usage(format!("there are {} class names, and the weights have {outputs}", classes.len())));
    }
    if let Some(config) = trained.config.as_ref().filter(|config| config.package.starts_with("cropped")) {
        tracing::info!("the network was trained on {}: give it crops, or a --detector", config.package);
    }
    let crop = trained.crop(found.image_size);
    // The ranks share no tensors: they may share a GPU.
    let device = args.on.device(world, Backend::Mpi)?;
    let model = Model::new(found.spec.name, classes.len(), crop.size as usize, device)?;
    model.load_trained(&trained.weights)?;
    Ok(Classifier { model, classes, crop, device })
}

/// On stderr, since stdout holds the labels.
fn say(summary: &Summary, with_truth: bool) {
    tracing::info!("{} of {} images labelled, {} quarantined", summary.labelled, summary.images, summary.quarantined.len());
    if let Some(metrics) = &summary.metrics {
        let percent = |value: f64| format!("{:.2} %", 100.0 * value);
        let top1 = metrics
            .at(1)
            .map_or_else(String::new, |top| format!("top-1 {}, macro {}, ", percent(top.micro), percent(top.macro_seen)));
        let (used, expected, f1) = (metrics.used, metrics.expected, percent(metrics.f1_macro));
        tracing::info!("{top1}macro-F1 {f1} on {used} of {expected} images with a known label");
    } else if with_truth {
        tracing::warn!("the truth names none of the labelled images with the label of a class, so there are no metrics");
    }
}
