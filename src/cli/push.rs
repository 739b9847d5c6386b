//! `push`: a folder here → a bucket or a repository.

use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

use crate::cli::{Context, answer};
use crate::error::{Exit, Result};
use crate::transfer::push::{Check, Destination, Outcome, Plan, Pushed, Request, plan, push};

/// Arguments of `push`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bioscan-hpc push results/mine/images --to s3://insects/bioscan --plan
  bioscan-hpc push results/mine/images --to s3://insects/bioscan --endpoint https://s3.example.org
  bioscan-hpc push results/mine/images --to hf://datasets/me/insects

On a cluster, run it where there is internet. What is there already, by length and hash, is not sent
again, and a large file that broke off goes on with the parts that are missing; keep --part-mib the
same for that. Hidden files, symbolic links, locks and unfinished files (.partial, .part, .tmp) are
not sent; a folder that somebody still writes to is refused. Nothing is ever deleted there.

Keys: AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN), or a file of mode 600
named by AWS_SHARED_CREDENTIALS_FILE, profile AWS_PROFILE; AWS_REGION, AWS_ENDPOINT_URL. For the
hub HF_TOKEN, or a file of mode 600 named by HF_TOKEN_PATH; HF_ENDPOINT. They go to that server
alone and into no message. The bucket or repository must exist.

Each file is compared afterwards: in a bucket its length and ETag (MD5); where the store encrypts
with keys and so has no MD5, its length and the SHA-256 noted with it; on the hub its length and
the hash the hub lists. Exit code 5 where something else is there than was sent, 4 where a file
could not be sent.")]
pub struct Args {
    /// The folder to send
    folder: PathBuf,
    /// s3://BUCKET/PREFIX, hf://datasets/OWNER/NAME or hf://OWNER/NAME, with @BRANCH if you like
    #[arg(long, value_name = "PLACE")]
    to: Destination,
    /// Say what would be sent, and ask no server
    #[arg(long)]
    plan: bool,
    /// The store's or hub's address, where it is not the public one
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// Connections at a time
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=16))]
    at_once: u8,
    /// Files longer than this go to a bucket in parts of this length, or longer ones where they would be over 10,000
    #[arg(long, value_name = "MIB", default_value_t = 64, value_parser = clap::value_parser!(u64).range(5..=5120))]
    part_mib: u64,
}

/// The first wait after a failure.
const UNIT: Duration = Duration::from_secs(2);

/// Runs `push`.
pub fn run(args: &Args, context: Context) -> Result<Exit> {
    let request = Request {
        folder: &args.folder,
        to: &args.to,
        endpoint: args.endpoint.as_deref(),
        at_once: usize::from(args.at_once),
        part: args.part_mib << 20,
        unit: UNIT,
        variable: |name| std::env::var(name).ok(),
    };
    if args.plan {
        let found = plan(&request)?;
        return answer(context, &found, || plan_text(&found));
    }
    let pushed = push(&request)?;
    answer(context, &pushed, || text(&args.to, &pushed))?;
    let any = |is: fn(&Outcome) -> bool| pushed.iter().any(|file| is(&file.outcome));
    Ok(if any(|outcome| matches!(outcome, Outcome::Wrong(_))) {
        Exit::Faults
    } else if any(|outcome| matches!(outcome, Outcome::Failed(_))) {
        Exit::Incomplete
    } else {
        Exit::Done
    })
}

fn plan_text(plan: &Plan) -> String {
    let mut text = format!("{:>16}  {:>6}  object\n", "bytes", "parts");
    for file in &plan.files {
        let parts = file.parts.map_or_else(|| "-".to_owned(), |parts| parts.to_string());
        let _ = writeln!(text, "{:>16}  {parts:>6}  {}", file.bytes, file.name);
    }
    for left in &plan.left_out {
        let _ = writeln!(text, "not sent: {} ({})", left.name, left.why);
    }
    let _ = writeln!(text, "to {}: {} files, {} bytes, less what is there already", plan.to, plan.files.len(), plan.bytes);
    text
}

/// Those that were there count together; each of the others has a line.
fn text(to: &Destination, pushed: &[Pushed]) -> String {
    let mut text = String::new();
    let (mut there, mut sent, mut bytes) = (0, 0, 0);
    for file in pushed {
        let what = match &file.outcome {
            Outcome::There(_) => {
                there += 1;
                continue;
            }
            Outcome::Sent(check) => {
                sent += 1;
                bytes += file.bytes;
                match check {
                    Check::Hash => format!("{} bytes, verified", file.bytes),
                    Check::Length => format!("{} bytes; the store encrypts and tells no hash of them", file.bytes),
                }
            }
            Outcome::Failed(why) => format!("FAILED: {why}"),
            Outcome::Wrong(why) => format!("WRONG: {why}"),
        };
        let _ = writeln!(text, "{}: {what}", file.name);
    }
    let missing = pushed.len() - there - sent;
    let _ =
        writeln!(text, "{to}: {sent} files sent ({bytes} bytes), {there} were there, {missing} are not there as they should be");
    text
}
