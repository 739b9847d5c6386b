//! `sweep render`: a job file and a cluster → the scripts, and what to type there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::cli::put;
use crate::config::{Cluster, Job, Scheduler};
use crate::error::{Exit, Result};
use crate::sweep::arguments::export;
use crate::sweep::feed::{Slice, slices};
use crate::sweep::plan::{DEFAULT_ARRAY_SIZE, Plan, Stage, plan_with};
use crate::sweep::render::{Rendering, render, templates};
use crate::sweep::{local, measured, metafarm};

/// Arguments of `sweep render`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bioscan-hpc sweep render jobs/bioscan-1m.toml --cluster fir --account def-yourpi --out slurm/fir
  bioscan-hpc sweep render jobs/bioscan-1m.toml --cluster fir --out slurm/fir --metafarm

What the cluster would refuse is refused here, with the rule and its source. With --metafarm
there is, besides, a farm for each array in DIR/metafarm: table.dat, single_case.sh,
job_script.sh and final.sh.")]
pub(super) struct Args {
    /// The job file; the scripts name it as it is named here, so submit them from this folder
    job: PathBuf,
    /// The cluster: a name, or the path of a profile
    #[arg(long, value_name = "NAME")]
    cluster: String,
    /// Where to write the scripts
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The account to charge: def-yourpi, rrg-yourpi-ab
    #[arg(long)]
    account: Option<String>,
    /// Take cluster profiles from this folder instead of the built-in ones
    #[arg(long, value_name = "DIR")]
    profiles: Option<PathBuf>,
    /// Take script templates from this folder where it has them
    #[arg(long, value_name = "DIR")]
    templates: Option<PathBuf>,
    /// Write the files of META-Farm, too
    #[arg(long)]
    metafarm: bool,
    /// Ranks of a run without Slurm
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    ranks: u32,
}

/// Runs `sweep render`.
pub(super) fn run(args: &Args) -> Result<Exit> {
    let job = Job::as_written(&args.job)?;
    let cluster = Cluster::load(&args.cluster, args.profiles.as_deref())?;
    let planned = plan_with(&job, &cluster, &measured::on_disk(&args.job, &cluster.name)?)?;
    let rendering =
        Rendering { job: &job, job_file: &args.job, folder: &args.out, account: args.account.as_deref(), ranks: args.ranks };
    let sources = templates(args.templates.as_deref())?;
    let mut files = if args.metafarm { metafarm::render(&planned, &rendering, sources.clone())? } else { BTreeMap::new() };
    files.extend(render(&planned, &rendering, sources)?);
    local::write_files(&args.out, &files)?;
    tracing::info!("{} files in {}", files.len(), args.out.display());
    if cluster.scheduler == Scheduler::Slurm {
        put(&(commands(&planned, &args.job, &args.out)? + "\n"))?;
    }
    Ok(Exit::Done)
}

/// What to type on the cluster: each stage waits for the one before it.
fn commands(planned: &Plan, job_file: &Path, folder: &Path) -> Result<String> {
    use crate::sweep::quote::word;
    let script = |name: &str| word(&folder.join(name).to_string_lossy());
    let mut lines =
        vec!["mkdir -p logs".to_owned(), format!("bioscan-hpc metadata split {}", word(&job_file.to_string_lossy())?)];
    let mut arrays = String::new();
    for job in &planned.jobs {
        let script = script(&job.script)?;
        match job.stage {
            Stage::Preprocess => lines.push(format!("pre=$(sbatch --parsable {script})")),
            Stage::Train => {
                // `train-small-resnet50` → a name that a shell takes.
                let stem: String = job.name().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
                let size = planned.cluster.limits.array_size.map_or(DEFAULT_ARRAY_SIZE, |size| size as usize);
                let slices = slices(job, Some(size));
                for Slice { offset, job } in &slices {
                    let (name, options) = match slices.len() {
                        1 => (stem.clone(), String::new()),
                        _ => (format!("{stem}_{offset}"), format!("--array={} {} ", job.array(), export(*offset))),
                    };
                    let waits = "--dependency=afterok:$pre --kill-on-invalid-dep=yes";
                    lines.push(format!("{name}=$(sbatch --parsable {waits} {options}{script})"));
                    arrays.push_str(&format!(":${name}"));
                }
            }
            Stage::Aggregate => lines.push(format!("sbatch --dependency=afterany{arrays} {script}")),
        }
    }
    Ok(lines.join("\n"))
}
