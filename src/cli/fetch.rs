//! `fetch`: names of published files → those files here.

use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

use crate::cli::{Context, answer};
use crate::error::{Exit, Result};
use crate::store::room::{self, Need};
use crate::transfer::{Entry, Fetched, Manifest, Outcome, Plan, Request, State, fetch, plan};

/// Arguments of `fetch`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bioscan-hpc fetch --plan --to $SCRATCH/bioscan
  bioscan-hpc fetch bioscan-1m/metadata weights --to $SCRATCH/bioscan
  bioscan-hpc fetch --manifest files.toml --to data

On a cluster, run it where there is internet: on a login or data-transfer node. What was cut off
goes on where it stopped; what is here is not taken again. A file is visible under its own name only
once its length, and its hash where one is published, are right. Entries marked unverified were not
downloaded by whoever wrote the list. HF_TOKEN, or a file of mode 600 named by HF_TOKEN_PATH, is
shown to huggingface.co alone. Exit code 4 where a file could not be had.")]
pub struct Args {
    /// Names, or beginnings of names (bioscan-5m/cropped_256); all files without any
    names: Vec<String>,
    /// The folder to fetch into
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Say what would be fetched, and ask no server
    #[arg(long)]
    plan: bool,
    /// A list of files instead of the published ones
    #[arg(long, value_name = "FILES.toml")]
    manifest: Option<PathBuf>,
    /// Files at a time
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=8))]
    at_once: u8,
}

/// The first wait after a failure.
const UNIT: Duration = Duration::from_secs(2);

/// Runs `fetch`.
pub fn run(args: &Args, context: Context) -> Result<Exit> {
    let manifest = args.manifest.as_deref().map_or_else(Manifest::published, Manifest::load)?;
    let entries = manifest.select(&args.names)?;
    if args.plan {
        let found = plan(&entries, &args.to)?;
        return answer(context, &found, || plan_text(&found));
    }
    let at_once = usize::from(args.at_once);
    let fetched = fetch(Request { entries: &entries, folder: &args.to, at_once, unit: UNIT })?;
    answer(context, &fetched, || fetched.iter().map(line).collect())?;
    let failed = fetched.iter().any(|file| matches!(file.outcome, Outcome::Failed(_)));
    Ok(if failed { Exit::Incomplete } else { Exit::Done })
}

fn plan_text(plan: &Plan) -> String {
    let mut text = format!("{:<36} {:>16}  {:<10} {:<8} file\n", "name", "bytes", "verified", "hash");
    for (entry, state) in &plan.files {
        let Entry { name, path, .. } = entry;
        let bytes = match (entry.bytes, entry.about_bytes) {
            (Some(bytes), _) => bytes.to_string(),
            (None, Some(about)) => format!("about {about}"),
            (None, None) => "unknown".to_owned(),
        };
        let verified = if entry.verified { "yes" } else { "unverified" };
        let hash = entry.sha256.as_ref().map(|_| "SHA-256").or(entry.md5.as_ref().map(|_| "MD5")).unwrap_or("none");
        let state = match state {
            State::Here => " (here)".to_owned(),
            State::Unchecked if entry.has_hash() => " (here, to be checked)".to_owned(),
            State::Unchecked => " (here, with no hash to check it by)".to_owned(),
            State::Begun(bytes) => format!(" ({bytes} bytes are here)"),
            State::Missing => String::new(),
        };
        let _ = writeln!(text, "{name:<36} {bytes:>16}  {verified:<10} {hash:<8} {}{state}", path.display());
    }
    let unknown = if plan.unknown == 0 { String::new() } else { format!(", and {} files of unknown length", plan.unknown) };
    let _ = writeln!(text, "to come: {} bytes{unknown}; {} new files", plan.bytes, plan.inodes);
    let at_least = if plan.unknown == 0 { "" } else { "at least " };
    let need = Need { files: plan.inodes, bytes: plan.bytes };
    let _ = writeln!(text, "needs {at_least}{}", room::beside_quotas(need));
    plan.warning.iter().for_each(|warning| text.push_str(&format!("warning: {warning}\n")));
    text
}

fn line(file: &Fetched) -> String {
    let what = match &file.outcome {
        Outcome::Here => "was here".to_owned(),
        Outcome::Checked => "was here, and is what is published".to_owned(),
        Outcome::Unverified => "was here; no hash of it is published, so it was not verified".to_owned(),
        Outcome::Arrived { bytes, verified: true } => format!("{bytes} bytes, verified"),
        Outcome::Arrived { bytes, verified: false } => format!("{bytes} bytes; no hash of it is published"),
        Outcome::Failed(why) => format!("FAILED: {why}"),
    };
    format!("{}: {what}\n", file.name)
}
