//! `metadata clean`: a table → a cleaner one, and the ledger of its changes.

use std::fmt::Write;
use std::path::PathBuf;

use crate::cli::{Context, answer};
use crate::dataset::clean::{Derived, Fixes, Images, Plan, Summary, clean};
use crate::error::{Error, Exit, Result};

/// Arguments of `metadata clean`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bioscan-hpc metadata clean metadata.tsv --out clean.tsv --known-fixes --placeholders
  bioscan-hpc metadata clean metadata.tsv --out clean.tsv --fixes reviewed.toml
  mpirun -n 8 bioscan-hpc metadata clean metadata.tsv --out clean.tsv \\
    --images original_256.zip --bad-images drop --derive image_width,image_height

Nothing is changed that is not asked for. Every change is a line of the ledger with its reason;
`metadata replay` makes the same changes to the same table again, `metadata undo` takes them back.
A list of fixes is TOML:
  [[fix]]
  when = { genus = \"Philaenus\" }
  set = { tribe = \"Philaenini\" }
  why = \"the tribe was given to a part of the records only\"")]
pub struct Args {
    /// The table (.tsv, .csv, .jsonld)
    table: PathBuf,
    /// The table to write
    #[arg(long, value_name = "TABLE")]
    out: PathBuf,
    /// The ledger to write [default: beside the table, with .ledger.jsonl behind its name]
    #[arg(long, value_name = "LEDGER")]
    ledger: Option<PathBuf>,
    /// Mend the known label errors of BIOSCAN-1M (three tribes)
    #[arg(long)]
    known_fixes: bool,
    /// A list of reviewed fixes
    #[arg(long, value_name = "FIXES.toml")]
    fixes: Option<PathBuf>,
    /// Take a missing genus from the species
    #[arg(long)]
    genus_from_species: bool,
    /// Make all words for an unknown taxon the one of the dataset; NA and None are genera, and stay
    #[arg(long)]
    placeholders: bool,
    /// Columns to add: barcode_length, and with --images image_width, image_height, image_bytes, image_blake3, organism_pixels (the pixels it
    /// covers in a photograph of the whole dish, found by contrast)
    #[arg(long, value_name = "COLUMN,..", value_delimiter = ',', value_parser = derived)]
    derive: Vec<Derived>,
    /// The images: a container, a folder of them, or of the published chunks
    #[cfg(feature = "image")]
    #[arg(long, value_name = "IMAGES")]
    images: Option<PathBuf>,
    /// Records whose image is missing (not where they say), cannot be read or is another's stay, are marked in image_fault and
    /// duplicate_of, or go
    #[cfg(feature = "image")]
    #[arg(long, value_name = "WHAT", requires = "images", default_value = "keep")]
    bad_images: Treatment,
    /// Count pictures as duplicates whose hashes differ in up to so many of 64 bits, not only the same bytes
    #[cfg(feature = "image")]
    #[arg(long, value_name = "BITS", requires = "images", value_parser = clap::value_parser!(u32).range(..=8))]
    near: Option<u32>,
}

#[cfg(feature = "image")]
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Treatment {
    Keep,
    Mark,
    Drop,
}

fn derived(name: &str) -> Result<Derived, String> {
    let valid = || Derived::ALL.map(Derived::name).join(", ");
    Derived::ALL.into_iter().find(|derived| derived.name() == name).ok_or_else(|| format!("valid are {}", valid()))
}

/// Runs `metadata clean`.
pub fn run(args: &Args, context: Context) -> Result<Exit> {
    let mut fixes = if args.known_fixes { Fixes::known() } else { Fixes::default() };
    if let Some(list) = &args.fixes {
        fixes.fix.extend(Fixes::load(list)?.fix);
    }
    let plan = Plan {
        fixes,
        genus_from_species: args.genus_from_species,
        placeholders: args.placeholders,
        derive: args.derive.clone(),
        ..Plan::default()
    };
    with_images(args, plan, |plan| {
        let ledger = args.ledger.clone().unwrap_or_else(|| {
            let mut name = args.out.clone().into_os_string();
            name.push(".ledger.jsonl");
            name.into()
        });
        let summary = clean(&args.table, &args.out, &ledger, &plan)?;
        answer(context, &summary, || text(&summary))
    })
}

/// Adds to `plan` what a survey finds, and does `work` on rank 0.
#[cfg(feature = "image")]
fn with_images(args: &Args, mut plan: Plan, work: impl FnOnce(Plan) -> Result<Exit>) -> Result<Exit> {
    use crate::comm::World;
    use crate::curate::{Likeness, Looking, Shelf, survey};
    use crate::dataset::table::Quoting;

    let Some(images) = &args.images else {
        require_no_images(&plan)?;
        return work(plan);
    };
    plan.images = match args.bad_images {
        Treatment::Keep => Images::Keep,
        Treatment::Mark => Images::Mark,
        Treatment::Drop => Images::Drop,
    };
    let world = World::connect()?;
    let looking = Looking {
        likeness: args.near.map_or(Likeness::Exact, Likeness::Near),
        organisms: plan.derive.contains(&Derived::OrganismPixels),
    };
    let surveyed = Shelf::open(images).and_then(|shelf| survey(&world, &shelf, looking, &args.table, Quoting::Standard));
    let outcome = world.agree(surveyed).and_then(|facts| {
        let done = world.on_root(|| {
            plan.facts = facts.unwrap_or_default();
            work(plan)
        })?;
        Ok(done.unwrap_or(Exit::Done))
    });
    world.leave(outcome)
}

#[cfg(not(feature = "image"))]
fn with_images(_args: &Args, plan: Plan, work: impl FnOnce(Plan) -> Result<Exit>) -> Result<Exit> {
    require_no_images(&plan)?;
    debug_assert_eq!(plan.images, Images::Keep);
    work(plan)
}

fn require_no_images(plan: &Plan) -> Result<()> {
    match plan.derive.iter().find(|derived| derived.needs_images()) {
        Some(derived) => {
            Err(Error::usage(format!("`{}` is known from the images alone", derived.name())).with_help("give --images"))
        }
        None => Ok(()),
    }
}

fn text(summary: &Summary) -> String {
    let mut text = format!("{} rows, {} removed\n", summary.rows, summary.removed);
    for (why, cells) in &summary.changed {
        let _ = writeln!(text, "{cells} cells changed: {why}");
    }
    text
}
