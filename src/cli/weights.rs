//! `weights`: files of weights, looked at, taken in and given out.

use std::path::PathBuf;

use serde_json::json;

use crate::cli::classes::class_names;
use crate::cli::{Context, answer};
use crate::error::{Exit, Result};
use crate::train::{Inspection, export, import, inspect};

/// Arguments of `weights`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Say what a file holds: its form, backbone, classes, image size; exit code 5 where it is no backbone's
    Inspect(Inspect),
    /// Take weights into the folder that a job's `paths.weights` names, under timm's names
    Import(Import),
    /// Write weights as timm and Hugging Face read them: model.safetensors and config.json
    Export(Export),
}

/// Where weights come from.
#[derive(Debug, clap::Args)]
struct Source {
    /// A file of any form (safetensors, what torch.save wrote, a .ckpt of a run), or a run's folder
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Take it for this backbone instead of finding out
    #[arg(long, value_name = "NAME")]
    backbone: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bioscan-hpc weights inspect large_insect_order_vit_base_patch16_224_CE_s2_weights_best_acc.tar
  bioscan-hpc weights inspect results/mine/runs/mine-resnet50-CE-s1 --json")]
struct Inspect {
    #[command(flatten)]
    source: Source,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bioscan-hpc weights import resnet50-0676ba61.pth --out weights
  bioscan-hpc weights import model.safetensors --backbone vit_base_patch16_224 --out $SCRATCH/bioscan-1m/weights

The classifier may be for other classes: training gives the network a new one then, and says so.")]
struct Import {
    #[command(flatten)]
    source: Source,
    /// The folder; the file in it is called after the backbone
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bioscan-hpc weights export results/mine/runs/mine-resnet50-CE-s1 --out exported
  python3 -c 'import timm; model = timm.create_model(\"local-dir:exported\", pretrained=True)'")]
struct Export {
    #[command(flatten)]
    source: Source,
    /// The names of the classes, one a line in the order of the outputs, where the run does not say them
    #[arg(long, value_name = "FILE")]
    classes: Option<PathBuf>,
    /// The folder
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Runs `weights`.
pub fn run(args: &Args, context: Context) -> Result<Exit> {
    match &args.command {
        Command::Inspect(Inspect { source }) => {
            let found = inspect(&source.file, source.backbone.as_deref())?;
            answer(context, &found, || words(&found))?;
            Ok(if found.fault.is_some() { Exit::Faults } else { Exit::Done })
        }
        Command::Import(Import { source, out }) => {
            let file = import(&source.file, out, source.backbone.as_deref())?;
            answer(context, &json!({ "file": file }), || format!("{}\n", file.display()))
        }
        Command::Export(Export { source, classes, out }) => {
            let classes = classes.as_deref().map(class_names).transpose()?;
            let folder = export(&source.file, out, source.backbone.as_deref(), classes)?;
            answer(context, &json!({ "folder": folder }), || format!("{}\n", folder.display()))
        }
    }
}

fn words(found: &Inspection) -> String {
    let numbers: Vec<String> = found.numbers.iter().map(|(kind, count)| format!("{count} × {kind}")).collect();
    let mut lines = vec![
        found.path.display().to_string(),
        format!("  form        {}", found.form),
        format!("  tensors     {}, {}", found.tensors, numbers.join(", ")),
        format!("  blake3      {}", found.blake3),
    ];
    if let (Some(backbone), Some(side)) = (found.backbone, found.image_size) {
        let classes = found.classes.map_or("no classifier".to_owned(), |classes| classes.to_string());
        lines.push(format!("  backbone    {backbone}, images of {side}×{side} pixels"));
        lines.push(format!("  classes     {classes}"));
    }
    lines.extend(found.class_names.as_ref().map(|names| format!("  their names {}", names.join(", "))));
    lines.extend(found.fault.as_ref().map(|fault| format!("  FAULT       {fault}")));
    lines.join("\n") + "\n"
}
