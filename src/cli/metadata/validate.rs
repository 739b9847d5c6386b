//! `metadata validate`: a table, and its images where they are given → what is wrong with them.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

use crate::cli::metadata::convert::quoting;
use crate::cli::{Context, answer};
use crate::dataset::boxes;
use crate::dataset::validate::{Options, Report, Severity, validate_with};
use crate::error::{Exit, Result};

/// Arguments of `metadata validate`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bioscan-hpc metadata validate data/BIOSCAN_Insect_Dataset_metadata.tsv
  mpirun -n 8 bioscan-hpc metadata validate metadata.tsv --images original_256.zip --size 256
  bioscan-hpc metadata validate 5m.csv --boxes BIOSCAN_5M_Insect_bbox.tsv --json

A fault is wrong and ends in exit code 5; a warning looks wrong (--strict: 5 as well); a remark is
worth knowing.")]
pub struct Args {
    /// The table (.tsv, .csv, .jsonld)
    table: PathBuf,
    /// Boxes from which area_fraction and scale_factor must follow, where the table has none (.tsv, .csv, COCO .json)
    #[arg(long, value_name = "BOXES")]
    boxes: Option<PathBuf>,
    /// The images, all of which must be there and be readable: a container, a folder of them, or of the published chunks
    #[cfg(feature = "image")]
    #[arg(long, value_name = "IMAGES")]
    images: Option<PathBuf>,
    /// The size they must have: 1024x768, or 256 for the shorter side
    #[cfg(feature = "image")]
    #[arg(long, value_name = "SIZE", requires = "images")]
    size: Option<crate::curate::Expected>,
    /// Warnings end in exit code 5, too
    #[arg(long)]
    strict: bool,
    /// Quotation marks are text, as in the exports of BOLD
    #[arg(long)]
    no_quotes: bool,
}

/// Runs `metadata validate`.
pub fn run(args: &Args, context: Context) -> Result<Exit> {
    with_images(args, |of_images| {
        let boxes = args.boxes.as_deref().map_or_else(|| Ok(BTreeMap::new()), boxes::read)?;
        let mut report = validate_with(&args.table, Options { quoting: quoting(args.no_quotes), boxes })?;
        report.merge(of_images()?);
        answer(context, &report, || text(&report))?;
        let worst = if args.strict { Severity::Warning } else { Severity::Fault };
        Ok(if report.is_below(worst) { Exit::Done } else { Exit::Faults })
    })
}

/// Lets all ranks look at the images, and rank 0 do `work` with what says what is wrong with them.
#[cfg(feature = "image")]
fn with_images(args: &Args, work: impl FnOnce(&dyn Fn() -> Result<Report>) -> Result<Exit>) -> Result<Exit> {
    use crate::comm::World;
    use crate::curate::{Likeness, Looking, Shelf, inspect, survey};

    let Some(images) = &args.images else { return work(&|| Ok(Report::default())) };
    let world = World::connect()?;
    let looking = Looking { likeness: Likeness::Exact, organisms: false };
    let quoting = quoting(args.no_quotes);
    let surveyed = Shelf::open(images).and_then(|shelf| survey(&world, &shelf, looking, &args.table, quoting));
    let outcome = world.agree(surveyed).and_then(|facts| {
        let facts = facts.unwrap_or_default();
        Ok(world.on_root(|| work(&|| inspect(&args.table, quoting, &facts, args.size)))?.unwrap_or(Exit::Done))
    });
    world.leave(outcome)
}

#[cfg(not(feature = "image"))]
fn with_images(_args: &Args, work: impl FnOnce(&dyn Fn() -> Result<Report>) -> Result<Exit>) -> Result<Exit> {
    work(&|| Ok(Report::default()))
}

fn text(report: &Report) -> String {
    let mut text = format!("{} rows\n", report.rows);
    if !report.absent_columns.is_empty() {
        let _ = writeln!(text, "without the published columns {}", report.absent_columns.join(", "));
    }
    let mut faults: Vec<_> = report.faults.iter().collect();
    faults.sort_by_key(|fault| std::cmp::Reverse(fault.severity));
    for fault in faults {
        let _ = writeln!(text, "{}: {}: {} rows\n  {}", fault.severity, fault.kind, fault.count, fault.examples.join("\n  "));
    }
    text.push_str(if report.is_below(Severity::Fault) { "no faults\n" } else { "" });
    text
}
