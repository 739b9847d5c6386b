//! a folder here → the same files in a bucket or a repository, whole and verified.
//!
//! [`plan`] says what would be sent, and asks no server; [`push`] sends what is missing there, in parallel, and afterwards compares what the
//! store says it holds. What stops one file stops no other.

mod bucket;
mod contents;
mod destination;
mod files;
mod hub;
mod keys;
mod lfs;
mod parts;
mod refusal;
mod repository;
mod tries;

use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::store::lock::Lock;
use crate::telemetry::Progress;
use files::{LocalFile, files};
use tries::{Fault, Patience};

pub use destination::{Destination, Kind};
pub use files::LeftOut;

/// Parts of one object at most, as S3 has it.
const MOST_PARTS: u64 = 10_000;

/// What to push.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The folder; owned while it is sent, where it can be written to.
    pub folder: &'a Path,
    /// Where to.
    pub to: &'a Destination,
    /// The address of the store or hub; `None` takes the environment's, or the public one.
    pub endpoint: Option<&'a str>,
    /// Connections at a time.
    pub at_once: usize,
    /// Bytes of a part of an object, at least; files up to this length go in one piece.
    pub part: u64,
    /// The first wait after a failure; it doubles with each.
    pub unit: Duration,
    /// A variable of the environment, where keys and tokens come from.
    pub variable: fn(&str) -> Option<String>,
}

/// What a push would send.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// Where to.
    pub to: String,
    /// Each file.
    pub files: Vec<Planned>,
    /// The bytes of all.
    pub bytes: u64,
    /// What stays here.
    pub left_out: Vec<LeftOut>,
}

/// One file of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Planned {
    /// Its name there: the path below the folder, behind the prefix.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// In how many parts it goes to a bucket; a hub decides that itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parts: Option<u64>,
}

/// What became of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pushed {
    /// Its path below the folder.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It was there, and the same.
    There(Check),
    /// It was sent, and what is there now is the same.
    Sent(Check),
    /// It is not there, and this is why.
    Failed(String),
    /// Something is there, and it is not what was sent.
    Wrong(String),
}

/// By what the two were found the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Check {
    /// The length, and a hash that the store says its bytes have.
    Hash,
    /// The length, and the SHA-256 that was noted when it was sent; the store encrypts and gives no hash.
    Length,
}

impl Outcome {
    fn of(result: Result<Self, Fault>) -> Self {
        result.unwrap_or_else(|fault| match fault {
            Fault::Failed(why) => Self::Failed(why),
            Fault::Wrong(why) => Self::Wrong(why),
        })
    }
}

/// Looks at the folder of `request`. Asks no server.
pub fn plan(request: &Request) -> Result<Plan> {
    let (files, left_out) = files(request.folder)?;
    let bytes = files.iter().map(|file| file.bytes).sum();
    let planned = |file: &LocalFile| match request.to {
        Destination::Bucket { prefix, .. } => Planned {
            name: key(prefix, &file.name),
            bytes: file.bytes,
            parts: Some(file.bytes.div_ceil(part_of(file, request.part)).max(1)),
        },
        Destination::Hub { .. } => Planned { name: file.name.clone(), bytes: file.bytes, parts: None },
    };
    Ok(Plan { to: request.to.to_string(), files: files.iter().map(planned).collect(), bytes, left_out })
}

/// Sends what is missing. A file that cannot be sent stops no other; a server that takes none stops all before anything is sent.
pub fn push(request: &Request) -> Result<Vec<Pushed>> {
    let (files, left_out) = files(request.folder)?;
    if files.is_empty() {
        return Err(Error::input(request.folder, "there is nothing to push"));
    }
    let owned = match Lock::acquire(request.folder) {
        Ok(lock) => Some(lock),
        Err(Error::Io { source, .. }) if is_read_only(&source) => {
            tracing::warn!("{} cannot be written to: a file that breaks off begins anew next time", request.folder.display());
            None
        }
        Err(error) => return Err(error),
    };
    for left in &left_out {
        tracing::warn!("{} is not sent: {}", left.name, left.why);
    }
    let patience = Patience::new(request.unit);
    let progress = Progress::start(files.iter().map(|file| file.bytes).sum(), "bytes");
    let work = Work { request, files: &files, patience: &patience, progress: &progress, remember: owned.is_some() };
    let outcomes = match request.to {
        Destination::Bucket { bucket, prefix } => bucket::push(&work, bucket, prefix)?,
        Destination::Hub { kind, repository, revision } => repository::push(&work, *kind, repository, revision)?,
    };
    let whole = |outcome: &Outcome| matches!(outcome, Outcome::There(_) | Outcome::Sent(_));
    if owned.is_some() && outcomes.iter().all(whole) {
        // Nothing is left to go on with.
        let _ = std::fs::remove_file(request.folder.join(parts::NOTES));
    }
    let pushed = |(file, outcome): (&LocalFile, Outcome)| Pushed { name: file.name.clone(), bytes: file.bytes, outcome };
    Ok(files.iter().zip(outcomes).map(pushed).collect())
}

/// One push under way.
struct Work<'a> {
    request: &'a Request<'a>,
    files: &'a [LocalFile],
    patience: &'a Patience,
    progress: &'a Progress,
    /// Whether notes may be left in the folder for the next push.
    remember: bool,
}

/// Bytes of a part of `file`: at least `least`, and more where a store would count too many.
fn part_of(file: &LocalFile, least: u64) -> u64 {
    const MIB: u64 = 1 << 20;
    let needed = file.bytes.div_ceil(MOST_PARTS);
    if needed <= least { least.max(1) } else { needed.div_ceil(MIB) * MIB }
}

/// The name of an object.
fn key(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") }
}

fn is_read_only(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_object_has_more_parts_than_a_store_counts() {
        let file = |bytes| LocalFile { path: "x".into(), name: "x".into(), bytes, changed: 0 };
        assert_eq!(part_of(&file(1 << 30), 64 << 20), 64 << 20);
        // 1 TiB in 10,000 parts is 104.9 MiB each: the next whole MiB makes 9,987 of them.
        let part = part_of(&file(1 << 40), 64 << 20);
        assert_eq!((part, (1u64 << 40).div_ceil(part)), (105 << 20, 9_987));
    }

    #[test]
    fn a_plan_names_objects_and_parts_without_asking() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a"), [0; 11]).unwrap();
        std::fs::write(folder.path().join("b"), []).unwrap();
        let to = "s3://insects/v1".parse().unwrap();
        let request = Request {
            folder: folder.path(),
            to: &to,
            endpoint: None,
            at_once: 1,
            part: 5,
            unit: Duration::from_secs(1),
            variable: |_| None,
        };
        let found = plan(&request).unwrap();
        let files: Vec<_> = found.files.iter().map(|file| (file.name.as_str(), file.bytes, file.parts)).collect();
        assert_eq!(files, [("v1/a", 11, Some(3)), ("v1/b", 0, Some(1))]);
        assert_eq!((found.to.as_str(), found.bytes), ("s3://insects/v1", 11));
    }
}
